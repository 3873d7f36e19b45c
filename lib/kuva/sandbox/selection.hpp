#pragma once

#include <kuva/sandbox/archive.hpp>
#include <kuva/sandbox/identifier.hpp>

#include <cstddef>
#include <optional>
#include <string>

namespace kuva::sandbox {

// The instances that a retrieve identifier selects, one after the other, of what can be seen.
class Selection {
 public:
  Selection(Archive& archive, const UniqueKeys& keys, dimse::QueryRoot root, RejectionView view);

  // Nothing at the end.
  std::optional<StoredObject> next();

 private:
  std::optional<StoredObject> next_of_study(const std::string& study_uid);
  bool is_selected(const StoredObject& object) const;

  Archive& m_archive;
  const UniqueKeys& m_keys;
  bool m_by_patient;
  RejectionView m_view;
  std::size_t m_at = 0;       // in the list of UIDs of the level
  std::string m_study;        // PATIENT level: the one at hand
  std::string m_last_series;  // of the study at hand
  std::string m_last_instance;
};

}  // namespace kuva::sandbox
