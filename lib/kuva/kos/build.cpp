#include <kuva/core/error.hpp>
#include <kuva/core/version.hpp>
#include <kuva/dicom/part10.hpp>
#include <kuva/dicom/reading_error.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/kos/build.hpp>
#include <kuva/kos/codes.hpp>
#include <kuva/kos/element_reader.hpp>
#include <kuva/kos/tags.hpp>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace kuva::kos {

namespace {

using dicom::DataSet;
using dicom::Tag;

// What a document of the study has of its objects: Patient (PS3.3 C.7.1.1) and General Study (C.7.2.1), by which an
// archive finds patient and study and sites permit a store.
constexpr auto k_copied = std::to_array<Tag>({
    tags::specific_character_set,
    tags::study_date,
    tags::study_time,
    tags::accession_number,
    tags::issuer_of_accession_number_sequence,
    tags::referring_physician_name,
    tags::timezone_offset_from_utc,
    tags::study_description,
    tags::procedure_code_sequence,
    tags::patient_name,
    tags::patient_id,
    tags::issuer_of_patient_id,
    tags::type_of_patient_id,
    tags::issuer_of_patient_id_qualifiers_sequence,
    tags::patient_birth_date,
    tags::patient_birth_time,
    tags::patient_sex,
    tags::other_patient_ids_sequence,
    tags::patient_identity_removed,
    tags::deidentification_method,
    tags::deidentification_method_code_sequence,
    tags::study_id,
});

// Type 2: there, if empty.
constexpr auto k_type_2 = std::to_array<Tag>({
    tags::study_date,
    tags::study_time,
    tags::accession_number,
    tags::referring_physician_name,
    tags::patient_name,
    tags::patient_id,
    tags::patient_birth_date,
    tags::patient_sex,
    tags::study_id,
});

constexpr std::size_t k_longest_attribute = 65'536;
constexpr std::size_t k_most_requests = 100;

bool is_copied(Tag tag) { return std::find(k_copied.begin(), k_copied.end(), tag) != k_copied.end(); }

// An integer string (IS); nothing when it is none.
std::optional<long> integer_of(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  long number = 0;
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty() ? std::optional(number)
                                                                                   : std::nullopt;
}

void put_element(DataSet& to, const DataSet& from, Tag tag) {
  const DataSet::Element* const element = from.find(tag);
  if (element == nullptr) {
    return;
  }
  if (element->vr == dicom::Vr::SQ) {
    to.set_empty_sequence(tag);
    for (const DataSet& item : element->items) {
      to.add_item(tag) = item;
    }
  } else {
    to.set_bytes(tag, element->vr, element->value);
  }
}

// What tells two patients apart: the identifier with its issuer, in UTF-8.
std::string patient_of(const DataSet& attributes) {
  std::string issuer = text(attributes, tags::issuer_of_patient_id);
  if (const auto* items = attributes.items(tags::issuer_of_patient_id_qualifiers_sequence);
      items != nullptr && !items->empty()) {
    issuer = items->front().string(tags::universal_entity_id);
  }
  return text(attributes, tags::patient_id) + '\0' + issuer;
}

// "+0200" in minutes.
std::optional<std::chrono::minutes> offset_of(std::string_view text) {
  if (text.size() != 5 || (text[0] != '+' && text[0] != '-') ||
      !std::all_of(text.begin() + 1, text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return std::nullopt;
  }
  const int hours = (text[1] - '0') * 10 + text[2] - '0';
  const int minutes = (text[3] - '0') * 10 + text[4] - '0';
  const std::chrono::minutes offset(hours * 60 + minutes);
  return text[0] == '-' ? -offset : offset;
}

// The request of the objects as an item of the Referenced Request Sequence (PS3.3 C.17.2, type 2 but the study).
DataSet request_item(const DataSet& request, const DataSet& attributes, const std::string& study_instance_uid) {
  DataSet item;
  item.set_string(tags::study_instance_uid, study_instance_uid);
  item.set_empty_sequence(tags::referenced_study_sequence);
  item.set_empty_sequence(tags::requested_procedure_code_sequence);
  for (const Tag tag : {tags::accession_number, tags::requested_procedure_description, tags::requested_procedure_id,
                        tags::placer_order_number, tags::filler_order_number}) {
    item.set_empty(tag);
  }
  for (const Tag tag :
       {tags::specific_character_set, tags::referenced_study_sequence, tags::requested_procedure_code_sequence,
        tags::accession_number, tags::issuer_of_accession_number_sequence, tags::requested_procedure_description,
        tags::requested_procedure_id, tags::placer_order_number, tags::filler_order_number}) {
    put_element(item, request, tag);
  }
  if (!request.has(tags::accession_number)) {
    put_element(item, attributes, tags::accession_number);
    put_element(item, attributes, tags::issuer_of_accession_number_sequence);
  }
  return item;
}

bool same_items(const DataSet& a, const DataSet& b) {
  const dicom::TransferSyntax syntax = dicom::transfer_syntax(dicom::k_explicit_vr_little_endian);
  return a.encode(syntax) == b.encode(syntax);
}

std::string url_of_series(const Retrieval& retrieval, std::string_view study, std::string_view series) {
  if (retrieval.url.empty()) {
    return {};
  }
  std::string_view base = retrieval.url;
  while (base.ends_with('/')) {
    base.remove_suffix(1);
  }
  return fmt::format("{}/studies/{}/series/{}", base, study, series);
}

// Missing numbers come last.
template <class Entry>
bool stands_before(const Entry* a, std::string_view uid_a, const Entry* b, std::string_view uid_b) {
  if (a->number != b->number) {
    return a->number && (!b->number || *a->number < *b->number);
  }
  return uid_a < uid_b;
}

// Pointers to the entries of a map, in the order of their numbers.
template <class Map>
std::vector<const typename Map::value_type*> in_order(const Map& map) {
  std::vector<const typename Map::value_type*> sorted;
  sorted.reserve(map.size());
  for (const auto& entry : map) {
    sorted.push_back(&entry);
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const auto* a, const auto* b) { return stands_before(&a->second, a->first, &b->second, b->first); });
  return sorted;
}

}  // namespace

