#include <kuva/dicom/dictionary.hpp>
#include <kuva/dicom/part10.hpp>
#include <kuva/dicom/query_tags.hpp>
#include <kuva/sandbox/query_attributes.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace kuva::sandbox {

namespace {

using dicom::Tag;
using dimse::QueryLevel;

// Longer values are not indexed: no element below may be longer.
constexpr std::size_t k_longest_value = 1024;

struct StoredAttribute {
  Tag tag;
  QueryLevel level;
};

// In ascending order.
constexpr auto k_stored = std::to_array<StoredAttribute>({
    {{0x0008, 0x0008}, QueryLevel::image},    // Image Type
    {{0x0008, 0x0016}, QueryLevel::image},    // SOP Class UID
    {{0x0008, 0x0018}, QueryLevel::image},    // SOP Instance UID
    {{0x0008, 0x0020}, QueryLevel::study},    // Study Date
    {{0x0008, 0x0021}, QueryLevel::series},   // Series Date
    {{0x0008, 0x0022}, QueryLevel::image},    // Acquisition Date
    {{0x0008, 0x0023}, QueryLevel::image},    // Content Date
    {{0x0008, 0x002A}, QueryLevel::image},    // Acquisition DateTime
    {{0x0008, 0x0030}, QueryLevel::study},    // Study Time
    {{0x0008, 0x0031}, QueryLevel::series},   // Series Time
    {{0x0008, 0x0032}, QueryLevel::image},    // Acquisition Time
    {{0x0008, 0x0033}, QueryLevel::image},    // Content Time
    {{0x0008, 0x0050}, QueryLevel::study},    // Accession Number
    {{0x0008, 0x0060}, QueryLevel::series},   // Modality
    {{0x0008, 0x0070}, QueryLevel::series},   // Manufacturer
    {{0x0008, 0x0080}, QueryLevel::series},   // Institution Name
    {{0x0008, 0x0090}, QueryLevel::study},    // Referring Physician's Name
    {{0x0008, 0x1010}, QueryLevel::series},   // Station Name
    {{0x0008, 0x1030}, QueryLevel::study},    // Study Description
    {{0x0008, 0x103E}, QueryLevel::series},   // Series Description
    {{0x0008, 0x1040}, QueryLevel::series},   // Institutional Department Name
    {{0x0008, 0x1050}, QueryLevel::series},   // Performing Physician's Name
    {{0x0008, 0x1060}, QueryLevel::study},    // Name of Physician(s) Reading Study
    {{0x0008, 0x1070}, QueryLevel::series},   // Operators' Name
    {{0x0008, 0x1080}, QueryLevel::study},    // Admitting Diagnoses Description
    {{0x0008, 0x1090}, QueryLevel::series},   // Manufacturer's Model Name
    {{0x0010, 0x0010}, QueryLevel::patient},  // Patient's Name
    {{0x0010, 0x0020}, QueryLevel::patient},  // Patient ID
    {{0x0010, 0x0021}, QueryLevel::patient},  // Issuer of Patient ID
    {{0x0010, 0x0030}, QueryLevel::patient},  // Patient's Birth Date
    {{0x0010, 0x0032}, QueryLevel::patient},  // Patient's Birth Time
    {{0x0010, 0x0040}, QueryLevel::patient},  // Patient's Sex
    {{0x0010, 0x1010}, QueryLevel::study},    // Patient's Age
    {{0x0010, 0x1020}, QueryLevel::study},    // Patient's Size
    {{0x0010, 0x1030}, QueryLevel::study},    // Patient's Weight
    {{0x0018, 0x0015}, QueryLevel::series},   // Body Part Examined
    {{0x0018, 0x1030}, QueryLevel::series},   // Protocol Name
    {{0x0020, 0x000D}, QueryLevel::study},    // Study Instance UID
    {{0x0020, 0x000E}, QueryLevel::series},   // Series Instance UID
    {{0x0020, 0x0010}, QueryLevel::study},    // Study ID
    {{0x0020, 0x0011}, QueryLevel::series},   // Series Number
    {{0x0020, 0x0012}, QueryLevel::image},    // Acquisition Number
    {{0x0020, 0x0013}, QueryLevel::image},    // Instance Number
    {{0x0020, 0x0060}, QueryLevel::series},   // Laterality
    {{0x0028, 0x0002}, QueryLevel::image},    // Samples per Pixel
    {{0x0028, 0x0008}, QueryLevel::image},    // Number of Frames
    {{0x0028, 0x0010}, QueryLevel::image},    // Rows
    {{0x0028, 0x0011}, QueryLevel::image},    // Columns
    {{0x0028, 0x0100}, QueryLevel::image},    // Bits Allocated
    {{0x0040, 0x0244}, QueryLevel::series},   // Performed Procedure Step Start Date
    {{0x0040, 0x0245}, QueryLevel::series},   // Performed Procedure Step Start Time
    {{0x0040, 0xA491}, QueryLevel::image},    // Completion Flag
    {{0x0040, 0xA493}, QueryLevel::image},    // Verification Flag
});

constexpr auto k_computed = std::to_array<StoredAttribute>({
    {dicom::tags::retrieve_ae_title, QueryLevel::patient},
    {dicom::tags::instance_availability, QueryLevel::patient},
    {dicom::tags::modalities_in_study, QueryLevel::study},
    {dicom::tags::sop_classes_in_study, QueryLevel::study},
    {dicom::tags::number_of_patient_related_studies, QueryLevel::patient},
    {dicom::tags::number_of_patient_related_series, QueryLevel::patient},
    {dicom::tags::number_of_patient_related_instances, QueryLevel::patient},
    {dicom::tags::number_of_study_related_series, QueryLevel::study},
    {dicom::tags::number_of_study_related_instances, QueryLevel::study},
    {dicom::tags::number_of_series_related_instances, QueryLevel::series},
});

constexpr std::uint16_t k_last_group = k_stored.back().tag.group;

const StoredAttribute* find_stored(Tag tag) {
  const auto key =
      std::lower_bound(k_stored.begin(), k_stored.end(), tag,
                       [](const StoredAttribute& candidate, Tag wanted) { return candidate.tag < wanted; });
  return key != k_stored.end() && key->tag == tag ? &*key : nullptr;
}

std::string_view unpadded(std::string_view value) {
  const auto end = value.find_last_not_of(std::string_view("\0 ", 2));
  return value.substr(0, end == std::string_view::npos ? 0 : end + 1);
}

std::string swapped(std::string_view value) {
  std::string result(value.substr(0, value.size() / 2 * 2));
  for (std::size_t i = 0; i < result.size(); i += 2) {
    std::swap(result[i], result[i + 1]);
  }
  return result;
}

}  // namespace

