#include <kuva/core/digest.hpp>
#include <kuva/core/error.hpp>
#include <kuva/dicom/charset.hpp>
#include <kuva/dicom/inspection.hpp>
#include <kuva/dicom/reading_error.hpp>
#include <kuva/dicom/uid.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <charconv>
#include <cstring>
#include <optional>

namespace kuva::dicom {

namespace {

using Event = DataSetReader::Event;

// Values that are kept are short; more than this of one is not looked at.
constexpr std::size_t k_longest_attribute = 1024;
constexpr std::size_t k_longest_uid_value = 64 * 1024;
constexpr Tag k_last_identifier = tags::instance_number;
constexpr Tag k_pixel_data_provider_url{0x0028, 0x7FE0};

std::string_view trimmed(std::string_view value) {
  while (!value.empty() && (value.back() == ' ' || value.back() == '\0')) {
    value.remove_suffix(1);
  }
  while (!value.empty() && value.front() == ' ') {
    value.remove_prefix(1);
  }
  return value;
}

// Neither a byte of another character set nor an escape: the same text in every repertoire but ISO IR 13's, which has
// other characters at two codes of ASCII.
bool is_plain_ascii(std::string_view bytes) {
  constexpr std::uint64_t k_high = 0x8080808080808080U;
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, 8);
    if ((word & k_high) != 0) {
      return false;
    }
  }
  for (; i < bytes.size(); ++i) {
    if (static_cast<unsigned char>(bytes[i]) >= 0x80) {
      return false;
    }
  }
  return bytes.find('\x1B') == std::string_view::npos;
}

// The character sets in force, made only when a value needs them.
class Decoder {
 public:
  void set_terms(std::string_view terms) {
    m_terms = terms;
    m_sets.reset();
    m_is_japanese = terms.find("IR 13") != std::string_view::npos;
  }
  const std::string& terms() const { return m_terms; }

  const CharacterSets& sets() {
    if (!m_sets) {
      m_sets = m_terms.empty() ? CharacterSets() : CharacterSets(m_terms);
    }
    return *m_sets;
  }

  bool is_plain(std::string_view bytes) const { return !m_is_japanese && is_plain_ascii(bytes); }

  std::string text(std::string_view bytes, Vr vr) {
    bytes = trimmed(bytes);
    return is_plain(bytes) ? std::string(bytes) : std::string(trimmed(sets().decode(bytes, vr).text));
  }

 private:
  std::string m_terms;
  std::optional<CharacterSets> m_sets;
  bool m_is_japanese = false;
};

// A UID may be shown; what stands in its place in a damaged file may be anything.
std::string_view shown(std::string_view uid) { return uid_defect(uid) ? std::string_view("no UID") : uid; }

// Picks the attributes out of the events of a reader.
class AttributeCollector {
 public:
  explicit AttributeCollector(InstanceAttributes& attributes) : m_attributes(attributes) {}

  void element(DataSetReader& reader) {
    const DataSetReader::Header& header = reader.header();
    if (reader.depth() == 1) {
      if (m_in_issuer_qualifiers && header.tag == tags::universal_entity_id && m_qualified_issuer.empty()) {
        m_qualified_issuer = m_decoder.text(reader.value(k_longest_attribute), Vr::UT);
      }
      return;
    }
    if (reader.depth() != 0 || header.tag.group > k_last_identifier.group) {
      return;
    }
    if (header.tag == tags::specific_character_set) {
      m_attributes.specific_character_set = trimmed(reader.value(k_longest_attribute));
      m_decoder.set_terms(m_attributes.specific_character_set);
      return;
    }
    if (const Field* field = find(header.tag)) {
      std::string& target = m_attributes.*(field->member);
      const std::string_view value = reader.value(k_longest_attribute);
      if (!target.empty()) {
        return;
      }
      switch (field->kind) {
        case Kind::uid:
          target = trim_uid(value);
          break;
        case Kind::code:
          target = trimmed(value);
          break;
        case Kind::text:
          target = m_decoder.text(value, field->vr);
          break;
      }
    }
  }

  void sequence(DataSetReader& reader) {
    if (reader.depth() == 0) {
      m_in_issuer_qualifiers = reader.header().tag == tags::issuer_of_patient_id_qualifiers_sequence;
    }
  }

