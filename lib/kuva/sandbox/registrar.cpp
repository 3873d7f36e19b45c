#include <kuva/core/error.hpp>
#include <kuva/dicom/query_tags.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/kos/build.hpp>
#include <kuva/kos/read.hpp>
#include <kuva/kos/write.hpp>
#include <kuva/sandbox/patient_tags.hpp>
#include <kuva/sandbox/registrar.hpp>
#include <kuva/sandbox/rejection.hpp>
#include <kuva/xds/data_types.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

namespace kuva::sandbox {

namespace {

namespace tags = dicom::tags;
using dicom::Tag;

constexpr Tag k_study_date{0x0008, 0x0020};
constexpr Tag k_study_time{0x0008, 0x0030};
constexpr Tag k_accession_number{0x0008, 0x0050};
constexpr Tag k_modality{0x0008, 0x0060};
constexpr Tag k_institution_name{0x0008, 0x0080};
constexpr Tag k_timezone_offset{0x0008, 0x0201};
constexpr Tag k_study_description{0x0008, 0x1030};
constexpr Tag k_body_part{0x0018, 0x0015};
constexpr Tag k_series_number{0x0020, 0x0011};
constexpr Tag k_instance_number{0x0020, 0x0013};
constexpr std::size_t k_coded_study_length = 5;

std::optional<long> number(const dicom::DataSet& attributes, Tag tag) {
  const std::string text = attributes.string(tag);
  long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
  if (text.size() < at + count) {
    return std::nullopt;
  }
  int value = 0;
  for (const char c : text.substr(at, count)) {
    if (c < '0' || c > '9') {
      return std::nullopt;
    }
    value = value * 10 + (c - '0');
  }
  return value;
}

// "+0200"
std::optional<std::chrono::minutes> parse_offset(std::string_view text) {
  const auto hours = digits(text, 1, 2);
  const auto minutes = digits(text, 3, 2);
  if (text.size() != 5 || (text.front() != '+' && text.front() != '-') || !hours || !minutes) {
    return std::nullopt;
  }
  const std::chrono::minutes offset(*hours * 60 + *minutes);
  return text.front() == '-' ? -offset : offset;
}

// HL7 v2's separators in a value of sourcePatientInfo.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '|':
        result += "\\F\\";
        break;
      case '&':
        result += "\\T\\";
        break;
      case '~':
        result += "\\R\\";
        break;
      case '\\':
        result += "\\E\\";
        break;
      default:
        result += c;
    }
  }
  return result;
}

// PN's family^given^middle^prefix^suffix as XPN's family^given^middle^suffix^prefix; the alphabetic group.
std::string to_xpn(std::string_view name) {
  std::vector<std::string> parts = xds::split_components(std::string(name.substr(0, name.find('='))));
  parts.resize(5);
  std::swap(parts[3], parts[4]);
  while (!parts.empty() && parts.back().empty()) {
    parts.pop_back();
  }
  for (std::string& part : parts) {
    part = escaped(part);
  }
  return fmt::format("{}", fmt::join(parts, "^"));
}

bool is_oid(std::string_view text) { return !text.empty() && !dicom::uid_defect(text); }

std::string now_dtm() {
  return xds::format_dtm(std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()));
}

}  // namespace

// What can be seen of a study.
struct Registrar::Survey {
  std::optional<IndexedStudy> study;
  kos::Collection collection;
  std::set<std::string> instances;
  std::vector<std::string> modalities;
  std::vector<std::string> body_parts;
  std::string institution;
  std::string timezone_offset;

  // As they stand in the manifest.
  std::string document_unique_id;
  DocumentStore::Stored stored;
};

std::string_view to_string(Registrar::Outcome outcome) {
  switch (outcome) {
    case Registrar::Outcome::registered:
      return "registered";
    case Registrar::Outcome::replaced:
      return "replaced";
    case Registrar::Outcome::withdrawn:
      return "withdrawn";
    case Registrar::Outcome::unchanged:
      return "unchanged";
    case Registrar::Outcome::not_registered:
      break;
  }
  return "not-registered";
}

