#include <kuva/dimse/operation.hpp>
#include <kuva/dimse/provider.hpp>
#include <kuva/dimse/status.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::dimse {

namespace {

constexpr std::size_t k_largest_identifier = 16U << 20U;

void drop(Messenger& messenger, std::chrono::milliseconds stall_limit) {
  messenger.receive_data([](std::span<const std::byte>) {}, stall_limit);
}

Command failed(const Command& request, std::uint16_t status, std::string_view comment) {
  Command response = make_response(request, status);
  if (!comment.empty()) {
    response.error_comment = std::string(comment);
  }
  return response;
}

Command failed(const Command& request, const Error& error) {
  const bool is_storage =
      error.kind().code == kind("local.write").code || error.kind().code == kind("local.resource").code;
  return failed(request, is_storage && request.field == CommandField::c_store_rq ? 0xA700 : 0x0110, error.message());
}

Command store(Messenger& messenger, const Messenger::Message& request, const Services& services,
              std::chrono::milliseconds stall_limit) {
  if (!request.command.has_data_set) {
    return failed(request.command, 0x0212, "C-STORE without a data set");
  }
  std::unique_ptr<StoreReception> reception;
  std::optional<Error> failure;
  try {
    const ul::AcceptedContext* const context = messenger.association().find_context(request.context_id);
    reception = services.store(request, *context);
  } catch (const Error& error) {
    failure = error;
  }
  messenger.receive_data(
      [&reception, &failure](std::span<const std::byte> piece) {
        if (!reception) {
          return;
        }
        try {
          reception->write(piece);
        } catch (const Error& error) {
          failure = error;
          reception.reset();
        }
      },
      stall_limit);
  if (failure) {
    return failed(request.command, *failure);
  }
  if (!reception) {
    return make_response(request.command, 0x0122);
  }
  try {
    return reception->finish(make_response(request.command, 0x0000));
  } catch (const Error& error) {
    return failed(request.command, error);
  }
}

// The identifier of an N-service. Nothing when it cannot be decoded; what is too large makes the association abort.
std::optional<dicom::DataSet> read_identifier(Messenger& messenger, const Messenger::Message& request,
                                              std::chrono::milliseconds stall_limit) {
  std::string bytes;
  messenger.receive_data(
      [&bytes](std::span<const std::byte> piece) {
        if (piece.size() > k_largest_identifier - bytes.size()) {
          throw Error(kind("association.protocol"),
                      fmt::format("the peer's data set is larger than {} bytes", k_largest_identifier));
        }
        bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
      },
      stall_limit);
  try {
    const ul::AcceptedContext* const context = messenger.association().find_context(request.context_id);
    return dicom::DataSet::decode(std::as_bytes(std::span(bytes.data(), bytes.size())),
                                  dicom::transfer_syntax(context->transfer_syntax));
  } catch (const Error&) {
    return std::nullopt;
  }
}

bool is_query(CommandField field) {
  return field == CommandField::c_find_rq || field == CommandField::c_move_rq || field == CommandField::c_get_rq;
}

// C-FIND, C-MOVE, C-GET: the handler responds itself, unless it fails.
void run_query(Messenger& messenger, const Messenger::Message& request, const Services& services,
               std::chrono::milliseconds stall_limit) {
  constexpr std::uint16_t k_identifier_does_not_match = 0xA900;
  const std::optional<dicom::DataSet> identifier = read_identifier(messenger, request, stall_limit);
  Operation operation(messenger, request, services, stall_limit);
  if (!identifier) {
    operation.respond(failed(request.command, k_identifier_does_not_match, "The identifier cannot be read."));
    return;
  }
  try {
    services.query(operation, *identifier);
  } catch (const Error& error) {
    if (!messenger.association().is_open()) {
      throw;
    }
    operation.respond(failed(request.command, error));
  }
}

}  // namespace

void answer(Messenger& messenger, const Messenger::Message& request, const Services& services,
            std::chrono::milliseconds stall_limit) {
  const Command& command = request.command;
  if (services.trace) {
    services.trace(request, true);
  }
  if (is_query(command.field) && services.query) {
    run_query(messenger, request, services, stall_limit);
    return;
  }
  std::function<void(Messenger&)> after;
  Command response;
  const auto with_identifier = [&](const auto& handler) {
    const std::optional<dicom::DataSet> data = read_identifier(messenger, request, stall_limit);
    if (!data) {
      response = failed(command, 0x0110, "the data set cannot be read");
      return;
    }
    try {
      response = handler(*data);
    } catch (const Error& error) {
      response = failed(command, error);
    }
  };
  if (command.field == CommandField::c_echo_rq) {
    drop(messenger, stall_limit);
    response = make_response(command, 0x0000);
  } else if (command.field == CommandField::c_store_rq && services.store) {
    response = store(messenger, request, services, stall_limit);
  } else if (command.field == CommandField::n_action_rq && services.action) {
    with_identifier([&](const dicom::DataSet& data) { return services.action(request, data, after); });
  } else if (command.field == CommandField::n_event_report_rq && services.event_report) {
    with_identifier([&](const dicom::DataSet& data) { return services.event_report(request, data); });
  } else if (command.field == CommandField::n_create_rq && services.create) {
    with_identifier([&](const dicom::DataSet& data) { return services.create(request, data); });
  } else if (command.field == CommandField::c_cancel_rq) {
    drop(messenger, stall_limit);  // nothing that could be cancelled is running, and it has no response
    return;
  } else {
    drop(messenger, stall_limit);
    const bool lacks_handler =
        command.field == CommandField::c_store_rq || command.field == CommandField::n_action_rq ||
        command.field == CommandField::n_event_report_rq || command.field == CommandField::n_create_rq;
    response = make_response(command, lacks_handler ? 0x0122 : 0x0211);
  }
  if (services.respond) {
    services.respond(messenger, request, std::move(response));
  } else {
    messenger.send(request.context_id, response);
    if (services.trace) {
      services.trace({request.context_id, response}, false);
    }
  }
  if (after) {
    after(messenger);
  }
}

Ending serve(Messenger& messenger, const Services& services, std::chrono::milliseconds idle_timeout,
             std::chrono::milliseconds stall_limit) {
  ul::Association& association = messenger.association();
  const bool ticks = services.between || services.stop.stop_possible();
  Deadline idle = Deadline::after(idle_timeout);
  Messenger::Message message;
  for (;;) {
    if (services.stop.stop_requested()) {
      association.abort();
      return Ending::stopped;
    }
    if (services.between) {
      services.between(messenger);
    }
    const Deadline deadline = ticks ? earlier(idle, Deadline::after(Services::k_tick)) : idle;
    switch (messenger.receive(deadline, message)) {
      case Messenger::Event::timeout:
        if (idle.expired()) {
          association.abort();
          return Ending::idle;
        }
        continue;
      case Messenger::Event::release_requested:
        association.accept_release();
        return Ending::released;
      case Messenger::Event::message:
        break;
    }
    if (is_response(message.command.field)) {
      if (!services.response) {
        Error error(kind("dimse.unexpected-response"),
                    fmt::format("the peer sent {} where nothing had been asked", to_string(message.command.field)));
        error.with_peer(association.peer());
        association.abort();
        throw error;
      }
      drop(messenger, stall_limit);
      if (services.trace) {
        services.trace(message, true);
      }
      services.response(message);
    } else {
      answer(messenger, message, services, stall_limit);
    }
    idle = Deadline::after(idle_timeout);
  }
}

}  // namespace kuva::dimse
