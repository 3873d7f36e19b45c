#include <kuva/dimse/operation.hpp>
#include <kuva/dimse/response.hpp>

namespace kuva::dimse {

namespace {

constexpr std::uint16_t k_resource_limitation = 0x0213;

bool is_operation(CommandField field) {
  return field == CommandField::c_find_rq || field == CommandField::c_move_rq || field == CommandField::c_get_rq;
}

}  // namespace

Operation::Operation(Messenger& messenger, const Messenger::Message& request, const Services& services,
                     std::chrono::milliseconds stall_limit)
    : m_messenger(messenger), m_request(request), m_services(services), m_stall_limit(stall_limit) {}

const ul::AcceptedContext& Operation::context() const {
  return *m_messenger.association().find_context(m_request.context_id);
}

void Operation::trace(const Messenger::Message& message, bool received) const {
  if (m_services.trace) {
    m_services.trace(message, received);
  }
}

void Operation::take(const Messenger::Message& message) {
  const Command& command = message.command;
  if (command.field == CommandField::c_cancel_rq) {
    trace(message, true);
    m_cancelled = m_cancelled || command.message_id_responded_to == request().message_id;
    return;
  }
  if (!is_operation(command.field)) {
    answer(m_messenger, message, m_services, m_stall_limit);
    return;
  }
  trace(message, true);
  m_messenger.receive_data([](std::span<const std::byte>) {}, m_stall_limit);
  Command response = make_response(command, k_resource_limitation);
  response.error_comment = "Another operation is under way on this association.";
  m_messenger.send(message.context_id, response);
  trace({message.context_id, response}, false);
}

bool Operation::is_cancelled() {
  ul::Association& association = m_messenger.association();
  while (association.wait_readable(Deadline::after(std::chrono::milliseconds(0)))) {
    Messenger::Message message;
    const Messenger::Event event = m_messenger.receive(Deadline::after(m_stall_limit), message);
    if (event == Messenger::Event::timeout) {
      break;
    }
    if (event == Messenger::Event::release_requested || is_response(message.command.field)) {
      Error error(kind("association.protocol"), event == Messenger::Event::release_requested
                                                    ? "the peer asked for release in the middle of an operation"
                                                    : "the peer sent a response where nothing had been asked");
      error.with_peer(association.peer());
      association.abort();
      throw error;
    }
    take(message);
  }
  return m_cancelled || m_services.stop.stop_requested();
}

void Operation::respond(const Command& response) {
  m_messenger.send(m_request.context_id, response);
  trace({m_request.context_id, response}, false);
}

void Operation::respond(const Command& response, const dicom::DataSet& data) {
  m_messenger.send(m_request.context_id, response, data);
  trace({m_request.context_id, response}, false);
}

Command Operation::store(std::uint8_t context_id, const std::string& sop_class_uid, const std::string& sop_instance_uid,
                         const ul::DataSource& data, std::chrono::milliseconds patience) {
  const Command command = make_store_command(m_messenger.next_message_id(), sop_class_uid, sop_instance_uid);
  m_messenger.send(context_id, command, data);
  trace({context_id, command}, false);
  const Messenger::Message response =
      await_response(m_messenger, command, patience, [this](const Messenger::Message& message) { take(message); });
  trace(response, true);
  m_messenger.receive_data([](std::span<const std::byte>) {}, m_stall_limit);
  return response.command;
}

Command make_store_command(std::uint16_t message_id, const std::string& sop_class_uid,
                           const std::string& sop_instance_uid) {
  Command command;
  command.field = CommandField::c_store_rq;
  command.message_id = message_id;
  command.affected_sop_class_uid = sop_class_uid;
  command.affected_sop_instance_uid = sop_instance_uid;
  command.priority = 0;
  command.has_data_set = true;
  return command;
}

}  // namespace kuva::dimse
