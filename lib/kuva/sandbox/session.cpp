#include <kuva/dicom/uid.hpp>
#include <kuva/dimse/query.hpp>
#include <kuva/sandbox/commitment_reports.hpp>
#include <kuva/sandbox/connection_faults.hpp>
#include <kuva/sandbox/find_service.hpp>
#include <kuva/sandbox/notification.hpp>
#include <kuva/sandbox/retrieve_service.hpp>
#include <kuva/sandbox/session.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::sandbox {

namespace {

constexpr std::uint16_t k_duplicate_transaction = 0x0131;  // PS3.3 C.14.1.1

Json facts_of(const DueReport& report, const dimse::CommitmentReport& content) {
  Json json;
  json["calledAE"] = report.ae_title;
  json["TransactionUID"] = content.transaction_uid;
  json["committed"] = content.committed.size();
  json["failed"] = content.failed.size();
  return json;
}

// What is registered of a study follows a rejection before that is answered.
class Following : public dimse::StoreReception {
 public:
  Following(std::unique_ptr<dimse::StoreReception> reception, WebServices& web, std::set<std::string>& studies)
      : m_reception(std::move(reception)), m_web(web), m_studies(studies) {}

  void write(std::span<const std::byte> data) override { m_reception->write(data); }
  dimse::Command finish(const dimse::Command& response) override {
    dimse::Command answer = m_reception->finish(response);
    m_web.update_registered(m_studies);
    m_studies.clear();
    return answer;
  }

 private:
  std::unique_ptr<dimse::StoreReception> m_reception;
  WebServices& m_web;
  std::set<std::string>& m_studies;
};

}  // namespace

