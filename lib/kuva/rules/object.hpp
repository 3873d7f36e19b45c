#pragma once

#include <kuva/dicom/charset.hpp>
#include <kuva/dicom/reader.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::rules {

// The elements of one object for the rules: tags, lengths and places of all of them, the values of short ones. Pixel
// data and other bulk are there by their length alone. Elements of a data set or item lie side by side, ascending by
// tag whatever the file's order. Standard elements that are written as UN have the VR of PS3.6 (PS3.5 6.2.2), little
// endian; the transfer syntax stands at the root as (0002,0010).
class Object {
 public:
  struct Element {
    dicom::Tag tag;
    dicom::Vr vr = dicom::Vr::none;
    bool big_endian = false;
    bool whole = false;  // all of the value is kept
    bool sequence = false;
    std::uint32_t length = 0;  // as written
    std::uint32_t kept = 0;    // bytes of the value that are kept
    std::uint64_t value_at = 0;
    std::uint64_t offset = 0;
    std::uint32_t first_item = 0;
    std::uint32_t items = 0;
  };
  // A data set or an item of a sequence.
  struct Item {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    std::uint64_t offset = 0;
  };

  const Item& root() const { return m_root; }
  std::span<const Element> elements(const Item& item) const { return {m_elements.data() + item.first, item.count}; }
  std::span<const Item> items(const Element& element) const {
    return {m_items.data() + element.first_item, element.items};
  }
  // nullptr when it is not there; the first of doubled ones.
  const Element* find(const Item& item, dicom::Tag tag) const;
  // The bytes that are kept, without trailing padding.
  std::string_view bytes(const Element& element) const;
  // Present with a value: a sequence with an item, bulk with a length, text that is not only padding (PS3.5 7.4).
  bool filled(const Element& element) const;
  // Values of strings parted by backslash and without padding; nothing for bulk. The last one of an element that is not
  // whole is left out: where it ends is not known.
  std::vector<std::string_view> texts(const Element& element) const;
  // Values of US, SS, UL, SL, FL, FD, AT, SV, UV, and of IS and DS; a value that is no number is left out.
  std::vector<double> numbers(const Element& element) const;
  // The number of values, or of items; nothing for texts that are not whole.
  std::optional<std::size_t> count(const Element& element) const;
  // All values are among texts() or numbers().
  bool readable(const Element& element) const;

  const std::string& character_set() const { return m_character_set; }
  // False where the file has more than k_most_elements or k_most_kept, or ended or broke off before its end.
  bool complete() const { return m_complete; }

  static constexpr std::size_t k_most_elements = 1'000'000;  // and items
  static constexpr std::size_t k_most_kept = 64U << 20U;     // bytes of values
  static constexpr std::size_t k_kept_of_root = 1024;
  static constexpr std::size_t k_kept_of_items = 256;

 private:
  friend class ObjectBuilder;

  Item m_root;
  std::vector<Element> m_elements;
  std::vector<Item> m_items;
  std::string m_values;
  std::string m_character_set;
  bool m_complete = true;
};

// Takes the events of a reader from its first to its last.
class ObjectBuilder {
 public:
  ObjectBuilder();
  void event(dicom::DataSetReader& reader, dicom::DataSetReader::Event event);
  // `complete`: the reader came to the end of the data set.
  Object finish(std::string_view transfer_syntax, bool complete);

 private:
  struct OpenItem {
    std::vector<Object::Element> elements;
    std::uint64_t offset = 0;
    bool ascending = true;  // so far
  };
  struct OpenSequence {
    std::vector<Object::Item> items;
  };

  // Counts an element or item; false, and the object is not complete, where there are too many.
  bool has_room();
  void add(const dicom::DataSetReader& reader, Object::Element element);
  Object::Item close(OpenItem& open);

  Object m_object;
  std::vector<OpenItem> m_open_items;
  std::vector<OpenSequence> m_open_sequences;
  std::size_t m_elements = 0;
};

}  // namespace kuva::rules
