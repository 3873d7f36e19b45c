#include <kuva/core/error.hpp>
#include <kuva/dicom/data_set.hpp>
#include <kuva/dicom/dictionary.hpp>
#include <kuva/dicom/reading_error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

namespace kuva::dicom {

namespace {

template <class Integer>
void append_le(std::string& bytes, Integer value) {
  for (std::size_t i = 0; i < sizeof value; ++i) {
    bytes += static_cast<char>((value >> (8 * i)) & 0xFFU);
  }
}

void patch_length(std::string& bytes, std::size_t at, std::size_t length) {
  for (std::size_t i = 0; i < 4; ++i) {
    bytes[at + i] = static_cast<char>((length >> (8 * i)) & 0xFFU);
  }
}

void append_tag(std::string& bytes, Tag tag) {
  append_le(bytes, tag.group);
  append_le(bytes, tag.element);
}

// Of the dictionary; a private creator has no entry but a VR (PS3.5 7.8.1).
Vr dictionary_vr(Tag tag) {
  if (tag.is_private() && tag.element >= 0x0010 && tag.element <= 0x00FF) {
    return Vr::LO;
  }
  const DictionaryEntry* const entry = find_entry(tag);
  if (entry == nullptr || entry->vr == Vr::none) {
    throw Error(kuva::kind("internal"), fmt::format("the dictionary has no VR for ({})", to_string(tag)));
  }
  return entry->vr;
}

// Of the dictionary, checked against the kind of value that is set: `first`, or `second` where the standard has a
// choice.
Vr checked_vr(Tag tag, Vr first, Vr second) {
  const DictionaryEntry* const entry = find_entry(tag);
  for (const Vr wanted : {first, second}) {
    if (entry != nullptr && (entry->vr == wanted || entry->second_vr == wanted)) {
      return wanted;
    }
  }
  throw Error(kuva::kind("internal"), fmt::format("({}) is not of VR {}", to_string(tag), to_string(first)));
}

char padding_of(Vr vr) { return is_string(vr) && vr != Vr::UI ? ' ' : '\0'; }

void strip_padding(std::string& value, Vr vr) {
  if (!is_string(vr)) {
    return;
  }
  const auto last = value.find_last_not_of(std::string_view(" \0", 2));
  value.erase(last == std::string::npos ? 0 : last + 1);
}

bool leading_spaces_mean_nothing(Vr vr) {
  switch (vr) {
    case Vr::AE:
    case Vr::CS:
    case Vr::DS:
    case Vr::IS:
    case Vr::LO:
    case Vr::SH:
      return true;
    default:
      return false;
  }
}

void swap_units(std::string& value, unsigned unit) {
  for (std::size_t start = 0; unit > 1 && start + unit <= value.size(); start += unit) {
    const auto begin = value.begin() + static_cast<std::ptrdiff_t>(start);
    std::reverse(begin, begin + static_cast<std::ptrdiff_t>(unit));
  }
}

constexpr std::size_t k_longest_value = 0xFFFFFFFEU;

}  // namespace

void DataSet::set_string(Tag tag, std::string_view value) {
  const Vr vr = dictionary_vr(tag);
  if (!is_string(vr)) {
    throw Error(kuva::kind("internal"), fmt::format("({}) is of VR {}, not a string", to_string(tag), to_string(vr)));
  }
  set_string(tag, vr, value);
}

void DataSet::set_string(Tag tag, Vr vr, std::string_view value) { set_bytes(tag, vr, std::string(value)); }

void DataSet::set_us(Tag tag, std::uint16_t value) { set_us(tag, std::vector<std::uint16_t>{value}); }

void DataSet::set_us(Tag tag, const std::vector<std::uint16_t>& values) {
  const Vr vr = checked_vr(tag, Vr::US, Vr::SS);
  std::string bytes;
  for (const std::uint16_t value : values) {
    append_le(bytes, value);
  }
  set_bytes(tag, vr, std::move(bytes));
}

void DataSet::set_ul(Tag tag, std::uint32_t value) {
  std::string bytes;
  append_le(bytes, value);
  set_bytes(tag, checked_vr(tag, Vr::UL, Vr::UL), std::move(bytes));
}

void DataSet::set_fd(Tag tag, double value) {
  std::string bytes;
  append_le(bytes, std::bit_cast<std::uint64_t>(value));
  set_bytes(tag, checked_vr(tag, Vr::FD, Vr::FD), std::move(bytes));
}

void DataSet::set_bytes(Tag tag, Vr vr, std::string value) {
  Element& element = m_elements[tag];
  element.vr = vr;
  element.value = std::move(value);
  element.items.clear();
}

void DataSet::set_empty(Tag tag) { set_bytes(tag, dictionary_vr(tag), {}); }

DataSet& DataSet::add_item(Tag sequence) {
  Element& element = m_elements[sequence];
  element.vr = Vr::SQ;
  element.value.clear();
  return element.items.emplace_back();
}

void DataSet::set_empty_sequence(Tag sequence) { set_bytes(sequence, Vr::SQ, {}); }

void DataSet::erase(Tag tag) { m_elements.erase(tag); }

bool DataSet::has(Tag tag) const { return m_elements.contains(tag); }

const DataSet::Element* DataSet::find(Tag tag) const {
  const auto found = m_elements.find(tag);
  return found == m_elements.end() ? nullptr : &found->second;
}

std::string DataSet::string(Tag tag) const {
  const Element* const element = find(tag);
  if (element == nullptr) {
    return {};
  }
  std::string value = element->value;
  strip_padding(value, element->vr);
  if (leading_spaces_mean_nothing(element->vr)) {
    value.erase(0, std::min(value.find_first_not_of(' '), value.size()));
  }
  return value;
}

std::optional<std::uint16_t> DataSet::us(Tag tag) const {
  const Element* const element = find(tag);
  if (element == nullptr || element->value.size() < 2 || is_string(element->vr)) {
    return std::nullopt;
  }
  return static_cast<std::uint16_t>(static_cast<unsigned char>(element->value[0]) |
                                    static_cast<unsigned char>(element->value[1]) << 8U);
}

const std::vector<DataSet>* DataSet::items(Tag sequence) const {
  const Element* const element = find(sequence);
  return element == nullptr || element->vr != Vr::SQ ? nullptr : &element->items;
}

std::string DataSet::encode(const TransferSyntax& syntax) const {
  if (syntax.big_endian || syntax.deflated || syntax.encapsulated) {
    throw Error(kuva::kind("internal"), fmt::format("a data set is not encoded in {}", syntax.name));
  }
  std::string bytes;
  encode_to(bytes, syntax.explicit_vr);
  return bytes;
}

void DataSet::encode_to(std::string& bytes, bool explicit_vr) const {
  for (const auto& [tag, element] : m_elements) {
    const std::size_t length = element.value.size() + element.value.size() % 2;
    const bool is_sequence = element.vr == Vr::SQ;
    Vr vr = element.vr == Vr::none ? Vr::UN : element.vr;
    if (!has_long_length(vr) && length > 0xFFFE) {
      vr = Vr::UN;
    }
    append_tag(bytes, tag);
    const bool short_length = explicit_vr && !has_long_length(vr);
    if (explicit_vr) {
      bytes += to_string(vr);
      if (!short_length) {
        bytes.append(2, '\0');
      }
    }
    if (short_length) {
      append_le(bytes, static_cast<std::uint16_t>(length));
    } else {
      append_le(bytes, std::uint32_t{0});
    }

    const std::size_t start = bytes.size();
    if (is_sequence) {
      for (const DataSet& item : element.items) {
        append_tag(bytes, tags::item);
        append_le(bytes, std::uint32_t{0});
        const std::size_t item_start = bytes.size();
        item.encode_to(bytes, explicit_vr);
        patch_length(bytes, item_start - 4, bytes.size() - item_start);
      }
    } else {
      bytes += element.value;
      bytes.append(element.value.size() % 2, padding_of(element.vr));
    }
    if (bytes.size() - start > k_longest_value) {
      throw Error(kuva::kind("file.not-encodable"), fmt::format("({}) has 4 GiB or more", to_string(tag)));
    }
    if (!short_length) {
      patch_length(bytes, start - 4, bytes.size() - start);
    }
  }
}

DataSet DataSet::decode(std::span<const std::byte> bytes, const TransferSyntax& syntax) {
  std::unique_ptr<ByteSource> source = make_memory_source(bytes);
  TransferSyntax structure = syntax;
  if (syntax.deflated) {
    source = make_inflate_source(std::move(source));
    structure.deflated = false;
  }
  DataSetReader reader(*source, structure);
  return read(reader, k_most_bytes);
}

DataSet DataSet::read(DataSetReader& reader, std::size_t value_limit) {
  using Event = DataSetReader::Event;
  DataSet whole;
  // The data set, then the items that are open; their addresses stay, since only the last item of a sequence grows.
  std::vector<DataSet*> open{&whole};
  std::vector<Tag> sequences;
  std::size_t count = 0;
  std::size_t kept = 0;
  const auto count_one = [&] {
    if (++count > k_most_elements) {
      throw Error(kuva::kind("file.malformed"),
                  fmt::format("the data set has more than {} elements and items", k_most_elements));
    }
  };

  for (;;) {
    switch (reader.next()) {
      case Event::element: {
        const DataSetReader::Header& header = reader.header();
        if ((header.tag.is_group_length() && header.tag.group != 0) || header.length > value_limit) {
          break;
        }
        count_one();
        std::string value;
        value.reserve(std::min<std::size_t>(header.length, std::size_t{16} * 1024));
        for (auto piece = reader.read_some(); !piece.empty(); piece = reader.read_some()) {
          kept += piece.size();
          if (kept > k_most_bytes) {
            throw Error(kuva::kind("file.malformed"),
                        fmt::format("the values of the data set have more than {} bytes", k_most_bytes));
          }
          value.append(reinterpret_cast<const char*>(piece.data()), piece.size());
        }
        if (value.size() != header.length) {
          break;  // cut off: the reader says so next
        }
        // An SQ whose value does not begin with an item comes as a value.
        const Vr vr = header.vr == Vr::none || header.vr == Vr::SQ ? Vr::UN : header.vr;
        if (reader.big_endian()) {
          swap_units(value, swap_unit(vr));
        }
        strip_padding(value, vr);
        open.back()->set_bytes(header.tag, vr, std::move(value));
        break;
      }
      case Event::sequence_begin:
        if (reader.is_fragments()) {
          reader.skip_sequence();
          break;
        }
        count_one();
        sequences.push_back(reader.header().tag);
        open.back()->set_empty_sequence(sequences.back());
        break;
      case Event::item_begin:
        count_one();
        open.push_back(&open.back()->add_item(sequences.back()));
        break;
      case Event::item_end:
        open.pop_back();
        break;
      case Event::sequence_end:
        sequences.pop_back();
        break;
      case Event::end:
        if (const auto error = reading_error(reader)) {
          throw *error;
        }
        return whole;
    }
  }
}

}  // namespace kuva::dicom