  void finish() {
    if (m_attributes.issuer_of_patient_id.empty()) {
      m_attributes.issuer_of_patient_id = m_qualified_issuer;
    }
  }

 private:
  enum class Kind { uid, code, text };
  struct Field {
    Tag tag;
    Kind kind;
    Vr vr;
    std::string InstanceAttributes::*member;
  };

  static const Field* find(Tag tag) {
    static constexpr auto k_fields = std::to_array<Field>({
        {tags::sop_class_uid, Kind::uid, Vr::UI, &InstanceAttributes::sop_class_uid},
        {tags::sop_instance_uid, Kind::uid, Vr::UI, &InstanceAttributes::sop_instance_uid},
        {tags::study_date, Kind::code, Vr::DA, &InstanceAttributes::study_date},
        {tags::accession_number, Kind::text, Vr::SH, &InstanceAttributes::accession_number},
        {tags::modality, Kind::code, Vr::CS, &InstanceAttributes::modality},
        {tags::study_description, Kind::text, Vr::LO, &InstanceAttributes::study_description},
        {tags::patient_name, Kind::text, Vr::PN, &InstanceAttributes::patient_name},
        {tags::patient_id, Kind::text, Vr::LO, &InstanceAttributes::patient_id},
        {tags::issuer_of_patient_id, Kind::text, Vr::LO, &InstanceAttributes::issuer_of_patient_id},
        {tags::patient_birth_date, Kind::code, Vr::DA, &InstanceAttributes::patient_birth_date},
        {tags::patient_sex, Kind::code, Vr::CS, &InstanceAttributes::patient_sex},
        {tags::study_instance_uid, Kind::uid, Vr::UI, &InstanceAttributes::study_instance_uid},
        {tags::series_instance_uid, Kind::uid, Vr::UI, &InstanceAttributes::series_instance_uid},
        {tags::instance_number, Kind::code, Vr::IS, &InstanceAttributes::instance_number},
    });
    static_assert(std::ranges::is_sorted(k_fields, {}, &Field::tag));
    const auto field = std::ranges::lower_bound(k_fields, tag, {}, &Field::tag);
    return field != k_fields.end() && field->tag == tag ? &*field : nullptr;
  }

  InstanceAttributes& m_attributes;
  Decoder m_decoder;
  bool m_in_issuer_qualifiers = false;
  std::string m_qualified_issuer;
};

// The identifiers without which an object cannot be stored, in the order of their tags.
struct Identifier {
  Tag tag;
  std::string_view name;
  const std::string* value;
};

std::array<Identifier, 4> identifiers(const InstanceAttributes& attributes) {
  return {{{tags::sop_class_uid, "SOP Class UID", &attributes.sop_class_uid},
           {tags::sop_instance_uid, "SOP Instance UID", &attributes.sop_instance_uid},
           {tags::study_instance_uid, "Study Instance UID", &attributes.study_instance_uid},
           {tags::series_instance_uid, "Series Instance UID", &attributes.series_instance_uid}}};
}

// Follows the fragments along the basic offset table: each entry is the place of a fragment, counted from the first one
// (PS3.5 A.4). Of a table larger than k_largest_peek only the start is looked at.
class OffsetTable {
 public:
  void start(DataSetReader& reader) {
    m_bytes = reader.value(ByteSource::k_largest_peek);
    m_bytes.resize(m_bytes.size() / 4 * 4);
    m_big_endian = reader.big_endian();
  }

  void take_fragment(std::uint64_t offset) {
    m_first = m_first.value_or(offset);
    if (m_next < m_bytes.size() && entry(m_next) == offset - *m_first) {
      m_next += 4;
    }
  }

  // An entry was met by no fragment.
  bool lies() const { return m_next < m_bytes.size(); }

 private:
  std::uint64_t entry(std::size_t at) const {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      value |= std::uint64_t{static_cast<unsigned char>(m_bytes[at + i])} << (8 * (m_big_endian ? 3 - i : i));
    }
    return value;
  }

  std::string m_bytes;
  std::size_t m_next = 0;
  bool m_big_endian = false;
  std::optional<std::uint64_t> m_first;
};

