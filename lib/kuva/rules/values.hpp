#pragma once

#include <kuva/dicom/vr.hpp>

#include <cstddef>
#include <string_view>

namespace kuva::rules {

// PS3.5 6.2: a space, or a NUL after a UID.
bool is_padding(char c);
// Without padding, in front only spaces.
std::string_view trimmed(std::string_view text);
// Bytes of a number of this VR; 0 of what is none, or has no fixed width (PS3.5 6.2).
std::size_t width_of(dicom::Vr vr);
// A whole text as a number as IS and DS write it; NaN where it is none.
double number_of(std::string_view text);

}  // namespace kuva::rules
