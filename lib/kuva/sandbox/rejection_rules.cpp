#include <kuva/sandbox/rejection_rules.hpp>

#include <fmt/format.h>

#include <chrono>

namespace kuva::sandbox {

namespace {

RejectionRefusal refusal_of(Archive::RejectVerdict verdict, const std::string& series_uid,
                            const std::string& instance_uid) {
  const std::string instance = fmt::format("Failed to reject Instance[uid={}]", instance_uid);
  switch (verdict) {
    case Archive::RejectVerdict::no_such_series:
      return {0xA772, fmt::format("Failed to reject Instance of Series[uid={}] - no such Series.", series_uid)};
    case Archive::RejectVerdict::class_conflict:
      return {0xA773, instance + " - class-instance conflict."};
    case Archive::RejectVerdict::already_rejected:
      return {0xA774, instance + " - already rejected."};
    case Archive::RejectVerdict::no_such_instance:
    case Archive::RejectVerdict::done:
      break;
  }
  return {0xA772, instance + " - no such Instance."};
}

// Retention counts from the object that came last; a study without a retention period may always go.
bool is_retained(Archive& archive, const Settings& settings, const std::string& study_uid) {
  if (!settings.retention_period) {
    return false;
  }
  const auto last = std::chrono::nanoseconds(
      archive.look([&study_uid](Index& index) { return index.last_modified_of_study(study_uid); }));
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return last + *settings.retention_period > now;
}

std::optional<RejectionRefusal> check_retention(Archive& archive, const Settings& settings, const RejectionNote& note) {
  if (note.rejection != Rejection::retention) {
    return std::nullopt;
  }
  if (!settings.allow_retention_rejection) {
    return RejectionRefusal{0xA775, "Rejection for Retention Policy Expired not allowed."};
  }
  for (const RejectionNote::Series& series : note.evidence) {
    if (is_retained(archive, settings, series.study_instance_uid)) {
      return RejectionRefusal{0xA776, "Retention Period of Study not yet expired."};
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<RejectionRefusal> apply_rejection(Archive& archive, const Settings& settings, const RejectionNote& note,
                                                const StudyChanged& study_changed) {
  if (auto refusal = check_retention(archive, settings, note)) {
    return refusal;
  }
  for (const RejectionNote::Series& series : note.evidence) {
    for (const dimse::SopReference& reference : series.references) {
      const Archive::RejectVerdict verdict =
          archive.reject(series.study_instance_uid, series.series_instance_uid, reference, note.rejection);
      if (verdict != Archive::RejectVerdict::done) {
        return refusal_of(verdict, series.series_instance_uid, reference.sop_instance_uid);
      }
      study_changed(series.study_instance_uid, StudyChange::rejected);
    }
  }
  return std::nullopt;
}

RejectionView view_of(const KnownAe& known) {
  RejectionView view = 0;
  for (const std::string& code : known.sees_rejected) {
    view |= static_cast<RejectionView>(rejection_of(code).value_or(Rejection::none));
  }
  return view;
}

}  // namespace kuva::sandbox
