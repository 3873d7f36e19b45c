#include <kuva/dicom/charset.hpp>
#include <kuva/dicom/dictionary.hpp>
#include <kuva/dicom/query_tags.hpp>
#include <kuva/sandbox/find_service.hpp>
#include <kuva/sandbox/identifier.hpp>
#include <kuva/sandbox/matching.hpp>
#include <kuva/sandbox/query_statuses.hpp>
#include <kuva/sandbox/rejection_rules.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::sandbox {

namespace {

namespace tags = dicom::tags;
using dicom::Tag;
using dimse::QueryLevel;

constexpr std::uint16_t k_pending_keys_unsupported = 0xFF01;

struct Key {
  Tag tag;
  dicom::Vr vr = dicom::Vr::none;
  std::string value;  // in UTF-8; empty: matches everything
};

// The keys of an identifier that are of its level or above.
class Keys {
 public:
  Keys(const dicom::DataSet& identifier, QueryLevel level) : m_level(level) {
    const dicom::CharacterSets character_sets(identifier.string(tags::specific_character_set));
    for (const auto& [tag, element] : identifier.elements()) {
      if (tag == tags::query_retrieve_level || tag == tags::specific_character_set || tag.is_group_length()) {
        continue;
      }
      const auto key_level = level_of(tag);
      const dicom::DictionaryEntry* const entry = dicom::find_entry(tag);
      if (!key_level || *key_level > level || entry == nullptr) {
        m_unsupported = true;
        continue;
      }
      Key key{tag, entry->vr, {}};
      if (dicom::uses_character_set(key.vr)) {
        key.value = character_sets.decode(element.value, key.vr).text;
      } else if (dicom::is_string(key.vr)) {
        key.value = identifier.string(tag);
      } else {
        m_unsupported = m_unsupported || !element.value.empty();  // numbers are returned, not matched
      }
      m_keys.push_back(std::move(key));
    }
  }

  QueryLevel level() const { return m_level; }
  bool unsupported() const { return m_unsupported; }
  const std::vector<Key>& all() const { return m_keys; }
  const Key* find(Tag tag) const {
    const auto key = std::find_if(m_keys.begin(), m_keys.end(), [tag](const Key& one) { return one.tag == tag; });
    return key == m_keys.end() ? nullptr : &*key;
  }
  bool asks_for(Tag tag) const { return find(tag) != nullptr; }

  // Of those whose value is in `attributes`, or of the level: all that have a value must match.
  bool match(const dicom::DataSet& attributes, QueryLevel of) const {
    return std::all_of(m_keys.begin(), m_keys.end(), [&](const Key& key) {
      const auto key_level = level_of(key.tag);
      const bool is_of_study = of == QueryLevel::study && key_level == QueryLevel::patient;
      if (key.value.empty() || (key_level != of && !is_of_study) || is_computed(key.tag)) {
        return true;
      }
      return matches(key.vr, key.value, attributes.string(key.tag));
    });
  }
  bool match_value(Tag tag, std::string_view value) const {
    const Key* const key = find(tag);
    return key == nullptr || matches(key->vr, key->value, value);
  }

 private:
  static bool is_computed(Tag tag) {
    return tag == tags::retrieve_ae_title || tag == tags::instance_availability || tag == tags::modalities_in_study ||
           tag == tags::sop_classes_in_study || tag == tags::number_of_patient_related_studies ||
           tag == tags::number_of_patient_related_series || tag == tags::number_of_patient_related_instances ||
           tag == tags::number_of_study_related_series || tag == tags::number_of_study_related_instances ||
           tag == tags::number_of_series_related_instances;
  }

  QueryLevel m_level;
  std::vector<Key> m_keys;
  bool m_unsupported = false;
};

std::string joined(const std::vector<std::string>& values) { return fmt::format("{}", fmt::join(values, "\\")); }

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// The values of a multi-valued computed key match when one does.
class Finder {
 public:
  Finder(Archive& archive, const Settings& settings, const KnownAe& known, dimse::Operation& operation,
         const UniqueKeys& unique, const Keys& keys)
      : m_archive(archive),
        m_settings(settings),
        m_view(view_of(known)),
        m_operation(operation),
        m_unique(unique),
        m_keys(keys) {}

  // False when it was cancelled.
  bool run() {
    switch (m_unique.level) {
      case QueryLevel::patient:
        return patients();
      case QueryLevel::study:
        return studies();
      case QueryLevel::series:
      case QueryLevel::image:
        break;
    }
    const auto study = m_archive.look([this](Index& index) { return index.find_study(m_unique.studies.front()); });
    if (!study || !is_of_patient(*study) || !m_keys.match(study->attributes, QueryLevel::study)) {
      return true;
    }
    return m_unique.level == QueryLevel::series ? series(*study) : instances(*study);
  }