// Checks that need the whole data set, element by element.
class Inspector {
 public:
  Inspector(Inspection& inspection, TransferSyntax syntax)
      : m_inspection(inspection), m_syntax(std::move(syntax)), m_collector(inspection.header.attributes) {
    m_levels.emplace_back();
  }

  void run(ByteSource& source, InspectionObserver* observer) {
    DataSetReader reader(source, m_syntax);
    try {
      for (Event event = reader.next(); event != Event::end; event = reader.next()) {
        handle(reader, event);
        if (observer != nullptr) {
          observer->event(reader, event);
        }
      }
      m_inspection.complete = !reader.truncated() && !reader.broken();
    } catch (const Error& error) {
      if (error.kind().code != kind("file.truncated").code && error.kind().code != kind("file.malformed").code) {
        throw;
      }
      // Of the deflate stream; a failing disk is not a defect of the file.
      const bool cut = error.kind().code == kind("file.truncated").code;
      add(Defect::Severity::error, cut ? "structure.truncated" : "structure.deflate", error.message(), {},
          source.position());
    }
    m_collector.finish();
    const bool complete = !reader.truncated() && !reader.broken();
    m_found.insert(m_found.end(), reader.defects().begin(), reader.defects().end());
    std::ranges::stable_sort(m_found, {}, &Defect::offset);
    check_identifiers(complete);
    check_pixel_data(complete);
    m_inspection.defects.insert(m_inspection.defects.end(), std::make_move_iterator(m_found.begin()),
                                std::make_move_iterator(m_found.end()));
  }

 private:
  // What is known of the data set or item at one depth.
  struct Level {
    Decoder decoder;
    std::uint16_t private_group = 0;
    std::bitset<256> creators;
    std::bitset<256> reported;
  };

  struct PixelData {
    Tag tag;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    bool is_fragments = false;
    bool closed = false;
    std::uint64_t items = 0;
    std::uint64_t offset_table_length = 0;
  };

  void handle(DataSetReader& reader, Event event) {
    const DataSetReader::Header& header = reader.header();
    switch (event) {
      case Event::element:
        ++m_inspection.elements;
        check_tag(reader);
        m_collector.element(reader);
        take_pixel_attribute(reader);
        check_value(reader);
        m_has_pixel_url |= reader.depth() == 0 && header.tag == k_pixel_data_provider_url;
        if (reader.depth() == 0 && is_pixel_data(header.tag)) {
          m_pixel_data = {header.tag, header.offset, header.length, false, true, 0, 0};
        }
        break;
      case Event::sequence_begin:
        ++m_inspection.elements;
        check_tag(reader);
        m_collector.sequence(reader);
        m_own_fragments = reader.depth() == 0 && reader.is_fragments() && header.tag == tags::pixel_data;
        if (m_own_fragments) {
          m_pixel_data = {header.tag, header.offset, 0, true, false, 0, 0};
        }
        break;
      case Event::item_begin:
        if (!reader.is_fragments()) {
          // An item inherits the character sets of what is around it.
          Level level;
          level.decoder = m_levels.back().decoder;
          m_levels.push_back(std::move(level));
        } else if (m_own_fragments) {
          if (m_pixel_data->items++ == 0) {
            m_pixel_data->offset_table_length = header.length;
            m_offset_table.start(reader);
          } else {
            m_offset_table.take_fragment(header.offset);
          }
        }
        break;
      case Event::item_end:
        m_levels.pop_back();
        break;
      case Event::sequence_end:
        if (m_own_fragments && reader.is_fragments()) {
          m_pixel_data->closed = true;
        }
        break;
      case Event::end:
        break;
    }
  }

  static bool is_pixel_data(Tag tag) {
    return tag == tags::pixel_data || tag == tags::float_pixel_data || tag == tags::double_float_pixel_data;
  }

