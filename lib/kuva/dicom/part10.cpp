#include <kuva/core/error.hpp>
#include <kuva/dicom/dictionary.hpp>
#include <kuva/dicom/part10.hpp>
#include <kuva/dicom/uid.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace kuva::dicom {

namespace {

constexpr std::size_t k_preamble = 128;
constexpr std::string_view k_prefix = "DICM";
// Values of group 0002 that are kept are UIDs and short strings.
constexpr std::size_t k_longest_meta_value = 256;
// How far a data set without meta is looked at to guess how it is encoded.
constexpr std::size_t k_guess_window = 4096;
constexpr std::size_t k_guess_elements = 3;

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::uint16_t u16(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[at]) | static_cast<unsigned char>(bytes[at + 1])
                                                                                << 8);
}

std::uint32_t u32(std::string_view bytes, std::size_t at) {
  return std::uint32_t{u16(bytes, at)} | std::uint32_t{u16(bytes, at + 2)} << 16;
}

std::string trimmed_text(std::string_view value) {
  while (!value.empty() && (value.back() == ' ' || value.back() == '\0')) {
    value.remove_suffix(1);
  }
  while (!value.empty() && value.front() == ' ') {
    value.remove_prefix(1);
  }
  return std::string(value);
}

// What a file that is not DICOM seems to be, for a person who wonders why it was skipped.
std::string_view describe(std::string_view head) {
  struct Magic {
    std::string_view bytes;
    std::string_view name;
  };
  static constexpr auto k_magics = std::to_array<Magic>({
      {"\xFF\xD8\xFF", "a JPEG image"},
      {"\x89PNG", "a PNG image"},
      {"GIF8", "a GIF image"},
      {"BM", "a BMP image"},
      {{"II*\0", 4}, "a TIFF image"},
      {{"MM\0*", 4}, "a TIFF image"},
      {{"\0\0\0\x0CjP  ", 8}, "a JPEG 2000 image"},
      {"\xFF\x4F\xFF\x51", "a JPEG 2000 codestream"},
      {"%PDF", "a PDF document"},
      {"PK\x03\x04", "a ZIP archive"},
      {"\x1F\x8B", "a gzip file"},
      {"BZh", "a bzip2 file"},
      {"7z\xBC\xAF\x27\x1C", "a 7-Zip archive"},
      {"Rar!", "a RAR archive"},
      {"SQLite format 3", "an SQLite database"},
      {{"\x7F"
        "ELF"},
       "an executable"},
      {"MZ", "an executable"},
      {"<?xml", "an XML document"},
  });
  for (const Magic& magic : k_magics) {
    if (head.starts_with(magic.bytes)) {
      return magic.name;
    }
  }
  const bool text = std::ranges::all_of(head, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 || byte == '\n' || byte == '\r' || byte == '\t';
  });
  if (text) {
    return "a text";
  }
  if (std::ranges::all_of(head, [](char c) { return c == '\0'; })) {
    return "zeros";
  }
  return "unknown contents";
}

// How a data set that says nothing about itself is encoded, by its first elements; nothing when they are none.
// Deflated ones cannot be known.
std::optional<TransferSyntax> guess_syntax(std::span<const std::byte> head, bool is_all) {
  const std::string_view text = as_text(head);
  if (text.size() < 8) {
    return std::nullopt;
  }
  for (const std::string_view uid :
       {k_explicit_vr_little_endian, k_implicit_vr_little_endian, k_explicit_vr_big_endian}) {
    const TransferSyntax syntax = transfer_syntax(uid);
    const unsigned first = static_cast<unsigned char>(text[0]);
    const unsigned second = static_cast<unsigned char>(text[1]);
    const unsigned group = syntax.big_endian ? first << 8 | second : second << 8 | first;
    // Every composite object has group 0008; a directory record has 0004.
    if (group != 0x0008 && group != 0x0004) {
      continue;
    }
    const auto source = make_memory_source(head);
    DataSetReader reader(*source, syntax);
    std::size_t elements = 0;
    DataSetReader::Event event = reader.next();
    for (; event != DataSetReader::Event::end && elements < k_guess_elements; event = reader.next()) {
      elements += reader.depth() == 0 &&
                          (event == DataSetReader::Event::element || event == DataSetReader::Event::sequence_begin)
                      ? 1
                      : 0;
    }
    const bool enough =
        elements >= k_guess_elements || (elements > 0 && !reader.broken() && (!reader.truncated() || !is_all));
    if (enough && reader.defects().empty()) {
      return syntax;
    }
    // The window's end cuts a longer file: that is no sign against it.
    if (enough && reader.truncated() && !is_all && reader.defects().size() == 1) {
      return syntax;
    }
  }
  return std::nullopt;
}

