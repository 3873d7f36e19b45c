#pragma once

#include <kuva/dicom/charset.hpp>
#include <kuva/dicom/reader.hpp>
#include <kuva/dicom/tag.hpp>
#include <kuva/dicom/vr.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::dicom {

// A small data set in memory: the identifiers and reports of DIMSE, sample objects. Not for pixel data from outside.
class DataSet {
 public:
  struct Element {
    Vr vr = Vr::none;
    std::string value;           // bytes in little endian, unpadded for strings; unused for SQ
    std::vector<DataSet> items;  // of SQ
  };

  // Text is in UTF-8 here and in the file when (0008,0005) is ISO_IR 192; the caller sets that element.
  // Without a VR it comes from the dictionary. Errors: Error internal where the dictionary has none, or one that is not
  // of the kind that is set: a fault of the caller.
  void set_string(Tag tag, std::string_view value);  // several values parted by backslash
  void set_string(Tag tag, Vr vr, std::string_view value);
  void set_us(Tag tag, std::uint16_t value);
  void set_us(Tag tag, const std::vector<std::uint16_t>& values);
  void set_ul(Tag tag, std::uint32_t value);
  void set_fd(Tag tag, double value);
  void set_bytes(Tag tag, Vr vr, std::string value);
  void set_empty(Tag tag);
  DataSet& add_item(Tag sequence);
  void set_empty_sequence(Tag sequence);
  void erase(Tag tag);

  bool has(Tag tag) const;
  const Element* find(Tag tag) const;
  // Without padding; empty when it is not there.
  std::string string(Tag tag) const;
  // The first value; nothing when it is not there, empty or not of two bytes.
  std::optional<std::uint16_t> us(Tag tag) const;
  const std::vector<DataSet>* items(Tag sequence) const;
  const std::map<Tag, Element>& elements() const { return m_elements; }
  bool empty() const { return m_elements.empty(); }

  // Implicit or Explicit VR Little Endian; sequences and items of defined length, values padded to even length.
  // A value too long for the length field of its VR is written as UN (PS3.5 6.2.2).
  // Errors: Error internal for another syntax; file.not-encodable for a value or sequence of 4 GiB or more.
  std::string encode(const TransferSyntax& syntax) const;
  // Errors: Error file.malformed or file.truncated, also for more than k_most_elements elements and items or
  // k_most_bytes of values. Group lengths other than that of a command are left out, as are fragments of pixel data.
  static DataSet decode(std::span<const std::byte> bytes, const TransferSyntax& syntax);
  // From a reader that stands before the data set; values of more than `value_limit` bytes are left out.
  static DataSet read(DataSetReader& reader, std::size_t value_limit);

  // An element costs far more in memory than the eight bytes that it takes in a file.
  static constexpr std::size_t k_most_elements = 1'000'000;
  static constexpr std::size_t k_most_bytes = 256U << 20U;

 private:
  void encode_to(std::string& bytes, bool explicit_vr) const;

  std::map<Tag, Element> m_elements;
};

}  // namespace kuva::dicom