 private:
  bool is_of_patient(const IndexedStudy& study) const {
    return m_unique.level == QueryLevel::study || m_unique.patient_id.empty() ||
           study.patient_id == m_unique.patient_id;
  }

  bool patients() {
    auto patient = m_archive.look([](Index& index) { return index.first_patient(); });
    while (patient) {
      if (m_operation.is_cancelled()) {
        return false;
      }
      dicom::DataSet found = patient->attributes;
      if (m_keys.match(found, QueryLevel::patient)) {
        const Totals totals = m_archive.look([&](Index& index) {
          return index.totals_of_patient(patient->patient_id, patient->issuer_of_patient_id, m_view);
        });
        if (totals.instances != 0) {
          put_number(found, tags::number_of_patient_related_studies, totals.studies);
          put_number(found, tags::number_of_patient_related_series, totals.series);
          put_number(found, tags::number_of_patient_related_instances, totals.instances);
          respond(found);
        }
      }
      patient = m_archive.look(
          [&](Index& index) { return index.next_patient(patient->patient_id, patient->issuer_of_patient_id); });
    }
    return true;
  }

  bool studies() {
    // By their UIDs where those are asked for, otherwise all of them one after the other.
    if (!m_unique.studies.empty()) {
      return std::all_of(m_unique.studies.begin(), m_unique.studies.end(), [this](const std::string& uid) {
        const auto study = m_archive.look([&uid](Index& index) { return index.find_study(uid); });
        return !m_operation.is_cancelled() && (!study || offer(*study));
      });
    }
    auto study = m_archive.look([](Index& index) { return index.next_study({}); });
    while (study) {
      if (m_operation.is_cancelled()) {
        return false;
      }
      offer(*study);
      study = m_archive.look([&](Index& index) { return index.next_study(study->study_instance_uid); });
    }
    return true;
  }

  bool offer(const IndexedStudy& study) {
    dicom::DataSet found = study.attributes;
    if (!m_keys.match(found, QueryLevel::study)) {
      return true;
    }
    const Totals totals = totals_of(study);
    if (totals.instances == 0 || !put_computed(found, study, totals)) {
      return true;
    }
    respond(found);
    return true;
  }

  Totals totals_of(const IndexedStudy& study) {
    return m_archive.look([&](Index& index) { return index.totals_of_study(study.study_instance_uid, m_view); });
  }

  // What is counted of a study. False when Modalities or SOP Classes in Study do not match.
  bool put_computed(dicom::DataSet& found, const IndexedStudy& study, const Totals& totals) {
    put_number(found, tags::number_of_study_related_series, totals.series);
    put_number(found, tags::number_of_study_related_instances, totals.instances);
    if (m_keys.asks_for(tags::modalities_in_study)) {
      found.set_string(tags::modalities_in_study, joined(m_archive.look([&](Index& index) {
                         return index.modalities_in_study(study.study_instance_uid, m_view);
                       })));
    }
    if (m_keys.asks_for(tags::sop_classes_in_study)) {
      found.set_string(tags::sop_classes_in_study, joined(m_archive.look([&](Index& index) {
                         return index.sop_classes_in_study(study.study_instance_uid, m_view);
                       })));
    }
    return m_keys.match_value(tags::modalities_in_study, found.string(tags::modalities_in_study)) &&
           m_keys.match_value(tags::sop_classes_in_study, found.string(tags::sop_classes_in_study));
  }

  // The attributes of the study for what is below it; nothing when it does not match.
  std::optional<dicom::DataSet> of_study(const IndexedStudy& study) {
    dicom::DataSet found = study.attributes;
    const Totals totals = totals_of(study);
    if (totals.instances == 0 || !put_computed(found, study, totals)) {
      return std::nullopt;
    }
    return found;
  }

  bool series(const IndexedStudy& study) {
    const auto above = of_study(study);
    std::string after;
    while (above) {
      const auto series =
          m_archive.look([&](Index& index) { return index.next_series(study.study_instance_uid, after); });
      if (!series) {
        break;
      }
      if (m_operation.is_cancelled()) {
        return false;
      }
      after = series->series_instance_uid;
      if (!m_keys.match(series->attributes, QueryLevel::series)) {
        continue;
      }
      const Totals totals = totals_of(study, after);
      if (totals.instances != 0) {
        dicom::DataSet found = merged(*above, series->attributes);
        put_number(found, tags::number_of_series_related_instances, totals.instances);
        respond(found);
      }
    }
    return true;
  }

