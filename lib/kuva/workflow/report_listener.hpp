#pragma once

#include <kuva/dimse/provider.hpp>
#include <kuva/workflow/association_listener.hpp>
#include <kuva/workflow/custody.hpp>
#include <kuva/workflow/registration.hpp>
#include <kuva/workflow/target.hpp>

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

// Listens for reports on the target's listener.
class ReportListener {
 public:
  // Errors: listen.failed, tls.config.
  // With registrations, notifications are taken too.
  ReportListener(const Target& target, Custody& custody, Observer& observer, Registrations* registrations = nullptr);

  // No more connections; those that are open may finish their message, then go.
  void stop() { m_listener.stop(); }

 private:
  AssociationListener m_listener;
};

}  // namespace kuva::workflow
