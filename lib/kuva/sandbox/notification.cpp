#include <kuva/dicom/uid.hpp>
#include <kuva/dimse/response.hpp>
#include <kuva/sandbox/notification.hpp>
#include <kuva/sandbox/outgoing.hpp>
#include <kuva/sandbox/session.hpp>

namespace kuva::sandbox {

namespace {

constexpr std::chrono::milliseconds k_response{60'000};
constexpr std::uint16_t k_duplicate_instance = 0x0111;
constexpr RejectionView k_all_rejected = 0xFF;

// The status of the answer. Errors: as open_association and dimse::await_response.
std::uint16_t send(const Repository& repository, const KnownAe& known, const dicom::DataSet& data,
                   std::uint64_t association_number, const std::stop_token& stop) {
  Transcript& transcript = repository.transcript;
  const auto association = open_association(
      repository.settings, known, repository.client_tls,
      {{1,
        std::string(dimse::k_availability_sop_class),
        {std::string(dicom::k_explicit_vr_little_endian), std::string(dicom::k_implicit_vr_little_endian)}}});
  const std::stop_callback stopper(stop, [raw = association.get()] { raw->shutdown(); });
  transcript.write("association-requested", association_number, Json{{"peer", association->peer().to_json()}});
  if (association->contexts().empty()) {
    throw Error(kind("negotiate.sop-class"), "the peer does not take Instance Availability Notifications");
  }
  dimse::Messenger messenger(*association);
  const dimse::Command command = dimse::make_availability_command(messenger.next_message_id(), dicom::make_uid());
  const std::uint8_t context_id = association->contexts().front().id;
  messenger.send(context_id, command, data);
  transcript.write("message-sent", association_number, describe(dimse::Messenger::Message{context_id, command}));
  const dimse::Messenger::Message response = dimse::await_response(messenger, command, k_response);
  transcript.write("message-received", association_number, describe(response));
  messenger.receive_data([](std::span<const std::byte>) {}, repository.settings.timeouts.stall);
  try {
    association->release();
    transcript.write("association-released", association_number, Json::object());
  } catch (const Error& error) {
    transcript.write("association-aborted", association_number, Json{{"error", error.to_json()}});
  }
  return *response.command.status;
}

}  // namespace

void note_study_change(const Settings& settings, ReportQueue& queue, const std::string& study_instance_uid,
                       StudyChange change) {
  for (const KnownAe& known : settings.known_aes) {
    if (known.send_ian) {
      queue.add_notification(known.ae_title, study_instance_uid,
                             change == StudyChange::rejected ? std::chrono::milliseconds(0) : settings.ian_delay);
    }
  }
}

dimse::AvailabilityNotification make_notification(Archive& archive, const std::string& study_instance_uid,
                                                  const std::string& retrieve_ae_title) {
  dimse::AvailabilityNotification notification;
  notification.study_instance_uid = study_instance_uid;
  std::string series;
  std::string instance;
  while (const auto object = archive.look(
             [&](Index& index) { return index.next_object(study_instance_uid, series, instance, k_all_rejected); })) {
    series = object->series_instance_uid;
    instance = object->sop_instance_uid;
    if (notification.series.empty() || notification.series.back().series_instance_uid != series) {
      notification.series.push_back({series, {}});
    }
    notification.series.back().instances.push_back({{object->sop_class_uid, instance},
                                                    object->rejection == Rejection::none ? "ONLINE" : "UNAVAILABLE",
                                                    retrieve_ae_title});
  }
  return notification;
}

void notify(const Repository& repository, const KnownAe& known, DueReport due, std::uint64_t association_number,
            const std::stop_token& stop) {
  const dimse::AvailabilityNotification content =
      make_notification(repository.archive, due.study_instance_uid, repository.settings.ae_title);
  Json facts;
  facts["calledAE"] = due.ae_title;
  facts["StudyInstanceUID"] = due.study_instance_uid;
  facts["attempt"] = ++due.attempts;
  std::uint64_t instances = 0;
  for (const auto& series : content.series) {
    instances += series.instances.size();
  }
  facts["instances"] = instances;
  if (instances == 0) {
    repository.reports.done(due);  // nothing of the study is left
    return;
  }
  try {
    const std::uint16_t status = send(repository, known, dimse::to_data_set(content), association_number, stop);
    facts["status"] = dimse::hex(status);
    // The receiver has these instances already (PS3.4 R.3.2.2): it has what it needs.
    if (status == k_duplicate_instance || dimse::status_class(status) != dimse::StatusClass::failure) {
      repository.reports.done(due);
      repository.transcript.write("notification-delivered", association_number, facts);
      return;
    }
  } catch (const Error& error) {
    facts["error"] = error.to_json();
  }
  if (const auto delay = retry_delay(repository.settings, due.attempts)) {
    facts["nextAttemptMs"] = delay->count();
    repository.reports.retry(std::move(due), *delay);
  }
  repository.transcript.write("notification-failed", association_number, facts);
}

}  // namespace kuva::sandbox
