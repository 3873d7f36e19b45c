#include <kuva/dicom/dictionary.hpp>
#include <kuva/dicom/reader.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::dicom {

namespace {

// How much is asked of the source at a time: small against a header's few KiB, so that a scan reads no more.
constexpr std::size_t k_view = 4096;
constexpr std::size_t k_deepest_frames = 2 * DataSetReader::k_deepest_nesting + 1;

bool is_upper(unsigned char c) { return c >= 'A' && c <= 'Z'; }

// VRs of bytes, in which an undefined length can only mean fragments (PS3.5 A.4).
bool is_byte_stream(Vr vr) {
  return vr == Vr::OB || vr == Vr::OW || vr == Vr::OF || vr == Vr::OD || vr == Vr::OL || vr == Vr::OV;
}

}  // namespace

DataSetReader::DataSetReader(ByteSource& source, const TransferSyntax& syntax)
    : m_source(&source),
      m_view_position(source.position()),
      m_explicit(syntax.explicit_vr),
      m_big_endian(syntax.big_endian) {
  if (const auto remaining = source.remaining()) {
    m_source_end = m_view_position + *remaining;
  }
  m_frames.reserve(8);
  Frame& root = m_frames.emplace_back();
  root.end = k_no_end;
}

bool DataSetReader::have(std::size_t size) {
  if (at_hand() >= size) {
    return true;
  }
  m_source->skip(m_used);
  m_view_position += m_used;
  m_used = 0;
  m_view = m_source->peek(std::max(size, k_view));
  return m_view.size() >= size;
}

bool DataSetReader::pass(std::uint64_t size) {
  if (size <= at_hand()) {
    m_used += static_cast<std::size_t>(size);
    return true;
  }
  const std::uint64_t wanted = m_used + size;
  const std::uint64_t passed = m_source->skip(wanted);
  m_view_position += passed;
  m_view = {};
  m_used = 0;
  return passed == wanted;
}

std::uint16_t DataSetReader::u16(std::size_t at) const {
  const unsigned char* p = bytes() + at;
  return static_cast<std::uint16_t>(big_endian() ? p[0] << 8 | p[1] : p[1] << 8 | p[0]);
}

std::uint32_t DataSetReader::u32(std::size_t at) const {
  const std::uint32_t first = u16(at);
  const std::uint32_t second = u16(at + 2);
  return big_endian() ? first << 16 | second : second << 16 | first;
}

bool DataSetReader::big_endian() const { return m_big_endian && !m_frames.back().implicit; }

std::size_t DataSetReader::depth() const {
  const std::size_t open = m_frames.size() / 2;
  return m_at_sequence ? open - 1 : open;
}

std::string DataSetReader::tag_path() const {
  std::string path;
  for (const Frame& frame : m_frames) {
    if (frame.kind != Kind::sequence && frame.kind != Kind::fragments) {
      continue;
    }
    if (!path.empty()) {
      path += '/';
    }
    path += to_string(frame.tag);
    if (!(m_at_sequence && &frame == &m_frames.back())) {
      path += fmt::format("[{}]", frame.items);
    }
  }
  const bool within_item = m_frames.back().kind == Kind::data_set || m_frames.back().kind == Kind::item;
  if (within_item && m_header.tag.group != tags::item.group && m_header.tag != Tag{}) {
    path += path.empty() ? "" : "/";
    path += to_string(m_header.tag);
  }
  return path;
}

void DataSetReader::add_defect(Defect::Severity severity, std::string_view rule, std::string message,
                               std::uint64_t offset) {
  if (m_defects.size() >= k_most_defects) {
    ++m_defects_left_out;
    return;
  }
  m_defects.push_back({severity, std::string(rule), std::move(message), tag_path(), offset});
}

DataSetReader::Event DataSetReader::finish() {
  m_done = true;
  m_value_left = 0;
  if (m_defects_left_out > 0) {
    m_defects.push_back({Defect::Severity::info,
                         "structure.more",
                         fmt::format("{} more defects of the structure are not listed", m_defects_left_out),
                         {},
                         position()});
    m_defects_left_out = 0;
  }
  return Event::end;
}

