#pragma once

#include <kuva/dicom/part10.hpp>
#include <kuva/dicom/reader.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::dicom::test {

// Writes elements byte by byte, without any of the library's own encoding.
class Encoded {
 public:
  enum class Form { implicit_little, explicit_little, explicit_big };
  explicit Encoded(Form form) : m_form(form) {}

  Encoded& raw(std::string_view bytes) {
    m_bytes += bytes;
    return *this;
  }
  Encoded& u16(unsigned value) {
    const char low = static_cast<char>(value & 0xFFU);
    const char high = static_cast<char>(value >> 8 & 0xFFU);
    m_bytes += m_form == Form::explicit_big ? high : low;
    m_bytes += m_form == Form::explicit_big ? low : high;
    return *this;
  }
  Encoded& u32(std::uint32_t value) {
    const unsigned low = value & 0xFFFFU;
    const unsigned high = value >> 16;
    return m_form == Form::explicit_big ? u16(high).u16(low) : u16(low).u16(high);
  }
  Encoded& tag(Tag value) { return u16(value.group).u16(value.element); }
  // The header of an element; in an implicit form the VR is left out.
  Encoded& head(Tag name, std::string_view vr, std::uint32_t length) {
    tag(name);
    if (m_form == Form::implicit_little) {
      return u32(length);
    }
    raw(vr);
    const bool is_long = std::string_view("OB OD OF OL OV OW SQ SV UC UN UR UT UV").find(vr) != std::string_view::npos;
    return is_long ? u16(0).u32(length) : u16(length);
  }
  Encoded& element(Tag name, std::string_view vr, std::string_view value) {
    return head(name, vr, static_cast<std::uint32_t>(value.size())).raw(value);
  }
  Encoded& item(std::uint32_t length = k_undefined_length) { return tag(tags::item).u32(length); }
  Encoded& item_end(std::uint32_t length = 0) { return tag(tags::item_delimitation).u32(length); }
  Encoded& sequence_end(std::uint32_t length = 0) { return tag(tags::sequence_delimitation).u32(length); }

  const std::string& bytes() const { return m_bytes; }

 private:
  Form m_form;
  std::string m_bytes;
};

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// A file that goes away with its owner.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view contents = {}) {
    std::string name = (std::filesystem::temp_directory_path() / "kuva-unit-XXXXXX").string();
    const int fd = ::mkstemp(name.data());
    if (fd < 0 || ::write(fd, contents.data(), contents.size()) != static_cast<ssize_t>(contents.size())) {
      throw std::runtime_error("cannot write a temporary file");
    }
    ::close(fd);
    m_path = name;
  }

  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(m_path, ignored);
  }

  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::filesystem::path& path() const { return m_path; }

 private:
  std::filesystem::path m_path;
};

// What a reader reports, a line an event: "+0008,1140", "item", "0008,1150=1.2", "/item", "/0008,1140", then "end",
// "truncated" or "broken".
inline std::vector<std::string> events(std::string_view bytes, std::string_view transfer_syntax_uid) {
  using Event = DataSetReader::Event;
  const auto source = make_memory_source(as_bytes(bytes));
  DataSetReader reader(*source, transfer_syntax(transfer_syntax_uid));
  std::vector<std::string> lines;
  for (Event event = reader.next(); event != Event::end; event = reader.next()) {
    const std::string tag = to_string(reader.header().tag);
    switch (event) {
      case Event::element:
        lines.push_back(fmt::format("{} {}={}", tag, to_string(reader.header().vr), reader.value(64)));
        break;
      case Event::sequence_begin:
        lines.push_back("+" + tag);
        break;
      case Event::item_begin:
        lines.push_back(reader.is_fragments() ? fmt::format("fragment {}", reader.header().length) : "item");
        break;
      case Event::item_end:
        lines.emplace_back("/item");
        break;
      case Event::sequence_end:
        lines.push_back("/" + tag);
        break;
      case Event::end:
        break;
    }
  }
  lines.emplace_back(reader.truncated() ? "truncated" : reader.broken() ? "broken" : "end");
  return lines;
}
// The rules of its defects.
inline std::vector<std::string> rules(const std::vector<Defect>& defects) {
  std::vector<std::string> names;
  for (const Defect& defect : defects) {
    names.push_back(defect.rule);
  }
  return names;
}

