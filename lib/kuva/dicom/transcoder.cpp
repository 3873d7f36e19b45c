#include <kuva/core/error.hpp>
#include <kuva/core/file.hpp>
#include <kuva/dicom/dictionary.hpp>
#include <kuva/dicom/reading_error.hpp>
#include <kuva/dicom/transcoder.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace kuva::dicom {

namespace {

// The bytes from the data set's start to the file's end as they are.
class PassThrough final : public DataSetStream {
 public:
  explicit PassThrough(Part10File file)
      : m_path(std::move(file.path)),
        m_source(std::move(file.source)),
        m_fd(m_source->descriptor()),
        m_position(file.meta.data_set_offset),
        m_end(file.size) {
    struct stat status {};
    if (::fstat(m_fd, &status) != 0) {
      throw read_error(m_path, errno);
    }
    const auto size_now = static_cast<std::uint64_t>(status.st_size);
    if (size_now < m_end) {
      throw truncated();
    }
    if (size_now > m_end) {
      throw Error(kuva::kind("file.changed"),
                  fmt::format("the file had {} bytes when it was opened and has {} now", m_end, size_now));
    }
    m_size = m_end - m_position;
    m_odd = m_size % 2 != 0;
  }

  std::size_t read(std::span<std::byte> buffer) override {
    std::size_t filled = 0;
    while (filled < buffer.size() && m_position < m_end) {
      const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size() - filled, m_end - m_position));
      const ssize_t count = ::pread(m_fd, buffer.data() + filled, wanted, static_cast<off_t>(m_position));
      if (count < 0) {
        if (errno == EINTR) {
          continue;
        }
        throw read_error(m_path, errno);
      }
      if (count == 0) {
        throw truncated();
      }
      filled += static_cast<std::size_t>(count);
      m_position += static_cast<std::uint64_t>(count);
    }
    if (m_odd && m_position == m_end && filled < buffer.size()) {
      buffer[filled++] = std::byte{0};
      m_odd = false;
    }
    return filled;
  }

  std::optional<std::uint64_t> size() const override { return m_size + m_size % 2; }
  std::optional<FileRange> file_range() const override {
    // An odd one has a byte more than the file.
    return m_size % 2 == 0 ? std::optional(FileRange{m_fd, m_end - m_size, m_size}) : std::nullopt;
  }

 private:
  Error truncated() const {
    return {kuva::kind("file.truncated"), fmt::format("the file is shorter than the {} bytes that it had", m_end)};
  }

  std::filesystem::path m_path;
  std::unique_ptr<ByteSource> m_source;  // keeps the file open
  int m_fd;
  std::uint64_t m_position;
  std::uint64_t m_end;
  std::uint64_t m_size = 0;
  bool m_odd = false;  // a byte is still to be added
};

TransferSyntax inflated(TransferSyntax syntax) {
  syntax.deflated = false;
  return syntax;
}

std::unique_ptr<ByteSource> inflated_source(Part10File& file) {
  return file.syntax.deflated ? make_inflate_source(std::move(file.source)) : std::move(file.source);
}

// Pixel Representation of the data set itself, for an element that stands before it.
std::optional<std::uint16_t> look_ahead_for_pixel_representation(const std::filesystem::path& path) {
  using Event = DataSetReader::Event;
  Part10File file = open_part10(path);
  const std::unique_ptr<ByteSource> source = inflated_source(file);
  DataSetReader reader(*source, inflated(file.syntax));
  for (Event event = reader.next(); event != Event::end; event = reader.next()) {
    if (reader.header().tag > tags::pixel_representation) {
      break;
    }
    if (event == Event::sequence_begin) {
      reader.skip_sequence();
    } else if (event == Event::element && reader.header().tag == tags::pixel_representation &&
               reader.header().length == 2) {
      const std::string_view value = reader.value(2);
      return value.size() < 2 ? std::nullopt : std::optional<std::uint16_t>(value[reader.big_endian() ? 1 : 0]);
    }
  }
  return std::nullopt;
}

