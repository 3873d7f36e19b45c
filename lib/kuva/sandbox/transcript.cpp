#include <kuva/core/record.hpp>
#include <kuva/core/time.hpp>
#include <kuva/dimse/status.hpp>
#include <kuva/sandbox/transcript.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace kuva::sandbox {

namespace {

void put(Json& json, const char* key, const std::optional<std::string>& value) {
  if (value) {
    json[key] = *value;
  }
}

void put(Json& json, const char* key, const std::optional<std::uint16_t>& value) {
  if (value) {
    json[key] = *value;
  }
}

dimse::Service service_of(dimse::CommandField field) {
  switch (field) {
    case dimse::CommandField::c_store_rsp:
      return dimse::Service::store;
    case dimse::CommandField::n_action_rsp:
      return dimse::Service::commit_request;
    case dimse::CommandField::n_event_report_rsp:
      return dimse::Service::event_report;
    case dimse::CommandField::c_echo_rsp:
      return dimse::Service::echo;
    case dimse::CommandField::c_find_rsp:
      return dimse::Service::find;
    case dimse::CommandField::c_move_rsp:
      return dimse::Service::move;
    case dimse::CommandField::c_get_rsp:
      return dimse::Service::get;
    case dimse::CommandField::n_create_rsp:
      return dimse::Service::create;
    default:
      return dimse::Service::general;
  }
}

}  // namespace

Transcript::Transcript(std::filesystem::path path) : m_path(std::move(path)) {
  if (!m_path.empty()) {
    m_fd = open();
  }
}

FileDescriptor Transcript::open() const {
  FileDescriptor file(::open(m_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!file) {
    throw write_error(m_path, errno);
  }
  return file;
}

void Transcript::reopen() {
  if (!m_fd) {
    return;
  }
  const FileDescriptor file = open();
  // The descriptor keeps its number, so that whoever writes at this moment needs no lock.
  if (::dup3(file.get(), m_fd.get(), O_CLOEXEC) < 0) {
    throw write_error(m_path, errno);
  }
}

void Transcript::write(std::string_view event, std::uint64_t association, const Json& facts) noexcept {
  if (!m_fd) {
    return;
  }
  try {
    Json line;
    line["time"] = to_rfc3339(std::chrono::system_clock::now());
    line["event"] = event;
    if (association != 0) {
      line["association"] = association;
    }
    line.update(facts);
    const std::string text = to_line(line) + '\n';
    const ssize_t written = ::write(m_fd.get(), text.data(), text.size());
    static_cast<void>(written);
  } catch (const std::exception&) {
    return;  // a transcript is not worth an exchange
  }
}

Json describe(const dimse::Messenger::Message& message) {
  const dimse::Command& command = message.command;
  Json json;
  json["message"] = dimse::to_string(command.field);
  json["presentationContext"] = message.context_id;
  put(json, "messageId", command.message_id);
  put(json, "messageIdBeingRespondedTo", command.message_id_responded_to);
  put(json, "SOPClassUID",
      command.affected_sop_class_uid ? command.affected_sop_class_uid : command.requested_sop_class_uid);
  put(json, "SOPInstanceUID",
      command.affected_sop_instance_uid ? command.affected_sop_instance_uid : command.requested_sop_instance_uid);
  put(json, "eventTypeId", command.event_type_id);
  put(json, "actionTypeId", command.action_type_id);
  if (command.status) {
    json["status"] = dimse::hex(*command.status);
    json["statusName"] = dimse::status_name(service_of(command.field), *command.status);
  }
  if (command.error_comment) {
    json["errorComment"] = dimse::masked_comment(*command.error_comment);
  }
  if (!command.offending_elements.empty()) {
    Json tags = Json::array();
    for (const dicom::Tag tag : command.offending_elements) {
      tags.push_back(dicom::to_string(tag));
    }
    json["offendingElements"] = std::move(tags);
  }
  put(json, "errorId", command.error_id);
  put(json, "moveDestination", command.move_destination);
  put(json, "remaining", command.remaining_suboperations);
  put(json, "completed", command.completed_suboperations);
  put(json, "failed", command.failed_suboperations);
  put(json, "warning", command.warning_suboperations);
  return json;
}

Json describe(const ul::AssociateRequest& request) {
  Json json;
  json["calledAE"] = request.called_ae;
  json["callingAE"] = request.calling_ae;
  json["implementationClassUID"] = request.implementation_class_uid;
  json["implementationVersionName"] = request.implementation_version_name;
  json["maxPduLength"] = request.max_pdu_length;
  return json;
}

Json describe(const ul::AssociateAccept& accept, const ul::AssociateRequest& request) {
  Json contexts = Json::array();
  for (const ul::PresentationContextReply& reply : accept.contexts) {
    Json context;
    context["id"] = reply.id;
    for (const ul::PresentationContext& proposed : request.contexts) {
      if (proposed.id == reply.id) {
        context["abstractSyntax"] = proposed.abstract_syntax;
      }
    }
    context["result"] = ul::to_string(reply.result);
    if (reply.result == ul::ContextResult::accepted) {
      context["transferSyntax"] = reply.transfer_syntax;
    }
    contexts.push_back(std::move(context));
  }
  return Json{{"presentationContexts", std::move(contexts)}};
}

Json describe(const ul::AssociateReject& reject) {
  Json json;
  json["result"] = reject.result;
  json["source"] = reject.source;
  json["reason"] = reject.reason;
  json["text"] = ul::to_string(reject);
  return json;
}

}  // namespace kuva::sandbox