DataSetReader::Event DataSetReader::stop_truncated(std::string message) {
  m_truncated = true;
  m_defects.push_back(
      {Defect::Severity::error, "structure.truncated", std::move(message), tag_path(), m_header.offset});
  return finish();
}

DataSetReader::Event DataSetReader::stop_broken(std::string_view rule, std::string message, std::uint64_t offset) {
  m_broken = true;
  m_defects.push_back({Defect::Severity::error, std::string(rule), std::move(message), tag_path(), offset});
  return finish();
}

DataSetReader::Event DataSetReader::close(Kind kind) {
  const Tag tag = m_frames.back().tag;
  m_frames.pop_back();
  if (kind == Kind::item) {
    return Event::item_end;
  }
  m_header = {};
  m_header.tag = tag;
  return Event::sequence_end;
}

DataSetReader::Event DataSetReader::next() {
  m_event = step();
  return m_event;
}

DataSetReader::Event DataSetReader::step() {
  if (m_done) {
    return Event::end;
  }
  if (m_value_left > 0) {
    const std::uint64_t length = m_value_left;
    m_value_left = 0;
    if (!pass(length)) {
      return stop_truncated("the data set ends within this value");
    }
  }
  m_at_sequence = false;
  m_in_fragments = m_frames.back().kind == Kind::fragments;
  switch (m_frames.back().kind) {
    case Kind::sequence:
      return read_item();
    case Kind::fragments:
      return read_fragment();
    case Kind::data_set:
    case Kind::item:
      break;
  }
  return read_element();
}

bool DataSetReader::rest_is_zero() {
  while (have(1)) {
    const std::span<const std::byte> rest = m_view.subspan(m_used);
    if (std::ranges::any_of(rest, [](std::byte b) { return b != std::byte{0}; })) {
      return false;
    }
    m_used = m_view.size();
  }
  return true;
}

// Whether the bytes from here to the end are no elements but padding or rubbish behind the data set: then it is over.
bool DataSetReader::is_stray_tail(std::uint64_t start) {
  if (m_frames.size() > 1) {
    return false;
  }
  const bool after_pixel_data = m_frames.back().any && m_frames.back().last >= tags::float_pixel_data;
  std::string message;
  if (rest_is_zero()) {
    message = fmt::format("{} zero bytes follow the data set", position() - start);
  } else if (after_pixel_data) {
    message = "bytes that are no data element follow the pixel data";
  } else {
    return false;
  }
  m_header = {};
  m_header.offset = start;
  add_defect(Defect::Severity::warning, "structure.trailing-bytes", std::move(message), start);
  finish();
  return true;
}

// The bytes ended where an element could begin.
DataSetReader::Event DataSetReader::end_of_data_set() {
  if (m_frames.size() > 1) {
    m_header.offset = position();
    return stop_truncated("the data set ends within an item of undefined length");
  }
  return finish();
}

bool DataSetReader::fits_length(std::uint64_t length) {
  return !m_source_end || m_header.value_offset + length <= *m_source_end;
}

void DataSetReader::check_order(Frame& frame) {
  const Tag tag = m_header.tag;
  const Tag last = frame.last;
  const bool first = !frame.any;
  frame.any = true;
  frame.last = tag;
  if (first || tag > last) {
    return;
  }
  if (tag == last) {
    add_defect(Defect::Severity::error, "structure.duplicate-tag", "the element is there twice", m_header.offset);
  } else {
    add_defect(Defect::Severity::warning, "structure.tag-order",
               fmt::format("the element follows {}: tags must ascend", to_string(last)), m_header.offset);
  }
}

