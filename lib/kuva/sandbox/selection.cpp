#include <kuva/sandbox/selection.hpp>

namespace kuva::sandbox {

using dimse::QueryLevel;

Selection::Selection(Archive& archive, const UniqueKeys& keys, dimse::QueryRoot root, RejectionView view)
    : m_archive(archive), m_keys(keys), m_by_patient(root == dimse::QueryRoot::patient), m_view(view) {}

bool Selection::is_selected(const StoredObject& object) const {
  const bool is_seen =
      object.rejection == Rejection::none || (m_view & static_cast<RejectionView>(object.rejection)) != 0;
  if (!is_seen || !m_by_patient) {
    return is_seen;
  }
  const auto study = m_archive.look([&](Index& index) { return index.find_study(object.study_instance_uid); });
  return study && study->patient_id == m_keys.patient_id;
}

std::optional<StoredObject> Selection::next_of_study(const std::string& study_uid) {
  auto object = m_archive.look(
      [&](Index& index) { return index.next_object(study_uid, m_last_series, m_last_instance, m_view); });
  if (object) {
    m_last_series = object->series_instance_uid;
    m_last_instance = object->sop_instance_uid;
  }
  return object;
}

std::optional<StoredObject> Selection::next() {
  switch (m_keys.level) {
    case QueryLevel::patient:
      for (;;) {
        if (!m_study.empty()) {
          if (auto object = next_of_study(m_study)) {
            return object;
          }
        }
        const auto study =
            m_archive.look([this](Index& index) { return index.next_study_of_patient(m_keys.patient_id, m_study); });
        if (!study) {
          return std::nullopt;
        }
        m_study = study->study_instance_uid;
        m_last_series.clear();
        m_last_instance.clear();
      }
    case QueryLevel::study:
      for (; m_at < m_keys.studies.size(); ++m_at, m_last_series.clear(), m_last_instance.clear()) {
        while (auto object = next_of_study(m_keys.studies[m_at])) {
          if (is_selected(*object)) {
            return object;
          }
        }
      }
      return std::nullopt;
    case QueryLevel::series:
      for (; m_at < m_keys.series.size(); ++m_at, m_last_instance.clear()) {
        while (auto instance = m_archive.look([this](Index& index) {
          return index.next_instance(m_keys.studies.front(), m_keys.series[m_at], m_last_instance, m_view);
        })) {
          m_last_instance = instance->object.sop_instance_uid;
          if (is_selected(instance->object)) {
            return instance->object;
          }
        }
      }
      return std::nullopt;
    case QueryLevel::image:
      break;
  }
  while (m_at < m_keys.instances.size()) {
    const std::string& uid = m_keys.instances[m_at++];
    auto object = m_archive.look([&uid](Index& index) { return index.find(uid); });
    if (object && object->study_instance_uid == m_keys.studies.front() &&
        object->series_instance_uid == m_keys.series.front() && is_selected(*object)) {
      return object;
    }
  }
  return std::nullopt;
}

}  // namespace kuva::sandbox
