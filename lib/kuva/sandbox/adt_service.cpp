#include <kuva/core/patient_id.hpp>
#include <kuva/hl7/field_names.hpp>
#include <kuva/sandbox/adt_service.hpp>
#include <kuva/sandbox/patient_tags.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace kuva::sandbox {

namespace {

bool holds(const std::vector<std::string>& values, const std::string& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

PatientRefusal missing(std::string location, std::string_view what) {
  return {"101", std::move(location), fmt::format("Missing {}", what)};
}

}  // namespace

hl7::Acknowledgement AdtService::receive(const hl7::Message& message, Json& facts) {
  hl7::Acknowledgement answer;
  auto refusal = check(message);
  if (!refusal) {
    refusal = apply(message, facts);
  }
  if (refusal) {
    answer.code = refusal->code.starts_with('1') ? hl7::AckCode::AE : hl7::AckCode::AR;
    answer.errors.push_back({refusal->location, refusal->code, "", "E", "", refusal->text});
  }
  return answer;
}

std::optional<PatientRefusal> AdtService::check(const hl7::Message& message) const {
  constexpr std::array<std::size_t, 9> k_required{3, 4, 5, 6, 7, 9, 10, 11, 12};
  for (const std::size_t field : k_required) {
    if (message.raw("MSH", field).empty()) {
      return missing(fmt::format("MSH-{}", field), hl7::field_name("MSH", field));
    }
  }
  const auto application = [&](std::size_t field) {
    return fmt::format("{}|{}", message.raw("MSH", field), message.raw("MSH", field + 1));
  };
  const Hl7Settings& hl7 = m_settings.hl7;
  if (!hl7.sending.empty() && !holds(hl7.sending, application(3))) {
    return PatientRefusal{"103", "MSH-3", "Sending Application and/or Facility not recognized"};
  }
  if (!hl7.receiving.empty() && !holds(hl7.receiving, application(5))) {
    return PatientRefusal{"103", "MSH-5", "Receiving Application and/or Facility not recognized"};
  }
  if (message.code() != "ADT") {
    return PatientRefusal{"200", "MSH-9.1", "Message Code not supported"};
  }
  if (!holds(hl7.events, message.trigger())) {
    return PatientRefusal{"201", "MSH-9.2", "Trigger Event not supported"};
  }
  return std::nullopt;
}

hl7::CharacterSet AdtService::character_set(const hl7::Message& message) const {
  const std::string term = message.character_set_term();
  const auto set = hl7::CharacterSet::find(term.empty() ? m_settings.hl7.default_character_set : term);
  // What dcm4che does not know it reads as ASCII, 8859/15 too.
  return set && set->term() != "8859/15" ? *set : hl7::CharacterSet::ascii();
}

bool AdtService::is_trusted(const hl7::PatientIdentifier& identifier) const {
  const auto& trusted = m_settings.hl7.trusted_authorities;
  return trusted.empty() || holds(trusted, identifier.authority.namespace_id) ||
         holds(trusted, identifier.authority.universal_id);
}

PatientRecord AdtService::read_patient(const hl7::Message& message, const hl7::CharacterSet& set) const {
  PatientRecord record;
  record.identifier = hl7::read_identifier(message.raw("PID", 3), message.delimiters(), set);
  if (const auto name = message.raw("PID", 5); hl7::is_null(name)) {
    record.name.emplace();
  } else if (!name.empty()) {
    record.name = hl7::read_name(name, message.delimiters(), set).to_dicom();
  }
  if (const auto date = message.raw("PID", 7); hl7::is_null(date)) {
    record.birth_date.emplace();
  } else if (!date.empty()) {
    constexpr std::size_t k_date_length = 8;
    record.birth_date = date.substr(0, k_date_length);
  }
  if (const auto sex = message.raw("PID", 8); !sex.empty()) {
    const bool is_kept = sex == "F" || sex == "M" || sex == "O";
    record.sex = is_kept ? std::string(sex) : sex == "A" || sex == "N" ? "O" : "";
  }
  return record;
}

std::optional<IndexedStudy> AdtService::stored_study_of(const hl7::PatientIdentifier& identifier) {
  return m_archive.look([&](Index& index) -> std::optional<IndexedStudy> {
    for (auto study = index.next_stored_study(identifier.id, {}); study;
         study = index.next_stored_study(identifier.id, study->study_instance_uid)) {
      const hl7::PatientIdentifier stored{study->patient_id,
                                          authority_of_issuer(m_settings.xds, study->issuer_of_patient_id), "", false};
      if (hl7::may_be_same_patient(stored, identifier)) {
        return study;
      }
    }
    return std::nullopt;
  });
}

// A patient that no message has named yet is the one of the first objects that came.
void AdtService::add_what_is_stored(PatientRecord& record) {
  if (m_patients.current(record.identifier)) {
    return;
  }
  const auto study = stored_study_of(record.identifier);
  if (!study) {
    return;
  }
  const auto add = [&](std::optional<std::string>& value, dicom::Tag tag) {
    if (!value && study->attributes.has(tag)) {
      value = study->attributes.string(tag);
    }
  };
  add(record.name, k_name_tag);
  add(record.birth_date, k_birth_date_tag);
  add(record.sex, k_sex_tag);
}

std::optional<PatientRefusal> AdtService::apply(const hl7::Message& message, Json& facts) {
  const hl7::CharacterSet set = character_set(message);
  PatientRecord record = read_patient(message, set);
  if (record.identifier.id.empty()) {
    return missing("PID-3", "patient identifier");
  }
  if (!is_trusted(record.identifier)) {
    return PatientRefusal{"204", "PID-3", "Missing patient identifier with trusted assigning authority"};
  }
  const MergedPolicy policy = m_settings.hl7.merged_patients;
  const std::string trigger = message.trigger();
  const bool is_merge = trigger == "A40";
  const bool is_change = trigger == "A47";
  if (is_merge || is_change) {
    const auto prior = hl7::read_identifier(message.raw("MRG", 1), message.delimiters(), set);
    if (prior.id.empty()) {
      return missing("MRG-1", "prior patient identifier");
    }
    if (!is_trusted(prior)) {
      return PatientRefusal{"204", "MRG-1", "Missing prior patient identifier with trusted assigning authority"};
    }
    if (is_merge) {
      add_what_is_stored(record);
    }
    const auto refusal =
        is_merge ? m_patients.merge(prior, record, policy)
                 : m_patients.change_identifier(prior, record, policy, stored_study_of(record.identifier).has_value());
    if (refusal) {
      return refusal;
    }
  } else {
    add_what_is_stored(record);
    if (const auto refusal = m_patients.update(record, policy)) {
      return refusal;
    }
  }
  std::set<std::string> studies;
  const auto aliases = m_patients.aliases(record.identifier);
  for (const hl7::PatientIdentifier& alias : aliases) {
    for (std::string& study : m_archive.identify(alias.id)) {
      studies.insert(std::move(study));
    }
  }
  facts["studies"] = studies.size();
  if (m_web) {
    m_web->patient_changed(aliases);
    m_web->update_registered(studies);
  }
  return std::nullopt;
}

hl7::AssigningAuthority authority_of_issuer(const XdsSettings& settings, const std::string& issuer) {
  if (const auto known = settings.issuers.find(issuer); known != settings.issuers.end()) {
    return {issuer, known->second, "ISO"};
  }
  return hl7::AssigningAuthority::parse(issuer).value_or(hl7::AssigningAuthority{issuer, "", ""});
}

PatientIdentity identity_of(const PatientRecord& record) {
  const hl7::AssigningAuthority& authority = record.identifier.authority;
  PatientIdentity identity;
  identity.patient_id = record.identifier.id;
  identity.issuer = authority.namespace_id;
  identity.issuer_oid = oid_defect(authority.universal_id) ? "" : authority.universal_id;
  identity.name = record.name;
  identity.birth_date = record.birth_date;
  identity.sex = record.sex;
  return identity;
}

}  // namespace kuva::sandbox
