#include <kuva/dicom/dictionary.hpp>
#include <kuva/dicom/query_tags.hpp>
#include <kuva/sandbox/identifier.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::sandbox {

using dimse::QueryLevel;

std::vector<std::string> split_values(std::string_view values) {
  std::vector<std::string> parts;
  while (!values.empty()) {
    const std::size_t end = std::min(values.find('\\'), values.size());
    if (end != 0) {
      parts.emplace_back(values.substr(0, end));
    }
    values.remove_prefix(std::min(end + 1, values.size()));
  }
  return parts;
}

std::variant<UniqueKeys, IdentifierDefect> read_identifier(const dicom::DataSet& identifier, dimse::QueryRoot root,
                                                           IdentifierUse use) {
  UniqueKeys keys;
  const auto level = dimse::query_level(identifier.string(dicom::tags::query_retrieve_level));
  if (!level || (root == dimse::QueryRoot::study && *level == QueryLevel::patient)) {
    return IdentifierDefect{identifier.has(dicom::tags::query_retrieve_level)
                                ? "Query/Retrieve Level is not one of this model."
                                : "Query/Retrieve Level is missing.",
                            dicom::tags::query_retrieve_level};
  }
  keys.level = *level;
  std::vector<std::string> patients = split_values(identifier.string(dicom::tags::patient_id));
  keys.studies = split_values(identifier.string(dicom::tags::study_instance_uid));
  keys.series = split_values(identifier.string(dicom::tags::series_instance_uid));
  keys.instances = split_values(identifier.string(dicom::tags::sop_instance_uid));
  struct Unique {
    QueryLevel level;
    dicom::Tag tag;
    const std::vector<std::string>& values;
  };
  const Unique all[] = {{QueryLevel::patient, dicom::tags::patient_id, patients},
                        {QueryLevel::study, dicom::tags::study_instance_uid, keys.studies},
                        {QueryLevel::series, dicom::tags::series_instance_uid, keys.series},
                        {QueryLevel::image, dicom::tags::sop_instance_uid, keys.instances}};
  for (const Unique& unique : all) {
    if (unique.level == QueryLevel::patient && root == dimse::QueryRoot::study) {
      continue;
    }
    const bool is_above = unique.level < *level;
    const bool must_be = is_above || (unique.level == *level && use == IdentifierUse::retrieval);
    const bool is_one =
        is_above || (unique.level == *level && unique.level == QueryLevel::patient && use == IdentifierUse::retrieval);
    if (must_be && (unique.values.empty() || unique.values.front().find_first_of("*?") != std::string::npos)) {
      return IdentifierDefect{fmt::format("{} is missing or not a single value.", dicom::name_of(unique.tag)),
                              unique.tag};
    }
    if (is_one && unique.values.size() != 1) {
      return IdentifierDefect{fmt::format("{} has several values.", dicom::name_of(unique.tag)), unique.tag};
    }
  }
  keys.patient_id = patients.empty() ? std::string() : patients.front();
  return keys;
}

}  // namespace kuva::sandbox