std::optional<QueryLevel> level_of(Tag key) {
  if (const StoredAttribute* const stored = find_stored(key)) {
    return stored->level;
  }
  for (const StoredAttribute& computed : k_computed) {
    if (computed.tag == key) {
      return computed.level;
    }
  }
  return std::nullopt;
}

void AttributeCollector::take(dicom::DataSetReader& reader) {
  if (reader.depth() != 0) {
    return;
  }
  const dicom::DataSetReader::Header& header = reader.header();
  if (header.length == 0 || header.length > k_longest_value) {
    return;
  }
  if (header.tag == dicom::tags::specific_character_set) {
    m_character_sets = dicom::CharacterSets(unpadded(reader.value(k_longest_value)));
    return;
  }
  const StoredAttribute* const key = find_stored(header.tag);
  const dicom::DictionaryEntry* const entry = key == nullptr ? nullptr : dicom::find_entry(header.tag);
  if (entry == nullptr) {
    return;
  }
  const std::string_view raw = reader.value(k_longest_value);
  std::string value;
  if (!dicom::is_string(entry->vr)) {
    value = reader.big_endian() ? swapped(raw) : std::string(raw);  // all of them are US
  } else if (dicom::uses_character_set(entry->vr)) {
    value = unpadded(m_character_sets.decode(raw, entry->vr).text);
  } else {
    value = unpadded(raw);
  }
  dicom::DataSet& target = key->level == QueryLevel::image    ? m_attributes.instance
                           : key->level == QueryLevel::series ? m_attributes.series
                                                              : m_attributes.study;
  target.set_bytes(header.tag, entry->vr, std::move(value));
}

QueryAttributes read_query_attributes(const std::filesystem::path& path) {
  dicom::Part10File file = dicom::open_part10(path);
  const dicom::TransferSyntax syntax = file.syntax;
  const auto source = dicom::data_set_source(file);
  dicom::DataSetReader reader(*source, syntax);
  AttributeCollector collector;
  for (auto event = reader.next(); event != dicom::DataSetReader::Event::end; event = reader.next()) {
    if (reader.depth() == 0 && reader.header().tag.group > k_last_group) {
      break;
    }
    if (event == dicom::DataSetReader::Event::element) {
      collector.take(reader);
    }
  }
  return collector.attributes();
}

}  // namespace kuva::sandbox
