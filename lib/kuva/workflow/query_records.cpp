#include <kuva/core/base64.hpp>
#include <kuva/core/record.hpp>
#include <kuva/workflow/instance_record.hpp>
#include <kuva/workflow/query.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace kuva::workflow {

namespace {

constexpr std::string_view k_query_tool = "kuva-query";
constexpr std::string_view k_found = "found";

void put(Json& record, const char* key, const std::string& value) { put_text(record, key, value); }

void put(Json& record, const char* key, Json value) {
  if (!value.empty()) {
    record[key] = std::move(value);
  }
}

Json to_json(const xds::Code& code) {
  Json out = Json::object();
  out["code"] = code.code;
  put(out, "codingScheme", code.scheme);
  put(out, "display", code.display.text());
  return out;
}

Json to_json(const std::vector<xds::Code>& codes) {
  Json out = Json::array();
  for (const xds::Code& code : codes) {
    out.push_back(to_json(code));
  }
  return out;
}

void put(Json& record, const char* key, const std::optional<xds::Code>& code) {
  if (code) {
    record[key] = to_json(*code);
  }
}

Json to_json(const std::vector<xds::Author>& authors) {
  Json out = Json::array();
  for (const xds::Author& author : authors) {
    Json one = Json::object();
    put(one, "authorPerson", author.person);
    put(one, "authorInstitution", Json(author.institutions));
    put(one, "authorRole", Json(author.roles));
    put(one, "authorSpecialty", Json(author.specialties));
    put(one, "authorTelecommunication", Json(author.telecommunications));
    out.push_back(std::move(one));
  }
  return out;
}

Json to_json(const std::vector<xds::Slot>& slots) {
  Json out = Json::object();
  for (const xds::Slot& slot : slots) {
    for (const std::string& value : slot.values) {
      out[slot.name].push_back(value);
    }
  }
  return out;
}

// What the profile does not name.
Json others_of(const xds::RegistryObject& object) {
  Json out = Json::object();
  put(out, "slots", to_json(object.other_slots));
  Json classifications = Json::array();
  for (const xds::Classification& one : object.other_classifications) {
    Json json = Json::object();
    put(json, "classificationScheme", one.scheme);
    put(json, "classificationNode", one.node);
    put(json, "nodeRepresentation", one.node_representation);
    put(json, "display", one.name.text());
    put(json, "slots", to_json(one.slots));
    classifications.push_back(std::move(json));
  }
  put(out, "classifications", std::move(classifications));
  Json identifiers = Json::array();
  for (const xds::ExternalIdentifier& one : object.other_identifiers) {
    Json json = Json::object();
    json["identificationScheme"] = one.scheme;
    json["value"] = one.value;
    identifiers.push_back(std::move(json));
  }
  put(out, "externalIdentifiers", std::move(identifiers));
  return out;
}

std::string iso(std::chrono::seconds since_epoch, unsigned digits) {
  const std::string dtm = xds::format_dtm(std::chrono::sys_seconds(since_epoch));
  std::string out = dtm.substr(0, 4);
  if (digits >= 6) {
    out += "-" + dtm.substr(4, 2);
  }
  if (digits >= 8) {
    out += "-" + dtm.substr(6, 2);
  }
  if (digits >= 10) {
    out += fmt::format("T{}:{}:{}", dtm.substr(8, 2), dtm.substr(10, 2), dtm.substr(12, 2));
  }
  return out;
}

// A time of the registry: as it stands, in UTC, and in the zone where it has an hour.
Json time_to_json(const std::string& value, const TimeZone& zone) {
  const auto dtm = xds::parse_dtm(value);
  if (value.empty()) {
    return Json();
  }
  Json out = Json::object();
  out["value"] = value;
  if (!dtm) {
    return out;
  }
  out["utc"] = iso(dtm->time.time_since_epoch(), dtm->digits) + (dtm->digits >= 10 ? "Z" : "");
  if (dtm->digits >= 10) {
    const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(zone.offset(dtm->time)).count();
    out["local"] =
        iso(zone.to_local(dtm->time).time_since_epoch(), dtm->digits) +
        fmt::format("{}{:02}:{:02}", minutes < 0 ? '-' : '+', std::abs(minutes) / 60, std::abs(minutes) % 60);
  }
  return out;
}

std::string_view last_word(std::string_view urn) { return urn.substr(urn.rfind(':') + 1); }

// Modalities are the codes of DICOM in eventCodeList; schemes as they are seen.
bool is_modality(const xds::Code& code) {
  return code.scheme == "DCM" || code.scheme == "1.2.840.10008.2.16.4" ||
         code.scheme == "urn:oid:1.2.840.10008.2.16.4" || code.scheme == "http://dicom.nema.org/resources/ontology/DCM";
}

Json accession_json(const xds::DocumentEntry& entry) {
  Json out = Json::array();
  for (const std::string& reference : entry.references(xds::reference_type::accession)) {
    const xds::Cx cx = xds::parse_cx(reference);
    Json one = Json::object();
    one["id"] = cx.id;
    put(one, "assigningAuthority", cx.authority);
    out.push_back(std::move(one));
  }
  return out;
}

Json document_record(const FoundDocument& found, const RecordSettings& settings) {
  const xds::DocumentEntry& entry = found.entry;
  Json record = make_record("document", k_query_tool, k_found, true);
  record["kind"] = entry.is_manifest() ? "manifest" : "document";
  put(record, "entryUUID", entry.id);
  put(record, "uniqueId", entry.unique_id);
  put(record, "repositoryUniqueId", entry.repository_unique_id);
  put(record, "homeCommunityId", entry.home);
  put(record, "logicalID", entry.lid);
  put(record, "versionName", entry.version);
  put(record, "availabilityStatus", std::string(last_word(entry.status)));
  put(record, "replacedBy", found.replaced_by);
  if (found.preliminary) {
    record["preliminary"] = true;
  }
  record["objectType"] = entry.is_on_demand() ? "on-demand" : "stable";
  put(record, "mimeType", entry.mime_type);
  put(record, "title", entry.title.text());
  put(record, "comments", entry.comments.text());
  put(record, "creationTime", time_to_json(entry.creation_time, settings.zone));
  put(record, "serviceStartTime", time_to_json(entry.service_start_time, settings.zone));
  put(record, "serviceStopTime", time_to_json(entry.service_stop_time, settings.zone));
  put(record, "StudyInstanceUIDs", Json(entry.study_instance_uids()));
  put(record, "accessionNumbers", accession_json(entry));
  put(record, "formatCode", entry.format_code);
  put(record, "classCode", entry.class_code);
  put(record, "typeCode", entry.type_code);
  put(record, "eventCodeList", to_json(entry.event_codes));
  put(record, "healthcareFacilityTypeCode", entry.healthcare_facility_type_code);
  put(record, "practiceSettingCode", entry.practice_setting_code);
  put(record, "confidentialityCode", to_json(entry.confidentiality_codes));
  put(record, "languageCode", entry.language_code);
  put(record, "author", to_json(entry.authors));
  put(record, "legalAuthenticator", entry.legal_authenticator);
  put(record, "patientId", entry.patient_id);
  put(record, "sourcePatientId", entry.source_patient_id);
  put(record, "sourcePatientInfo", Json(entry.source_patient_info));
  put(record, "referenceIdList", Json(entry.reference_ids));
  put(record, "URI", entry.uri);
  if (entry.size && !entry.is_delayed()) {
    record["size"] = *entry.size;
    // The size of a manifest says nothing of its images.
    if (settings.transfer_rate > 0 && !entry.is_manifest()) {
      record["expectedMs"] = *entry.size * 1000 / settings.transfer_rate;
    }
  }
  if (!entry.is_delayed()) {
    put(record, "hash", entry.hash);
  }
  put(record, "other", others_of(entry));
  return record;
}

Json document_reference(const FoundDocument& found) {
  Json out = Json::object();
  put(out, "entryUUID", found.entry.id);
  put(out, "uniqueId", found.entry.unique_id);
  put(out, "repositoryUniqueId", found.entry.repository_unique_id);
  put(out, "homeCommunityId", found.entry.home);
  put(out, "title", found.entry.title.text());
  if (found.preliminary) {
    out["preliminary"] = true;
  }
  return out;
}

Json study_record(const FoundStudy& study, const QueryResult& result, const RecordSettings& settings) {
  Json record = make_record("study", k_query_tool, k_found, true);
  record["StudyInstanceUID"] = study.study_instance_uid;
  Json manifests = Json::array();
  Json reports = Json::array();
  std::set<std::string> modalities;
  std::set<std::string> accessions;
  std::string started;
  std::string title;
  const auto look = [&](std::size_t index) {
    const xds::DocumentEntry& entry = result.documents[index].entry;
    for (const xds::Code& code : entry.event_codes) {
      if (is_modality(code)) {
        modalities.insert(code.code);
      }
    }
    for (const std::string& accession : entry.references(xds::reference_type::accession)) {
      accessions.insert(xds::parse_cx(accession).id);
    }
    started = started.empty() ? entry.service_start_time : started;
    title = title.empty() ? entry.title.text() : title;
  };
  for (const std::size_t index : study.manifests) {
    manifests.push_back(document_reference(result.documents[index]));
    look(index);
  }
  for (const std::size_t index : study.reports) {
    reports.push_back(document_reference(result.documents[index]));
    look(index);
  }
  put(record, "title", title);
  put(record, "serviceStartTime", time_to_json(started, settings.zone));
  put(record, "modalities", Json(modalities));
  put(record, "accessionNumbers", Json(accessions));
  record["manifests"] = std::move(manifests);
  record["reports"] = std::move(reports);
  return record;
}

Json object_record(std::string_view what, const xds::RegistryObject& object) {
  Json record = make_record("registry-object", k_query_tool, k_found, true);
  record["kind"] = what;
  put(record, "entryUUID", object.id);
  put(record, "homeCommunityId", object.home);
  put(record, "availabilityStatus", std::string(last_word(object.status)));
  put(record, "title", object.title.text());
  put(record, "comments", object.comments.text());
  return record;
}

void add_others(std::vector<Json>& records, const xds::RegistryObjects& others, const RecordSettings& settings) {
  for (const xds::SubmissionSet& set : others.submission_sets) {
    Json record = object_record("submissionSet", set);
    put(record, "uniqueId", set.unique_id);
    put(record, "sourceId", set.source_id);
    put(record, "patientId", set.patient_id);
    put(record, "submissionTime", time_to_json(set.submission_time, settings.zone));
    put(record, "contentTypeCode", set.content_type_code);
    put(record, "author", to_json(set.authors));
    put(record, "intendedRecipient", Json(set.intended_recipients));
    put(record, "other", others_of(set));
    records.push_back(std::move(record));
  }
  for (const xds::Folder& folder : others.folders) {
    Json record = object_record("folder", folder);
    put(record, "uniqueId", folder.unique_id);
    put(record, "patientId", folder.patient_id);
    put(record, "lastUpdateTime", time_to_json(folder.last_update_time, settings.zone));
    put(record, "codeList", to_json(folder.codes));
    put(record, "other", others_of(folder));
    records.push_back(std::move(record));
  }
  for (const xds::Association& association : others.associations) {
    Json record = object_record("association", association);
    record["associationType"] = std::string(last_word(association.type));
    record["sourceObject"] = association.source;
    record["targetObject"] = association.target;
    put(record, "submissionSetStatus", association.submission_set_status);
    put(record, "documentation", association.documentation);
    put(record, "other", others_of(association));
    records.push_back(std::move(record));
  }
  for (const xds::ObjectRef& reference : others.object_refs) {
    Json record = make_record("registry-object", k_query_tool, k_found, true);
    record["kind"] = "reference";
    record["entryUUID"] = reference.id;
    put(record, "homeCommunityId", reference.home);
    records.push_back(std::move(record));
  }
}

// --- FHIR R4

bool is_oid(std::string_view text) {
  return text.size() > 2 && text.find_first_not_of("0123456789.") == std::string_view::npos &&
         text.find('.') != std::string_view::npos;
}

// The system of a coding scheme: its own URI where it has one, the OID's, or none where it is only a name.
std::string fhir_system(const std::string& scheme) {
  if (scheme == "DCM" || scheme == "1.2.840.10008.2.16.4") {
    return "http://dicom.nema.org/resources/ontology/DCM";
  }
  if (scheme == "2.16.840.1.113883.6.1" || scheme == "LN") {
    return "http://loinc.org";
  }
  if (scheme == "2.16.840.1.113883.6.96" || scheme == "SCT") {
    return "http://snomed.info/sct";
  }
  return is_oid(scheme) ? "urn:oid:" + scheme : scheme.find(':') != std::string::npos ? scheme : std::string();
}

Json coding(const xds::Code& code) {
  Json out = Json::object();
  put(out, "system", fhir_system(code.scheme));
  out["code"] = code.code;
  put(out, "display", code.display.text());
  return out;
}

Json concept_of(const xds::Code& code) {
  Json out = Json::object();
  out["coding"] = Json::array({coding(code)});
  return out;
}

Json concepts(const std::vector<xds::Code>& codes) {
  Json out = Json::array();
  for (const xds::Code& code : codes) {
    out.push_back(concept_of(code));
  }
  return out;
}

Json uri_identifier(const std::string& value) {
  Json out = Json::object();
  out["system"] = "urn:ietf:rfc:3986";
  out["value"] = is_oid(value) ? "urn:oid:" + value : value;
  return out;
}

Json cx_identifier(const std::string& value) {
  const xds::Cx cx = xds::parse_cx(value);
  Json out = Json::object();
  if (!cx.authority.empty()) {
    out["system"] = is_oid(cx.authority) ? "urn:oid:" + cx.authority : cx.authority;
  }
  out["value"] = cx.id;
  return out;
}

Json reference_to(Json identifier) {
  Json out = Json::object();
  out["identifier"] = std::move(identifier);
  return out;
}

// A dateTime: to the precision that the registry gives; with an hour FHIR wants minutes and seconds, and a zone.
std::string fhir_time(const std::string& value) {
  const auto dtm = xds::parse_dtm(value);
  return dtm ? iso(dtm->time.time_since_epoch(), dtm->digits) + (dtm->digits >= 10 ? "Z" : "") : std::string();
}

std::string base64_of_hex(const std::string& hex);

Json period_of(const xds::DocumentEntry& entry) {
  Json out = Json::object();
  put(out, "start", fhir_time(entry.service_start_time));
  put(out, "end", fhir_time(entry.service_stop_time));
  return out;
}

Json related(const xds::DocumentEntry& entry) {
  Json out = Json::array();
  for (const std::string& reference : entry.reference_ids) {
    const xds::Cx cx = xds::parse_cx(reference);
    Json identifier =
        cx.kind == xds::reference_type::study_instance_uid ? uri_identifier(cx.id) : cx_identifier(reference);
    if (cx.kind == xds::reference_type::study_instance_uid) {
      identifier["system"] = "urn:dicom:uid";
    }
    Json type = Json::object();
    put(type, "text", cx.kind);
    put(identifier, "type", std::move(type));
    out.push_back(reference_to(std::move(identifier)));
  }
  return out;
}

Json fhir_document(const FoundDocument& found) {
  const xds::DocumentEntry& entry = found.entry;
  Json out = Json::object();
  out["resourceType"] = "DocumentReference";
  if (!entry.unique_id.empty()) {
    out["masterIdentifier"] = uri_identifier(entry.unique_id);
  }
  if (!entry.id.empty()) {
    out["identifier"] = Json::array({uri_identifier(entry.id)});
  }
  out["status"] = entry.is_deprecated() ? "superseded" : "current";
  if (found.preliminary) {
    out["docStatus"] = "preliminary";
  }
  if (entry.type_code) {
    out["type"] = concept_of(*entry.type_code);
  }
  if (entry.class_code) {
    out["category"] = Json::array({concept_of(*entry.class_code)});
  }
  if (!entry.patient_id.empty()) {
    out["subject"] = reference_to(cx_identifier(entry.patient_id));
  }
  if (const auto created = xds::parse_dtm(entry.creation_time); created && created->digits >= 10) {
    out["date"] = fhir_time(entry.creation_time);
  }
  Json authors = Json::array();
  for (const xds::Author& author : entry.authors) {
    Json one = Json::object();
    const std::string name = xds::parse_xcn(author.person).display();
    put(one, "display",
        !name.empty()                 ? name
        : author.institutions.empty() ? std::string()
                                      : xds::parse_xon(author.institutions.front()).name);
    if (!one.empty()) {
      authors.push_back(std::move(one));
    }
  }
  put(out, "author", std::move(authors));
  if (!entry.legal_authenticator.empty()) {
    Json authenticator = Json::object();
    put(authenticator, "display", xds::parse_xcn(entry.legal_authenticator).display());
    put(out, "authenticator", std::move(authenticator));
  }
  put(out, "description", entry.title.text());
  put(out, "securityLabel", concepts(entry.confidentiality_codes));
  Json attachment = Json::object();
  put(attachment, "contentType", entry.mime_type);
  put(attachment, "language", entry.language_code);
  if (entry.size && !entry.is_delayed()) {
    attachment["size"] = *entry.size;
    put(attachment, "hash", base64_of_hex(entry.hash));
  }
  put(attachment, "title", entry.title.text());
  put(attachment, "creation", fhir_time(entry.creation_time));
  Json content = Json::object();
  content["attachment"] = std::move(attachment);
  if (entry.format_code) {
    content["format"] = coding(*entry.format_code);
  }
  out["content"] = Json::array({std::move(content)});
  Json context = Json::object();
  put(context, "event", concepts(entry.event_codes));
  put(context, "period", period_of(entry));
  if (entry.healthcare_facility_type_code) {
    context["facilityType"] = concept_of(*entry.healthcare_facility_type_code);
  }
  if (entry.practice_setting_code) {
    context["practiceSetting"] = concept_of(*entry.practice_setting_code);
  }
  put(context, "related", related(entry));
  put(out, "context", std::move(context));
  return out;
}

Json fhir_study(const FoundStudy& study, const QueryResult& result) {
  Json out = Json::object();
  out["resourceType"] = "ImagingStudy";
  Json uid = Json::object();
  uid["system"] = "urn:dicom:uid";
  uid["value"] = "urn:oid:" + study.study_instance_uid;
  Json identifiers = Json::array({uid});
  std::set<std::string> accessions;
  std::vector<xds::Code> modalities;
  const xds::DocumentEntry* manifest = nullptr;
  for (const std::size_t index : study.manifests) {
    const xds::DocumentEntry& entry = result.documents[index].entry;
    manifest = manifest == nullptr ? &entry : manifest;
    const auto references = entry.references(xds::reference_type::accession);
    accessions.insert(references.begin(), references.end());
    for (const xds::Code& code : entry.event_codes) {
      if (is_modality(code) &&
          std::none_of(modalities.begin(), modalities.end(), [&](const auto& one) { return one.same_as(code); })) {
        modalities.push_back(code);
      }
    }
  }
  for (const std::string& accession : accessions) {
    Json identifier = cx_identifier(accession);
    identifier["type"] = concept_of({"ACSN", "http://terminology.hl7.org/CodeSystem/v2-0203", {}, {}});
    identifiers.push_back(std::move(identifier));
  }
  out["identifier"] = std::move(identifiers);
  out["status"] = "available";
  Json list = Json::array();
  for (const xds::Code& code : modalities) {
    list.push_back(coding(code));
  }
  put(out, "modality", std::move(list));
  if (!manifest->patient_id.empty()) {
    out["subject"] = reference_to(cx_identifier(manifest->patient_id));
  }
  put(out, "started", fhir_time(manifest->service_start_time));
  put(out, "description", manifest->title.text());
  if (!manifest->repository_unique_id.empty()) {
    out["endpoint"] = Json::array({reference_to(uri_identifier(manifest->repository_unique_id))});
  }
  return out;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  const char small = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

// FHIR has the SHA-1 in base64. Empty where it is no SHA-1.
std::string base64_of_hex(const std::string& hex) {
  if (hex.size() != 40) {
    return {};
  }
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = hex_digit(hex[i]);
    const int low = hex_digit(hex[i + 1]);
    if (high < 0 || low < 0) {
      return {};
    }
    bytes += static_cast<char>(high * 16 + low);
  }
  return base64_encode(bytes);
}

// --- eHealth Network, data sets A and B (by the ids of the guideline)

// PID-5|..., without its field's name; empty where there is none.
std::string source_info(const xds::DocumentEntry& entry, std::string_view field) {
  const std::string prefix = std::string(field) + "|";
  for (const std::string& value : entry.source_patient_info) {
    if (value.rfind(prefix, 0) == 0) {
      return value.substr(prefix.size());
    }
  }
  return {};
}

std::string component(const std::string& value, std::size_t index) {
  const auto parts = xds::split_components(value);
  return index < parts.size() ? parts[index] : std::string();
}

Json institutions(const xds::DocumentEntry& entry) {
  Json out = Json::array();
  for (const xds::Author& author : entry.authors) {
    for (const std::string& one : author.institutions) {
      const xds::Xon xon = xds::parse_xon(one);
      Json json = Json::object();
      put(json, "name", xon.name);
      put(json, "id", xon.id);
      put(json, "assigningAuthority", xon.authority);
      out.push_back(std::move(json));
    }
  }
  return out;
}

Json ehn_patient_id(const std::string& value) {
  if (value.empty()) {
    return Json();
  }
  const xds::Cx cx = xds::parse_cx(value);
  Json out = Json::object();
  out["id"] = cx.id;
  put(out, "assigningAuthority", cx.authority);
  return out;
}

Json codes_where(const std::vector<xds::Code>& codes, bool modality) {
  Json out = Json::array();
  for (const xds::Code& code : codes) {
    if (is_modality(code) == modality) {
      out.push_back(to_json(code));
    }
  }
  return out;
}

Json ehn_report(const FoundDocument& found, const RecordSettings& settings) {
  const xds::DocumentEntry& entry = found.entry;
  Json out = Json::object();
  const std::string name = source_info(entry, "PID-5");
  put(out, "A.1.1.1", component(name, 0));
  put(out, "A.1.1.2", component(name, 1));
  put(out, "A.1.1.3", source_info(entry, "PID-7"));
  put(out, "A.1.1.4", ehn_patient_id(entry.patient_id));
  put(out, "A.1.1.5", source_info(entry, "PID-8"));
  put(out, "A.1.2.1", source_info(entry, "PID-11"));
  if (!entry.authors.empty()) {
    const xds::Xcn person = xds::parse_xcn(entry.authors.front().person);
    put(out, "A.1.5.1", person.id);
    put(out, "A.1.5.2", person.display());
    put(out, "A.1.5.3", institutions(entry));
  }
  put(out, "A.1.5.4", time_to_json(entry.creation_time, settings.zone));
  if (!entry.legal_authenticator.empty()) {
    const xds::Xcn person = xds::parse_xcn(entry.legal_authenticator);
    put(out, "A.1.6.1", person.id);
    put(out, "A.1.6.2", person.display());
  }
  put(out, "A.1.8.0", entry.unique_id);
  put(out, "A.1.8.1", entry.type_code);
  put(out, "A.1.8.2", found.preliminary ? std::string("preliminary") : std::string());
  put(out, "A.1.8.3", time_to_json(entry.creation_time, settings.zone));
  put(out, "A.1.8.4", entry.title.text());
  put(out, "A.1.8.7", to_json(entry.confidentiality_codes));
  put(out, "A.1.8.8", entry.language_code);
  put(out, "A.1.8.9", entry.version);
  put(out, "A.1.8.10", Json(entry.study_instance_uids()));
  put(out, "A.1.8.11", accession_json(entry));
  Json orders = Json::array();
  for (const std::string& order : entry.references(xds::reference_type::order)) {
    orders.push_back(ehn_patient_id(order));
  }
  put(out, "A.2.1", std::move(orders));
  put(out, "A.5.1.1", codes_where(entry.event_codes, true));
  put(out, "A.5.1.2", time_to_json(entry.service_start_time, settings.zone));
  put(out, "eventCodeList", codes_where(entry.event_codes, false));
  return out;
}

Json ehn_study(const FoundStudy& study, const QueryResult& result, const RecordSettings& settings) {
  Json out = Json::object();
  out["B.1.1"] = study.study_instance_uid;
  if (!study.manifests.empty()) {
    const xds::DocumentEntry& manifest = result.documents[study.manifests.front()].entry;
    put(out, "B.1.4", manifest.title.text());
    put(out, "B.1.5", institutions(manifest));
    Json endpoints = Json::array();
    Json modalities = Json::array();
    for (const std::size_t index : study.manifests) {
      const xds::DocumentEntry& entry = result.documents[index].entry;
      endpoints.push_back(document_reference(result.documents[index]));
      for (const Json& code : codes_where(entry.event_codes, true)) {
        if (std::find(modalities.begin(), modalities.end(), code) == modalities.end()) {
          modalities.push_back(code);
        }
      }
    }
    out["B.1.6"] = std::move(endpoints);
    if (!modalities.empty()) {
      out["B.1.7.1"] = Json::object();
      out["B.1.7.1"]["modality"] = std::move(modalities);
    }
  }
  Json reports = Json::array();
  for (const std::size_t index : study.reports) {
    reports.push_back(ehn_report(result.documents[index], settings));
  }
  put(out, "reports", std::move(reports));
  return out;
}

}  // namespace