DataSetReader::Event DataSetReader::read_element() {
  for (;;) {
    Frame& frame = m_frames.back();
    if (position() >= frame.end) {
      if (!frame.defined) {
        m_header.offset = position();
        add_defect(Defect::Severity::error, "structure.missing-delimiter",
                   "the item of undefined length has no item delimiter", position());
      }
      return close(Kind::item);
    }
    if (!have(8)) {
      if (at_hand() == 0) {
        return end_of_data_set();
      }
      if (m_frames.size() == 1 && std::all_of(bytes(), bytes() + at_hand(), [](unsigned char c) { return c == 0; })) {
        is_stray_tail(position());
        return Event::end;
      }
      m_header = {};
      m_header.offset = position();
      return stop_truncated("the data set ends within the tag and length of an element");
    }
    if (frame.end - position() < 8) {
      m_header = {};
      return stop_broken("structure.length-mismatch", "an element's header does not fit into the item's length",
                         position());
    }
    m_header.tag = tag_here();
    m_header.offset = position();

    if (m_header.tag.group == tags::item.group) {
      const std::uint32_t length = u32(4);
      const bool open_item = frame.kind == Kind::item && !frame.defined;
      if (m_header.tag == tags::item_delimitation && open_item) {
        if (length != 0) {
          add_defect(Defect::Severity::warning, "structure.delimiter-length", "the item delimiter has a length",
                     m_header.offset);
        }
        pass(8);
        return close(Kind::item);
      }
      if (open_item && (m_header.tag == tags::sequence_delimitation || m_header.tag == tags::item)) {
        // What comes belongs to the sequence around it.
        add_defect(Defect::Severity::error, "structure.missing-delimiter",
                   "the item of undefined length has no item delimiter", m_header.offset);
        return close(Kind::item);
      }
      if (m_header.tag == tags::item_delimitation || m_header.tag == tags::sequence_delimitation) {
        add_defect(Defect::Severity::warning, "structure.stray-delimiter",
                   "a delimiter that closes nothing: the sequence or item around it has a defined length",
                   m_header.offset);
        pass(8);
        continue;
      }
      return stop_broken("structure.stray-item", "an item outside of a sequence", m_header.offset);
    }

    std::size_t header_size = 8;
    if (explicit_here()) {
      const unsigned char* p = bytes();
      m_header.vr = vr_from_chars(static_cast<char>(p[4]), static_cast<char>(p[5]));
      m_header.vr_is_explicit = true;
      const bool unknown = m_header.vr == Vr::none;
      if (unknown && !(is_upper(p[4]) && is_upper(p[5]))) {
        if (is_stray_tail(m_header.offset)) {
          return Event::end;
        }
        return stop_broken("structure.no-vr", "bytes that are no VR where an explicit one must stand", m_header.offset);
      }
      if (unknown || has_long_length(m_header.vr)) {
        // Also of VRs that are newer than this program (PS3.5 7.1.2).
        header_size = 12;
        if (!have(12)) {
          return stop_truncated("the data set ends within the tag and length of an element");
        }
        if (frame.end - position() < 12) {
          return stop_broken("structure.length-mismatch", "an element's header does not fit into the item's length",
                             m_header.offset);
        }
        m_header.length = u32(8);
      } else {
        m_header.length = u16(6);
      }
      if (unknown) {
        m_header.value_offset = position() + header_size;
        if (m_header.length != k_undefined_length && !fits_length(m_header.length) && is_stray_tail(m_header.offset)) {
          return Event::end;
        }
        add_defect(Defect::Severity::warning, "structure.unknown-vr", "the VR is not one of PS3.5", m_header.offset);
      }
    } else {
      m_header.vr_is_explicit = false;
      m_header.length = u32(4);
      const DictionaryEntry* entry = find_entry(m_header.tag);
      m_header.vr = entry == nullptr ? Vr::UN : entry->vr;
      if (entry != nullptr && entry->second_vr == Vr::OW) {
        m_header.vr = Vr::OW;  // PS3.5 A.1
      }
    }
    m_header.value_offset = position() + header_size;

    if (m_header.length != k_undefined_length && !fits_length(m_header.length)) {
      // Zeros or rubbish after the last element look like a tag with an impossible length.
      const bool plausible = !frame.any || m_header.tag > frame.last;
      if (!plausible && is_stray_tail(m_header.offset)) {
        return Event::end;
      }
      frame.any = true;
      return stop_truncated(fmt::format("the element is {} bytes long, only {} are left", m_header.length,
                                        *m_source_end - std::min(*m_source_end, m_header.value_offset)));
    }
    if (m_header.tag == Tag{} && m_frames.size() == 1 && frame.any) {
      // No element has this tag: padding to a block's size, or rubbish.
      if (is_stray_tail(m_header.offset)) {
        return Event::end;
      }
      return stop_broken("structure.no-element", "bytes that are no data element", m_header.offset);
    }
    check_order(frame);
    pass(header_size);

    if (m_header.length == k_undefined_length) {
      if (m_header.tag == tags::pixel_data && m_header.vr != Vr::SQ) {
        return begin_sequence(Kind::fragments, false);
      }
      if (m_header.vr_is_explicit && m_header.vr == Vr::SQ) {
        return begin_sequence(Kind::sequence, frame.implicit);
      }
      if (!m_header.vr_is_explicit || m_header.vr == Vr::UN) {
        return begin_sequence(Kind::sequence, frame.implicit || m_header.vr == Vr::UN);
      }
      if (is_byte_stream(m_header.vr)) {
        return begin_sequence(Kind::fragments, false);
      }
      return stop_broken("structure.undefined-length",
                         fmt::format("an undefined length is not possible for the VR {}", to_string(m_header.vr)),
                         m_header.offset);
    }
    if (m_header.length > frame.end - m_header.value_offset) {
      return stop_broken("structure.length-mismatch", "the element is longer than what its item or sequence has left",
                         m_header.offset);
    }
    if ((m_header.length & 1U) != 0) {
      add_defect(Defect::Severity::warning, "structure.odd-length", "the length is odd", m_header.offset);
    }
    if (m_header.vr == Vr::SQ) {
      if (m_header.length == 0 || (have(4) && tag_here() == tags::item)) {
        return begin_sequence(Kind::sequence, frame.implicit);
      }
      add_defect(Defect::Severity::error, "structure.not-items", "the sequence's value does not begin with an item",
                 m_header.offset);
    }
    return begin_value();
  }
}