SourceObject read_source_object(const std::filesystem::path& path) {
  dicom::Part10File file = dicom::open_part10(path);
  const dicom::TransferSyntax syntax = file.syntax;
  const auto source = dicom::data_set_source(file);
  dicom::DataSetReader reader(*source, syntax);
  ElementReader elements(reader);
  SourceObject object;
  DataSet identifiers;
  elements.elements([&](const ElementReader::Header& header, bool is_sequence) {
    const Tag tag = header.tag;
    if (is_copied(tag) || tag == tags::request_attributes_sequence) {
      elements.keep(object.attributes, header, is_sequence, k_longest_attribute);
    } else if (!is_sequence && (tag == tags::sop_class_uid || tag == tags::sop_instance_uid ||
                                tag == tags::study_instance_uid || tag == tags::series_instance_uid ||
                                tag == tags::modality || tag == tags::series_number || tag == tags::instance_number)) {
      elements.keep(identifiers, header, false, k_longest_attribute);
    }
    return tag <= tags::request_attributes_sequence;
  });
  object.sop_class_uid = identifiers.string(tags::sop_class_uid);
  object.sop_instance_uid = identifiers.string(tags::sop_instance_uid);
  object.study_instance_uid = identifiers.string(tags::study_instance_uid);
  object.series_instance_uid = identifiers.string(tags::series_instance_uid);
  object.modality = identifiers.string(tags::modality);
  object.series_number = integer_of(identifiers.string(tags::series_number));
  object.instance_number = integer_of(identifiers.string(tags::instance_number));
  for (const auto& [value, name] :
       {std::pair(&object.sop_class_uid, "SOP Class UID"), std::pair(&object.sop_instance_uid, "SOP Instance UID"),
        std::pair(&object.study_instance_uid, "Study Instance UID"),
        std::pair(&object.series_instance_uid, "Series Instance UID")}) {
    if (value->empty()) {
      if (const auto error = dicom::reading_error(reader)) {
        throw *error;
      }
      throw Error(kuva::kind("file.incomplete"), fmt::format("the object has no {}", name));
    }
  }
  return object;
}

