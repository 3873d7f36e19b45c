#include <kuva/xds/names.hpp>

#include <algorithm>

namespace kuva::xds {

namespace {

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view without_urn(std::string_view text) {
  constexpr std::string_view k_urn = "urn:uuid:";
  text = trimmed(text);
  return text.size() > k_urn.size() && same_ignoring_case(text.substr(0, k_urn.size()), k_urn)
             ? text.substr(k_urn.size())
             : text;
}

}  // namespace

bool same_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view k_blanks = " \t\r\n";
  const auto first = text.find_first_not_of(k_blanks);
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(k_blanks) - first + 1);
}

bool same_uuid(std::string_view a, std::string_view b) { return same_ignoring_case(without_urn(a), without_urn(b)); }

}  // namespace kuva::xds
