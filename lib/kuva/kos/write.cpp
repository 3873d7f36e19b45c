#include <kuva/core/error.hpp>
#include <kuva/core/file.hpp>
#include <kuva/dicom/charset.hpp>
#include <kuva/dicom/part10.hpp>
#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/kos/tags.hpp>
#include <kuva/kos/write.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <map>
#include <utility>
#include <vector>

namespace kuva::kos {

namespace {

using dicom::DataSet;
using dicom::Tag;

using Sink = std::function<void(std::string_view)>;

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// In what does not come from the attributes, and is in UTF-8.
bool has_text_beyond_ascii(const Document& document) {
  return !is_ascii(document.title.meaning) ||
         std::any_of(document.content.begin(), document.content.end(), [](const ContentItem& item) {
           return !is_ascii(item.text) || !is_ascii(item.name.meaning) || !is_ascii(item.code.meaning);
         });
}

void convert_to_utf8(DataSet& data, const dicom::CharacterSets& outer) {
  const std::string terms = data.string(tags::specific_character_set);
  const dicom::CharacterSets charset = terms.empty() ? outer : dicom::CharacterSets(terms);
  data.erase(tags::specific_character_set);
  const DataSet before = data;
  for (const auto& [tag, element] : before.elements()) {
    if (element.vr == dicom::Vr::SQ) {
      data.set_empty_sequence(tag);
      for (DataSet item : element.items) {
        convert_to_utf8(item, charset);
        data.add_item(tag) = std::move(item);
      }
    } else if (dicom::uses_character_set(element.vr)) {
      dicom::CharacterSets::Decoded decoded = charset.decode(element.value, element.vr);
      if (!decoded.clean) {
        throw Error(kuva::kind("kos.text"),
                    fmt::format("({}) of the objects cannot be converted from {} to UTF-8", dicom::to_string(tag),
                                charset.terms().empty() ? "ASCII" : charset.terms()));
      }
      data.set_bytes(tag, element.vr, std::move(decoded.text));
    }
  }
}

DataSet in_utf8(DataSet attributes) {
  if (attributes.string(tags::specific_character_set) != "ISO_IR 192") {
    convert_to_utf8(attributes, dicom::CharacterSets());
    attributes.set_string(tags::specific_character_set, "ISO_IR 192");
  }
  return attributes;
}

// Sequences of references are written piece by piece with undefined lengths, so that no document has to be encoded as a
// whole; everything else goes through DataSet.
class DocumentWriter {
 public:
  DocumentWriter(const Document& document, const Sink& sink)
      : m_document(document),
        m_sink(sink),
        m_syntax(dicom::transfer_syntax(dicom::k_explicit_vr_little_endian)),
        m_top(has_text_beyond_ascii(document) ? in_utf8(document.attributes) : document.attributes) {}

  void write() {
    m_sink(dicom::encode_file_meta(k_key_object_selection, m_document.sop_instance_uid, m_syntax.uid));
    complete_top();
    const std::map<Tag, std::function<void()>> sequences{
        {tags::predecessor_documents_sequence, [this] { write_evidence(m_document.predecessors); }},
        {tags::current_requested_procedure_evidence_sequence, [this] { write_evidence(m_document.evidence); }},
        {tags::pertinent_other_evidence_sequence, [this] { write_evidence(m_document.other_evidence); }},
        {tags::identical_documents_sequence, [this] { write_evidence(m_document.identical_documents); }},
        {tags::content_sequence, [this] { write_content(); }},
    };
    for (const auto& [tag, write_items] : sequences) {
      flush_top_before(tag);
      if (!is_empty(tag)) {
        begin_sequence(tag);
        write_items();
        end_sequence();
      }
    }
    m_sink(m_top.encode(m_syntax));
  }