DataSet study_attributes(const Document& document) {
  DataSet attributes;
  for (const Tag tag : k_copied) {
    put_element(attributes, document.attributes, tag);
  }
  if (const auto* requests = document.attributes.items(tags::referenced_request_sequence)) {
    for (const DataSet& request : *requests) {
      attributes.add_item(tags::request_attributes_sequence) = request;
    }
  }
  return attributes;
}

bool Collection::add(const SourceObject& object, const Retrieval& retrieval) {
  auto found = m_studies.find(object.study_instance_uid);
  if (found == m_studies.end()) {
    found = m_studies.emplace(object.study_instance_uid, Study{}).first;
    m_order.push_back(object.study_instance_uid);
  }
  Study& study = found->second;
  if (object.from_file) {
    if (!study.has_attributes) {
      set_attributes(object.study_instance_uid, object.attributes);
    } else if (patient_of(study.attributes) != patient_of(object.attributes)) {
      throw Error(kuva::kind("kos.patient-differs"),
                  "Patient ID or its issuer is not that of the study's first object");
    }
    if (const auto* requests = object.attributes.items(tags::request_attributes_sequence)) {
      for (const DataSet& request : *requests) {
        const bool known = std::any_of(study.requests.begin(), study.requests.end(),
                                       [&](const DataSet& other) { return same_items(other, request); });
        if (!known && study.requests.size() < k_most_requests) {
          study.requests.push_back(request);
        }
      }
    }
  }
  for (const auto& [uid, other] : study.series) {
    const auto same = other.instances.find(object.sop_instance_uid);
    if (same == other.instances.end()) {
      continue;
    }
    if (uid != object.series_instance_uid || same->second.sop_class_uid != object.sop_class_uid) {
      throw Error(
          kuva::kind("kos.instance-differs"),
          "another object of the study has the same SOP Instance UID in another series or of another SOP class");
    }
    return false;
  }
  Series& series = study.series[object.series_instance_uid];
  if (series.instances.empty()) {
    series.number = object.series_number;
    series.modality = object.modality;
    series.retrieval = retrieval;
  }
  series.instances.emplace(object.sop_instance_uid, Instance{object.sop_class_uid, object.instance_number});
  return true;
}

void Collection::set_attributes(const std::string& study_instance_uid, DataSet attributes) {
  const auto found = m_studies.find(study_instance_uid);
  if (found == m_studies.end()) {
    return;
  }
  Study& study = found->second;
  if (const auto* requests = attributes.items(tags::request_attributes_sequence)) {
    study.requests = *requests;
  }
  attributes.erase(tags::request_attributes_sequence);
  study.attributes = std::move(attributes);
  study.has_attributes = true;
}

std::vector<std::string> Collection::study_instance_uids() const { return m_order; }

std::size_t Collection::instances(const std::string& study_instance_uid) const {
  std::size_t count = 0;
  for (const auto& [uid, series] : study(study_instance_uid).series) {
    count += series.instances.size();
  }
  return count;
}

std::size_t Collection::series(const std::string& study_instance_uid) const {
  return study(study_instance_uid).series.size();
}

const Collection::Study& Collection::study(const std::string& study_instance_uid) const {
  const auto found = m_studies.find(study_instance_uid);
  if (found == m_studies.end()) {
    throw Error(kuva::kind("kos.empty"), "there is no object of that study to refer to");
  }
  return found->second;
}