  Totals totals_of(const IndexedStudy& study, const std::string& series_uid) {
    return m_archive.look(
        [&](Index& index) { return index.totals_of_series(study.study_instance_uid, series_uid, m_view); });
  }

  bool instances(const IndexedStudy& study) {
    const std::string& series_uid = m_unique.series.front();
    const auto above = of_study(study);
    const auto series = m_archive.look([&](Index& index) { return find_series(index, study, series_uid); });
    if (!above || !series || !m_keys.match(series->attributes, QueryLevel::series)) {
      return true;
    }
    dicom::DataSet base = merged(*above, series->attributes);
    put_number(base, tags::number_of_series_related_instances, totals_of(study, series_uid).instances);
    std::string after;
    for (;;) {
      const auto instance = m_archive.look(
          [&](Index& index) { return index.next_instance(study.study_instance_uid, series_uid, after, m_view); });
      if (!instance) {
        return true;
      }
      if (m_operation.is_cancelled()) {
        return false;
      }
      after = instance->object.sop_instance_uid;
      if (m_keys.match(instance->attributes, QueryLevel::image)) {
        respond(merged(base, instance->attributes));
      }
    }
  }

  static std::optional<IndexedSeries> find_series(Index& index, const IndexedStudy& study, const std::string& uid) {
    for (auto series = index.next_series(study.study_instance_uid, {}); series;
         series = index.next_series(study.study_instance_uid, series->series_instance_uid)) {
      if (series->series_instance_uid == uid) {
        return series;
      }
    }
    return std::nullopt;
  }

  static dicom::DataSet merged(dicom::DataSet base, const dicom::DataSet& more) {
    for (const auto& [tag, element] : more.elements()) {
      base.set_bytes(tag, element.vr, element.value);
    }
    return base;
  }

  void put_number(dicom::DataSet& found, Tag tag, std::uint64_t number) const {
    if (m_keys.asks_for(tag)) {
      found.set_string(tag, std::to_string(number));
    }
  }

  void respond(const dicom::DataSet& found) {
    dicom::DataSet match;
    match.set_string(tags::query_retrieve_level, dimse::to_string(m_keys.level()));
    match.set_string(tags::retrieve_ae_title, m_settings.ae_title);
    bool ascii = true;
    for (const Key& key : m_keys.all()) {
      if (key.tag == tags::retrieve_ae_title) {
        continue;
      }
      if (key.tag == tags::instance_availability) {
        match.set_string(key.tag, "ONLINE");
      } else if (const dicom::DataSet::Element* const element = found.find(key.tag)) {
        ascii = ascii && (!dicom::uses_character_set(key.vr) || is_ascii(element->value));
        match.set_bytes(key.tag, element->vr, element->value);
      } else {
        match.set_empty(key.tag);
      }
    }
    if (!ascii) {
      match.set_string(tags::specific_character_set, "ISO_IR 192");
    }
    m_operation.respond(
        dimse::make_response(m_operation.request(), m_keys.unsupported() ? k_pending_keys_unsupported : k_pending),
        match);
  }

  Archive& m_archive;
  const Settings& m_settings;
  RejectionView m_view;
  dimse::Operation& m_operation;
  const UniqueKeys& m_unique;
  const Keys& m_keys;
};

}  // namespace

void serve_find(Archive& archive, const Settings& settings, const KnownAe& known, dimse::Operation& operation,
                dimse::QueryRoot root, const dicom::DataSet& identifier) {
  if (!known.may_query) {
    operation.respond(dimse::make_response(operation.request(), k_not_authorised));
    return;
  }
  const auto read = read_identifier(identifier, root, IdentifierUse::query);
  if (const auto* const defect = std::get_if<IdentifierDefect>(&read)) {
    dimse::Command response = dimse::make_response(operation.request(), k_identifier_does_not_match);
    response.error_comment = defect->comment;
    response.offending_elements = {defect->element};
    operation.respond(response);
    return;
  }
  const UniqueKeys& unique = std::get<UniqueKeys>(read);
  const Keys keys(identifier, unique.level);
  const bool is_whole = Finder(archive, settings, known, operation, unique, keys).run();
  operation.respond(dimse::make_response(operation.request(), is_whole ? std::uint16_t{0} : k_cancelled));
}

}  // namespace kuva::sandbox