 private:
  void complete_top() {
    m_top.set_string(tags::sop_class_uid, k_key_object_selection);
    m_top.set_string(tags::sop_instance_uid, m_document.sop_instance_uid);
    m_top.set_string(tags::study_instance_uid, m_document.study_instance_uid);
    m_top.set_string(tags::series_instance_uid, m_document.series_instance_uid);
    m_top.set_string(tags::value_type, m_document.value_type.empty() ? "CONTAINER" : m_document.value_type);
    put_code(m_top, tags::concept_name_code_sequence, m_document.title);
    if (!m_document.template_identifier.empty()) {
      m_top.set_empty_sequence(tags::content_template_sequence);
      DataSet& item = m_top.add_item(tags::content_template_sequence);
      item.set_string(tags::mapping_resource, "DCMR");
      item.set_string(tags::template_identifier, m_document.template_identifier);
    }
  }

  bool is_empty(Tag tag) const {
    if (tag == tags::content_sequence) {
      return m_document.content.empty() && m_document.references.empty();
    }
    return (tag == tags::predecessor_documents_sequence                  ? m_document.predecessors
            : tag == tags::current_requested_procedure_evidence_sequence ? m_document.evidence
            : tag == tags::pertinent_other_evidence_sequence             ? m_document.other_evidence
                                                                         : m_document.identical_documents)
        .empty();
  }

  // Writes the elements of the top level that stand before `tag`, and forgets them.
  void flush_top_before(Tag tag) {
    DataSet before = m_top;
    for (const auto& [other, element] : m_top.elements()) {
      if (other >= tag) {
        before.erase(other);
      }
    }
    for (const auto& [other, element] : before.elements()) {
      m_top.erase(other);
    }
    m_sink(before.encode(m_syntax));
  }

  void put_code(DataSet& data, Tag sequence, const Code& code) const {
    data.set_empty_sequence(sequence);
    DataSet& item = data.add_item(sequence);
    item.set_string(code.value.size() > 16 ? tags::long_code_value : tags::code_value, code.value);
    item.set_string(tags::coding_scheme_designator, code.scheme);
    if (!code.scheme_version.empty()) {
      item.set_string(tags::coding_scheme_version, code.scheme_version);
    }
    item.set_string(tags::code_meaning, code.meaning);
  }

  // Series of one study that follow one another are items of one study item.
  void write_evidence(const std::vector<SeriesReference>& evidence) {
    for (std::size_t first = 0; first < evidence.size();) {
      std::size_t end = first;
      while (end < evidence.size() && evidence[end].study_instance_uid == evidence[first].study_instance_uid) {
        ++end;
      }
      begin_item();
      begin_sequence(tags::referenced_series_sequence);
      for (std::size_t i = first; i < end; ++i) {
        write_series(evidence[i]);
      }
      end_sequence();
      DataSet study;
      study.set_string(tags::study_instance_uid, evidence[first].study_instance_uid);
      m_sink(study.encode(m_syntax));
      end_item();
      first = end;
    }
  }

  void write_series(const SeriesReference& series) {
    begin_item();
    DataSet before;
    if (!series.retrieve_ae_title.empty()) {
      before.set_string(tags::retrieve_ae_title, series.retrieve_ae_title);
    }
    if (!series.retrieve_url.empty()) {
      before.set_string(tags::retrieve_url, series.retrieve_url);
    }
    m_sink(before.encode(m_syntax));
    begin_sequence(tags::referenced_sop_sequence);
    for (const InstanceReference& instance : series.instances) {
      DataSet item;
      item.set_string(tags::referenced_sop_class_uid, instance.sop_class_uid);
      item.set_string(tags::referenced_sop_instance_uid, instance.sop_instance_uid);
      write_item(item);
    }
    end_sequence();
    DataSet after;
    after.set_string(tags::series_instance_uid, series.series_instance_uid);
    if (!series.retrieve_location_uid.empty()) {
      after.set_string(tags::retrieve_location_uid, series.retrieve_location_uid);
    }
    m_sink(after.encode(m_syntax));
    end_item();
  }