std::vector<Json> to_records(const QueryResult& result, const RecordSettings& settings) {
  std::vector<Json> records;
  for (const FoundDocument& one : result.documents) {
    records.push_back(document_record(one, settings));
  }
  for (const FoundStudy& study : result.studies) {
    records.push_back(study_record(study, result, settings));
  }
  add_others(records, result.others, settings);
  return records;
}

void count_found(const Json& record, Accounting& accounting) {
  if (string_at(record, "type") != "study") {
    accounting.entered();
  }
}

void summarise(const QueryResult& result, const QuerySettings& settings, Accounting& accounting, Observer& observer) {
  const auto count = [&](const auto& predicate) {
    return std::count_if(result.documents.begin(), result.documents.end(), predicate);
  };
  Json query = Json::object();
  query["received"] = result.received;
  query["found"] = result.documents.size();
  query["superseded"] = result.superseded;
  query["notMatching"] = result.not_matching;
  query["studies"] = result.studies.size();
  query["manifests"] = count([](const FoundDocument& one) { return one.entry.is_manifest(); });
  query["preliminary"] = count([](const FoundDocument& one) { return one.preliminary; });
  put(query, "warnings", xds::to_json(result.warnings, settings.patient));
  put(query, "deviations", Json(result.deviations));
  accounting.add_to_summary("query", std::move(query));
  for (const std::string& deviation : result.deviations) {
    observer.message(Observer::Level::info, "the answer departs from the standard: " + deviation);
  }
  if (result.documents.empty() && result.others.size() == 0 && !result.error) {
    accounting.note(ExitCode::negative);
    observer.message(Observer::Level::info, "nothing matched");
  }
}

