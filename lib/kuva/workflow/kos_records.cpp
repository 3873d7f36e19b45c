#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/kos/codes.hpp>
#include <kuva/kos/tags.hpp>
#include <kuva/workflow/instance_record.hpp>
#include <kuva/workflow/kos_records.hpp>

#include <fmt/format.h>

#include <map>
#include <set>

namespace kuva::workflow {

namespace {

namespace tags = kos::tags;

Json to_json(const kos::Code& code) {
  Json json;
  json["code"] = code.value;
  json["scheme"] = code.scheme;
  json["meaning"] = code.meaning;
  put_text(json, "schemeVersion", code.scheme_version);
  return json;
}

Json to_json(const std::set<std::string>& values) {
  Json list = Json::array();
  for (const std::string& value : values) {
    if (!value.empty()) {
      list.push_back(value);
    }
  }
  return list;
}

std::string_view kind_of(const kos::Document& document) {
  return kos::is_manifest_title(document.title)    ? "manifest"
         : kos::is_rejection_title(document.title) ? "rejection-note"
                                                   : "other";
}

constexpr std::string_view k_mask = "***";

Json to_json(const std::vector<kos::Change>& changes, bool phi_plain) {
  Json list = Json::array();
  for (const kos::Change& change : changes) {
    const bool masked = change.identifies_patient && !phi_plain;
    const auto value = [masked](const std::string& text) {
      return masked && !text.empty() ? std::string(k_mask) : text;
    };
    list.push_back(Json{{"attribute", change.what}, {"left", value(change.left)}, {"right", value(change.right)}});
  }
  return list;
}

// "20240115" and "101500" as FHIR has a dateTime: with a time only where the time zone is known.
std::string fhir_date_time(const kos::Document& document) {
  const std::string date = kos::text(document, tags::study_date);
  if (date.size() != 8 || date.find_first_not_of("0123456789") != std::string::npos) {
    return {};
  }
  std::string text = fmt::format("{}-{}-{}", date.substr(0, 4), date.substr(4, 2), date.substr(6, 2));
  const std::string time = kos::text(document, tags::study_time);
  const std::string zone = kos::text(document, tags::timezone_offset_from_utc);
  if (time.size() >= 6 && time.substr(0, 6).find_first_not_of("0123456789") == std::string::npos && zone.size() == 5) {
    text += fmt::format("T{}:{}:{}{}:{}", time.substr(0, 2), time.substr(2, 2), time.substr(4, 2), zone.substr(0, 3),
                        zone.substr(3));
  }
  return text;
}

Json coding(std::string_view system, std::string_view code, std::string_view display = {}) {
  Json json;
  json["system"] = system;
  json["code"] = code;
  if (!display.empty()) {
    json["display"] = display;
  }
  return json;
}

constexpr std::string_view k_dcm = "http://dicom.nema.org/resources/ontology/DCM";

// OT where neither the document nor the SOP class tells: the element must be there.
std::string modality_of(const kos::SeriesReference& series) {
  for (const kos::InstanceReference& instance : series.instances) {
    const std::string_view modality =
        series.modality.empty() ? kos::modality_of(instance.sop_class_uid) : std::string_view(series.modality);
    if (!modality.empty()) {
      return std::string(modality);
    }
  }
  return "OT";
}

Json fhir_subject(const kos::Document& document, bool phi_plain) {
  Json subject;
  if (!phi_plain) {
    subject["display"] = k_mask;
    return subject;
  }
  Json identifier;
  std::string system = kos::text(document, tags::issuer_of_patient_id);
  if (const auto* items = document.attributes.items(tags::issuer_of_patient_id_qualifiers_sequence);
      items != nullptr && !items->empty()) {
    system = items->front().string(tags::universal_entity_id);
  }
  if (!system.empty()) {
    identifier["system"] = system.find_first_not_of("0123456789.") == std::string::npos ? "urn:oid:" + system : system;
  }
  identifier["value"] = kos::text(document, tags::patient_id);
  subject["identifier"] = identifier;
  put_text(subject, "display", kos::text(document, tags::patient_name));
  return subject;
}

}  // namespace

void put_document(Json& record, const kos::Document& document, bool phi_plain) {
  put_text(record, "StudyInstanceUID", document.study_instance_uid);
  put_text(record, "SeriesInstanceUID", document.series_instance_uid);
  put_text(record, "SOPInstanceUID", document.sop_instance_uid);
  record["SOPClassUID"] = kos::k_key_object_selection;
  put_text(record, "TransferSyntaxUID", document.transfer_syntax_uid);
  record["Modality"] = "KO";

  Json kos;
  kos["kind"] = kind_of(document);
  kos["title"] = to_json(document.title);
  Json modifiers = Json::array();
  for (const kos::ContentItem& item : document.content) {
    if (item.name.is("113011")) {
      modifiers.push_back(to_json(item.code));
    }
  }
  if (!modifiers.empty()) {
    kos["modifiers"] = std::move(modifiers);
  }
  std::set<std::string> studies;
  std::set<std::string> series;
  std::set<std::string> ae_titles;
  std::set<std::string> locations;
  for (const kos::SeriesReference& reference : document.evidence) {
    studies.insert(reference.study_instance_uid);
    series.insert(reference.series_instance_uid);
    ae_titles.insert(reference.retrieve_ae_title);
    locations.insert(reference.retrieve_location_uid);
  }
  kos["studies"] = studies.size();
  kos["series"] = series.size();
  kos["instances"] = kos::references(document).size();
  kos["retrieveAETitles"] = to_json(ae_titles);
  kos["retrieveLocationUIDs"] = to_json(locations);
  if (!document.other_evidence.empty()) {
    kos["otherEvidence"] = kos::instance_count(document.other_evidence);
  }
  if (!document.identical_documents.empty()) {
    kos["identicalDocuments"] = kos::instance_count(document.identical_documents);
  }
  put_text(kos, "ContentDate", kos::text(document, tags::content_date));
  put_text(kos, "ContentTime", kos::text(document, tags::content_time));
  put_text(kos, "StudyDate", kos::text(document, tags::study_date));
  put_text(kos, "StudyTime", kos::text(document, tags::study_time));
  if (phi_plain) {
    put_text(kos, "AccessionNumber", kos::text(document, tags::accession_number));
    put_text(kos, "StudyDescription", kos::text(document, tags::study_description));
    put_text(kos, "PatientID", kos::text(document, tags::patient_id));
    put_text(kos, "PatientName", kos::text(document, tags::patient_name));
    put_text(kos, "PatientBirthDate", kos::text(document, tags::patient_birth_date));
    put_text(kos, "PatientSex", kos::text(document, tags::patient_sex));
    put_text(kos, "description", std::string(kos::description(document)));
  }
  record["kos"] = std::move(kos);
}

Json reference_record(const kos::Reference& reference, const kos::Document& document) {
  Json record = make_record("instance", k_kos_tool, k_referenced, true);
  put_text(record, "StudyInstanceUID", reference.study_instance_uid);
  put_text(record, "SeriesInstanceUID", reference.series_instance_uid);
  put_text(record, "SOPInstanceUID", reference.sop_instance_uid);
  put_text(record, "SOPClassUID", reference.sop_class_uid);
  put_text(record, "Modality", reference.modality);
  Json from = Json::object();
  put_text(from, "aeTitle", reference.retrieve_ae_title);
  put_text(from, "locationUID", reference.retrieve_location_uid);
  put_text(from, "url", reference.retrieve_url);
  if (!from.empty()) {
    record["retrieveFrom"] = std::move(from);
  }
  record["referencedBy"] = document.sop_instance_uid;
  return record;
}

Json comparison_record(const kos::Difference& difference) {
  using Kind = kos::Difference::Kind;
  struct Word {
    Kind kind;
    std::string_view outcome;
    std::string_view sign;
  };
  static constexpr Word k_words[] = {{Kind::same, "same", "="},
                                     {Kind::added, "added", "+"},
                                     {Kind::removed, "removed", "-"},
                                     {Kind::changed, "changed", "!"}};
  const Word& word = k_words[static_cast<std::size_t>(difference.kind)];
  Json record = make_record("comparison", k_kos_tool, word.outcome, difference.kind == Kind::same);
  record["sign"] = word.sign;
  const kos::Reference& reference = difference.reference;
  put_text(record, "StudyInstanceUID", reference.study_instance_uid);
  put_text(record, "SeriesInstanceUID", reference.series_instance_uid);
  put_text(record, "SOPInstanceUID", reference.sop_instance_uid);
  put_text(record, "SOPClassUID", reference.sop_class_uid);
  if (!difference.changes.empty()) {
    record["changes"] = to_json(difference.changes, true);
  }
  return record;
}

Json comparison_record(const std::vector<kos::Change>& document_changes, bool phi_plain) {
  Json record =
      make_record("comparison", k_kos_tool, document_changes.empty() ? "same" : "changed", document_changes.empty());
  record["sign"] = document_changes.empty() ? "=" : "!";
  record["document"] = true;
  if (!document_changes.empty()) {
    record["changes"] = to_json(document_changes, phi_plain);
  }
  return record;
}

std::vector<Json> imaging_studies(const kos::Document& document, bool phi_plain) {
  // Series of a study that stand in several items are one series.
  std::map<std::string, std::map<std::string, kos::SeriesReference>> studies;
  std::vector<std::string> order;
  std::set<std::string> seen;
  for (const kos::SeriesReference& item : document.evidence) {
    auto& study = studies[item.study_instance_uid];
    if (study.empty()) {
      order.push_back(item.study_instance_uid);
    }
    kos::SeriesReference& series = study[item.series_instance_uid];
    std::vector<kos::InstanceReference> instances = std::move(series.instances);
    for (const kos::InstanceReference& instance : item.instances) {
      if (seen.insert(instance.sop_instance_uid).second) {
        instances.push_back(instance);
      }
    }
    series = item;
    series.instances = std::move(instances);
  }

  std::vector<Json> resources;
  for (const std::string& study_instance_uid : order) {
    const bool own = study_instance_uid == document.study_instance_uid;
    Json resource;
    resource["resourceType"] = "ImagingStudy";
    std::map<std::string, std::string> endpoints;  // address to id
    Json contained = Json::array();
    Json series_list = Json::array();
    std::set<std::string> modalities;
    std::size_t count = 0;
    for (const auto& [uid, series] : studies[study_instance_uid]) {
      Json entry;
      entry["uid"] = uid;
      const std::string modality = modality_of(series);
      modalities.insert(modality);
      entry["modality"] = coding(k_dcm, modality);
      entry["numberOfInstances"] = series.instances.size();
      if (!series.retrieve_url.empty()) {
        // An endpoint is a service: what stands before /studies.
        const std::string address = series.retrieve_url.substr(0, series.retrieve_url.find("/studies/"));
        const auto [known, is_new] = endpoints.emplace(address, fmt::format("wado{}", endpoints.size() + 1));
        if (is_new) {
          Json endpoint;
          endpoint["resourceType"] = "Endpoint";
          endpoint["id"] = known->second;
          endpoint["status"] = "active";
          endpoint["connectionType"] =
              coding("http://terminology.hl7.org/CodeSystem/endpoint-connection-type", "dicom-wado-rs");
          endpoint["payloadType"] = Json::array({Json{{"text", "DICOM"}}});
          endpoint["address"] = address;
          contained.push_back(std::move(endpoint));
        }
        entry["endpoint"] = Json::array({Json{{"reference", "#" + known->second}}});
      }
      Json instances = Json::array();
      for (const kos::InstanceReference& instance : series.instances) {
        instances.push_back(Json{{"uid", instance.sop_instance_uid},
                                 {"sopClass", coding("urn:ietf:rfc:3986", "urn:oid:" + instance.sop_class_uid)}});
      }
      count += series.instances.size();
      entry["instance"] = std::move(instances);
      series_list.push_back(std::move(entry));
    }
    if (!contained.empty()) {
      resource["contained"] = std::move(contained);
    }
    Json identifiers = Json::array({Json{{"system", "urn:dicom:uid"}, {"value", "urn:oid:" + study_instance_uid}}});
    const std::string accession = kos::text(document, tags::accession_number);
    if (own && phi_plain && !accession.empty()) {
      Json type;
      type["coding"] = Json::array({coding("http://terminology.hl7.org/CodeSystem/v2-0203", "ACSN")});
      identifiers.push_back(Json{{"type", std::move(type)}, {"value", accession}});
    }
    resource["identifier"] = std::move(identifiers);
    resource["status"] = "available";
    Json modality_list = Json::array();
    for (const std::string& modality : modalities) {
      modality_list.push_back(coding(k_dcm, modality));
    }
    resource["modality"] = std::move(modality_list);
    resource["subject"] = fhir_subject(document, phi_plain);
    if (const std::string started = own ? fhir_date_time(document) : std::string(); !started.empty()) {
      resource["started"] = started;
    }
    resource["numberOfSeries"] = series_list.size();
    resource["numberOfInstances"] = count;
    if (own && phi_plain) {
      put_text(resource, "description", kos::text(document, tags::study_description));
    }
    resource["series"] = std::move(series_list);
    resources.push_back(std::move(resource));
  }
  return resources;
}

}  // namespace kuva::workflow
