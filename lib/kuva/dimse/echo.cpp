#include <kuva/dicom/uid.hpp>
#include <kuva/dimse/echo.hpp>
#include <kuva/dimse/status.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::dimse {

void echo(Messenger& messenger, std::chrono::milliseconds response_timeout) {
  ul::Association& association = messenger.association();
  const auto& contexts = association.contexts();
  const auto context = std::find_if(contexts.begin(), contexts.end(), [](const ul::AcceptedContext& candidate) {
    return candidate.abstract_syntax == dicom::uids::verification;
  });
  if (context == contexts.end()) {
    Error error(kind("negotiate.sop-class"), "the peer did not accept the Verification SOP class");
    error.with_peer(association.peer());
    throw error;
  }
  const auto fail = [&association](Error error) {
    error.with_peer(association.peer());
    association.abort();
    return error;
  };
  Command request;
  request.field = CommandField::c_echo_rq;
  request.message_id = messenger.next_message_id();
  request.affected_sop_class_uid = dicom::uids::verification;
  messenger.send(context->id, request);

  Messenger::Message response;
  switch (messenger.receive(Deadline::after(response_timeout), response)) {
    case Messenger::Event::timeout: {
      Error error(kind("connection.timeout"),
                  fmt::format("no answer to C-ECHO within {}", format_duration(response_timeout)));
      error.in_phase(Phase::wait);
      throw fail(std::move(error));
    }
    case Messenger::Event::release_requested: {
      Error error(kind("association.released"), "the peer released the association instead of answering C-ECHO");
      error.in_phase(Phase::wait).with_peer(association.peer());
      association.accept_release();
      throw error;
    }
    case Messenger::Event::message:
      break;
  }
  if (response.command.field != CommandField::c_echo_rsp ||
      response.command.message_id_responded_to != request.message_id || !response.command.status) {
    throw fail(
        Error(kind("dimse.unexpected-response"),
              fmt::format("the peer answered C-ECHO with {}, message id {}, {}", to_string(response.command.field),
                          response.command.message_id_responded_to.value_or(0),
                          response.command.status ? "status " + hex(*response.command.status) : "no status")));
  }
  messenger.receive_data([](std::span<const std::byte>) {}, response_timeout);
  const StatusClass outcome = status_class(*response.command.status);
  if (outcome != StatusClass::success && outcome != StatusClass::warning) {
    Error error = status_error(Service::echo, response.command);
    error.with_peer(association.peer());
    throw error;
  }
}

}  // namespace kuva::dimse