DataSetReader::Event DataSetReader::begin_value() {
  m_value_left = m_header.length;
  return Event::element;
}

DataSetReader::Event DataSetReader::begin_sequence(Kind kind, bool implicit) {
  if (m_frames.size() >= k_deepest_frames) {
    return stop_broken("structure.too-deep", fmt::format("sequences are nested more than {} deep", k_deepest_nesting),
                       m_header.offset);
  }
  Frame frame;
  frame.kind = kind;
  frame.defined = m_header.length != k_undefined_length;
  frame.implicit = implicit;
  frame.tag = m_header.tag;
  frame.end = frame.defined ? m_header.value_offset + m_header.length : m_frames.back().end;
  m_frames.push_back(frame);
  m_at_sequence = true;
  m_in_fragments = kind == Kind::fragments;
  return Event::sequence_begin;
}

DataSetReader::Event DataSetReader::read_item() {
  for (;;) {
    Frame& frame = m_frames.back();
    if (position() >= frame.end) {
      if (!frame.defined) {
        add_defect(Defect::Severity::error, "structure.missing-delimiter",
                   "the sequence of undefined length has no sequence delimiter", position());
      }
      return close(Kind::sequence);
    }
    Header header;
    header.offset = position();
    if (!have(8)) {
      m_header = header;
      return stop_truncated("the data set ends within a sequence");
    }
    if (frame.end - position() < 8) {
      return stop_broken("structure.length-mismatch", "an item's header does not fit into the sequence's length",
                         header.offset);
    }
    header.tag = tag_here();
    header.length = u32(4);
    header.value_offset = position() + 8;
    if (header.tag == tags::item) {
      m_header = header;
      ++frame.items;
      const bool defined = header.length != k_undefined_length;
      if (defined && !fits_length(header.length)) {
        return stop_truncated(fmt::format("the item is {} bytes long, only {} are left", header.length,
                                          *m_source_end - std::min(*m_source_end, header.value_offset)));
      }
      if (defined && header.length > frame.end - header.value_offset) {
        return stop_broken("structure.length-mismatch", "the item is longer than what its sequence has left",
                           header.offset);
      }
      pass(8);
      Frame item;
      item.kind = Kind::item;
      item.defined = defined;
      item.implicit = frame.implicit;
      item.end = defined ? header.value_offset + header.length : frame.end;
      m_frames.push_back(item);
      return Event::item_begin;
    }
    if (header.tag == tags::sequence_delimitation && !frame.defined) {
      if (header.length != 0) {
        add_defect(Defect::Severity::warning, "structure.delimiter-length", "the sequence delimiter has a length",
                   header.offset);
      }
      pass(8);
      return close(Kind::sequence);
    }
    if (header.tag == tags::sequence_delimitation || header.tag == tags::item_delimitation) {
      add_defect(Defect::Severity::warning, "structure.stray-delimiter",
                 "a delimiter that closes nothing: the sequence or item around it has a defined length", header.offset);
      pass(8);
      continue;
    }
    return stop_broken("structure.not-items", "something else than an item in a sequence", header.offset);
  }
}