Document Collection::begin(const std::string& study_instance_uid, const Code& title,
                           const BuildSettings& settings) const {
  const Study& source = study(study_instance_uid);
  if (!source.has_attributes) {
    throw Error(kuva::kind("kos.no-attributes"), "no object of the study is at hand to copy its attributes from");
  }
  Document document;
  document.sop_instance_uid = dicom::make_uid();
  document.series_instance_uid = dicom::make_uid();
  document.study_instance_uid = study_instance_uid;
  document.title = title;
  document.value_type = "CONTAINER";
  document.template_identifier = "2010";

  DataSet& attributes = document.attributes;
  attributes = source.attributes;
  for (const Tag tag : k_type_2) {
    if (!attributes.has(tag)) {
      attributes.set_empty(tag);
    }
  }
  const auto offset = offset_of(attributes.string(tags::timezone_offset_from_utc)).value_or(settings.utc_offset);
  const std::time_t local = std::chrono::system_clock::to_time_t(settings.now + offset);
  attributes.set_string(tags::content_date, fmt::format("{:%Y%m%d}", fmt::gmtime(local)));
  attributes.set_string(tags::content_time, fmt::format("{:%H%M%S}", fmt::gmtime(local)));
  attributes.set_string(tags::modality, "KO");
  attributes.set_string(tags::series_number, std::to_string(settings.series_number));
  attributes.set_string(tags::instance_number, "1");
  attributes.set_empty_sequence(tags::referenced_performed_procedure_step_sequence);
  attributes.set_string(tags::manufacturer, "kuva");
  attributes.set_string(tags::manufacturer_model_name, "kuva");
  attributes.set_string(tags::software_versions, version());
  attributes.set_string(tags::continuity_of_content, "SEPARATE");

  for (const Code& modifier : settings.modifiers) {
    ContentItem item;
    item.relationship_type = "HAS CONCEPT MOD";
    item.value_type = "CODE";
    item.name = {"113011", "DCM", "Document Title Modifier", {}};
    item.code = modifier;
    document.content.push_back(std::move(item));
  }
  if (!settings.description.empty()) {
    ContentItem item;
    item.relationship_type = "CONTAINS";
    item.value_type = "TEXT";
    item.name = {"113012", "DCM", "Key Object Description", {}};
    item.text = settings.description;
    document.content.push_back(std::move(item));
  }

  for (const auto* entry : in_order(source.series)) {
    const auto& [uid, series] = *entry;
    SeriesReference& evidence = document.evidence.emplace_back();
    evidence.study_instance_uid = study_instance_uid;
    evidence.series_instance_uid = uid;
    evidence.modality = series.modality;
    const auto own_or_given = [](const std::string& own, const std::string& given) {
      return given.empty() ? own : given;
    };
    evidence.retrieve_ae_title = own_or_given(series.retrieval.ae_title, settings.retrieval.ae_title);
    evidence.retrieve_location_uid = own_or_given(series.retrieval.location_uid, settings.retrieval.location_uid);
    evidence.retrieve_url =
        url_of_series(settings.retrieval.url.empty() ? series.retrieval : settings.retrieval, study_instance_uid, uid);
    for (const auto* instance : in_order(series.instances)) {
      const auto& [sop_instance_uid, facts] = *instance;
      evidence.instances.push_back({facts.sop_class_uid, sop_instance_uid, {}});
      document.references.push_back(
          {facts.sop_class_uid, sop_instance_uid, {}, {}, std::string(value_type_of(facts.sop_class_uid)), 0});
    }
  }
  return document;
}

Document Collection::manifest(const std::string& study_instance_uid, const BuildSettings& settings) const {
  Document document = begin(study_instance_uid, manifest_title(), settings);
  const Study& source = study(study_instance_uid);
  if (!source.requests.empty()) {
    for (const DataSet& request : source.requests) {
      document.attributes.add_item(tags::referenced_request_sequence) =
          request_item(request, source.attributes, study_instance_uid);
    }
  } else if (!source.attributes.string(tags::accession_number).empty()) {
    document.attributes.add_item(tags::referenced_request_sequence) =
        request_item({}, source.attributes, study_instance_uid);
  }
  return document;
}

Document Collection::rejection_note(const std::string& study_instance_uid, const Code& reason,
                                    const BuildSettings& settings) const {
  return begin(study_instance_uid, reason, settings);
}

}  // namespace kuva::kos
