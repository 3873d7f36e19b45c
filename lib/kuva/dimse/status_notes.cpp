#include <kuva/dimse/status_notes.hpp>

#include <array>

namespace kuva::dimse {

namespace {

using Of = StatusNote::Of;

constexpr auto k_notes = std::to_array<StatusNote>({
#include <kuva/dimse/status_notes.inc>
});

}  // namespace

std::string_view to_string(StatusNote::Of of) {
  switch (of) {
    case Of::all:
      return "any response";
    case Of::store:
      return "C-STORE response";
    case Of::commitment_request:
      return "N-ACTION response of storage commitment";
    case Of::commitment_failure:
      return "Failure Reason of storage commitment";
  }
  return {};
}

std::span<const StatusNote> status_notes() { return k_notes; }

}  // namespace kuva::dimse
