#include <kuva/dimse/response.hpp>
#include <kuva/dimse/status.hpp>

#include <fmt/format.h>

namespace kuva::dimse {

namespace {

// "C-FIND" of C-FIND-RQ.
std::string_view operation(CommandField request) {
  const std::string_view name = to_string(request);
  return name.substr(0, name.rfind('-'));
}

}  // namespace

Messenger::Message await_response(Messenger& messenger, const Command& request, std::chrono::milliseconds patience,
                                  const OnRequest& on_request, const OnQuiet& on_quiet) {
  ul::Association& association = messenger.association();
  const auto fail = [&association](Error error) {
    error.in_phase(Phase::wait).with_peer(association.peer());
    association.abort();
    return error;
  };
  const std::string_view name = operation(request.field);
  const auto expected = static_cast<CommandField>(static_cast<unsigned>(request.field) | 0x8000U);
  const auto begun = std::chrono::steady_clock::now();
  for (;;) {
    Messenger::Message response;
    switch (messenger.receive(Deadline::after(on_quiet ? k_look_interval : patience), response)) {
      case Messenger::Event::timeout:
        if (on_quiet) {
          if (on_quiet()) {
            continue;
          }
          throw fail(Error(kind("connection.timeout"),
                           fmt::format("no more waiting for an answer to {} after {}", name,
                                       format_duration(std::chrono::duration_cast<std::chrono::seconds>(
                                           std::chrono::steady_clock::now() - begun)))));
        }
        throw fail(Error(kind("connection.timeout"),
                         fmt::format("no answer to {} within {}", name, format_duration(patience))));
      case Messenger::Event::release_requested: {
        Error error(kind("association.released"),
                    fmt::format("the peer released the association in the middle of {}", name));
        error.in_phase(Phase::wait).with_peer(association.peer());
        association.accept_release();
        throw error;
      }
      case Messenger::Event::message:
        break;
    }
    const Command& command = response.command;
    if (!is_response(command.field) && on_request) {
      on_request(response);
      continue;
    }
    if (command.field != expected || command.message_id_responded_to != request.message_id || !command.status) {
      throw fail(Error(kind("dimse.unexpected-response"),
                       fmt::format("the peer answered {} with {}, message id {}, {}", name, to_string(command.field),
                                   command.message_id_responded_to.value_or(0),
                                   command.status ? "status " + hex(*command.status) : "no status")));
    }
    return response;
  }
}

Command make_cancel(const Command& request) {
  Command command;
  command.field = CommandField::c_cancel_rq;
  command.message_id_responded_to = request.message_id;
  return command;
}

}  // namespace kuva::dimse
