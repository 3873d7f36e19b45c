#include <kuva/core/error.hpp>
#include <kuva/dicom/query_tags.hpp>
#include <kuva/dicom/reader.hpp>
#include <kuva/hl7/escape.hpp>
#include <kuva/sandbox/coercion.hpp>
#include <kuva/sandbox/patient_tags.hpp>

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

namespace kuva::sandbox {

namespace {

namespace tags = dicom::tags;
using dicom::Tag;

constexpr Tag k_issuer{0x0010, 0x0021};
constexpr Tag k_qualifiers{0x0010, 0x0024};
constexpr Tag k_universal_id{0x0040, 0x0032};
constexpr Tag k_universal_id_type{0x0040, 0x0033};
constexpr Tag k_last = k_sex_tag;
constexpr std::size_t k_coercion_piece = 64U << 10U;

bool is_plain_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// Terms of (0008,0005) as HL7 table 0211 has the same sets.
constexpr auto k_sets = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"ISO_IR 192", "UNICODE UTF-8"},
    {"ISO_IR 100", "8859/1"},
    {"ISO_IR 101", "8859/2"},
    {"ISO_IR 109", "8859/3"},
    {"ISO_IR 110", "8859/4"},
    {"ISO_IR 144", "8859/5"},
    {"ISO_IR 127", "8859/6"},
    {"ISO_IR 126", "8859/7"},
    {"ISO_IR 138", "8859/8"},
    {"ISO_IR 148", "8859/9"},
    {"ISO_IR 203", "8859/15"},
});

std::optional<hl7::CharacterSet> set_of(std::string_view terms) {
  const auto found = std::find_if(k_sets.begin(), k_sets.end(), [&](const auto& row) { return row.first == terms; });
  return found == k_sets.end() ? std::nullopt : hl7::CharacterSet::find(found->second);
}

// Character by character, so that one that cannot be written costs no more than itself.
std::string encode_text(std::string_view text, const std::optional<hl7::CharacterSet>& set) {
  if (set) {
    if (auto whole = set->from_utf8(text)) {
      return *whole;
    }
  }
  std::string bytes;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t length = 1;
    while (at + length < text.size() && (static_cast<unsigned char>(text[at + length]) & 0xC0U) == 0x80U) {
      ++length;
    }
    const std::string_view character = text.substr(at, length);
    const auto one = set ? set->from_utf8(character) : std::nullopt;
    bytes += one ? *one : is_plain_ascii(character) ? std::string(character) : "?";
    at += length;
  }
  return bytes;
}

// What takes the place of the elements of an object: in its character set, (0008,0005) among them where that changes.
dicom::DataSet replacements(const PatientIdentity& identity, const std::string& terms) {
  dicom::DataSet text;
  put_identity(text, identity);
  const bool all_ascii = is_plain_ascii(identity.patient_id + identity.issuer + identity.name.value_or(""));
  if (all_ascii) {
    return text;
  }
  if (terms.empty() || terms == "ISO_IR 6") {
    text.set_string(tags::specific_character_set, "ISO_IR 192");
    return text;
  }
  const auto set = set_of(terms);
  for (const Tag tag : {k_name_tag, tags::patient_id, k_issuer}) {
    if (const dicom::DataSet::Element* const element = text.find(tag)) {
      text.set_bytes(tag, element->vr, encode_text(element->value, set));
    }
  }
  return text;
}

void put_u16(std::string& bytes, std::uint32_t value, bool big) {
  const char low = static_cast<char>(value & 0xFFU);
  const char high = static_cast<char>(value >> 8U & 0xFFU);
  bytes += big ? high : low;
  bytes += big ? low : high;
}

void put_u32(std::string& bytes, std::uint32_t value, bool big) {
  put_u16(bytes, big ? value >> 16U : value & 0xFFFFU, big);
  put_u16(bytes, big ? value & 0xFFFFU : value >> 16U, big);
}

// Strings and sequences of them, in any uncompressed form.
std::string encode(const dicom::DataSet& data, const dicom::TransferSyntax& syntax) {
  const bool big = syntax.big_endian;
  std::string bytes;
  for (const auto& [tag, element] : data.elements()) {
    std::string value;
    if (element.vr == dicom::Vr::SQ) {
      for (const dicom::DataSet& item : element.items) {
        const std::string inside = encode(item, syntax);
        put_u16(value, tags::item.group, big);
        put_u16(value, tags::item.element, big);
        put_u32(value, static_cast<std::uint32_t>(inside.size()), big);
        value += inside;
      }
    } else {
      value = element.value;
      if (value.size() % 2 != 0) {
        value += element.vr == dicom::Vr::UI ? '\0' : ' ';
      }
    }
    put_u16(bytes, tag.group, big);
    put_u16(bytes, tag.element, big);
    if (!syntax.explicit_vr) {
      put_u32(bytes, static_cast<std::uint32_t>(value.size()), big);
    } else {
      bytes += dicom::to_string(element.vr);
      if (dicom::has_long_length(element.vr)) {
        put_u16(bytes, 0, big);
        put_u32(bytes, static_cast<std::uint32_t>(value.size()), big);
      } else {
        put_u16(bytes, static_cast<std::uint32_t>(value.size()), big);
      }
    }
    bytes += value;
  }
  return bytes;
}