Registrar::Registrar(const XdsSettings& settings, Archive& archive, Registry& registry, DocumentStore& documents,
                     std::string retrieve_ae_title)
    : m_settings(settings),
      m_archive(archive),
      m_registry(registry),
      m_documents(documents),
      m_retrieve_ae_title(std::move(retrieve_ae_title)),
      m_time_zone(TimeZone::load(settings.time_zone)) {}

Registrar::Survey Registrar::survey(const std::string& study_uid) {
  Survey survey;
  survey.study = m_archive.look([&](Index& index) { return index.find_study(study_uid); });
  if (!survey.study) {
    return survey;
  }
  survey.modalities = m_archive.look([&](Index& index) { return index.modalities_in_study(study_uid, 0); });
  const auto add_once = [](std::vector<std::string>& to, const std::string& value) {
    if (!value.empty() && std::find(to.begin(), to.end(), value) == to.end()) {
      to.push_back(value);
    }
  };
  for (std::string after;;) {
    const auto series = m_archive.look([&](Index& index) { return index.next_series(study_uid, after); });
    if (!series) {
      break;
    }
    after = series->series_instance_uid;
    for (std::string last;;) {
      const auto instance =
          m_archive.look([&](Index& index) { return index.next_instance(study_uid, after, last, 0); });
      if (!instance) {
        break;
      }
      last = instance->object.sop_instance_uid;
      if (is_rejection_note(*instance)) {
        continue;
      }
      kos::SourceObject object;
      if (survey.instances.empty()) {
        object = kos::read_source_object(m_archive.path_of(instance->object));
        if (const auto identity = m_archive.identity_of(instance->object)) {
          coerce(object.attributes, *identity);
        }
        survey.timezone_offset = object.attributes.string(k_timezone_offset);
      } else {
        object.study_instance_uid = study_uid;
        object.series_instance_uid = after;
        object.sop_class_uid = instance->object.sop_class_uid;
        object.sop_instance_uid = last;
        object.modality = series->attributes.string(k_modality);
        object.series_number = number(series->attributes, k_series_number);
        object.instance_number = number(instance->attributes, k_instance_number);
        object.from_file = false;
      }
      survey.collection.add(object);
      survey.instances.insert(last);
      add_once(survey.body_parts, series->attributes.string(k_body_part));
      if (survey.institution.empty()) {
        survey.institution = series->attributes.string(k_institution_name);
      }
    }
  }
  return survey;
}

// A rejection note lies in the study that it rejects from, and is no image of it.
bool Registrar::is_rejection_note(const IndexedInstance& instance) const {
  return instance.object.sop_class_uid == k_key_object_selection &&
         read_rejection_note(m_archive.path_of(instance.object)).has_value();
}

bool Registrar::lists(const xds::DocumentEntry& manifest, const Survey& survey) const {
  const auto path = m_documents.find(manifest.unique_id);
  if (!path) {
    return false;
  }
  std::set<std::string> listed;
  for (const kos::Reference& reference : kos::references(kos::read(*path))) {
    listed.insert(reference.sop_instance_uid);
  }
  return listed == survey.instances;
}