  void check_tag(const DataSetReader& reader) {
    const DataSetReader::Header& header = reader.header();
    if (header.tag.group == 0x0000 || header.tag.group == 0x0002) {
      add(reader.depth() == 0 ? Defect::Severity::error : Defect::Severity::warning, "structure.group-not-allowed",
          header.tag.group == 0 ? "a command element in the data set" : "a file meta element in the data set",
          reader.tag_path(), header.offset);
    }
    if (!header.tag.is_private()) {
      return;
    }
    Level& level = m_levels.back();
    if (level.private_group != header.tag.group) {
      level.private_group = header.tag.group;
      level.creators.reset();
      level.reported.reset();
    }
    if (header.tag.element >= 0x0010 && header.tag.element <= 0x00FF) {
      level.creators.set(header.tag.element);
    } else if (const std::size_t block = header.tag.element >> 8;
               block >= 0x10 && !level.creators.test(block) && !level.reported.test(block)) {
      level.reported.set(block);
      add(Defect::Severity::warning, "private.no-creator",
          fmt::format("private elements of {:04X},{:02X}xx have no private creator", header.tag.group, block),
          reader.tag_path(), header.offset);
    }
  }

  void check_value(DataSetReader& reader) {
    const DataSetReader::Header& header = reader.header();
    Level& level = m_levels.back();
    if (header.tag == tags::specific_character_set) {
      level.decoder.set_terms(trimmed(reader.value(k_longest_attribute)));
      const std::string& defect = level.decoder.sets().defect();
      if (!defect.empty()) {
        add(Defect::Severity::error, "charset.unknown", defect, reader.tag_path(), header.offset);
      }
    } else if (header.vr == Vr::UI) {
      check_uids(reader);
    } else if (uses_character_set(header.vr)) {
      check_text(reader, level);
    }
  }

  void check_uids(DataSetReader& reader) {
    std::string_view value = reader.value(k_longest_uid_value);
    if (value.empty()) {
      return;
    }
    const bool padded_with_space = value.back() == ' ';
    value = trim_uid(value);
    std::optional<std::string_view> defect;
    while (!value.empty() && !defect) {
      const std::size_t end = std::min(value.find('\\'), value.size());
      const std::string_view uid = value.substr(0, end);
      // An empty one among several is a matter of the value multiplicity.
      defect = uid.empty() ? std::nullopt : uid_defect(uid);
      value.remove_prefix(std::min(end + 1, value.size()));
    }
    if (defect) {
      add(Defect::Severity::error, "uid.syntax", fmt::format("the value is no UID: {}", *defect), reader.tag_path(),
          reader.header().offset);
    } else if (padded_with_space) {
      add(Defect::Severity::warning, "uid.padding", "the UID is padded with a space, not with a NUL", reader.tag_path(),
          reader.header().offset);
    }
  }

  void check_text(DataSetReader& reader, Level& level) {
    const std::string_view value = reader.value(ByteSource::k_largest_peek);
    if (level.decoder.is_plain(value)) {
      return;
    }
    const DataSetReader::Header& header = reader.header();
    if (level.decoder.terms().empty()) {
      // One cause, so one finding for the whole object.
      if (!m_charset_missing) {
        m_charset_missing = true;
        add(Defect::Severity::error, "charset.missing", "text outside of ASCII, and (0008,0005) names no character set",
            reader.tag_path(), header.offset);
      }
      return;
    }
    // A value that was cut at the limit may end within a character.
    const bool whole = value.size() == header.length;
    if (whole && !level.decoder.sets().decode(value, header.vr).clean && level.decoder.sets().defect().empty()) {
      add(Defect::Severity::error, "charset.undecodable",
          fmt::format("the value is no text in the character set {}", level.decoder.terms()), reader.tag_path(),
          header.offset);
    }
  }

