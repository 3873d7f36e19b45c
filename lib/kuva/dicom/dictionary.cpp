#include <kuva/dicom/dictionary.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace kuva::dicom {

namespace {

constexpr auto k_additions = std::to_array<DictionaryEntry>({
#include <kuva/dicom/dictionary_additions.inc>
});

// GDCM's, written while kuva is built.
constexpr auto k_standard = std::to_array<DictionaryEntry>({
#include <dictionary.inc>
});

struct PrivateEntry {
  std::string_view creator;
  std::uint16_t group;
  std::uint8_t element;  // the low byte: the high one depends on where the creator stands
  Vr vr;

  constexpr std::tuple<std::string_view, std::uint16_t, std::uint8_t> key() const { return {creator, group, element}; }
};
// By key().
constexpr auto k_private = std::to_array<PrivateEntry>({
#include <private_dictionary.inc>
});

constexpr std::uint32_t code_of(Tag tag) { return std::uint32_t{tag.group} << 16 | tag.element; }

// The standard's dictionary and our additions, sorted by tag, with a hash table of open addressing over it: the reader
// looks up every implicit element, so that a look-up must be a few nanoseconds and never allocate.
class Index {
 public:
  Index() {
    m_entries.assign(k_additions.begin(), k_additions.end());
    m_entries.insert(m_entries.end(), k_standard.begin(), k_standard.end());
    // Stable, so that an addition wins over GDCM's entry of the same tag.
    std::ranges::stable_sort(m_entries, {}, &DictionaryEntry::tag);
    const auto same_tag = [](const DictionaryEntry& a, const DictionaryEntry& b) { return a.tag == b.tag; };
    m_entries.erase(std::unique(m_entries.begin(), m_entries.end(), same_tag), m_entries.end());

    m_slots.assign(k_slots, k_empty);
    for (std::uint32_t i = 0; i < m_entries.size(); ++i) {
      std::size_t slot = slot_of(m_entries[i].tag);
      while (m_slots[slot] != k_empty) {
        slot = (slot + 1) % k_slots;
      }
      m_slots[slot] = i;
      m_keywords.emplace(m_entries[i].keyword, i);
    }
  }

  const DictionaryEntry* find(Tag tag) const {
    for (std::size_t slot = slot_of(tag); m_slots[slot] != k_empty; slot = (slot + 1) % k_slots) {
      if (m_entries[m_slots[slot]].tag == tag) {
        return &m_entries[m_slots[slot]];
      }
    }
    return nullptr;
  }

  const DictionaryEntry* find(std::string_view keyword) const {
    const auto it = m_keywords.find(keyword);
    return it == m_keywords.end() ? nullptr : &m_entries[it->second];
  }

 private:
  static constexpr std::size_t k_slots = 1U << 16;
  static constexpr std::uint32_t k_empty = 0xFFFFFFFFU;

  static std::size_t slot_of(Tag tag) { return (code_of(tag) * std::uint32_t{2654435769U}) >> 16; }

  std::vector<DictionaryEntry> m_entries;
  std::vector<std::uint32_t> m_slots;
  std::unordered_map<std::string_view, std::uint32_t> m_keywords;
};

const Index& index() {
  static const Index k_index;
  return k_index;
}

constexpr DictionaryEntry k_group_length{{0x0000, 0x0000}, Vr::UL, Vr::none, "GroupLength"};
constexpr DictionaryEntry k_private_creator{{0x0000, 0x0000}, Vr::LO, Vr::none, "PrivateCreator"};

}  // namespace

const DictionaryEntry* find_entry(Tag tag) {
  if (tag.is_group_length() && tag.group != 0x0000 && tag.group != 0x0002) {
    return &k_group_length;
  }
  if (tag.is_private()) {
    return tag.element >= 0x0010 && tag.element <= 0x00FF ? &k_private_creator : nullptr;
  }
  if (const DictionaryEntry* entry = index().find(tag)) {
    return entry;
  }
  // Repeating groups 50xx and 60xx (even, up to 1E) are defined at 5000 and 6000.
  const unsigned family = tag.group & 0xFF00U;
  if ((family == 0x5000 || family == 0x6000) && (tag.group & 0x00FFU) <= 0x1E) {
    return index().find(Tag{static_cast<std::uint16_t>(family), tag.element});
  }
  return nullptr;
}

const DictionaryEntry* find_entry(std::string_view keyword) { return index().find(keyword); }

Vr private_vr(std::string_view private_creator, Tag tag) {
  if (!tag.is_private() || tag.element < 0x1000) {
    return Vr::none;
  }
  while (!private_creator.empty() && (private_creator.back() == ' ' || private_creator.back() == '\0')) {
    private_creator.remove_suffix(1);
  }
  const PrivateEntry wanted{private_creator, tag.group, static_cast<std::uint8_t>(tag.element & 0x00FFU), Vr::none};
  const auto found = std::ranges::lower_bound(k_private, wanted.key(), {}, &PrivateEntry::key);
  return found != k_private.end() && found->key() == wanted.key() ? found->vr : Vr::none;
}

std::string name_of(Tag tag) {
  const DictionaryEntry* entry = find_entry(tag);
  return entry == nullptr || tag.is_private() ? to_string(tag) : std::string(entry->keyword);
}

}  // namespace kuva::dicom
