#pragma once

#include <kuva/dicom/charset.hpp>
#include <kuva/rules/finding.hpp>
#include <kuva/rules/standard.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::rules {

// Looks at each value while it is read: VR against PS3.6, number of values, length, characters and form (PS3.5 6.2).
// The form of UIDs and character sets are looked at by dicom::inspect. Private values are never worse than a warning.
class ValueChecks {
 public:
  ValueChecks(const StandardTables& tables, std::vector<Finding>& findings);
  void event(dicom::DataSetReader& reader, dicom::DataSetReader::Event event);

  static constexpr std::size_t k_most_findings = 300;  // then one more that says so

 private:
  void check(dicom::DataSetReader& reader);
  void check_texts(dicom::DataSetReader& reader, dicom::Vr vr);
  void check_count(dicom::DataSetReader& reader, std::size_t count);
  void add(dicom::DataSetReader& reader, Severity severity, std::string_view rule, std::string message);

  const StandardTables& m_tables;
  std::vector<Finding>& m_findings;
  std::vector<dicom::CharacterSets> m_character_sets;  // of the data set and the items that are open
  std::size_t m_found = 0;
};

// What is wrong with one value of this VR, without padding; `text` in UTF-8, or in bytes where the VR is of ASCII.
struct ValueDefect {
  std::string_view rule;  // value.length, value.characters, value.format
  std::string message;
};
std::optional<ValueDefect> value_defect(dicom::Vr vr, std::string_view text);

}  // namespace kuva::rules