DataSetReader::Event DataSetReader::read_fragment() {
  Frame& frame = m_frames.back();
  Header header;
  header.offset = position();
  if (!have(8)) {
    m_header = header;
    return stop_truncated(at_hand() == 0 ? "the pixel data has no sequence delimiter at its end"
                                         : "the data set ends within the header of a fragment");
  }
  if (frame.end - position() < 8) {
    return stop_broken("structure.length-mismatch", "a fragment's header does not fit into the item's length",
                       header.offset);
  }
  header.tag = tag_here();
  header.length = u32(4);
  header.value_offset = position() + 8;
  if (header.tag == tags::item) {
    m_header = header;
    ++frame.items;
    if (header.length == k_undefined_length) {
      return stop_broken("structure.undefined-length", "a fragment of undefined length", header.offset);
    }
    if (!fits_length(header.length)) {
      return stop_truncated(fmt::format("the fragment is {} bytes long, only {} are left", header.length,
                                        *m_source_end - std::min(*m_source_end, header.value_offset)));
    }
    if (header.length > frame.end - header.value_offset) {
      return stop_broken("structure.length-mismatch", "the fragment is longer than what its item has left",
                         header.offset);
    }
    if ((header.length & 1U) != 0) {
      add_defect(Defect::Severity::warning, "structure.odd-length", "the fragment's length is odd", header.offset);
    }
    pass(8);
    m_value_left = header.length;
    return Event::item_begin;
  }
  if (header.tag == tags::sequence_delimitation) {
    if (header.length != 0) {
      add_defect(Defect::Severity::warning, "structure.delimiter-length", "the sequence delimiter has a length",
                 header.offset);
    }
    pass(8);
    return close(Kind::fragments);
  }
  if (header.tag > frame.tag && header.tag.group != tags::item.group && m_frames.size() == 2) {
    add_defect(Defect::Severity::error, "structure.missing-delimiter",
               "the pixel data has no sequence delimiter at its end", header.offset);
    return close(Kind::fragments);
  }
  return stop_broken("structure.not-items", "something else than a fragment in the pixel data", header.offset);
}

std::string_view DataSetReader::value(std::size_t limit) {
  const std::size_t size =
      static_cast<std::size_t>(std::min<std::uint64_t>({limit, m_value_left, ByteSource::k_largest_peek}));
  if (size == 0) {
    return {};
  }
  have(size);
  return {reinterpret_cast<const char*>(bytes()), std::min(size, at_hand())};
}

std::span<const std::byte> DataSetReader::read_some(std::size_t at_most) {
  const std::size_t size =
      static_cast<std::size_t>(std::min<std::uint64_t>({at_most, m_value_left, ByteSource::k_largest_peek}));
  if (size == 0) {
    return {};
  }
  have(size);
  const std::span<const std::byte> piece = m_view.subspan(m_used, std::min(size, at_hand()));
  m_used += piece.size();
  m_value_left -= piece.size();
  return piece;
}

void DataSetReader::skip_sequence() {
  if (m_done) {
    return;
  }
  if (m_event == Event::element) {
    const std::uint64_t length = m_value_left;
    m_value_left = 0;
    if (!pass(length)) {
      stop_truncated("the data set ends within this value");
    }
    return;
  }
  // Frames alternate: data set, sequence, item, sequence ...
  const std::size_t outside = m_frames.size() % 2 == 0 ? m_frames.size() - 1 : m_frames.size() - 2;
  while (!m_done && m_frames.size() > 1 && m_frames.size() > outside) {
    next();
  }
}

}  // namespace kuva::dicom
