#include <kuva/dicom/dictionary.hpp>
#include <kuva/rules/object.hpp>
#include <kuva/rules/values.hpp>

#include <algorithm>
#include <bit>
#include <cmath>

namespace kuva::rules {

namespace {

using dicom::Vr;
using Event = dicom::DataSetReader::Event;

std::uint64_t integer_at(const char* bytes, std::size_t width, bool big_endian) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i) {
    const std::size_t place = big_endian ? width - 1 - i : i;
    value |= std::uint64_t{static_cast<unsigned char>(bytes[place])} << (8 * i);
  }
  return value;
}

double number_at(const char* bytes, Vr vr, bool big_endian) {
  if (vr == Vr::AT) {  // group and element, each in the byte order
    return static_cast<double>(integer_at(bytes, 2, big_endian) << 16 | integer_at(bytes + 2, 2, big_endian));
  }
  const std::uint64_t raw = integer_at(bytes, width_of(vr), big_endian);
  switch (vr) {
    case Vr::SS:
      return static_cast<double>(static_cast<std::int16_t>(raw));
    case Vr::SL:
      return static_cast<double>(static_cast<std::int32_t>(raw));
    case Vr::SV:
      return static_cast<double>(static_cast<std::int64_t>(raw));
    case Vr::FL:
      return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(raw)));
    case Vr::FD:
      return std::bit_cast<double>(raw);
    default:
      return static_cast<double>(raw);
  }
}

// PS3.5 6.2.2: an element of the standard in UN has the VR that PS3.6 gives it.
Vr resolved_vr(const dicom::DataSetReader::Header& header) {
  if (header.vr != Vr::UN || header.tag.is_private()) {
    return header.vr;
  }
  const dicom::DictionaryEntry* entry = dicom::find_entry(header.tag);
  return entry == nullptr || entry->vr == Vr::SQ || entry->vr == Vr::none ? Vr::UN : entry->vr;
}

}  // namespace

const Object::Element* Object::find(const Item& item, dicom::Tag tag) const {
  const std::span<const Element> all = elements(item);
  const auto found = std::ranges::lower_bound(all, tag, {}, &Element::tag);
  return found != all.end() && found->tag == tag ? &*found : nullptr;
}

std::string_view Object::bytes(const Element& element) const {
  std::string_view value = std::string_view(m_values).substr(element.value_at, element.kept);
  if (dicom::is_string(element.vr)) {
    while (!value.empty() && is_padding(value.back())) {
      value.remove_suffix(1);
    }
  }
  return value;
}

bool Object::filled(const Element& element) const {
  if (element.sequence) {
    return element.items != 0;
  }
  return element.length != 0 && (!dicom::is_string(element.vr) || !element.whole || !trimmed(bytes(element)).empty());
}

std::vector<std::string_view> Object::texts(const Element& element) const {
  std::vector<std::string_view> values;
  if (!dicom::is_string(element.vr) || element.kept == 0) {
    return values;
  }
  std::string_view rest = bytes(element);
  const bool single = element.vr == Vr::LT || element.vr == Vr::ST || element.vr == Vr::UT || element.vr == Vr::UR;
  while (!single) {
    const std::size_t end = rest.find('\\');
    if (end == std::string_view::npos) {
      break;
    }
    values.push_back(trimmed(rest.substr(0, end)));
    rest.remove_prefix(end + 1);
  }
  if (element.whole) {
    values.push_back(trimmed(rest));
  }
  return values;
}

std::vector<double> Object::numbers(const Element& element) const {
  std::vector<double> values;
  if (element.vr == Vr::IS || element.vr == Vr::DS) {
    for (const std::string_view text : texts(element)) {
      if (const double value = number_of(text); !std::isnan(value)) {
        values.push_back(value);
      }
    }
    return values;
  }
  const std::size_t width = width_of(element.vr);
  if (width != 0) {
    const char* const start = m_values.data() + element.value_at;
    for (std::size_t at = 0; at + width <= element.kept; at += width) {
      values.push_back(number_at(start + at, element.vr, element.big_endian));
    }
  }
  return values;
}

std::optional<std::size_t> Object::count(const Element& element) const {
  if (element.sequence) {
    return element.items;
  }
  if (const std::size_t width = width_of(element.vr); width != 0) {
    return element.length / width;
  }
  if (element.length != 0 && dicom::is_string(element.vr)) {
    return element.whole ? std::optional(texts(element).size()) : std::nullopt;
  }
  return element.length == 0 ? 0 : 1;
}

bool Object::readable(const Element& element) const {
  return element.length == 0 || (element.whole && !element.sequence);
}

