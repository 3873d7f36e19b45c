#include <kuva/sandbox/matching.hpp>

#include <locale.h>

#include <algorithm>
#include <charconv>
#include <clocale>
#include <cwchar>
#include <cwctype>
#include <optional>
#include <vector>

namespace kuva::sandbox {

namespace {

using dicom::Vr;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) {
      return parts;
    }
    text.remove_prefix(end + 1);
  }
}

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

bool is_wildcard_vr(Vr vr) {
  switch (vr) {
    case Vr::AE:
    case Vr::CS:
    case Vr::LO:
    case Vr::LT:
    case Vr::PN:
    case Vr::SH:
    case Vr::ST:
    case Vr::UC:
    case Vr::UR:
    case Vr::UT:
      return true;
    default:
      return false;
  }
}

// '?' takes one character of UTF-8.
std::size_t character_size(std::string_view text) {
  std::size_t size = 1;
  while (size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) {
    ++size;
  }
  return size;
}

// Without recursion: the last '*' takes one character more when what follows it does not match.
bool matches_wildcard(std::string_view pattern, std::string_view text) {
  std::optional<std::string_view> after_star;
  std::string_view retry;
  for (;;) {
    if (!pattern.empty() && pattern.front() == '*') {
      pattern.remove_prefix(1);
      after_star = pattern;
      retry = text;
      continue;
    }
    if (text.empty() && pattern.empty()) {
      return true;
    }
    if (!text.empty() && !pattern.empty() && (pattern.front() == '?' || pattern.front() == text.front())) {
      text.remove_prefix(pattern.front() == '?' ? character_size(text) : 1);
      pattern.remove_prefix(1);
      continue;
    }
    if (!after_star || retry.empty()) {
      return false;
    }
    retry.remove_prefix(character_size(retry));
    text = retry;
    pattern = *after_star;
  }
}