  void take_pixel_attribute(DataSetReader& reader) {
    const DataSetReader::Header& header = reader.header();
    if (header.tag.group != 0x0028 || reader.depth() != 0) {
      return;
    }
    if (header.tag == tags::number_of_frames) {
      std::string_view text = trimmed(reader.value(k_longest_attribute));
      if (text.starts_with('+')) {
        text.remove_prefix(1);  // PS3.5 6.2, IS
      }
      std::uint64_t frames = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), frames);
      if (error == std::errc() && end == text.data() + text.size() && frames > 0) {
        m_frames = frames;
      }
    } else if (header.tag == tags::photometric_interpretation) {
      m_photometric_interpretation = trimmed(reader.value(k_longest_attribute));
    } else {
      for (auto& [tag, value] : m_numbers) {
        if (tag == header.tag && header.length == 2) {
          const std::string_view bytes = reader.value(2);
          if (bytes.size() == 2) {
            const auto first = static_cast<unsigned char>(bytes[0]);
            const auto second = static_cast<unsigned char>(bytes[1]);
            value = static_cast<std::uint16_t>(reader.big_endian() ? first << 8 | second : second << 8 | first);
          }
        }
      }
    }
  }

  std::optional<std::uint16_t> number(Tag tag) const {
    for (const auto& [known, value] : m_numbers) {
      if (known == tag) {
        return value;
      }
    }
    return std::nullopt;
  }

  void check_identifiers(bool complete) {
    const InstanceAttributes& attributes = m_inspection.header.attributes;
    const FileMeta& meta = m_inspection.header.meta;
    const auto all = identifiers(attributes);
    for (const Identifier& identifier : all) {
      if (identifier.value->empty()) {
        // Of a broken data set the rest may be there and unread.
        if (complete) {
          add(Defect::Severity::error, "uid.missing", fmt::format("there is no {}", identifier.name),
              to_string(identifier.tag), m_inspection.header.data_set_offset);
        }
      } else if (identifier.tag != tags::sop_class_uid && identifier.value->starts_with("1.2.840.10008.")) {
        add(Defect::Severity::error, "uid.root",
            fmt::format("the {} is below the root of the standard itself", identifier.name), to_string(identifier.tag),
            m_inspection.header.data_set_offset);
      }
    }
    for (std::size_t i = 1; i < all.size(); ++i) {
      for (std::size_t j = i + 1; j < all.size(); ++j) {
        if (!all[i].value->empty() && *all[i].value == *all[j].value) {
          add(Defect::Severity::error, "uid.not-distinct",
              fmt::format("{} and {} are the same", all[i].name, all[j].name), to_string(all[j].tag),
              m_inspection.header.data_set_offset);
        }
      }
    }
    if (!attributes.sop_class_uid.empty() && uid_name(attributes.sop_class_uid).empty()) {
      add(Defect::Severity::warning, "uid.sop-class-unknown", "the SOP class is private or newer than this program",
          to_string(tags::sop_class_uid), m_inspection.header.data_set_offset);
    }
    if (!meta.media_storage_sop_class_uid.empty() && !attributes.sop_class_uid.empty() &&
        meta.media_storage_sop_class_uid != attributes.sop_class_uid) {
      add(Defect::Severity::error, "meta.sop-class-mismatch",
          fmt::format("the file meta information says {}, the data set {}", shown(meta.media_storage_sop_class_uid),
                      shown(attributes.sop_class_uid)),
          to_string(tags::media_storage_sop_class_uid), 0);
    }
    if (!meta.media_storage_sop_instance_uid.empty() && !attributes.sop_instance_uid.empty() &&
        meta.media_storage_sop_instance_uid != attributes.sop_instance_uid) {
      add(Defect::Severity::error, "meta.sop-instance-mismatch",
          fmt::format("the file meta information says {}, the data set {}", shown(meta.media_storage_sop_instance_uid),
                      shown(attributes.sop_instance_uid)),
          to_string(tags::media_storage_sop_instance_uid), 0);
    }
  }

  void check_pixel_data(bool complete) {
    if (!m_pixel_data) {
      // Of a file that was cut between two elements nothing else may tell.
      const std::string_view sop_class = uid_name(m_inspection.header.attributes.sop_class_uid);
      if (complete && !m_has_pixel_url && sop_class.find("Image Storage") != std::string_view::npos) {
        add(Defect::Severity::error, "pixel.missing", fmt::format("no pixel data in an object of {}", sop_class),
            to_string(tags::pixel_data), m_inspection.header.data_set_offset);
      }
      return;
    }
    if (m_pixel_data->is_fragments) {
      check_fragments();
    } else {
      check_native();
    }
  }

  void add_pixel(Defect::Severity severity, std::string_view rule, std::string message) {
    add(severity, rule, std::move(message), to_string(m_pixel_data->tag), m_pixel_data->offset);
  }

  void check_native() {
    if (m_syntax.encapsulated && m_syntax.known && m_pixel_data->tag == tags::pixel_data) {
      add_pixel(Defect::Severity::error, "pixel.native-in-encapsulated-syntax",
                fmt::format("the pixel data is not in fragments, but the transfer syntax is {}", m_syntax.name));
      return;
    }
    const auto expected = native_length();
    if (!expected || !m_syntax.known) {
      return;
    }
    const std::uint64_t length = m_pixel_data->length;
    if (length < *expected) {
      add_pixel(Defect::Severity::error, "pixel.native-length",
                fmt::format("the pixel data has {} bytes, rows, columns, samples, bits and frames ask for {}", length,
                            *expected));
    } else if (length > *expected + *expected % 2 && length != *expected + 1) {
      add_pixel(Defect::Severity::warning, "pixel.native-length",
                fmt::format("the pixel data has {} bytes, rows, columns, samples, bits and frames ask for {} only",
                            length, *expected));
    }
  }

  // Bytes of native pixel data (PS3.5 8.1.1), or nothing where the attributes do not say or the number has no sense.
  std::optional<std::uint64_t> native_length() const {
    const auto rows = number(tags::rows);
    const auto columns = number(tags::columns);
    if (!rows || !columns) {
      return std::nullopt;
    }
    std::uint64_t bits = 0;
    std::uint64_t samples = 1;
    if (m_pixel_data->tag == tags::pixel_data) {
      const auto allocated = number(tags::bits_allocated);
      if (!allocated) {
        return std::nullopt;
      }
      bits = *allocated;
      samples = number(tags::samples_per_pixel).value_or(1);
    } else {
      bits = m_pixel_data->tag == tags::float_pixel_data ? 32 : 64;
    }
    // Two chrominance samples for two pixels (PS3.3 C.7.6.3.1.2).
    if (samples == 3 &&
        (m_photometric_interpretation == "YBR_FULL_422" || m_photometric_interpretation == "YBR_PARTIAL_422")) {
      samples = 2;
    }
    std::uint64_t total = bits;
    for (const std::uint64_t factor : {std::uint64_t{*rows}, std::uint64_t{*columns}, samples, m_frames}) {
      if (__builtin_mul_overflow(total, factor, &total)) {
        return std::nullopt;
      }
    }
    return total / 8 + (total % 8 != 0 ? 1 : 0);
  }

  void check_fragments() {
    if (!m_syntax.encapsulated) {
      add_pixel(Defect::Severity::error, "pixel.encapsulated-in-native-syntax",
                fmt::format("the pixel data is in fragments, but the transfer syntax is {}", m_syntax.name));
    }
    if (!m_pixel_data->closed) {
      return;
    }
    if (m_pixel_data->items == 0) {
      add_pixel(Defect::Severity::error, "pixel.offset-table", "there is no basic offset table item");
      return;
    }
    const std::uint64_t fragments = m_pixel_data->items - 1;
    const std::uint64_t table = m_pixel_data->offset_table_length;
    // One fragment may hold a whole video (PS3.5 8.2.5).
    const bool video =
        m_syntax.name.find("MPEG") != std::string_view::npos || m_syntax.name.find("HEVC") != std::string_view::npos;
    if (fragments == 0 || (!video && m_syntax.known && fragments < m_frames)) {
      add_pixel(Defect::Severity::error, "pixel.fragments",
                fmt::format("{} frames, but only {} fragments", m_frames, fragments));
    }
    if (m_offset_table.lies()) {
      add_pixel(Defect::Severity::warning, "pixel.offset-table",
                "the basic offset table points at places where no fragment begins");
      return;
    }
    if (table % 4 != 0 || (table != 0 && !video && table / 4 != m_frames)) {
      add_pixel(Defect::Severity::warning, "pixel.offset-table",
                fmt::format("the basic offset table has {} bytes for {} frames", table, m_frames));
    }
  }

  void add(Defect::Severity severity, std::string_view rule, std::string message, std::string tag_path,
           std::uint64_t offset) {
    if (m_found.size() < k_most_found) {
      m_found.push_back({severity, std::string(rule), std::move(message), std::move(tag_path), offset});
    } else if (m_left_out++ == 0) {
      m_found.push_back(
          {Defect::Severity::info, "inspection.more", "more findings of the same kinds are not listed", {}, offset});
    }
  }

  // Beside those of the reader, which has its own limit.
  static constexpr std::size_t k_most_found = 500;

  Inspection& m_inspection;
  TransferSyntax m_syntax;
  AttributeCollector m_collector;
  std::vector<Level> m_levels;
  std::vector<Defect> m_found;
  std::size_t m_left_out = 0;
  bool m_charset_missing = false;
  std::optional<PixelData> m_pixel_data;
  OffsetTable m_offset_table;
  bool m_own_fragments = false;
  bool m_has_pixel_url = false;
  std::uint64_t m_frames = 1;
  std::string m_photometric_interpretation;
  std::array<std::pair<Tag, std::optional<std::uint16_t>>, 4> m_numbers{{
      {tags::samples_per_pixel, std::nullopt},
      {tags::rows, std::nullopt},
      {tags::columns, std::nullopt},
      {tags::bits_allocated, std::nullopt},
  }};
};

