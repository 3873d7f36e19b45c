#include <kuva/core/record.hpp>
#include <kuva/hl7/escape.hpp>

#include <fmt/format.h>

#include <iconv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

namespace kuva::hl7 {

namespace {

struct Term {
  std::string_view term;
  const char* iconv_name;
  bool legal;
  std::string_view means;  // the term of the table
};

constexpr const char* k_ascii = "US-ASCII";
constexpr const char* k_utf8 = "UTF-8";

// HL7 table 0211, and what is common in its place.
constexpr auto k_terms = std::to_array<Term>({
    {"ASCII", k_ascii, true, "ASCII"},
    {"UNICODE UTF-8", k_utf8, true, "UNICODE UTF-8"},
    {"8859/1", "ISO-8859-1", true, "8859/1"},
    {"8859/2", "ISO-8859-2", true, "8859/2"},
    {"8859/3", "ISO-8859-3", true, "8859/3"},
    {"8859/4", "ISO-8859-4", true, "8859/4"},
    {"8859/5", "ISO-8859-5", true, "8859/5"},
    {"8859/6", "ISO-8859-6", true, "8859/6"},
    {"8859/7", "ISO-8859-7", true, "8859/7"},
    {"8859/8", "ISO-8859-8", true, "8859/8"},
    {"8859/9", "ISO-8859-9", true, "8859/9"},
    {"8859/15", "ISO-8859-15", true, "8859/15"},
    {"UNICODE", k_utf8, false, "UNICODE UTF-8"},
    {"UTF-8", k_utf8, false, "UNICODE UTF-8"},
    {"UTF8", k_utf8, false, "UNICODE UTF-8"},
    {"UNICODE UTF8", k_utf8, false, "UNICODE UTF-8"},
    {"US-ASCII", k_ascii, false, "ASCII"},
    {"ISO-8859-1", "ISO-8859-1", false, "8859/1"},
    {"ISO8859-1", "ISO-8859-1", false, "8859/1"},
    {"ISO_8859-1", "ISO-8859-1", false, "8859/1"},
    {"8859-1", "ISO-8859-1", false, "8859/1"},
    {"ISO-8859-15", "ISO-8859-15", false, "8859/15"},
    {"ISO8859-15", "ISO-8859-15", false, "8859/15"},
    {"8859-15", "ISO-8859-15", false, "8859/15"},
});

class Converter {
 public:
  Converter(const char* to, const char* from) : m_descriptor(::iconv_open(to, from)) {
    if (m_descriptor == iconv_t(-1)) {
      throw Error(kind("internal"), fmt::format("the C library cannot convert {} to {}", from, to));
    }
  }
  Converter(const Converter&) = delete;
  Converter& operator=(const Converter&) = delete;
  ~Converter() { ::iconv_close(m_descriptor); }

  // Appends what it can; false at a byte that means nothing, which is then the first of `bytes`.
  bool convert(std::string_view& bytes, std::string& text) {
    std::array<char, 512> buffer{};
    while (!bytes.empty()) {
      auto* in = const_cast<char*>(bytes.data());  // iconv does not write there
      std::size_t in_left = bytes.size();
      char* out = buffer.data();
      std::size_t out_left = buffer.size();
      const std::size_t result = ::iconv(m_descriptor, &in, &in_left, &out, &out_left);
      text.append(buffer.data(), static_cast<std::size_t>(out - buffer.data()));
      bytes.remove_prefix(bytes.size() - in_left);
      if (result == static_cast<std::size_t>(-1) && errno != E2BIG) {
        ::iconv(m_descriptor, nullptr, nullptr, nullptr, nullptr);
        return false;
      }
    }
    return true;
  }

 private:
  iconv_t m_descriptor;
};

bool is_plain_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80U; });
}

std::optional<std::string> bytes_of_hex(std::string_view digits) {
  std::string bytes;
  if (digits.empty() || digits.size() % 2 != 0) {
    return std::nullopt;
  }
  for (; !digits.empty(); digits.remove_prefix(2)) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + 2, value, 16);
    if (error != std::errc() || end != digits.data() + 2) {
      return std::nullopt;
    }
    bytes.push_back(static_cast<char>(value));
  }
  return bytes;
}

// The count after a formatting command, "sp 3", "sp+3", "sp": 1 where there is none.
std::size_t count_of(std::string_view arguments) {
  while (!arguments.empty() && (arguments.front() == ' ' || arguments.front() == '+')) {
    arguments.remove_prefix(1);
  }
  std::size_t count = 1;
  std::from_chars(arguments.data(), arguments.data() + arguments.size(), count);
  constexpr std::size_t k_most = 100;
  return std::clamp<std::size_t>(count, 1, k_most);
}