// Small letters by Unicode, whatever the locale of the process.
class CaseFolder {
 public:
  CaseFolder() : m_locale(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {}
  CaseFolder(const CaseFolder&) = delete;
  CaseFolder& operator=(const CaseFolder&) = delete;
  ~CaseFolder() {
    if (m_locale != nullptr) {
      ::freelocale(m_locale);
    }
  }

  std::string fold(std::string_view text) const {
    std::string folded;
    folded.reserve(text.size());
    while (!text.empty()) {
      const std::size_t size = character_size(text);
      append(folded, lower(decode(text.substr(0, size))), text.substr(0, size));
      text.remove_prefix(size);
    }
    return folded;
  }

 private:
  static std::optional<std::wint_t> decode(std::string_view character) {
    const auto byte = [character](std::size_t at) { return static_cast<unsigned char>(character[at]); };
    if (character.size() == 1 && byte(0) < 0x80) {
      return byte(0);
    }
    if (character.size() == 2 && (byte(0) & 0xE0U) == 0xC0U) {
      return ((byte(0) & 0x1FU) << 6U) | (byte(1) & 0x3FU);
    }
    if (character.size() == 3 && (byte(0) & 0xF0U) == 0xE0U) {
      return ((byte(0) & 0x0FU) << 12U) | ((byte(1) & 0x3FU) << 6U) | (byte(2) & 0x3FU);
    }
    return std::nullopt;
  }
  std::optional<std::wint_t> lower(std::optional<std::wint_t> character) const {
    if (!character) {
      return std::nullopt;
    }
    return m_locale == nullptr ? std::towlower(*character) : ::towlower_l(*character, m_locale);
  }
  static void append(std::string& text, std::optional<std::wint_t> character, std::string_view as_it_was) {
    if (!character || *character > 0xFFFFU) {
      text += as_it_was;
    } else if (*character < 0x80U) {
      text += static_cast<char>(*character);
    } else if (*character < 0x800U) {
      text += static_cast<char>(0xC0U | (*character >> 6U));
      text += static_cast<char>(0x80U | (*character & 0x3FU));
    } else {
      text += static_cast<char>(0xE0U | (*character >> 12U));
      text += static_cast<char>(0x80U | ((*character >> 6U) & 0x3FU));
      text += static_cast<char>(0x80U | (*character & 0x3FU));
    }
  }

  locale_t m_locale;
};

std::string folded(std::string_view text) {
  static const CaseFolder k_folder;
  return k_folder.fold(text);
}

// A component group of a name without what is empty at its end.
std::string normal_group(std::string_view group) {
  std::string text = folded(trimmed(group));
  const auto end = text.find_last_not_of("^ ");
  text.resize(end == std::string::npos ? 0 : end + 1);
  return text;
}

// A key with one group may match any of the value's (alphabetic, ideographic, phonetic: PS3.4 C.2.2.2.1.1).
bool matches_name(std::string_view key, std::string_view value) {
  const std::vector<std::string_view> keys = split(key, '=');
  const std::vector<std::string_view> groups = split(value, '=');
  const auto matches_group = [](const std::string& wanted, std::string_view group) {
    return matches_wildcard(wanted, normal_group(group));
  };
  if (keys.size() == 1) {
    const std::string wanted = normal_group(key);
    return std::any_of(groups.begin(), groups.end(),
                       [&](std::string_view group) { return matches_group(wanted, group); });
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::string wanted = normal_group(keys[i]);
    if (!wanted.empty() && (i >= groups.size() || !matches_group(wanted, groups[i]))) {
      return false;
    }
  }
  return true;
}

// Digits only, without what separates (the dots and colons of old formats), so that points in time compare as text.
std::string normal_time(Vr vr, std::string_view text) {
  std::string normal;
  for (const char c : trimmed(text)) {
    if (c >= '0' && c <= '9') {
      normal += c;
    } else if (vr == Vr::DT && (c == '+' || c == '-')) {
      break;  // the offset from UTC is not looked at
    }
  }
  return normal;
}

// A point in time with less precision is the span of all that begins with it.
bool matches_time(Vr vr, std::string_view key, std::string_view value) {
  const std::string point = normal_time(vr, value);
  if (point.empty()) {
    return false;
  }
  const auto is_from = [&point](const std::string& from) { return point >= from.substr(0, point.size()); };
  const auto is_until = [&point](const std::string& until) { return point.substr(0, until.size()) <= until; };
  // In DT a '-' may also begin the offset from UTC, which has four digits after the whole date.
  const std::size_t dash = vr == Vr::DT && key.size() > 4 && key.find('-') == key.size() - 5 && key.size() > 13
                               ? std::string_view::npos
                               : key.find('-');
  if (dash == std::string_view::npos) {
    const std::string wanted = normal_time(vr, key);
    const std::size_t common = std::min(wanted.size(), point.size());
    return point.substr(0, common) == wanted.substr(0, common);
  }
  const std::string from = normal_time(vr, key.substr(0, dash));
  const std::string until = normal_time(vr, key.substr(dash + 1));
  return (from.empty() || is_from(from)) && (until.empty() || is_until(until));
}

std::optional<std::int64_t> number(std::string_view text) {
  text = trimmed(text);
  if (!text.empty() && text.front() == '+') {
    text.remove_prefix(1);
  }
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

bool matches_one(Vr vr, std::string_view key, std::string_view value) {
  key = trimmed(key);
  value = trimmed(value);
  if (key.empty()) {
    return true;
  }
  if (vr == Vr::DA || vr == Vr::TM || vr == Vr::DT) {
    return matches_time(vr, key, value);
  }
  if (vr == Vr::PN) {
    return matches_name(key, value);
  }
  if (has_wildcard(vr, key)) {
    return matches_wildcard(key, value);
  }
  if (vr == Vr::IS) {
    const auto wanted = number(key);
    return wanted ? number(value) == wanted : key == value;
  }
  return key == value;
}

}  // namespace

bool has_wildcard(Vr vr, std::string_view key) {
  return is_wildcard_vr(vr) && key.find_first_of("*?") != std::string_view::npos;
}

bool matches(Vr vr, std::string_view key, std::string_view value) {
  if (trimmed(key).empty()) {
    return true;
  }
  const bool is_one_text = vr == Vr::LT || vr == Vr::ST || vr == Vr::UT || vr == Vr::UR;
  if (is_one_text) {
    return matches_one(vr, key, value);
  }
  const std::vector<std::string_view> values = split(value, '\\');
  for (const std::string_view one_key : split(key, '\\')) {
    for (const std::string_view one_value : values) {
      if (matches_one(vr, one_key, one_value)) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace kuva::sandbox