class MetaParser {
 public:
  explicit MetaParser(Part10File& file) : m_file(file), m_source(*file.source) {}

  // Reads group 0002 by tag; the source then stands at the data set.
  void parse() {
    const std::uint64_t start = m_source.position();
    while (parse_element()) {
    }
    m_file.meta.data_set_offset = m_source.position();
    if (!m_file.meta.has_meta) {
      return;
    }
    if (m_implicit) {
      add(Defect::Severity::error, "meta.implicit-vr", "the file meta information is not in Explicit VR Little Endian",
          {}, start);
    }
    check_group_length(start);
    const FileMeta& meta = m_file.meta;
    require(!m_version_missing, tags::file_meta_version, start);
    require(!meta.media_storage_sop_class_uid.empty(), tags::media_storage_sop_class_uid, start);
    require(!meta.media_storage_sop_instance_uid.empty(), tags::media_storage_sop_instance_uid, start);
    require(!meta.implementation_class_uid.empty(), tags::implementation_class_uid, start);
  }

 private:
  bool parse_element() {
    const std::string_view head = as_text(m_source.peek(12));
    if (head.size() < 8) {
      if (!head.empty() && m_file.meta.has_meta && head.size() >= 2 && u16(head, 0) == 0x0002) {
        throw truncated();
      }
      return false;
    }
    const Tag tag{u16(head, 0), u16(head, 2)};
    if (tag.group != 0x0002) {
      return false;
    }
    const std::uint64_t offset = m_source.position();
    Vr vr = vr_from_chars(head[4], head[5]);
    std::uint64_t length = 0;
    std::size_t header_size = 8;
    if (vr == Vr::none) {
      // Some old writers put it in Implicit VR.
      m_implicit = true;
      length = u32(head, 4);
    } else if (has_long_length(vr)) {
      if (head.size() < 12) {
        throw truncated();
      }
      header_size = 12;
      length = u32(head, 8);
    } else {
      length = u16(head, 6);
    }
    m_file.meta.has_meta = true;
    const auto remaining = m_source.remaining();
    if (length == k_undefined_length) {
      throw Error(kind("file.malformed"),
                  fmt::format("the element {} of the file meta information has an undefined length", to_string(tag)));
    }
    if (remaining && header_size + length > *remaining) {
      if (vr == Vr::none) {
        throw Error(kind("file.malformed"),
                    fmt::format("the element {} of the file meta information has no VR", to_string(tag)));
      }
      throw truncated();
    }
    m_source.skip(header_size);
    const std::string_view value =
        as_text(m_source.peek(static_cast<std::size_t>(std::min<std::uint64_t>(length, k_longest_meta_value))));
    take(tag, value, offset);
    check_form(tag, vr, length, offset);
    m_source.skip(length);
    if (tag == tags::file_meta_group_length) {
      m_after_group_length = m_source.position();
    }
    if (tag <= m_last && m_last != Tag{}) {
      add(Defect::Severity::warning, "meta.tag-order", "the elements of the file meta information must ascend",
          to_string(tag), offset);
    }
    m_last = tag;
    return true;
  }

  void take(Tag tag, std::string_view value, std::uint64_t offset) {
    FileMeta& meta = m_file.meta;
    if (tag == tags::file_meta_group_length) {
      if (value.size() == 4) {
        m_group_length = u32(value, 0);
      }
    } else if (tag == tags::file_meta_version) {
      m_version_missing = value.empty();
      if (!value.empty() && (value.size() < 2 || value[0] != '\0' || value[1] != '\x01')) {
        add(Defect::Severity::warning, "meta.version", "the File Meta Information Version is not 00 01", to_string(tag),
            offset);
      }
    } else if (tag == tags::media_storage_sop_class_uid) {
      take_uid(meta.media_storage_sop_class_uid, tag, value, offset);
    } else if (tag == tags::media_storage_sop_instance_uid) {
      take_uid(meta.media_storage_sop_instance_uid, tag, value, offset);
    } else if (tag == tags::transfer_syntax_uid) {
      take_uid(meta.transfer_syntax_uid, tag, value, offset);
    } else if (tag == tags::implementation_class_uid) {
      take_uid(meta.implementation_class_uid, tag, value, offset);
    } else if (tag == tags::implementation_version_name) {
      meta.implementation_version_name = trimmed_text(value);
    } else if (tag == tags::source_application_entity_title) {
      meta.source_application_entity_title = trimmed_text(value);
    }
  }