void register_committed(const Repository& repository, const std::vector<dimse::CommitmentReport>& reports) {
  if (!repository.web) {
    return;
  }
  std::set<std::string> studies;
  for (const dimse::CommitmentReport& report : reports) {
    for (const dimse::SopReference& reference : report.committed) {
      const auto object = repository.archive.look([&](Index& index) { return index.find(reference.sop_instance_uid); });
      if (object) {
        studies.insert(object->study_instance_uid);
      }
    }
  }
  repository.web->register_studies(studies);
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

Session::Session(const Repository& repository, std::uint64_t number, const KnownAe& peer, ul::Association& association,
                 ConnectionFaults* faults)
    : m_repository(repository), m_number(number), m_peer(peer), m_association(association), m_faults(faults) {}

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

dimse::Command Session::act(dimse::Messenger& messenger, const dimse::Messenger::Message& message,
                            const dicom::DataSet& data) {
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
  if (!plan_report(messenger, std::move(asked))) {
    return refuse(0x0110, fmt::format("No host and port known of {}", m_peer.ae_title));
  }
  return dimse::make_response(request, 0x0000);
}

void Session::query(dimse::Operation& operation, const dicom::DataSet& identifier, const std::stop_token& stop) {
  const auto model = dimse::query_model(operation.context().abstract_syntax);
  const dimse::CommandField field = operation.request().field;
  const RetrieveSource source{m_repository.archive, m_repository.settings, m_repository.client_tls, stop};
  if (model && model->service == dimse::QueryService::find && field == dimse::CommandField::c_find_rq) {
    serve_find(m_repository.archive, m_repository.settings, m_peer, operation, model->root, identifier);
  } else if (model && model->service == dimse::QueryService::move && field == dimse::CommandField::c_move_rq) {
    serve_move(source, m_peer, operation, model->root, identifier);
  } else if (model && model->service == dimse::QueryService::get && field == dimse::CommandField::c_get_rq) {
    serve_get(source, m_peer, operation, model->root, identifier);
  } else {
    operation.respond(dimse::make_response(operation.request(), 0x0122));
  }
}

// When, where and with which faults the report of a request goes out. False: there is no way for it.
bool Session::plan_report(dimse::Messenger& messenger, dimse::CommitmentRequest request) {
  const Settings& settings = m_repository.settings;
  DueReport report;
  report.ae_title = m_peer.ae_title;
  report.request = std::move(request);
  FaultScope scope;
  report.faults = m_repository.faults.fire(FaultPoint::report, scope, {m_peer.ae_title, {}, {}, {}});
  bool same_association = settings.report_on == Settings::ReportOn::same_association;
  std::chrono::milliseconds delay = settings.report_delay;
  bool comes = true;
  bool before_response = false;
  for (const FaultRule& rule : report.faults) {
    write_fault(m_repository.transcript, m_number, rule, Json{{"TransactionUID", report.request.transaction_uid}});
    comes = comes && rule.action != FaultAction::silent;
    before_response = before_response || rule.action == FaultAction::before_response;
    same_association = (same_association || rule.action == FaultAction::same_association) &&
                       rule.action != FaultAction::other_association;
    if (rule.action == FaultAction::delay) {
      delay = rule.duration.value_or(delay);
    }
  }
  if (!same_association && !before_response && !m_peer.endpoint) {
    return false;
  }
  if (!m_repository.archive.note_transaction(report.request.transaction_uid)) {
    report.failure_reason = k_duplicate_transaction;
  }
  if (!comes) {
    return true;
  }
  if (before_response && !m_reporting && report_context() != nullptr) {
    report.association = m_number;
    begin_report(messenger, m_repository.reports.save(std::move(report)));
    return true;
  }
  report.association = same_association ? m_number : 0;
  m_repository.reports.add(std::move(report), delay);
  return true;
}

const ul::AcceptedContext* Session::report_context() const {
  const auto& contexts = m_association.contexts();
  const auto context = std::find_if(contexts.begin(), contexts.end(), [](const ul::AcceptedContext& candidate) {
    return candidate.abstract_syntax == dicom::uids::storage_commitment_push_model && candidate.scp;
  });
  return context == contexts.end() ? nullptr : &*context;
}

void Session::report_if_due(dimse::Messenger& messenger) {
  if (m_awaits_report_answer) {
    return;
  }
  if (m_reporting) {
    send_report(messenger);
    return;
  }
  if (report_context() == nullptr) {
    return;
  }
  // Those of this association, and those of an earlier one that can go no other way (PS3.4 J.3.3.1.2, a later
  // association).
  const bool takes_earlier = m_repository.settings.report_on == Settings::ReportOn::same_association;
  auto report = m_repository.reports.take([this, takes_earlier](const DueReport& candidate) {
    return candidate.association == m_number ||
           (takes_earlier && candidate.association == 0 && !candidate.is_notification() &&
            candidate.ae_title == m_peer.ae_title && !m_peer.endpoint);
  });
  if (report) {
    begin_report(messenger, std::move(*report));
  }
}

void Session::begin_report(dimse::Messenger& messenger, DueReport report) {
  const auto contents = make_reports(m_repository.archive, report, m_repository.settings.ae_title);
  register_committed(m_repository, contents);
  m_unsent_reports.assign(contents.begin(), contents.end());
  m_reporting = std::move(report);
  send_report(messenger);
}

void Session::send_report(dimse::Messenger& messenger) {
  const dimse::CommitmentReport content = std::move(m_unsent_reports.front());
  m_unsent_reports.pop_front();
  const std::uint8_t context_id = report_context()->id;
  m_report_message_id = messenger.next_message_id();
  const dimse::Command command = dimse::make_commitment_report_command(m_report_message_id, content);
  m_awaits_report_answer = true;
  messenger.send(context_id, command, dimse::to_data_set(content));
  trace({context_id, command}, false);
  m_repository.transcript.write("report-sent", m_number, facts_of(*m_reporting, content));
  const bool is_first = m_reporting->attempts == 0;
  if (is_first && find_fault(m_reporting->faults, FaultAction::abort) != nullptr) {
    m_association.abort();
  } else if (is_first && find_fault(m_reporting->faults, FaultAction::close) != nullptr) {
    m_association.shutdown();
  }
}

void Session::report_answered(const dimse::Messenger::Message& message) {
  if (!m_reporting || message.command.message_id_responded_to != m_report_message_id) {
    return;  // it is in the transcript
  }
  m_awaits_report_answer = false;
  if (!m_unsent_reports.empty()) {
    return;  // the next one goes out between the messages
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

std::unique_ptr<dimse::StoreReception> Session::receive(const StoreRules& rules,
                                                        const dimse::Messenger::Message& message,
                                                        const ul::AcceptedContext& context) {
  auto reception = receive_object(rules, m_peer, message.command, context, m_note);
  return m_repository.web ? std::make_unique<Following>(std::move(reception), *m_repository.web, m_rejected_studies)
                          : std::move(reception);
}

// Puts the faults between the services and the association.
void Session::set_up_faults(dimse::Messenger& messenger, StoreRules& rules, dimse::Services& services) {
  const auto trace_sent = [this](const dimse::Messenger::Message& message) { trace(message, false); };
  rules.veto = [this](const dicom::InstanceAttributes& attributes, const dimse::Command& response) {
    return m_faults->at_object(attributes, response);
  };
  services.store = [this, &rules, &messenger, trace_sent](const dimse::Messenger::Message& message,
                                                          const ul::AcceptedContext& context) {
    m_note = {};
    auto refusal = m_faults->at_request(FaultPoint::store, messenger, message, trace_sent);
    return m_faults->wrap(refusal ? refuse_object(std::move(*refusal), m_note) : receive(rules, message, context),
                          m_note);
  };
  services.action = [this, &messenger, trace_sent](const dimse::Messenger::Message& message, const dicom::DataSet& data,
                                                   std::function<void(dimse::Messenger&)>&) {
    auto refusal = m_faults->at_request(FaultPoint::commit, messenger, message, trace_sent);
    return refusal ? std::move(*refusal) : act(messenger, message, data);
  };
  services.respond = [this, trace_sent](dimse::Messenger& own, const dimse::Messenger::Message& request,
                                        dimse::Command response) {
    m_faults->respond(own, request, std::move(response), m_note, trace_sent);
  };
  services.between = [this, trace_sent](dimse::Messenger& own) {
    m_faults->between(own, trace_sent);
    report_if_due(own);
  };
}

void Session::run(std::stop_token stop) {
  dimse::Messenger messenger(m_association);
  StoreRules rules{m_repository.settings, m_repository.archive, m_repository.study_codes,
                   [this](const std::string& study, StudyChange change) {
                     note_study_change(m_repository.settings, m_repository.reports, study, change);
                     if (change == StudyChange::rejected) {
                       m_rejected_studies.insert(study);
                     }
                   },
                   nullptr};
  dimse::Services services;
  services.store = [this, &rules](const dimse::Messenger::Message& message, const ul::AcceptedContext& context) {
    return receive(rules, message, context);
  };
  services.action = [this, &messenger](const dimse::Messenger::Message& message, const dicom::DataSet& data,
                                       std::function<void(dimse::Messenger&)>&) {
    return act(messenger, message, data);
  };
  services.trace = [this](const dimse::Messenger::Message& message, bool received) { trace(message, received); };
  services.between = [this](dimse::Messenger& own) { report_if_due(own); };
  services.response = [this](const dimse::Messenger::Message& message) { report_answered(message); };
  services.query = [this, stop](dimse::Operation& operation, const dicom::DataSet& identifier) {
    query(operation, identifier, stop);
  };
  services.stop = std::move(stop);
  if (m_faults != nullptr) {
    set_up_faults(messenger, rules, services);
  }
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
  } catch (const FaultEnded& end) {
    transcript.write("association-aborted", m_number, Json{{"by", "sandbox"}, {"why", "fault " + end.fault}});
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
