#include <kuva/rules/values.hpp>

#include <charconv>
#include <cmath>
#include <limits>

namespace kuva::rules {

using dicom::Vr;

bool is_padding(char c) { return c == ' ' || c == '\0'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_padding(text.back())) {
    text.remove_suffix(1);
  }
  while (!text.empty() && text.front() == ' ') {
    text.remove_prefix(1);
  }
  return text;
}

std::size_t width_of(Vr vr) {
  switch (vr) {
    case Vr::US:
    case Vr::SS:
      return 2;
    case Vr::UL:
    case Vr::SL:
    case Vr::FL:
    case Vr::AT:
      return 4;
    case Vr::FD:
    case Vr::SV:
    case Vr::UV:
      return 8;
    default:
      return 0;
  }
}

double number_of(std::string_view text) {
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') {
    text.remove_prefix(1);  // from_chars knows no plus
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_number =
      error == std::errc() && end == text.data() + text.size() && !text.empty() && std::isfinite(value);
  return is_number ? value : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace kuva::rules
