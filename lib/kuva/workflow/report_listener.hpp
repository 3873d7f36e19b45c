#pragma once

#include <kuva/dimse/provider.hpp>
#include <kuva/workflow/custody.hpp>
#include <kuva/workflow/registration.hpp>
#include <kuva/workflow/target.hpp>

#include <list>
#include <memory>
#include <mutex>
#include <thread>

namespace kuva::workflow {

// The services with which N-EVENT-REPORT is taken on any association.
dimse::Services report_services(Custody& custody, Observer& observer);
// Also takes Instance Availability Notifications (N-CREATE, PS3.4 annex R).
dimse::Services report_services(Custody& custody, Observer& observer, Registrations& registrations);

// What we answer to an association that the archive opens to report (PS3.4 J.3.3): our AE title must be called;
// Verification and Storage Commitment in Implicit and Explicit VR Little Endian; the requestor may be SCP (role
// selection), and one that forgot to ask is taken as such.
ul::Association::Decision decide_report_association(const ul::AssociateRequest& request, const std::string& ae_title,
                                                    std::uint32_t max_pdu, bool with_notifications = false);

// Listens for reports on the target's listener. A thread a connection, at most k_most_connections at a time.
class ReportListener {
 public:
  // Errors: listen.failed, tls.config.
  // With registrations, notifications are taken too.
  ReportListener(const Target& target, Custody& custody, Observer& observer, Registrations* registrations = nullptr);
  ~ReportListener();
  ReportListener(const ReportListener&) = delete;
  ReportListener& operator=(const ReportListener&) = delete;

  // No more connections; those that are open may finish their message, then go.
  void stop();

  static constexpr std::size_t k_most_connections = 32;

 private:
  struct Connection;
  void accept_connections();
  void serve(Connection& connection);
  void reap(bool all);

  const Target& m_target;
  Custody& m_custody;
  Observer& m_observer;
  Registrations* m_registrations;
  std::shared_ptr<const net::TlsContext> m_tls;
  std::unique_ptr<net::Listener> m_listener;
  std::mutex m_mutex;
  std::list<std::unique_ptr<Connection>> m_connections;
  std::jthread m_thread;
};

}  // namespace kuva::workflow