  // VR and length of an element as it is written, against PS3.6 and PS3.5 6.2.
  void check_form(Tag tag, Vr vr, std::uint64_t length, std::uint64_t offset) {
    const DictionaryEntry* entry = find_entry(tag);
    if (length % 2 != 0) {
      add(Defect::Severity::warning, "meta.value-length", "the length is odd", to_string(tag), offset);
    }
    if (entry == nullptr || entry->vr == Vr::none) {
      return;
    }
    if (vr != Vr::none && vr != entry->vr) {
      add(Defect::Severity::warning, "meta.vr-mismatch",
          fmt::format("the VR is {}, that of PS3.6 is {}", to_string(vr), to_string(entry->vr)), to_string(tag),
          offset);
    }
    const std::uint64_t longest = entry->vr == Vr::UI ? 64 : entry->vr == Vr::AE || entry->vr == Vr::SH ? 16 : length;
    const bool fixed = tag == tags::file_meta_group_length && length != 4;
    if (length > longest || fixed) {
      add(Defect::Severity::warning, "meta.value-length",
          fmt::format("the value has {} bytes, {} are allowed", length, fixed ? 4 : longest), to_string(tag), offset);
    }
  }

  void take_uid(std::string& uid, Tag tag, std::string_view value, std::uint64_t offset) {
    uid = trim_uid(value);
    if (uid.empty()) {
      return;
    }
    if (const auto defect = uid_defect(uid)) {
      add(Defect::Severity::error, "uid.syntax", fmt::format("the value is no UID: {}", *defect), to_string(tag),
          offset);
    } else if (value.back() == ' ') {
      add(Defect::Severity::warning, "uid.padding", "the UID is padded with a space, not with a NUL", to_string(tag),
          offset);
    }
  }

  void check_group_length(std::uint64_t start) {
    if (!m_group_length || !m_after_group_length) {
      add(Defect::Severity::warning, "meta.group-length-missing", "the file meta information has no group length",
          to_string(tags::file_meta_group_length), start);
      return;
    }
    const std::uint64_t actual = m_file.meta.data_set_offset - *m_after_group_length;
    if (*m_group_length != actual) {
      add(Defect::Severity::warning, "meta.group-length",
          fmt::format("the group length of the file meta information says {} bytes, it has {}", *m_group_length,
                      actual),
          to_string(tags::file_meta_group_length), start);
    }
  }

  void require(bool there, Tag tag, std::uint64_t offset) {
    if (!there) {
      add(Defect::Severity::warning, "meta.missing-element",
          fmt::format("the file meta information has no value for {}", to_string(tag)), to_string(tag), offset);
    }
  }

  static Error truncated() { return {kind("file.truncated"), "the file ends within the file meta information"}; }

  void add(Defect::Severity severity, std::string_view rule, std::string message, std::string tag_path,
           std::uint64_t offset) {
    m_file.defects.push_back({severity, std::string(rule), std::move(message), std::move(tag_path), offset});
  }

  Part10File& m_file;
  ByteSource& m_source;
  bool m_implicit = false;
  bool m_version_missing = true;
  Tag m_last;
  std::optional<std::uint32_t> m_group_length;
  std::optional<std::uint64_t> m_after_group_length;
};

Error not_dicom(std::string_view reason) { return {kind("file.not-dicom"), fmt::format("not DICOM: {}", reason)}; }

