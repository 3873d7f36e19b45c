#pragma once

#include <cstddef>
#include <string_view>

namespace kuva::xml {

// The offset of the first byte that is not of a UTF-8 character that XML 1.0 allows (2.2); npos where all are.
std::size_t find_bad_character(std::string_view text);
// Whether XML 1.0 allows the character.
bool is_character(unsigned long code_point);

}  // namespace kuva::xml