ObjectBuilder::ObjectBuilder() {
  m_open_items.emplace_back();
  m_object.m_elements.reserve(256);
}

bool ObjectBuilder::has_room() {
  if (++m_elements > Object::k_most_elements || m_object.m_values.size() > Object::k_most_kept) {
    m_object.m_complete = false;
  }
  return m_object.m_complete;
}

void ObjectBuilder::add(const dicom::DataSetReader& reader, Object::Element element) {
  const dicom::DataSetReader::Header& header = reader.header();
  OpenItem& open = m_open_items.back();
  if (!has_room()) {
    return;
  }
  if (!open.elements.empty() && header.tag <= open.elements.back().tag) {
    open.ascending = false;
  }
  element.tag = header.tag;
  element.vr = resolved_vr(header);
  element.big_endian = reader.big_endian() && header.vr != Vr::UN;
  element.length = header.length;
  element.offset = header.offset;
  open.elements.push_back(element);
}

void ObjectBuilder::event(dicom::DataSetReader& reader, Event event) {
  switch (event) {
    case Event::element: {
      Object::Element element;
      const dicom::DataSetReader::Header& header = reader.header();
      const bool at_root = m_open_items.size() == 1;
      const std::size_t limit = at_root ? Object::k_kept_of_root : Object::k_kept_of_items;
      const Vr vr = resolved_vr(header);
      // Of bulk nothing is kept, not even its start: no rule asks for it.
      const bool keeps = dicom::is_string(vr) || (width_of(vr) != 0 && header.length <= limit);
      if (keeps && m_object.m_complete) {
        const std::string_view value = reader.value(limit);
        element.value_at = m_object.m_values.size();
        element.kept = static_cast<std::uint32_t>(value.size());
        element.whole = value.size() == header.length;
        m_object.m_values.append(value);
        if (at_root && header.tag == dicom::tags::specific_character_set) {
          m_object.m_character_set = trimmed(value);
        }
      }
      add(reader, element);
      break;
    }
    case Event::sequence_begin: {
      Object::Element element;
      if (!reader.is_fragments()) {
        element.sequence = true;
      }
      add(reader, element);
      m_open_sequences.emplace_back();
      break;
    }
    case Event::item_begin:
      if (!reader.is_fragments()) {
        m_open_items.emplace_back();
        m_open_items.back().offset = reader.header().offset;
      }
      break;
    case Event::item_end:
      if (m_open_items.size() > 1) {
        if (has_room()) {
          m_open_sequences.back().items.push_back(close(m_open_items.back()));
        }
        m_open_items.pop_back();
      }
      break;
    case Event::sequence_end:
      if (!m_open_sequences.empty()) {
        const std::vector<Object::Item>& items = m_open_sequences.back().items;
        // The sequence is the last element of what is open now, unless there were too many to keep.
        if (!m_open_items.back().elements.empty() && m_object.m_complete) {
          Object::Element& element = m_open_items.back().elements.back();
          element.first_item = static_cast<std::uint32_t>(m_object.m_items.size());
          element.items = static_cast<std::uint32_t>(items.size());
          m_object.m_items.insert(m_object.m_items.end(), items.begin(), items.end());
        }
        m_open_sequences.pop_back();
      }
      break;
    case Event::end:
      break;
  }
}

Object::Item ObjectBuilder::close(OpenItem& open) {
  if (!open.ascending) {
    std::ranges::stable_sort(open.elements, {}, &Object::Element::tag);
  }
  Object::Item item;
  item.first = static_cast<std::uint32_t>(m_object.m_elements.size());
  item.count = static_cast<std::uint32_t>(open.elements.size());
  item.offset = open.offset;
  m_object.m_elements.insert(m_object.m_elements.end(), open.elements.begin(), open.elements.end());
  return item;
}

Object ObjectBuilder::finish(std::string_view transfer_syntax, bool complete) {
  m_object.m_complete = m_object.m_complete && complete;
  if (!transfer_syntax.empty()) {
    Object::Element element;
    element.tag = dicom::tags::transfer_syntax_uid;
    element.vr = Vr::UI;
    element.whole = true;
    element.length = static_cast<std::uint32_t>(transfer_syntax.size());
    element.kept = element.length;
    element.value_at = m_object.m_values.size();
    m_object.m_values.append(transfer_syntax);
    std::vector<Object::Element>& root = m_open_items.front().elements;
    // In front of one that stands in the data set, where none may be.
    m_open_items.front().ascending &= root.empty() || root.front().tag > element.tag;
    root.insert(root.begin(), element);
  }
  m_object.m_root = close(m_open_items.front());
  return std::move(m_object);
}

}  // namespace kuva::rules
