#include <kuva/core/error.hpp>
#include <kuva/kos/element_reader.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::kos {

namespace {

void strip_padding(std::string& value, dicom::Vr vr) {
  if (dicom::is_string(vr)) {
    const auto last = value.find_last_not_of(std::string_view(" \0", 2));
    value.erase(last == std::string::npos ? 0 : last + 1);
  }
}

}  // namespace

std::string ElementReader::bytes(const Header& header, std::size_t limit) {
  if (header.length > limit) {
    throw Error(kuva::kind("file.malformed"), fmt::format("({}) has {} bytes, where at most {} are expected",
                                                          dicom::to_string(header.tag), header.length, limit));
  }
  std::string value(m_reader.value(limit));
  const unsigned unit = m_reader.big_endian() ? dicom::swap_unit(header.vr) : 1;
  for (std::size_t start = 0; unit > 1 && start + unit <= value.size(); start += unit) {
    std::reverse(value.begin() + static_cast<std::ptrdiff_t>(start),
                 value.begin() + static_cast<std::ptrdiff_t>(start + unit));
  }
  return value;
}

std::string ElementReader::value(const Header& header, std::size_t limit) {
  std::string value = bytes(header, limit);
  strip_padding(value, header.vr);
  value.erase(0, std::min(value.find_first_not_of(' '), value.size()));
  return value;
}

void ElementReader::keep(dicom::DataSet& data, const Header& header, bool is_sequence, std::size_t limit) {
  count_kept();
  if (is_sequence) {
    data.set_empty_sequence(header.tag);
    const dicom::Tag sequence = header.tag;
    items([&] {
      count_kept();
      dicom::DataSet& item = data.add_item(sequence);
      elements([&](const Header& inner, bool inner_is_sequence) {
        keep(item, inner, inner_is_sequence, limit);
        return true;
      });
    });
    return;
  }
  // An SQ whose value does not begin with an item comes as a value.
  const dicom::Vr vr = header.vr == dicom::Vr::none || header.vr == dicom::Vr::SQ ? dicom::Vr::UN : header.vr;
  if (header.tag.is_group_length() || header.length > limit) {
    return;
  }
  std::string value = bytes(header, limit);
  if (value.size() != header.length) {
    return;  // cut off: the reader says so next
  }
  strip_padding(value, vr);
  data.set_bytes(header.tag, vr, std::move(value));
}

void ElementReader::count_kept() {
  if (++m_kept > k_most_kept) {
    throw Error(kuva::kind("file.malformed"),
                fmt::format("the data set has more than {} elements and items besides its references", k_most_kept));
  }
}

}  // namespace kuva::kos
