#pragma once

#include <string>
#include <string_view>

// The text of protocol headers: ASCII, whatever the locale.
namespace kuva::soap {

constexpr char lower_of(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
std::string to_lower(std::string_view text);
bool equals_ignoring_case(std::string_view a, std::string_view b);
// For a message: at most `limit` bytes, all but printable ASCII as '?'.
std::string printable(std::string_view text, std::size_t limit);

}  // namespace kuva::soap
