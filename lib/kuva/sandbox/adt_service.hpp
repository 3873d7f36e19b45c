#pragma once

#include <kuva/hl7/acknowledgement.hpp>
#include <kuva/sandbox/archive.hpp>
#include <kuva/sandbox/patients.hpp>
#include <kuva/sandbox/sandbox.hpp>
#include <kuva/sandbox/web_services.hpp>

#include <memory>
#include <optional>
#include <string>

namespace kuva::sandbox {

// Takes patient updates and merges as dcm4chee-arc does by default (IHE RAD-12, ITI-8, ITI-30): checks in its order,
// with its acknowledgements. On return what a message changed is on disk, and queries and retrievals show it.
// May be called from any thread.
class AdtService {
 public:
  // `web`: null where there is no registry.
  AdtService(const Settings& settings, Patients& patients, Archive& archive, const std::unique_ptr<WebServices>& web)
      : m_settings(settings), m_patients(patients), m_archive(archive), m_web(web) {}

  // AA; AE with an error of 1xx; AR with one of 2xx. Puts into the facts what the transcript is to say. Errors:
  // local.* when it cannot be kept.
  hl7::Acknowledgement receive(const hl7::Message& message, Json& facts);

 private:
  std::optional<PatientRefusal> check(const hl7::Message& message) const;
  std::optional<PatientRefusal> apply(const hl7::Message& message, Json& facts);
  hl7::CharacterSet character_set(const hl7::Message& message) const;
  PatientRecord read_patient(const hl7::Message& message, const hl7::CharacterSet& set) const;
  bool is_trusted(const hl7::PatientIdentifier& identifier) const;
  std::optional<IndexedStudy> stored_study_of(const hl7::PatientIdentifier& identifier);
  void add_what_is_stored(PatientRecord& record);

  const Settings& m_settings;
  Patients& m_patients;
  Archive& m_archive;
  const std::unique_ptr<WebServices>& m_web;
};

// An Issuer of Patient ID as the authority that it is: an OID, a namespace, or both where the settings know its OID.
hl7::AssigningAuthority authority_of_issuer(const XdsSettings& settings, const std::string& issuer);
// What objects and queries show of a patient.
PatientIdentity identity_of(const PatientRecord& record);

}  // namespace kuva::sandbox
