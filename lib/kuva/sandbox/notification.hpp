#pragma once

#include <kuva/dimse/availability.hpp>
#include <kuva/sandbox/archive.hpp>
#include <kuva/sandbox/rejection_rules.hpp>
#include <kuva/sandbox/report_queue.hpp>
#include <kuva/sandbox/sandbox.hpp>

#include <cstdint>
#include <stop_token>
#include <string>

namespace kuva::sandbox {

struct Repository;

// Instance Availability Notifications (PS3.4 annex R), as dcm4chee-arc sends them: when a study has been quiet for a
// while, and at once when some of it is rejected.

// Queues one for each AE that wants them. Errors: local.write.
void note_study_change(const Settings& settings, ReportQueue& queue, const std::string& study_instance_uid,
                       StudyChange change);

// The whole study as it is now: what is rejected is UNAVAILABLE, everything else ONLINE.
dimse::AvailabilityNotification make_notification(Archive& archive, const std::string& study_instance_uid,
                                                  const std::string& retrieve_ae_title);

// Sends one that is due on an association of its own, and queues it again when that fails or is answered with a
// failure.
void notify(const Repository& repository, const KnownAe& known, DueReport due, std::uint64_t association_number,
            const std::stop_token& stop);

}  // namespace kuva::sandbox