// One pass over the data set: each event of the reader becomes the bytes of the other syntax.
class Reencoder final : public DataSetStream {
 public:
  Reencoder(Part10File file, const TransferSyntax& to)
      : m_path(file.path),
        m_source(inflated_source(file)),
        m_reader(*m_source, inflated(file.syntax)),
        m_explicit(to.explicit_vr) {
    m_levels.emplace_back();
  }

  std::size_t read(std::span<std::byte> buffer) override {
    std::size_t filled = 0;
    while (filled < buffer.size()) {
      const std::span<std::byte> space = buffer.subspan(filled);
      if (m_taken < m_pending.size()) {
        const std::size_t count = std::min(space.size(), m_pending.size() - m_taken);
        std::memcpy(space.data(), m_pending.data() + m_taken, count);
        m_taken += count;
        filled += count;
        continue;
      }
      m_pending.clear();
      m_taken = 0;
      if (m_value_left > 0) {
        filled += read_value(space);
      } else if (!m_ended) {
        encode_next();
      } else {
        break;
      }
    }
    return filled;
  }

  std::optional<std::uint64_t> size() const override { return std::nullopt; }

 private:
  // The data set itself or an item.
  struct Level {
    bool implicit = false;  // within UN of undefined length: Implicit VR Little Endian whatever the target
    std::optional<std::uint16_t> pixel_representation;
    std::uint16_t private_group = 0;  // the group whose creators are held
    std::vector<std::pair<std::uint16_t, std::string>> creators;
  };

  static constexpr std::size_t k_longest_creator = 64;

  void encode_next() {
    using Event = DataSetReader::Event;
    switch (m_reader.next()) {
      case Event::element:
        encode_element();
        break;
      case Event::sequence_begin:
        begin_sequence();
        break;
      case Event::item_begin:
        m_levels.emplace_back().implicit = m_sequences.back();
        append_delimiter(tags::item, k_undefined_length);
        break;
      case Event::item_end:
        m_levels.pop_back();
        append_delimiter(tags::item_delimitation, 0);
        break;
      case Event::sequence_end:
        m_sequences.pop_back();
        append_delimiter(tags::sequence_delimitation, 0);
        break;
      case Event::end:
        if (auto error = reading_error(m_reader)) {
          throw std::move(*error);
        }
        m_ended = true;
        break;
    }
  }

  void begin_sequence() {
    const DataSetReader::Header& header = m_reader.header();
    if (m_reader.is_fragments()) {
      throw Error(kuva::kind("file.not-encodable"),
                  fmt::format("({}) is in fragments though the transfer syntax is not an encapsulated one",
                              to_string(header.tag)));
    }
    const bool of_unknown_vr = header.vr_is_explicit && header.vr == Vr::UN;
    append_header(header.tag, of_unknown_vr ? Vr::UN : Vr::SQ, k_undefined_length);
    m_sequences.push_back(m_levels.back().implicit || of_unknown_vr);
  }

  void encode_element() {
    const DataSetReader::Header& header = m_reader.header();
    if (header.tag.is_group_length() || header.tag == tags::data_set_trailing_padding) {
      return;
    }
    const Vr vr = vr_of(header);
    note(header);

    std::uint32_t length = header.length;
    m_pad = length % 2 != 0;
    if (m_pad) {
      if (length == k_undefined_length - 2) {
        throw Error(kuva::kind("file.not-encodable"),
                    fmt::format("({}) is too long to be padded", to_string(header.tag)));
      }
      ++length;
    }
    m_padding = is_string(vr) && vr != Vr::UI ? std::byte{' '} : std::byte{0};
    append_header(header.tag, !has_long_length(vr) && length > 0xFFFE ? Vr::UN : vr, length);
    m_value_left = header.length;
    m_unit = m_reader.big_endian() ? swap_unit(vr) : 1;
  }

  // As written, or by PS3.5 A.1 and 6.2.2 where the source is implicit.
  Vr vr_of(const DataSetReader::Header& header) {
    if (header.vr_is_explicit) {
      // An SQ whose value does not begin with an item comes as a value; some VRs are newer than this program.
      return header.vr == Vr::none || header.vr == Vr::SQ ? Vr::UN : header.vr;
    }
    if (!m_explicit || m_levels.back().implicit) {
      return header.vr == Vr::none ? Vr::UN : header.vr;  // for the padding alone
    }
    return header.tag.is_private() ? private_vr_of(header.tag) : standard_vr_of(header);
  }