  void write_content() {
    for (const ContentItem& content : m_document.content) {
      DataSet item;
      item.set_string(tags::relationship_type, content.relationship_type);
      item.set_string(tags::value_type, content.value_type);
      if (!content.name.empty()) {
        put_code(item, tags::concept_name_code_sequence, content.name);
      }
      if (content.value_type == "CODE") {
        put_code(item, tags::concept_code_sequence, content.code);
      } else if (const Tag tag = value_tag(content.value_type); tag != Tag{}) {
        item.set_string(tag, content.text);
      }
      write_item(item);
    }
    for (const ContentReference& reference : m_document.references) {
      DataSet item;
      item.set_string(tags::relationship_type, "CONTAINS");
      item.set_string(tags::value_type, reference.value_type);
      DataSet& sop = item.add_item(tags::referenced_sop_sequence);
      sop.set_string(tags::referenced_sop_class_uid, reference.sop_class_uid);
      sop.set_string(tags::referenced_sop_instance_uid, reference.sop_instance_uid);
      if (!reference.frames.empty()) {
        sop.set_string(tags::referenced_frame_number, reference.frames);
      }
      if (!reference.channels.empty()) {
        sop.set_us(tags::referenced_waveform_channels, channel_numbers(reference.channels));
      }
      write_item(item);
    }
  }

  static std::vector<std::uint16_t> channel_numbers(std::string_view text) {
    std::vector<std::uint16_t> numbers;
    while (!text.empty()) {
      std::uint16_t number = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (error != std::errc()) {
        throw Error(kuva::kind("internal"), "Referenced Waveform Channels are not numbers");
      }
      numbers.push_back(number);
      text.remove_prefix(std::min(static_cast<std::size_t>(end - text.data()) + 1, text.size()));
    }
    return numbers;
  }

  static Tag value_tag(std::string_view value_type) {
    struct Entry {
      std::string_view value_type;
      Tag tag;
    };
    static constexpr auto k_entries = std::to_array<Entry>({{"TEXT", tags::text_value},
                                                            {"PNAME", tags::person_name},
                                                            {"UIDREF", tags::uid},
                                                            {"DATE", tags::date},
                                                            {"TIME", tags::time},
                                                            {"DATETIME", tags::date_time}});
    for (const Entry& entry : k_entries) {
      if (entry.value_type == value_type) {
        return entry.tag;
      }
    }
    return {};
  }

  void put_header(Tag tag, std::string_view vr_and_reserved, std::uint32_t length) {
    std::string bytes;
    const auto put_u16 = [&bytes](unsigned value) {
      bytes += static_cast<char>(value & 0xFFU);
      bytes += static_cast<char>((value >> 8U) & 0xFFU);
    };
    put_u16(tag.group);
    put_u16(tag.element);
    bytes += vr_and_reserved;
    put_u16(length & 0xFFFFU);
    put_u16(length >> 16U);
    m_sink(bytes);
  }

  void begin_sequence(Tag tag) { put_header(tag, std::string_view("SQ\0\0", 4), dicom::k_undefined_length); }
  void end_sequence() { put_header(tags::sequence_delimitation, {}, 0); }
  void begin_item() { put_header(tags::item, {}, dicom::k_undefined_length); }
  void end_item() { put_header(tags::item_delimitation, {}, 0); }

  void write_item(const DataSet& data) {
    const std::string bytes = data.encode(m_syntax);
    put_header(tags::item, {}, static_cast<std::uint32_t>(bytes.size()));
    m_sink(bytes);
  }

  const Document& m_document;
  const Sink& m_sink;
  dicom::TransferSyntax m_syntax;
  DataSet m_top;  // what is still to be written of the top level
};

void encode_to(const Document& document, const Sink& sink) {
  if (document.sop_instance_uid.empty() || document.series_instance_uid.empty() ||
      document.study_instance_uid.empty() || document.title.empty()) {
    throw Error(kuva::kind("internal"), "a Key Object Selection without UIDs or title is not written");
  }
  DocumentWriter(document, sink).write();
}

}  // namespace

std::string encode(const Document& document) {
  std::string bytes;
  encode_to(document, [&bytes](std::string_view piece) { bytes += piece; });
  return bytes;
}

std::uint64_t write(const Document& document, const std::filesystem::path& path) {
  constexpr std::size_t k_block = 65'536;
  AtomicFile file(path);
  std::string block;
  std::uint64_t size = 0;
  encode_to(document, [&](std::string_view piece) {
    block += piece;
    size += piece.size();
    if (block.size() >= k_block) {
      file.write(block);
      block.clear();
    }
  });
  file.write(block);
  file.commit();
  return size;
}

}  // namespace kuva::kos