inline std::vector<std::string> rules(std::string_view bytes, std::string_view transfer_syntax_uid) {
  const auto source = make_memory_source(as_bytes(bytes));
  DataSetReader reader(*source, transfer_syntax(transfer_syntax_uid));
  while (reader.next() != DataSetReader::Event::end) {
  }
  return rules(reader.defects());
}

// A small but whole CT object in Explicit VR Little Endian, file meta included: 4 x 2 pixels of 16 bits.
inline std::string small_ct_data_set() {
  Encoded bytes(Encoded::Form::explicit_little);
  bytes.element(tags::specific_character_set, "CS", "ISO_IR 192")
      .element(tags::sop_class_uid, "UI", std::string_view("1.2.840.10008.5.1.4.1.1.2\0", 26))
      .element(tags::sop_instance_uid, "UI", "1.2.3.4.30")
      .element(tags::study_date, "DA", "20240510")
      .element(tags::accession_number, "SH", "A1")
      .element(tags::modality, "CS", "CT")
      .element(tags::study_description, "LO", "JN3AA ")
      .element(tags::patient_name, "PN", "M\xC3\xA4kinen^\xC3\x85ke ")
      .element(tags::patient_id, "LO", "010181-900C ")
      .head(tags::issuer_of_patient_id_qualifiers_sequence, "SQ", k_undefined_length)
      .item()
      .element(tags::universal_entity_id, "UT", "1.2.246.21")
      .item_end()
      .sequence_end()
      .element(tags::study_instance_uid, "UI", "1.2.3.4.10")
      .element(tags::series_instance_uid, "UI", "1.2.3.4.20")
      .element(tags::instance_number, "IS", "7 ")
      .head(tags::samples_per_pixel, "US", 2)
      .u16(1)
      .element(tags::photometric_interpretation, "CS", "MONOCHROME2 ")
      .head(tags::rows, "US", 2)
      .u16(2)
      .head(tags::columns, "US", 2)
      .u16(4)
      .head(tags::bits_allocated, "US", 2)
      .u16(16)
      .element(tags::pixel_data, "OW", "0123456789abcdef");
  return bytes.bytes();
}

inline std::string small_ct_file() {
  return encode_file_meta("1.2.840.10008.5.1.4.1.1.2", "1.2.3.4.30", k_explicit_vr_little_endian) + small_ct_data_set();
}

// The material shared by the tests: KUVA_SHARED, or ../shared beside the sources; empty (and said so) where it is not.
inline std::filesystem::path shared_corpus() {
  const char* shared = std::getenv("KUVA_SHARED");
  const std::filesystem::path corpus =
      (shared != nullptr ? std::filesystem::path(shared) : std::filesystem::path("..") / "shared") / "corpus";
  if (!std::filesystem::is_directory(corpus)) {
    MESSAGE("skipped: no corpus at " << corpus.string() << " (KUVA_SHARED)");
    return {};
  }
  return corpus;
}
// Its regular files, sorted; those below malformed/ or all others.
inline std::vector<std::filesystem::path> corpus_files(bool malformed) {
  std::vector<std::filesystem::path> files;
  const std::filesystem::path corpus = shared_corpus();
  if (corpus.empty()) {
    return files;
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(corpus)) {
    const std::filesystem::path relative = entry.path().lexically_relative(corpus);
    const bool is_malformed = *relative.begin() == "malformed";
    if (entry.is_regular_file() && relative != "MANIFEST.tsv" && is_malformed == malformed) {
      files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace kuva::dicom::test
