#include <kuva/dicom/uid.hpp>
#include <kuva/sandbox/session.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::sandbox {

namespace {

Json facts_of(const DueReport& report, const dimse::CommitmentReport& content) {
  Json json;
  json["calledAE"] = report.ae_title;
  json["TransactionUID"] = report.request.transaction_uid;
  json["committed"] = content.committed.size();
  json["failed"] = content.failed.size();
  return json;
}

}  // namespace

dimse::CommitmentReport make_report(Archive& archive, const dimse::CommitmentRequest& request,
                                    const std::string& retrieve_ae_title) {
  dimse::CommitmentReport report;
  report.transaction_uid = request.transaction_uid;
  for (const dimse::SopReference& reference : request.references) {
    const std::uint16_t reason = archive.check(reference);
    if (reason == 0) {
      report.committed.push_back(reference);
    } else {
      report.failed.push_back({reference, reason});
    }
  }
  if (!report.committed.empty()) {
    report.retrieve_ae_title = retrieve_ae_title;
  }
  return report;
}

std::optional<std::chrono::milliseconds> retry_delay(const Settings& settings, unsigned attempts) {
  constexpr std::chrono::milliseconds k_longest{600'000};
  if (attempts > settings.report_retries) {
    return std::nullopt;
  }
  std::chrono::milliseconds delay = settings.report_retry_delay;
  for (unsigned i = 1; i < attempts && delay < k_longest; ++i) {
    delay *= 2;
  }
  return std::min(delay, std::max(k_longest, settings.report_retry_delay));
}

Session::Session(const Repository& repository, std::uint64_t number, const KnownAe& peer, ul::Association& association)
    : m_repository(repository), m_number(number), m_peer(peer), m_association(association) {}

void Session::trace(const dimse::Messenger::Message& message, bool received) {
  Json facts = describe(message);
  if (!received && message.command.field == dimse::CommandField::c_store_rsp) {
    facts["bytes"] = m_note.bytes;
    if (!m_note.disposition.empty()) {
      facts["disposition"] = m_note.disposition;
    }
  }
  m_repository.transcript.write(received ? "message-received" : "message-sent", m_number, facts);
}

dimse::Command Session::act(const dimse::Messenger::Message& message, const dicom::DataSet& data) {
  const dimse::Command& request = message.command;
  const auto refuse = [&request](std::uint16_t status, std::string comment) {
    dimse::Command response = dimse::make_response(request, status);
    if (!comment.empty()) {
      response.error_comment = std::move(comment);
    }
    return response;
  };
  if (!m_peer.may_commit) {
    return refuse(0x0110, "Unknown Calling AET: " + m_peer.ae_title);
  }
  const ul::AcceptedContext* const context = m_association.find_context(message.context_id);
  if (context->abstract_syntax != dicom::uids::storage_commitment_push_model ||
      request.requested_sop_class_uid != dicom::uids::storage_commitment_push_model) {
    return refuse(0x0118, {});
  }
  if (request.requested_sop_instance_uid != dicom::uids::storage_commitment_push_model_instance) {
    return refuse(0x0112, {});
  }
  if (request.action_type_id != std::uint16_t{1}) {
    return refuse(0x0123, {});
  }
  dimse::CommitmentRequest asked;
  try {
    asked = dimse::read_commitment_request(data);
  } catch (const Error&) {
    return refuse(0x0115, {});  // PS3.7 10.1.4.1.10 has no Error Comment for it
  }
  if (dicom::uid_defect(asked.transaction_uid)) {
    return refuse(0x0115, {});
  }
  const Settings& settings = m_repository.settings;
  if (settings.report_on == Settings::ReportOn::new_association && !m_peer.endpoint) {
    return refuse(0x0110, fmt::format("No host and port known of {}", m_peer.ae_title));
  }
  m_repository.reports.add(m_peer.ae_title, std::move(asked),
                           settings.report_on == Settings::ReportOn::same_association ? m_number : 0,
                           settings.report_delay);
  return dimse::make_response(request, 0x0000);
}

void Session::report_if_due(dimse::Messenger& messenger) {
  if (m_repository.settings.report_on != Settings::ReportOn::same_association || m_reporting) {
    return;
  }
  const auto& contexts = m_association.contexts();
  const auto context = std::find_if(contexts.begin(), contexts.end(), [](const ul::AcceptedContext& candidate) {
    return candidate.abstract_syntax == dicom::uids::storage_commitment_push_model && candidate.scp;
  });
  if (context == contexts.end()) {
    return;
  }
  // Those of this association, and those of an earlier one that can go no other way (PS3.4 J.3.3.1.2, a later
  // association).
  m_reporting = m_repository.reports.take([this](const DueReport& report) {
    return report.association == m_number ||
           (report.association == 0 && report.ae_title == m_peer.ae_title && !m_peer.endpoint);
  });
  if (!m_reporting) {
    return;
  }
  const dimse::CommitmentReport content =
      make_report(m_repository.archive, m_reporting->request, m_repository.settings.ae_title);
  m_report_message_id = messenger.next_message_id();
  const dimse::Command command = dimse::make_commitment_report_command(m_report_message_id, content);
  messenger.send(context->id, command, dimse::to_data_set(content));
  trace({context->id, command}, false);
  m_repository.transcript.write("report-sent", m_number, facts_of(*m_reporting, content));
}

void Session::report_answered(const dimse::Messenger::Message& message) {
  if (!m_reporting || message.command.message_id_responded_to != m_report_message_id) {
    return;  // it is in the transcript
  }
  // Whatever the status: the SCU has it (dcm4chee-arc does not send it again either).
  m_repository.reports.done(*m_reporting);
  Json facts;
  facts["calledAE"] = m_reporting->ae_title;
  facts["TransactionUID"] = m_reporting->request.transaction_uid;
  facts["status"] = dimse::hex(message.command.status.value_or(0));
  m_reporting.reset();
  m_repository.transcript.write("report-delivered", m_number, facts);
}

void Session::run(std::stop_token stop) {
  dimse::Messenger messenger(m_association);
  const StoreRules rules{m_repository.settings, m_repository.archive, m_repository.study_codes};
  dimse::Services services;
  services.store = [this, &rules](const dimse::Messenger::Message& message, const ul::AcceptedContext& context) {
    return receive_object(rules, m_peer, message.command, context, m_note);
  };
  services.action = [this](const dimse::Messenger::Message& message, const dicom::DataSet& data,
                           std::function<void(dimse::Messenger&)>&) { return act(message, data); };
  services.trace = [this](const dimse::Messenger::Message& message, bool received) { trace(message, received); };
  services.between = [this](dimse::Messenger& own) { report_if_due(own); };
  services.response = [this](const dimse::Messenger::Message& message) { report_answered(message); };
  services.stop = std::move(stop);
  Transcript& transcript = m_repository.transcript;
  try {
    switch (
        dimse::serve(messenger, services, m_repository.settings.idle_timeout, m_repository.settings.timeouts.stall)) {
      case dimse::Ending::released:
        transcript.write("association-released", m_number, Json::object());
        break;
      case dimse::Ending::idle:
        transcript.write("association-aborted", m_number, Json{{"by", "sandbox"}, {"why", "idle"}});
        break;
      case dimse::Ending::stopped:
        transcript.write("association-aborted", m_number, Json{{"by", "sandbox"}, {"why", "stopping"}});
        break;
    }
  } catch (const Error& error) {
    transcript.write("association-aborted", m_number, Json{{"error", error.to_json()}});
  }
  if (m_reporting) {
    m_reporting->association = 0;
    ++m_reporting->attempts;
    const auto delay = m_peer.endpoint ? retry_delay(m_repository.settings, m_reporting->attempts)
                                       : std::optional(std::chrono::milliseconds(0));
    Json facts;
    facts["calledAE"] = m_reporting->ae_title;
    facts["TransactionUID"] = m_reporting->request.transaction_uid;
    facts["why"] = "the association ended before the response";
    if (delay) {
      m_repository.reports.retry(std::move(*m_reporting), *delay);
    }
    transcript.write("report-failed", m_number, facts);
  }
  m_repository.reports.association_closed(m_number);
}

}  // namespace kuva::sandbox