Json to_fhir(const QueryResult& result) {
  Json bundle = Json::object();
  bundle["resourceType"] = "Bundle";
  bundle["type"] = "searchset";
  bundle["total"] = result.documents.size();
  Json entries = Json::array();
  const auto add = [&](Json resource, const std::string& url, std::string_view mode) {
    Json entry = Json::object();
    put(entry, "fullUrl", url);
    entry["resource"] = std::move(resource);
    entry["search"] = Json::object({{"mode", mode}});
    entries.push_back(std::move(entry));
  };
  for (const FoundDocument& one : result.documents) {
    add(fhir_document(one), one.entry.id, "match");
  }
  for (const FoundStudy& study : result.studies) {
    if (!study.manifests.empty()) {
      add(fhir_study(study, result), {}, "include");
    }
  }
  put(bundle, "entry", std::move(entries));
  return bundle;
}

Json to_ehn(const QueryResult& result, const RecordSettings& settings) {
  Json out = Json::object();
  out["guideline"] = "eHealth Network, imaging studies and reports, release 1 (2023)";
  out["studies"] = Json::array();
  std::set<std::size_t> told;
  for (const FoundStudy& study : result.studies) {
    out["studies"].push_back(ehn_study(study, result, settings));
    told.insert(study.manifests.begin(), study.manifests.end());
    told.insert(study.reports.begin(), study.reports.end());
  }
  Json reports = Json::array();
  for (std::size_t i = 0; i < result.documents.size(); ++i) {
    if (!told.contains(i)) {
      reports.push_back(ehn_report(result.documents[i], settings));
    }
  }
  put(out, "reports", std::move(reports));
  return out;
}

}  // namespace kuva::workflow