void describe_file(Header& header, Part10File& file) {
  header.size = file.size;
  header.data_set_offset = file.meta.data_set_offset;
  header.meta = std::move(file.meta);
  header.attributes.transfer_syntax_uid = file.syntax.uid;
}

}  // namespace

Header read_header(const std::filesystem::path& path) { return read_header(open_part10(path)); }

Header read_header(Part10File file) {
  Header header;
  describe_file(header, file);
  const auto source = data_set_source(file);
  DataSetReader reader(*source, file.syntax);
  AttributeCollector collector(header.attributes);
  Event event = reader.next();
  while (event != Event::end) {
    if (reader.depth() == 0 && (event == Event::element || event == Event::sequence_begin) &&
        reader.header().tag > k_last_identifier) {
      break;
    }
    if (event == Event::element) {
      collector.element(reader);
    } else if (event == Event::sequence_begin) {
      collector.sequence(reader);
    }
    event = reader.next();
  }
  collector.finish();
  if (const auto error = reading_error(reader)) {
    throw *error;
  }
  std::string missing;
  for (const Identifier& identifier : identifiers(header.attributes)) {
    if (identifier.value->empty()) {
      missing += missing.empty() ? "" : ", ";
      missing += identifier.name;
    }
  }
  if (!missing.empty()) {
    throw Error(kind("file.incomplete"), fmt::format("the data set lacks {}", missing));
  }
  return header;
}