// A stream whose first bytes are at hand already.
class WithHead final : public dicom::DataSetStream {
 public:
  WithHead(std::string head, std::unique_ptr<dicom::DataSetStream> rest)
      : m_head(std::move(head)), m_rest(std::move(rest)) {}

  std::size_t read(std::span<std::byte> buffer) override {
    std::size_t filled = 0;
    if (m_at < m_head.size()) {
      filled = std::min(buffer.size(), m_head.size() - m_at);
      std::memcpy(buffer.data(), m_head.data() + m_at, filled);
      m_at += filled;
    }
    return filled == buffer.size() ? filled : filled + m_rest->read(buffer.subspan(filled));
  }
  std::optional<std::uint64_t> size() const override { return std::nullopt; }

 private:
  std::string m_head;
  std::unique_ptr<dicom::DataSetStream> m_rest;
  std::size_t m_at = 0;
};

// The bytes of a source as a stream.
class SourceStream final : public dicom::DataSetStream {
 public:
  explicit SourceStream(std::unique_ptr<dicom::ByteSource> source) : m_source(std::move(source)) {}
  std::size_t read(std::span<std::byte> buffer) override {
    std::size_t filled = 0;
    while (filled < buffer.size()) {
      const auto piece = m_source->peek(std::min(buffer.size() - filled, dicom::ByteSource::k_largest_peek));
      if (piece.empty()) {
        break;
      }
      std::memcpy(buffer.data() + filled, piece.data(), piece.size());
      filled += piece.size();
      m_source->skip(piece.size());
    }
    return filled;
  }
  std::optional<std::uint64_t> size() const override { return std::nullopt; }

 private:
  std::unique_ptr<dicom::ByteSource> m_source;
};

// A raw deflate stream (PS3.5 A.5) of another's bytes.
class Deflated final : public dicom::DataSetStream {
 public:
  explicit Deflated(std::unique_ptr<dicom::DataSetStream> plain)
      : m_plain(std::move(plain)), m_input(k_coercion_piece) {
    if (::deflateInit2(&m_state, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, MAX_MEM_LEVEL - 1,
                       Z_DEFAULT_STRATEGY) != Z_OK) {
      throw Error(kuva::kind("local.resource"), "no memory to deflate an object");
    }
  }
  Deflated(const Deflated&) = delete;
  Deflated& operator=(const Deflated&) = delete;
  ~Deflated() override { ::deflateEnd(&m_state); }

