#pragma once

#include <kuva/dicom/vr.hpp>

#include <string>
#include <string_view>

namespace kuva::sandbox {

// Attribute matching (PS3.4 C.2.2.2) of one key against a stored value, both in UTF-8 and without padding. An empty key
// matches everything. Single value, list (any of the key's values, as for UIDs), wildcard where the VR has it, range of
// DA, TM and DT. Names match whatever their case, and with the component groups and components that are there.
bool matches(dicom::Vr vr, std::string_view key, std::string_view value);

// True for '*' and '?' in a VR that has wildcard matching.
bool has_wildcard(dicom::Vr vr, std::string_view key);

}  // namespace kuva::sandbox
