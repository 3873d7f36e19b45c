#include <kuva/xml/characters.hpp>

namespace kuva::xml {

bool is_character(unsigned long code_point) {
  return code_point == 0x9 || code_point == 0xA || code_point == 0xD || (code_point >= 0x20 && code_point <= 0xD7FF) ||
         (code_point >= 0xE000 && code_point <= 0xFFFD) || (code_point >= 0x10000 && code_point <= 0x10FFFF);
}

std::size_t find_bad_character(std::string_view text) {
  const auto byte = [text](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  std::size_t at = 0;
  while (at < text.size()) {
    const unsigned char first = byte(at);
    if (first < 0x80) {
      if (first < 0x20 && !is_character(first)) {
        return at;
      }
      ++at;
      continue;
    }
    std::size_t more = 0;
    unsigned long lowest = 0;
    unsigned long code_point = 0;
    if ((first & 0xE0U) == 0xC0) {
      more = 1, lowest = 0x80, code_point = first & 0x1FU;
    } else if ((first & 0xF0U) == 0xE0) {
      more = 2, lowest = 0x800, code_point = first & 0x0FU;
    } else if ((first & 0xF8U) == 0xF0) {
      more = 3, lowest = 0x10000, code_point = first & 0x07U;
    } else {
      return at;
    }
    if (text.size() - at <= more) {
      return at;
    }
    for (std::size_t i = 1; i <= more; ++i) {
      if ((byte(at + i) & 0xC0U) != 0x80) {
        return at;
      }
      code_point = code_point << 6U | (byte(at + i) & 0x3FU);
    }
    if (code_point < lowest || !is_character(code_point)) {
      return at;
    }
    at += more + 1;
  }
  return std::string_view::npos;
}

}  // namespace kuva::xml
