#pragma once

#include <kuva/dicom/inspection.hpp>
#include <kuva/rules/finding.hpp>
#include <kuva/rules/object.hpp>
#include <kuva/rules/profile.hpp>
#include <kuva/rules/value_checks.hpp>

#include <optional>
#include <string>
#include <vector>

namespace kuva::rules {

// Values that must not differ within a scope, of one object: for who sees the whole batch.
struct Fact {
  const Rule* rule = nullptr;
  std::string value;  // in the bytes of the file; empty where the attribute is not there
};

// Applies a profile to one object while dicom::inspect reads it. Give it to inspect(), then call finish().
class Checker : public dicom::InspectionObserver {
 public:
  // `profile` outlives it.
  explicit Checker(const Profile& profile);
  void event(dicom::DataSetReader& reader, dicom::DataSetReader::Event event) override;

  struct Result {
    std::vector<Finding> findings;  // those of the inspection too, in the order of the file; severities by the profile
    std::vector<Fact> facts;        // of the rules of kind `consistent`
    std::vector<std::string> rejected;  // SOP Instance UIDs that the object rejects (IHE RAD TF-3 4.66, IOCM)
  };
  Result finish(const dicom::Inspection& inspection);

  static constexpr std::size_t k_most_findings = 500;  // of the IOD, and of the rules; then one more that says so

 private:
  const Profile& m_profile;
  ObjectBuilder m_builder;
  std::vector<Finding> m_findings;
  std::optional<ValueChecks> m_values;
};

// Section, hint, the repository's code and the profile's severity put to a finding; false where its rule is off.
bool complete(Finding& finding, const Profile& profile);
Finding to_finding(const dicom::Defect& defect);

}  // namespace kuva::rules
