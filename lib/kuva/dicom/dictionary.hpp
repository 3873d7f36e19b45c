#pragma once

#include <kuva/dicom/tag.hpp>
#include <kuva/dicom/vr.hpp>

#include <optional>
#include <string_view>

namespace kuva::dicom {

// What PS3.6 says of an element, from GDCM's dictionary, indexed once; look-ups are thread-safe and do not allocate.
struct DictionaryEntry {
  Tag tag;
  Vr vr = Vr::none;         // the first one where the standard has a choice
  Vr second_vr = Vr::none;  // SS of "US or SS", OW of "OB or OW", none otherwise
  std::string_view keyword;
};

// Repeating groups (50xx, 60xx) and group lengths are resolved. nullptr when the standard has no such element.
const DictionaryEntry* find_entry(Tag tag);
// An element by its keyword, e.g. "PatientID".
const DictionaryEntry* find_entry(std::string_view keyword);
// The VR of a private element of this creator, or none.
Vr private_vr(std::string_view private_creator, Tag tag);

// "PatientID", or "0009,1001" where the dictionary has no keyword.
std::string name_of(Tag tag);

}  // namespace kuva::dicom
