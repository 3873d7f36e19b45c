#pragma once

#include <kuva/dimse/provider.hpp>
#include <kuva/sandbox/archive.hpp>
#include <kuva/sandbox/connection_faults.hpp>
#include <kuva/sandbox/faults.hpp>
#include <kuva/sandbox/reception.hpp>
#include <kuva/sandbox/report_queue.hpp>
#include <kuva/sandbox/sandbox.hpp>
#include <kuva/sandbox/transcript.hpp>
#include <kuva/sandbox/web_services.hpp>

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <stop_token>
#include <string>

namespace kuva::sandbox {

// What all associations of a sandbox share.
struct Repository {
  const Settings& settings;
  const std::set<std::string>& study_codes;
  Archive& archive;
  ReportQueue& reports;
  Transcript& transcript;
  const std::shared_ptr<const net::TlsContext>& client_tls;
  FaultPlan& faults;
  const std::unique_ptr<WebServices>& web;  // null: no registry
};

// What the reports call committed is registered, where there is a registry.
void register_committed(const Repository& repository, const std::vector<dimse::CommitmentReport>& reports);

// The reason for another attempt, doubled each time; nothing when there were enough.
std::optional<std::chrono::milliseconds> retry_delay(const Settings& settings, unsigned attempts);

// One accepted association from its first message to its end.
class Session {
 public:
  // `faults`: what is done wrong on it, or nullptr.
  Session(const Repository& repository, std::uint64_t number, const KnownAe& peer, ul::Association& association,
          ConnectionFaults* faults);

  // Serves until the association ends, and writes how into the transcript. Throws nothing but what is not an Error.
  void run(std::stop_token stop);

 private:
  std::unique_ptr<dimse::StoreReception> receive(const StoreRules& rules, const dimse::Messenger::Message& message,
                                                 const ul::AcceptedContext& context);
  void set_up_faults(dimse::Messenger& messenger, StoreRules& rules, dimse::Services& services);
  dimse::Command act(dimse::Messenger& messenger, const dimse::Messenger::Message& message, const dicom::DataSet& data);
  bool plan_report(dimse::Messenger& messenger, dimse::CommitmentRequest request);
  const ul::AcceptedContext* report_context() const;
  void query(dimse::Operation& operation, const dicom::DataSet& identifier, const std::stop_token& stop);
  void report_if_due(dimse::Messenger& messenger);
  void begin_report(dimse::Messenger& messenger, DueReport report);
  void send_report(dimse::Messenger& messenger);
  void report_answered(const dimse::Messenger::Message& message);
  void trace(const dimse::Messenger::Message& message, bool received);

  const Repository& m_repository;
  std::uint64_t m_number;
  const KnownAe& m_peer;
  ul::Association& m_association;
  ConnectionFaults* m_faults;
  StoreNote m_note;
  std::set<std::string> m_rejected_studies;  // by the object at hand
  // The report that is under way on this association, what of it is to be sent, and whether an answer is awaited.
  std::optional<DueReport> m_reporting;
  std::deque<dimse::CommitmentReport> m_unsent_reports;
  bool m_awaits_report_answer = false;
  std::uint16_t m_report_message_id = 0;
};

}  // namespace kuva::sandbox