  Vr standard_vr_of(const DataSetReader::Header& header) {
    constexpr Tag lut_data{0x0028, 0x3006};
    const DictionaryEntry* const entry = find_entry(header.tag);
    if (entry == nullptr || entry->vr == Vr::none || entry->vr == Vr::SQ) {
      return Vr::UN;
    }
    if (header.tag == lut_data) {
      return header.length == 2 ? Vr::US : Vr::OW;  // a table of one entry is a US (PS3.3 C.11.1.1)
    }
    if (entry->second_vr == Vr::OW) {
      return Vr::OW;
    }
    if (entry->vr == Vr::US && entry->second_vr == Vr::SS) {
      return pixel_representation() == 1 ? Vr::SS : Vr::US;
    }
    return entry->vr;
  }

  Vr private_vr_of(Tag tag) const {
    if (tag.element >= 0x0010 && tag.element <= 0x00FF) {
      return Vr::LO;
    }
    const Level& level = m_levels.back();
    const auto block = static_cast<std::uint16_t>(tag.element >> 8);
    if (level.private_group != tag.group) {
      return Vr::UN;
    }
    const auto creator = std::find_if(level.creators.begin(), level.creators.end(),
                                      [&](const auto& reserved) { return reserved.first == block; });
    if (creator == level.creators.end()) {
      return Vr::UN;
    }
    const Vr vr = private_vr(creator->second, tag);
    return vr == Vr::none || vr == Vr::SQ ? Vr::UN : vr;
  }

  // Of the innermost data set that has it.
  std::uint16_t pixel_representation() {
    for (auto level = m_levels.rbegin(); level != m_levels.rend(); ++level) {
      if (level->pixel_representation) {
        return *level->pixel_representation;
      }
    }
    Level& whole = m_levels.front();
    whole.pixel_representation = 0;
    if (m_last_tag < tags::pixel_representation && !m_path.empty()) {
      whole.pixel_representation = look_ahead_for_pixel_representation(m_path).value_or(0);
    }
    return *whole.pixel_representation;
  }

  // Remembers what the VRs of later elements depend on.
  void note(const DataSetReader::Header& header) {
    Level& level = m_levels.back();
    if (header.tag == tags::pixel_representation && header.length == 2) {
      const std::string_view value = m_reader.value(2);
      if (value.size() == 2) {
        level.pixel_representation = static_cast<std::uint16_t>(value[m_reader.big_endian() ? 1 : 0]);
      }
    }
    if (header.tag.is_private() && header.tag.element >= 0x0010 && header.tag.element <= 0x00FF) {
      if (level.private_group != header.tag.group) {
        level.private_group = header.tag.group;
        level.creators.clear();
      }
      const std::string_view value = m_reader.value(k_longest_creator);
      const auto end = value.find_last_not_of(std::string_view(" \0", 2));
      const auto block = header.tag.element;
      const bool reserved = std::any_of(level.creators.begin(), level.creators.end(),
                                        [&](const auto& creator) { return creator.first == block; });
      if (!reserved && end != std::string_view::npos) {
        level.creators.emplace_back(block, value.substr(0, end + 1));
      }
    }
    if (m_levels.size() == 1) {
      m_last_tag = header.tag;
    }
  }

  // Straight into the caller's buffer, or swapped into m_pending.
  std::size_t read_value(std::span<std::byte> space) {
    const bool swapped = m_unit > 1;
    const std::size_t at_most = swapped ? ByteSource::k_largest_peek / 4 : space.size();
    const std::span<const std::byte> piece = m_reader.read_some(std::min(at_most, ByteSource::k_largest_peek));
    if (piece.empty() || piece.size() > m_value_left) {
      throw Error(kuva::kind("file.truncated"),
                  fmt::format("the data set ends within ({})", to_string(m_reader.header().tag)));
    }
    m_value_left -= static_cast<std::uint32_t>(piece.size());

    std::size_t filled = 0;
    if (swapped) {
      swap_into_pending(piece);
    } else {
      std::memcpy(space.data(), piece.data(), piece.size());
      filled = piece.size();
    }
    if (m_value_left == 0) {
      m_pending.insert(m_pending.end(), m_carry.begin(), m_carry.end());
      m_carry.clear();
      if (m_pad) {
        m_pending.push_back(m_padding);
      }
    }
    return filled;
  }