xds::DocumentEntry Registrar::make_entry(const Survey& survey) const {
  const dicom::DataSet& study = survey.study->attributes;
  const std::string patient = patient_of(*survey.study);

  xds::DocumentEntry entry;
  entry.id = make_entry_uuid();
  entry.lid = entry.id;
  entry.home = m_settings.home_community;
  entry.status = xds::entry_status::approved;
  entry.title = study.string(k_study_description);
  entry.mime_type = "application/dicom";
  entry.unique_id = survey.document_unique_id;
  entry.patient_id = patient;
  entry.repository_unique_id = m_settings.repository;
  entry.creation_time = now_dtm();
  entry.service_start_time =
      to_utc_dtm(study.string(k_study_date), study.string(k_study_time), survey.timezone_offset, m_time_zone);
  entry.language_code = m_settings.language;
  entry.source_patient_id = patient;
  entry.source_patient_info = patient_info_of(*survey.study);
  entry.size = survey.stored.size;
  entry.hash = survey.stored.sha1;
  if (const std::string accession = study.string(k_accession_number); !accession.empty()) {
    entry.reference_ids.push_back(xds::Cx{accession, m_settings.accession_authority, "",
                                          m_settings.accession_authority.empty() ? "" : "ISO",
                                          std::string(xds::reference_type::accession)}
                                      .to_string());
  }
  entry.reference_ids.push_back(
      xds::Cx{survey.study->study_instance_uid, "", "", "", std::string(xds::reference_type::study_instance_uid)}
          .to_string());
  if (!survey.institution.empty()) {
    xds::Author author;
    author.institutions.push_back(xds::Xon{survey.institution, "", ""}.to_string());
    entry.authors.push_back(std::move(author));
  }
  entry.class_code = m_settings.class_code;
  entry.type_code = m_settings.type_code;
  entry.format_code = xds::Code{std::string(xds::k_manifest_format), std::string(xds::k_manifest_format_scheme),
                                "Key Object Selection Document"};
  entry.healthcare_facility_type_code = m_settings.facility;
  entry.practice_setting_code = m_settings.practice_setting;
  entry.confidentiality_codes.push_back(m_settings.confidentiality);
  for (const std::string& modality : survey.modalities) {
    const auto& registered = m_settings.modalities;
    if (std::find(registered.begin(), registered.end(), modality) != registered.end()) {
      entry.event_codes.push_back({modality, m_settings.modality_scheme, modality});
    }
  }
  for (const std::string& body_part : survey.body_parts) {
    entry.event_codes.push_back({body_part, m_settings.body_part_scheme, body_part});
  }
  const std::string description = study.string(k_study_description);
  const std::string study_code = description.substr(0, k_coded_study_length);
  const bool is_code = study_code.size() == k_coded_study_length &&
                       std::all_of(study_code.begin(), study_code.end(),
                                   [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); });
  if (is_code && !m_settings.study_code_scheme.empty()) {
    entry.event_codes.push_back({study_code, m_settings.study_code_scheme, description});
  }
  return entry;
}

std::string Registrar::patient_of(const IndexedStudy& study) const {
  return xds::make_cx(study.patient_id, authority_of(m_settings, study.issuer_of_patient_id));
}

std::vector<std::string> Registrar::patient_info_of(const IndexedStudy& study) const {
  std::vector<std::string> info{"PID-3|" + patient_of(study)};
  const std::pair<std::string_view, std::string> fields[] = {
      {"PID-5|", to_xpn(study.attributes.string(k_patient_name))},
      {"PID-7|", escaped(study.attributes.string(k_birth_date))},
      {"PID-8|", escaped(study.attributes.string(k_sex))}};
  for (const auto& [field, value] : fields) {
    if (!value.empty()) {
      info.push_back(std::string(field) + value);
    }
  }
  return info;
}

void Registrar::withdraw(const xds::DocumentEntry& manifest) {
  xds::RegistryObjects submission = make_submission(m_settings, manifest, std::nullopt);
  submission.documents.clear();
  xds::Association& update = submission.associations.front();
  update.type = k_availability_update;
  update.submission_set_status.clear();
  update.other_slots = {{"OriginalStatus", {std::string(xds::entry_status::approved)}, ""},
                        {"NewStatus", {std::string(xds::entry_status::deprecated)}, ""}};
  m_registry.submit(submission);
}