bool Inspection::has_errors() const {
  return std::ranges::any_of(defects, [](const Defect& defect) { return defect.severity == Defect::Severity::error; });
}

Inspection inspect(const std::filesystem::path& path, InspectionObserver* observer) {
  return inspect(open_part10(path), observer);
}

Inspection inspect(Part10File file, InspectionObserver* observer) {
  Inspection inspection;
  inspection.defects = std::move(file.defects);
  describe_file(inspection.header, file);
  const auto source = data_set_source(file);
  Inspector(inspection, file.syntax).run(*source, observer);
  return inspection;
}

bool has_same_data_set(const std::filesystem::path& path, const std::filesystem::path& other_path) {
  const Part10File file = open_part10(path);
  const Part10File other = open_part10(other_path);
  for (;;) {
    const std::span<const std::byte> one = file.source->peek(ByteSource::k_largest_peek);
    const std::span<const std::byte> two = other.source->peek(ByteSource::k_largest_peek);
    const std::size_t size = std::min(one.size(), two.size());
    if (size == 0) {
      return one.size() == two.size();
    }
    if (std::memcmp(one.data(), two.data(), size) != 0) {
      return false;
    }
    file.source->skip(size);
    other.source->skip(size);
  }
}

std::string data_set_digest(const std::filesystem::path& path) {
  Part10File file = open_part10(path);
  Digest digest(DigestAlgorithm::sha256);
  for (;;) {
    const std::span<const std::byte> piece = file.source->peek(ByteSource::k_largest_peek);
    if (piece.empty()) {
      break;
    }
    digest.add(piece);
    file.source->skip(piece.size());
  }
  return to_hex(digest.finish());
}

}  // namespace kuva::dicom