// What an escape sequence (without its escape characters) stands for, in bytes; nothing when it is not known.
std::optional<std::string> meaning_of(std::string_view sequence, const Delimiters& delimiters) {
  if (sequence.size() == 1) {
    const auto of = [](char c) { return c == '\0' ? std::nullopt : std::optional(std::string(1, c)); };
    switch (sequence.front()) {
      case 'F':
        return of(delimiters.field);
      case 'S':
        return of(delimiters.component);
      case 'T':
        return of(delimiters.subcomponent);
      case 'R':
        return of(delimiters.repetition);
      case 'E':
        return of(delimiters.escape);
      case 'P':
        return of(delimiters.truncation == '\0' ? '#' : delimiters.truncation);
      case 'H':
      case 'N':
        return std::string();
      default:
        return std::nullopt;
    }
  }
  if (sequence.starts_with('X')) {
    return bytes_of_hex(sequence.substr(1));
  }
  if (sequence.starts_with('.') && sequence.size() >= 3) {
    const std::string_view command = sequence.substr(1, 2);
    const std::string_view arguments = sequence.substr(3);
    if (command == "br") {
      return std::string("\n");
    }
    if (command == "sp") {
      return std::string(count_of(arguments), '\n');
    }
    if (command == "sk") {
      return std::string(count_of(arguments), ' ');
    }
    if (command == "in" || command == "ti" || command == "fi" || command == "nf" || command == "ce") {
      return std::string();
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<CharacterSet> CharacterSet::find(std::string_view term) {
  if (term.empty()) {
    return ascii();
  }
  std::string upper(term);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  const auto found =
      std::find_if(k_terms.begin(), k_terms.end(), [&](const Term& known) { return known.term == upper; });
  if (found == k_terms.end()) {
    return std::nullopt;
  }
  return CharacterSet(found->means, found->iconv_name, !found->legal || upper != term);
}

CharacterSet CharacterSet::ascii() { return CharacterSet("", k_ascii, false); }
CharacterSet CharacterSet::utf8() { return CharacterSet("UNICODE UTF-8", k_utf8, false); }
bool CharacterSet::is_utf8() const { return m_iconv_name == std::string_view(k_utf8); }
bool CharacterSet::is_ascii() const { return m_iconv_name == std::string_view(k_ascii); }

CharacterSet::Decoded CharacterSet::to_utf8(std::string_view bytes) const {
  Decoded decoded;
  if (is_plain_ascii(bytes) || (is_utf8() && kuva::is_utf8(bytes))) {
    decoded.text = bytes;
    return decoded;
  }
  Converter converter(k_utf8, m_iconv_name);
  while (!converter.convert(bytes, decoded.text)) {
    decoded.clean = false;
    decoded.text += "\xEF\xBF\xBD";
    bytes.remove_prefix(1);
  }
  // C1 control characters: mostly the sign of a Windows code page behind the name of an ISO one.
  for (std::size_t i = 0; i + 1 < decoded.text.size(); ++i) {
    if (decoded.text[i] == '\xC2' && static_cast<unsigned char>(decoded.text[i + 1]) < 0xA0U) {
      decoded.clean = false;
    }
  }
  return decoded;
}

std::optional<std::string> CharacterSet::from_utf8(std::string_view text) const {
  if (!kuva::is_utf8(text)) {
    return std::nullopt;
  }
  if (is_utf8() || is_plain_ascii(text)) {
    return std::string(text);
  }
  std::string bytes;
  Converter converter(m_iconv_name, k_utf8);
  return converter.convert(text, bytes) ? std::optional(bytes) : std::nullopt;
}

DecodedText decode(std::string_view raw, const Delimiters& delimiters, const CharacterSet& set) {
  DecodedText decoded;
  std::string bytes;
  while (!raw.empty()) {
    const auto start = delimiters.escape == '\0' ? std::string_view::npos : raw.find(delimiters.escape);
    bytes += raw.substr(0, std::min(start, raw.size()));
    if (start == std::string_view::npos) {
      break;
    }
    raw.remove_prefix(start + 1);
    const auto end = raw.find(delimiters.escape);
    const auto meaning = end == std::string_view::npos ? std::nullopt : meaning_of(raw.substr(0, end), delimiters);
    if (!meaning) {
      decoded.unknown_escapes = true;
      bytes.push_back(delimiters.escape);
      continue;
    }
    bytes += *meaning;
    raw.remove_prefix(end + 1);
  }
  CharacterSet::Decoded text = set.to_utf8(bytes);
  decoded.text = std::move(text.text);
  decoded.clean = text.clean;
  return decoded;
}

std::string encode(std::string_view text, const Delimiters& delimiters, const CharacterSet& set) {
  const std::optional<std::string> bytes = set.from_utf8(text);
  if (!bytes) {
    throw Error(kind("hl7.charset"), fmt::format("a value has characters that '{}' does not have",
                                                 set.term().empty() ? "ASCII" : set.term()));
  }
  std::string escaped;
  for (const char c : *bytes) {
    const auto add = [&](char letter) {
      if (delimiters.escape == '\0') {
        throw Error(kind("hl7.charset"), "a value has a delimiter, and the message has no escape character");
      }
      escaped.push_back(delimiters.escape);
      escaped.push_back(letter);
      escaped.push_back(delimiters.escape);
    };
    if (c == '\0') {
      throw Error(kind("hl7.charset"), "a value has a zero byte");
    }
    if (c == delimiters.field) {
      add('F');
    } else if (c == delimiters.component) {
      add('S');
    } else if (c == delimiters.subcomponent) {
      add('T');
    } else if (c == delimiters.repetition) {
      add('R');
    } else if (c == delimiters.escape) {
      add('E');
    } else if (c == delimiters.truncation) {
      add('P');
    } else if (static_cast<unsigned char>(c) < ' ') {
      escaped += fmt::format("{0}X{1:02X}{0}", delimiters.escape, static_cast<unsigned>(c));
    } else {
      escaped.push_back(c);
    }
  }
  return escaped;
}

}  // namespace kuva::hl7