// Of the data set when the meta does not tell.
void settle_syntax(Part10File& file) {
  const std::span<const std::byte> head = file.source->peek(k_guess_window);
  const auto remaining = file.source->remaining();
  const bool is_all = remaining && *remaining <= head.size();
  const auto guess = guess_syntax(head, is_all);
  const std::uint64_t offset = file.meta.data_set_offset;
  if (file.meta.transfer_syntax_uid.empty()) {
    if (!guess) {
      if (!file.meta.has_preamble && !file.meta.has_meta) {
        throw not_dicom(fmt::format("there is no DICM prefix, and the file begins like {}",
                                    describe(as_text(head.first(std::min<std::size_t>(head.size(), 256))))));
      }
      throw Error(
          kind("file.malformed"),
          "the file meta information names no transfer syntax, and the data set's first elements do not show one");
    }
    file.syntax = *guess;
    if (file.meta.has_meta) {
      file.defects.push_back(
          {Defect::Severity::error, "meta.transfer-syntax-missing",
           fmt::format("the file meta information names no transfer syntax; the data set looks like {}", guess->name),
           to_string(tags::transfer_syntax_uid), offset});
    } else {
      file.defects.push_back({Defect::Severity::error,
                              "meta.missing",
                              fmt::format("there is no file meta information; the data set looks like {}", guess->name),
                              {},
                              offset});
    }
    return;
  }
  file.syntax = transfer_syntax(file.meta.transfer_syntax_uid);
  if (!file.syntax.known) {
    file.defects.push_back({Defect::Severity::warning, "meta.transfer-syntax-unknown",
                            "the transfer syntax is private or newer than this program",
                            to_string(tags::transfer_syntax_uid), offset});
  }
  if (guess && (file.syntax.deflated || guess->explicit_vr != file.syntax.explicit_vr ||
                guess->big_endian != file.syntax.big_endian)) {
    file.defects.push_back(
        {Defect::Severity::error, "meta.transfer-syntax-mismatch",
         fmt::format("the file meta information says {}, the data set looks like {}", file.syntax.name, guess->name),
         to_string(tags::transfer_syntax_uid), offset});
  }
}

void append_u16(std::string& bytes, unsigned value) {
  bytes.push_back(static_cast<char>(value & 0xFFU));
  bytes.push_back(static_cast<char>(value >> 8 & 0xFFU));
}

void append_u32(std::string& bytes, std::uint32_t value) {
  append_u16(bytes, value & 0xFFFFU);
  append_u16(bytes, value >> 16);
}

void append_element(std::string& bytes, Tag tag, Vr vr, std::string value) {
  if (value.size() % 2 != 0) {
    value.push_back(vr == Vr::UI ? '\0' : ' ');
  }
  append_u16(bytes, tag.group);
  append_u16(bytes, tag.element);
  bytes += to_string(vr);
  if (has_long_length(vr)) {
    append_u16(bytes, 0);
    append_u32(bytes, static_cast<std::uint32_t>(value.size()));
  } else {
    append_u16(bytes, static_cast<unsigned>(value.size()));
  }
  bytes += value;
}

}  // namespace

Part10File open_part10(const std::filesystem::path& path) {
  Part10File file = open_part10(open_file_source(path));
  file.path = path;
  return file;
}

Part10File open_part10(std::unique_ptr<ByteSource> source) {
  Part10File file;
  file.source = std::move(source);
  file.size = file.source->remaining().value_or(0);
  const std::string_view head = as_text(file.source->peek(k_preamble + k_prefix.size()));
  if (head.empty()) {
    throw not_dicom("the file is empty");
  }
  if (head.size() == k_preamble + k_prefix.size() && head.ends_with(k_prefix)) {
    file.meta.has_preamble = true;
    file.source->skip(head.size());
  } else {
    if (head.starts_with(k_prefix)) {
      file.source->skip(k_prefix.size());
    }
    file.defects.push_back(
        {Defect::Severity::warning, "meta.preamble", "the 128 bytes of preamble and DICM are not there", {}, 0});
  }
  MetaParser(file).parse();
  settle_syntax(file);
  return file;
}

std::unique_ptr<ByteSource> data_set_source(Part10File& file) {
  return file.syntax.deflated ? make_inflate_source(std::move(file.source)) : std::move(file.source);
}

std::string encode_file_meta(std::string_view sop_class_uid, std::string_view sop_instance_uid,
                             std::string_view transfer_syntax_uid, std::string_view source_ae_title) {
  std::string group;
  append_element(group, tags::file_meta_version, Vr::OB, std::string("\0\x01", 2));
  append_element(group, tags::media_storage_sop_class_uid, Vr::UI, std::string(sop_class_uid));
  append_element(group, tags::media_storage_sop_instance_uid, Vr::UI, std::string(sop_instance_uid));
  append_element(group, tags::transfer_syntax_uid, Vr::UI, std::string(transfer_syntax_uid));
  append_element(group, tags::implementation_class_uid, Vr::UI, std::string(implementation_class_uid()));
  append_element(group, tags::implementation_version_name, Vr::SH, std::string(implementation_version_name()));
  if (!source_ae_title.empty()) {
    append_element(group, tags::source_application_entity_title, Vr::AE, std::string(source_ae_title));
  }
  std::string bytes(k_preamble, '\0');
  bytes += k_prefix;
  std::string length;
  append_u32(length, static_cast<std::uint32_t>(group.size()));
  append_element(bytes, tags::file_meta_group_length, Vr::UL, length);
  return bytes + group;
}

}  // namespace kuva::dicom