Registrar::Result Registrar::update(const std::string& study_uid, bool only_known) {
  const std::lock_guard lock(m_mutex);
  const auto [current, is_known] = m_registry.look(
      [&](RegistryIndex& index) { return std::pair(index.manifest_of(study_uid), index.knows_study(study_uid)); });
  if (only_known && !is_known) {
    return {};
  }
  Survey survey = this->survey(study_uid);
  if (survey.instances.empty()) {
    if (!current) {
      return {};
    }
    withdraw(*current);
    return {Outcome::withdrawn, current->unique_id, 0};
  }
  const bool is_of_registered_modality =
      std::any_of(survey.modalities.begin(), survey.modalities.end(), [this](const std::string& modality) {
        return std::find(m_settings.modalities.begin(), m_settings.modalities.end(), modality) !=
               m_settings.modalities.end();
      });
  if (!is_of_registered_modality && !is_known) {
    return {};
  }
  if (current && lists(*current, survey) && current->source_patient_info == patient_info_of(*survey.study)) {
    return {Outcome::unchanged, current->unique_id, survey.instances.size()};
  }
  kos::BuildSettings build;
  build.retrieval = {m_retrieve_ae_title, m_settings.imaging_source, m_base_url};
  const auto now = std::chrono::floor<std::chrono::seconds>(build.now);
  build.utc_offset = std::chrono::duration_cast<std::chrono::minutes>(m_time_zone.offset(now));
  const kos::Document manifest = survey.collection.manifest(study_uid, build);
  survey.document_unique_id = manifest.sop_instance_uid;
  survey.stored = m_documents.put(survey.document_unique_id, kos::encode(manifest));
  m_registry.submit(make_submission(m_settings, make_entry(survey), current));
  return {current ? Outcome::replaced : Outcome::registered, survey.document_unique_id, survey.instances.size()};
}

std::string authority_of(const XdsSettings& settings, const std::string& issuer) {
  if (const auto known = settings.issuers.find(issuer); known != settings.issuers.end()) {
    return known->second;
  }
  return is_oid(issuer) ? issuer : settings.patient_authority;
}

xds::RegistryObjects make_submission(const XdsSettings& settings, const xds::DocumentEntry& document,
                                     const std::optional<xds::DocumentEntry>& replaced) {
  xds::RegistryObjects submission;
  submission.documents.push_back(document);

  xds::SubmissionSet set;
  set.id = make_entry_uuid();
  set.lid = set.id;
  set.home = settings.home_community;
  set.status = xds::entry_status::approved;
  set.unique_id = dicom::make_uid();
  set.source_id = settings.source_id;
  set.patient_id = document.patient_id;
  set.submission_time = now_dtm();
  set.authors = document.authors;
  set.content_type_code = document.type_code;

  const auto associate = [&](std::string_view type, const std::string& source, const std::string& target) {
    xds::Association association;
    association.id = make_entry_uuid();
    association.lid = association.id;
    association.home = settings.home_community;
    association.status = xds::entry_status::approved;
    association.type = type;
    association.source = source;
    association.target = target;
    return association;
  };
  xds::Association member = associate(xds::association_type::has_member, set.id, document.id);
  member.submission_set_status = "Original";
  submission.associations.push_back(std::move(member));
  if (replaced) {
    submission.associations.push_back(associate(xds::association_type::replaces, document.id, replaced->id));
  }
  submission.submission_sets.push_back(std::move(set));
  return submission;
}

std::string to_utc_dtm(std::string_view date, std::string_view time, std::string_view offset, const TimeZone& zone) {
  const auto year = digits(date, 0, 4);
  const auto month = digits(date, 4, 2);
  const auto day = digits(date, 6, 2);
  if (!year || !month || !day) {
    return {};
  }
  const std::chrono::year_month_day ymd{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                        std::chrono::day(static_cast<unsigned>(*day))};
  if (!ymd.ok()) {
    return {};
  }
  const auto hour = digits(time, 0, 2);
  if (!hour || *hour > 23) {
    return std::string(date.substr(0, 8));
  }
  const std::chrono::local_seconds local = std::chrono::local_days(ymd) + std::chrono::hours(*hour) +
                                           std::chrono::minutes(std::min(digits(time, 2, 2).value_or(0), 59)) +
                                           std::chrono::seconds(std::min(digits(time, 4, 2).value_or(0), 59));
  if (const auto ahead = parse_offset(offset)) {
    return xds::format_dtm(std::chrono::sys_seconds(local.time_since_epoch() - *ahead));
  }
  return xds::format_dtm(zone.to_utc(local));
}

}  // namespace kuva::sandbox