  std::size_t read(std::span<std::byte> buffer) override {
    m_state.next_out = reinterpret_cast<Bytef*>(buffer.data());
    m_state.avail_out = static_cast<uInt>(buffer.size());
    while (m_state.avail_out > 0 && !m_ended) {
      if (m_state.avail_in == 0 && !m_input_ended) {
        const std::size_t count = m_plain->read(m_input);
        m_state.next_in = reinterpret_cast<Bytef*>(m_input.data());
        m_state.avail_in = static_cast<uInt>(count);
        m_input_ended = count < m_input.size();
      }
      m_ended = ::deflate(&m_state, m_input_ended ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_END;
    }
    std::size_t filled = buffer.size() - m_state.avail_out;
    m_count += filled;
    if (m_ended && m_count % 2 != 0 && filled < buffer.size()) {
      buffer[filled++] = std::byte{0};
      ++m_count;
    }
    return filled;
  }
  std::optional<std::uint64_t> size() const override { return std::nullopt; }

 private:
  std::unique_ptr<dicom::DataSetStream> m_plain;
  std::vector<std::byte> m_input;
  z_stream m_state{};
  bool m_input_ended = false;
  bool m_ended = false;
  std::uint64_t m_count = 0;
};

// The elements up to k_last as they lie in `bytes`, and where the first one behind them begins.
struct Head {
  std::map<Tag, std::string_view> elements;
  std::string character_set;
  std::size_t end = 0;
};

// Nothing when the bytes end too early to know.
std::optional<Head> read_head(std::string_view bytes, const dicom::TransferSyntax& syntax, bool is_all) {
  using Event = dicom::DataSetReader::Event;
  const auto source = dicom::make_memory_source(std::as_bytes(std::span(bytes.data(), bytes.size())));
  dicom::DataSetReader reader(*source, syntax);
  Head head;
  std::optional<std::pair<Tag, std::size_t>> open;  // the element that is being passed
  const auto close = [&](std::size_t end) {
    if (open) {
      head.elements[open->first] = bytes.substr(open->second, end - open->second);
    }
    open.reset();
  };
  for (Event event = reader.next(); event != Event::end; event = reader.next()) {
    const bool is_sequence = event == Event::sequence_begin;
    if (reader.depth() != 0 || (event != Event::element && !is_sequence)) {
      continue;
    }
    const dicom::DataSetReader::Header& header = reader.header();
    const auto at = static_cast<std::size_t>(header.offset);
    close(at);
    if (header.tag > k_last) {
      head.end = at;
      return head;
    }
    open.emplace(header.tag, at);
    if (header.tag == tags::specific_character_set && !is_sequence) {
      constexpr std::size_t k_longest = 256;
      std::string_view value = reader.value(k_longest);
      value = value.substr(0, value.find_last_not_of(std::string_view("\0 ", 2)) + 1);
      head.character_set = value;
    }
    if (is_sequence) {
      reader.skip_sequence();
    }
  }
  if (!is_all) {
    return std::nullopt;
  }
  if (reader.broken() || reader.truncated()) {
    throw Error(kuva::kind("file.malformed"), "the elements before the patient's cannot be read");
  }
  close(bytes.size());
  head.end = bytes.size();
  return head;
}

std::unique_ptr<dicom::DataSetStream> with_identity(std::unique_ptr<dicom::DataSetStream> plain,
                                                    const dicom::TransferSyntax& syntax,
                                                    const PatientIdentity& identity) {
  std::string bytes;
  std::optional<Head> head;
  for (bool is_all = false; !head;) {
    const std::size_t had = bytes.size();
    if (had >= k_longest_head) {
      throw Error(kuva::kind("file.not-encodable"), "the elements before the patient's are too long");
    }
    bytes.resize(had + std::max(k_coercion_piece, had));
    const std::size_t count = plain->read(std::as_writable_bytes(std::span(bytes.data() + had, bytes.size() - had)));
    is_all = count < bytes.size() - had;
    bytes.resize(had + count);
    head = read_head(bytes, syntax, is_all);
  }
  std::map<Tag, std::string> own;
  const dicom::DataSet replaced = replacements(identity, head->character_set);
  for (const auto& [tag, element] : replaced.elements()) {
    dicom::DataSet one;
    if (element.vr == dicom::Vr::SQ) {
      for (const dicom::DataSet& item : element.items) {
        one.add_item(tag) = item;
      }
    } else {
      one.set_bytes(tag, element.vr, element.value);
    }
    own[tag] = encode(one, syntax);
  }
  std::string coerced;
  for (const auto& [tag, raw] : head->elements) {
    if (!own.contains(tag) && !tag.is_group_length()) {
      own[tag] = raw;
    }
  }
  for (const auto& [tag, raw] : own) {
    coerced += raw;
  }
  coerced += std::string_view(bytes).substr(head->end);
  return std::make_unique<WithHead>(std::move(coerced), std::move(plain));
}

}  // namespace

void put_identity(dicom::DataSet& attributes, const PatientIdentity& identity) {
  const auto put = [&](Tag tag, dicom::Vr vr, const std::string& value) { attributes.set_bytes(tag, vr, value); };
  put(tags::patient_id, dicom::Vr::LO, identity.patient_id);
  put(k_issuer, dicom::Vr::LO, identity.issuer);
  attributes.erase(k_qualifiers);
  if (!identity.issuer_oid.empty()) {
    dicom::DataSet& item = attributes.add_item(k_qualifiers);
    item.set_bytes(k_universal_id, dicom::Vr::UT, identity.issuer_oid);
    item.set_bytes(k_universal_id_type, dicom::Vr::CS, "ISO");
  }
  if (identity.name) {
    put(k_name_tag, dicom::Vr::PN, *identity.name);
  }
  if (identity.birth_date) {
    put(k_birth_date_tag, dicom::Vr::DA, *identity.birth_date);
  }
  if (identity.sex) {
    put(k_sex_tag, dicom::Vr::CS, *identity.sex);
  }
}

void coerce(dicom::DataSet& object, const PatientIdentity& identity) {
  const dicom::DataSet replaced = replacements(identity, object.string(tags::specific_character_set));
  for (const auto& [tag, element] : replaced.elements()) {
    object.erase(tag);
    if (element.vr == dicom::Vr::SQ) {
      for (const dicom::DataSet& item : element.items) {
        object.add_item(tag) = item;
      }
    } else {
      object.set_bytes(tag, element.vr, element.value);
    }
  }
}

std::unique_ptr<dicom::DataSetStream> open_coerced(const std::filesystem::path& path,
                                                   const std::string& transfer_syntax_uid,
                                                   const std::optional<PatientIdentity>& identity) {
  const dicom::TransferSyntax syntax = dicom::transfer_syntax(transfer_syntax_uid);
  dicom::Part10File file = dicom::open_part10(path);
  if (!identity) {
    return dicom::open_data_set(std::move(file), syntax);
  }
  if (!syntax.deflated) {
    return with_identity(dicom::open_data_set(std::move(file), syntax), syntax, *identity);
  }
  dicom::TransferSyntax inflated = syntax;
  inflated.deflated = false;
  auto plain = std::make_unique<SourceStream>(dicom::data_set_source(file));
  return std::make_unique<Deflated>(with_identity(std::move(plain), inflated, *identity));
}

}  // namespace kuva::sandbox
