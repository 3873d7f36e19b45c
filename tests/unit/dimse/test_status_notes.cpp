#include <kuva/dimse/status.hpp>
#include <kuva/dimse/status_notes.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

namespace {

using namespace kuva::dimse;
using Of = StatusNote::Of;

std::string_view code_of(const StatusNote& note) {
  if (note.of == Of::commitment_failure) {
    return commitment_failure(note.status).kind().code;
  }
  if (status_class(note.status) != StatusClass::failure) {
    return "";
  }
  Command response;
  response.status = note.status;
  const Service service = note.of == Of::store                ? Service::store
                          : note.of == Of::commitment_request ? Service::commit_request
                                                              : Service::general;
  return status_error(service, response).kind().code;
}

bool is_noted(std::uint16_t status) {
  return std::any_of(status_notes().begin(), status_notes().end(),
                     [status](const StatusNote& note) { return note.status == status; });
}

}  // namespace

TEST_CASE("the error that a note names is the one that the status becomes") {
  for (const StatusNote& note : status_notes()) {
    CAPTURE(hex(note.status));
    CAPTURE(std::string(note.note));
    CHECK(note.code == code_of(note));
  }
}

TEST_CASE("every failure that has a name of its own has a note") {
  for (unsigned value = 0; value <= 0xFFFF; ++value) {
    const auto status = static_cast<std::uint16_t>(value);
    const auto range_begin = static_cast<std::uint16_t>(status & 0xFF00U);
    const std::string_view name = status_name(Service::store, status);
    const bool own_name = name.find("not known") == std::string_view::npos &&
                          (status == range_begin || name != status_name(Service::store, range_begin));
    if (own_name && status_class(status) == StatusClass::failure &&
        (status < 0xA000 || status == 0xA700 || (status & 0xFFF0U) == 0xA770U)) {
      CAPTURE(hex(status));
      CAPTURE(std::string(name));
      CHECK((is_noted(status) || name == "refused: out of resources"));
    }
  }
}