  // A piece may end within a unit; its bytes wait in m_carry.
  void swap_into_pending(std::span<const std::byte> piece) {
    m_pending.insert(m_pending.end(), m_carry.begin(), m_carry.end());
    m_pending.insert(m_pending.end(), piece.begin(), piece.end());
    const std::size_t whole = m_pending.size() - m_pending.size() % m_unit;
    m_carry.assign(m_pending.begin() + static_cast<std::ptrdiff_t>(whole), m_pending.end());
    m_pending.resize(whole);
    for (auto unit = m_pending.begin(); unit != m_pending.end(); unit += m_unit) {
      std::reverse(unit, unit + m_unit);
    }
  }

  void append_u16(std::uint16_t value) {
    m_pending.push_back(static_cast<std::byte>(value & 0xFFU));
    m_pending.push_back(static_cast<std::byte>(value >> 8U));
  }
  void append_u32(std::uint32_t value) {
    append_u16(static_cast<std::uint16_t>(value & 0xFFFFU));
    append_u16(static_cast<std::uint16_t>(value >> 16U));
  }
  void append_tag(Tag tag) {
    append_u16(tag.group);
    append_u16(tag.element);
  }
  void append_delimiter(Tag tag, std::uint32_t length) {
    append_tag(tag);
    append_u32(length);
  }
  void append_header(Tag tag, Vr vr, std::uint32_t length) {
    append_tag(tag);
    if (!m_explicit || m_levels.back().implicit) {
      append_u32(length);
      return;
    }
    for (const char c : to_string(vr)) {
      m_pending.push_back(static_cast<std::byte>(c));
    }
    if (has_long_length(vr)) {
      append_u16(0);
      append_u32(length);
    } else {
      append_u16(static_cast<std::uint16_t>(length));
    }
  }

  std::filesystem::path m_path;
  std::unique_ptr<ByteSource> m_source;
  DataSetReader m_reader;
  bool m_explicit;
  std::vector<Level> m_levels;
  std::vector<bool> m_sequences;  // that are open: whether their contents are implicit whatever the target
  Tag m_last_tag;                 // of the data set itself

  std::vector<std::byte> m_pending;  // encoded and not yet taken
  std::size_t m_taken = 0;
  std::uint32_t m_value_left = 0;  // of the current element, not yet encoded
  unsigned m_unit = 1;             // bytes that change places
  std::vector<std::byte> m_carry;
  bool m_pad = false;
  std::byte m_padding{};
  bool m_ended = false;
};

}  // namespace

bool can_encode(const TransferSyntax& from, const TransferSyntax& to) {
  if (from.uid == to.uid) {
    return true;
  }
  // By name: native pixel data alone does not make a syntax one of these (JPIP Referenced has no pixel data at all).
  const auto is_target = [](const TransferSyntax& syntax) {
    return syntax.uid == k_implicit_vr_little_endian || syntax.uid == k_explicit_vr_little_endian;
  };
  return is_target(to) &&
         (is_target(from) || from.uid == k_explicit_vr_big_endian || from.uid == k_deflated_explicit_vr_little_endian);
}

std::unique_ptr<DataSetStream> open_data_set(Part10File file, const TransferSyntax& to) {
  if (!can_encode(file.syntax, to)) {
    throw Error(kuva::kind("file.not-encodable"), fmt::format("{} cannot be written as {}", file.syntax.name, to.name));
  }
  if (file.syntax.uid == to.uid) {
    return std::make_unique<PassThrough>(std::move(file));
  }
  return std::make_unique<Reencoder>(std::move(file), to);
}

}  // namespace kuva::dicom
