#include <kuva/core/error.hpp>
#include <kuva/dicom/charset.hpp>

#include <fmt/format.h>

#include <iconv.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <optional>
#include <span>
#include <utility>

namespace kuva::dicom {

namespace {

constexpr std::string_view k_replacement = "\xEF\xBF\xBD";
constexpr std::string_view k_yen_sign = "\xC2\xA5";
constexpr std::string_view k_overline = "\xE2\x80\xBE";
constexpr char k_escape = '\x1B';

// How a repertoire lies in the code table.
enum class Kind {
  g0,         // 94 characters, 21-7E
  g0_double,  // 94x94, two bytes of 21-7E each
  g1,         // 94 or 96 characters, A0-FF
  g1_double,  // 94x94, two bytes of A1-FE each
  whole,      // a code of its own that cannot be extended
};

// The numbers of ISO 2375 name the repertoires; the order is that of k_repertoires.
enum Repertoire : unsigned {
  none,
  ir_6,
  ir_14,
  ir_87,
  ir_159,
  ir_13,
  ir_100,
  ir_101,
  ir_109,
  ir_110,
  ir_126,
  ir_127,
  ir_138,
  ir_144,
  ir_148,
  ir_166,
  ir_203,
  ir_149,
  ir_58,
  utf_8,
  gb18030,
  gbk,
};

struct RepertoireEntry {
  Kind kind;
  std::string_view escape;  // what follows ESC (PS3.3 tables C.12-3 and C.12-4)
  const char* iconv_name;
};

constexpr std::array<RepertoireEntry, 22> k_repertoires{{
    {Kind::g1, "", "ANSI_X3.4-1968"},   {Kind::g0, "(B", "ANSI_X3.4-1968"}, {Kind::g0, "(J", "ANSI_X3.4-1968"},
    {Kind::g0_double, "$B", "EUC-JP"},  {Kind::g0_double, "$(D", "EUC-JP"}, {Kind::g1, ")I", "EUC-JP"},
    {Kind::g1, "-A", "ISO-8859-1"},     {Kind::g1, "-B", "ISO-8859-2"},     {Kind::g1, "-C", "ISO-8859-3"},
    {Kind::g1, "-D", "ISO-8859-4"},     {Kind::g1, "-F", "ISO-8859-7"},     {Kind::g1, "-G", "ISO-8859-6"},
    {Kind::g1, "-H", "ISO-8859-8"},     {Kind::g1, "-L", "ISO-8859-5"},     {Kind::g1, "-M", "ISO-8859-9"},
    {Kind::g1, "-T", "TIS-620"},        {Kind::g1, "-b", "ISO-8859-15"},    {Kind::g1_double, "$)C", "EUC-KR"},
    {Kind::g1_double, "$)A", "EUC-CN"}, {Kind::whole, "", "UTF-8"},         {Kind::whole, "", "GB18030"},
    {Kind::whole, "", "GBK"},
}};

// A defined term of PS3.3 C.12.1.1.2 and what it invokes.
struct Term {
  std::string_view text;
  Repertoire g0;
  Repertoire g1;
  bool extends = false;  // an ISO 2022 term: escape sequences may be used
};

constexpr std::array k_terms{
    Term{"ISO_IR 6", ir_6, none, false},         Term{"ISO_IR 100", ir_6, ir_100, false},
    Term{"ISO_IR 101", ir_6, ir_101, false},     Term{"ISO_IR 109", ir_6, ir_109, false},
    Term{"ISO_IR 110", ir_6, ir_110, false},     Term{"ISO_IR 126", ir_6, ir_126, false},
    Term{"ISO_IR 127", ir_6, ir_127, false},     Term{"ISO_IR 138", ir_6, ir_138, false},
    Term{"ISO_IR 144", ir_6, ir_144, false},     Term{"ISO_IR 148", ir_6, ir_148, false},
    Term{"ISO_IR 166", ir_6, ir_166, false},     Term{"ISO_IR 203", ir_6, ir_203, false},
    Term{"ISO_IR 13", ir_14, ir_13, false},      Term{"ISO_IR 192", utf_8, none, false},
    Term{"GB18030", gb18030, none, false},       Term{"GBK", gbk, none, false},
    Term{"ISO 2022 IR 6", ir_6, none, true},     Term{"ISO 2022 IR 100", ir_6, ir_100, true},
    Term{"ISO 2022 IR 101", ir_6, ir_101, true}, Term{"ISO 2022 IR 109", ir_6, ir_109, true},
    Term{"ISO 2022 IR 110", ir_6, ir_110, true}, Term{"ISO 2022 IR 126", ir_6, ir_126, true},
    Term{"ISO 2022 IR 127", ir_6, ir_127, true}, Term{"ISO 2022 IR 138", ir_6, ir_138, true},
    Term{"ISO 2022 IR 144", ir_6, ir_144, true}, Term{"ISO 2022 IR 148", ir_6, ir_148, true},
    Term{"ISO 2022 IR 166", ir_6, ir_166, true}, Term{"ISO 2022 IR 203", ir_6, ir_203, true},
    Term{"ISO 2022 IR 13", ir_14, ir_13, true},  Term{"ISO 2022 IR 87", ir_87, none, true},
    Term{"ISO 2022 IR 159", ir_159, none, true}, Term{"ISO 2022 IR 149", ir_6, ir_149, true},
    Term{"ISO 2022 IR 58", ir_6, ir_58, true},
};

const Term* find_term(std::string_view text) {
  const auto found = std::find_if(k_terms.begin(), k_terms.end(), [&](const Term& term) { return term.text == text; });
  return found == k_terms.end() ? nullptr : &*found;
}

// Letters and digits alone, in upper case: "iso-ir 100" and "ISO_IR100" mean the same to a reader.
std::string skeleton(std::string_view text) {
  std::string bare;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      bare += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
  }
  return bare;
}

const Term* find_misspelt_term(std::string_view text) {
  const std::string wanted = skeleton(text);
  const auto found =
      std::find_if(k_terms.begin(), k_terms.end(), [&](const Term& term) { return skeleton(term.text) == wanted; });
  return found == k_terms.end() ? nullptr : &*found;
}

std::string_view trim_spaces(std::string_view text) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) {
    return {};
  }
  const auto last = text.find_last_not_of(std::string_view(" \0", 2));
  return last == std::string_view::npos || last < first ? std::string_view() : text.substr(first, last - first + 1);
}

constexpr std::uint32_t bit(unsigned repertoire) { return std::uint32_t{1} << repertoire; }

bool is_high(char c) { return static_cast<unsigned char>(c) >= 0x80; }
bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20; }
bool is_c1_control(char c) { return static_cast<unsigned char>(c) >= 0x80 && static_cast<unsigned char>(c) < 0xA0; }
// A byte of a 94-character set in G0; space, DEL and controls are outside of it.
bool is_graphic(char c) { return c > 0x20 && c < 0x7F; }

// The repertoire that an escape sequence designates; `after` starts behind ESC.
std::optional<unsigned> designated(std::string_view after) {
  for (unsigned repertoire = ir_6; repertoire < k_repertoires.size(); ++repertoire) {
    const std::string_view escape = k_repertoires[repertoire].escape;
    if (!escape.empty() && after.starts_with(escape)) {
      return repertoire;
    }
  }
  return std::nullopt;
}

bool is_text(Vr vr) { return vr == Vr::LT || vr == Vr::ST || vr == Vr::UT; }

}  // namespace

struct CharacterSets::Converters::Open {
  Open(unsigned number, iconv_t opened) : repertoire(number), descriptor(opened) {}
  Open(Open&& other) noexcept : repertoire(other.repertoire), descriptor(std::exchange(other.descriptor, k_closed)) {}
  Open& operator=(Open&& other) noexcept {
    std::swap(repertoire, other.repertoire);
    std::swap(descriptor, other.descriptor);
    return *this;
  }
  ~Open() {
    if (descriptor != k_closed) {
      ::iconv_close(descriptor);
    }
  }

  static inline const iconv_t k_closed = nullptr;

  unsigned repertoire;
  iconv_t descriptor;
};

CharacterSets::Converters::Converters() = default;
CharacterSets::Converters::Converters(const Converters& /*other*/) {}
CharacterSets::Converters::Converters(Converters&&) noexcept = default;
CharacterSets::Converters& CharacterSets::Converters::operator=(const Converters& /*other*/) { return *this; }
CharacterSets::Converters& CharacterSets::Converters::operator=(Converters&&) noexcept = default;
CharacterSets::Converters::~Converters() = default;

bool CharacterSets::Converters::convert(unsigned repertoire, std::string_view bytes, std::size_t unit,
                                        std::string& text) {
  auto found =
      std::find_if(m_open.begin(), m_open.end(), [&](const Open& open) { return open.repertoire == repertoire; });
  if (found == m_open.end()) {
    const char* const name = k_repertoires[repertoire].iconv_name;
    iconv_t const opened = ::iconv_open("UTF-8", name);
    if (opened == iconv_t(-1)) {
      throw Error(kuva::kind("internal"), fmt::format("the C library has no conversion from {} to UTF-8", name));
    }
    m_open.emplace_back(repertoire, opened);
    found = std::prev(m_open.end());
  }

  ::iconv(found->descriptor, nullptr, nullptr, nullptr, nullptr);
  // iconv(3) takes a non-const pointer but does not write to its input.
  char* input = const_cast<char*>(bytes.data());
  std::size_t left = bytes.size();
  bool clean = true;
  std::array<char, 512> buffer;
  while (left > 0) {
    char* output = buffer.data();
    std::size_t space = buffer.size();
    const std::size_t result = ::iconv(found->descriptor, &input, &left, &output, &space);
    const int reason = errno;
    text.append(buffer.data(), buffer.size() - space);
    if (result == std::size_t(-1) && reason != E2BIG) {
      clean = false;
      text += k_replacement;
      const std::size_t given_up = std::min(unit, left);
      input += given_up;
      left -= given_up;
      ::iconv(found->descriptor, nullptr, nullptr, nullptr, nullptr);
    }
  }
  return clean;
}

CharacterSets::CharacterSets() : m_first_g0(ir_6), m_first_g1(none) {}

CharacterSets::CharacterSets(std::string_view value) : m_terms(value), m_first_g0(ir_6), m_first_g1(none) {
  const std::string_view bare = trim_spaces(value);
  if (bare.empty()) {
    return;
  }
  const auto count = static_cast<std::size_t>(std::count(bare.begin(), bare.end(), '\\')) + 1;
  std::size_t start = 0;
  for (std::size_t position = 1; position <= count; ++position) {
    const std::size_t end = std::min(bare.find('\\', start), bare.size());
    add_term(trim_spaces(bare.substr(start, end - start)), position, count);
    start = end + 1;
  }
  if (m_declared != 0) {
    m_declared |= bit(ir_6);  // every use of code extensions may return to ASCII
  }
}

void CharacterSets::add_term(std::string_view text, std::size_t position, std::size_t count) {
  if (text.empty()) {
    if (position == 1) {
      m_declared |= bit(ir_6);  // the default repertoire, extended by what follows
    } else {
      add_defect(fmt::format("value {} is empty", position));
    }
    return;
  }
  const Term* term = find_term(text);
  if (term == nullptr) {
    term = find_misspelt_term(text);
    if (term == nullptr) {
      // Only characters of a CS are shown: whatever else is there may be anything.
      const bool printable =
          text.size() <= 16 && std::all_of(text.begin(), text.end(), [](char c) { return is_graphic(c) || c == ' '; });
      add_defect(fmt::format("value {}{} is not a defined term", position,
                             printable ? fmt::format(" ({})", text) : std::string()));
      return;
    }
    add_defect(fmt::format("value {} is misspelt, {} is meant", position, term->text));
  }

  const Kind g0_kind = k_repertoires[term->g0].kind;
  if (g0_kind == Kind::whole) {
    if (count > 1) {
      add_defect(fmt::format("{} cannot be used with other character sets", term->text));
    }
    if (position == 1) {
      m_whole = true;
      m_first_g0 = term->g0;
    }
    return;
  }
  if (count > 1 && !term->extends) {
    add_defect(fmt::format("{} cannot be used with code extensions, its ISO 2022 term is meant", term->text));
  }
  if (term->extends || count > 1) {
    m_declared |= bit(term->g0) | bit(term->g1);
  }
  if (position != 1) {
    return;
  }
  const bool has_double = g0_kind == Kind::g0_double || k_repertoires[term->g1].kind == Kind::g1_double;
  if (has_double) {
    add_defect(fmt::format("{} cannot be value 1", term->text));
  }
  m_first_g0 = g0_kind == Kind::g0 ? term->g0 : ir_6;
  m_first_g1 = term->g1;
}

void CharacterSets::add_defect(std::string sentence) {
  if (!m_defect.empty()) {
    m_defect += "; ";
  }
  m_defect += sentence;
}

CharacterSets::Decoded CharacterSets::decode(std::string_view bytes, Vr vr) const {
  const bool plain = std::none_of(bytes.begin(), bytes.end(), [](char c) { return is_high(c) || c == k_escape; });
  if (plain && m_first_g0 != ir_14) {
    return {std::string(bytes), true};
  }
  if (!m_whole) {
    return decode_with_extensions(bytes, vr);
  }

  Decoded decoded;
  decoded.text.reserve(bytes.size() + bytes.size() / 2);
  std::size_t start = 0;
  while (start < bytes.size()) {
    // No second byte of these codes is ESC.
    const std::size_t end = std::min(bytes.find(k_escape, start), bytes.size());
    decoded.clean &= m_converters.convert(m_first_g0, bytes.substr(start, end - start), 1, decoded.text);
    if (end < bytes.size()) {
      decoded.clean = false;
      decoded.text += k_replacement;
    }
    start = end + 1;
  }
  return decoded;
}

CharacterSets::Decoded CharacterSets::decode_with_extensions(std::string_view bytes, Vr vr) const {
  Decoded decoded;
  decoded.text.reserve(bytes.size() * 2);
  const bool several_values = !is_text(vr);
  const auto is_delimiter = [&](char c) {
    return (several_values && c == '\\') || (vr == Vr::PN && (c == '^' || c == '='));
  };
  unsigned g0 = m_first_g0;
  unsigned g1 = m_first_g1;
  std::string shifted;  // as EUC-JP has it

  // The longest run from `at` on whose bytes all satisfy the condition.
  const auto run_from = [&](std::size_t at, const auto& condition) {
    std::size_t end = at;
    while (end < bytes.size() && condition(bytes[end])) {
      ++end;
    }
    return bytes.substr(at, end - at);
  };
  const auto give_up = [&] {
    decoded.text += k_replacement;
    decoded.clean = false;
  };

  std::size_t at = 0;
  while (at < bytes.size()) {
    const char c = bytes[at];
    if (c == k_escape) {
      const auto repertoire = designated(bytes.substr(at + 1));
      if (!repertoire) {
        give_up();
        ++at;
        continue;
      }
      decoded.clean &= (m_declared & bit(*repertoire)) != 0;
      const Kind designated_kind = k_repertoires[*repertoire].kind;
      (designated_kind == Kind::g0 || designated_kind == Kind::g0_double ? g0 : g1) = *repertoire;
      at += 1 + k_repertoires[*repertoire].escape.size();
      continue;
    }

    if (is_high(c)) {
      const auto run = run_from(at, is_high);
      at += run.size();
      const bool is_double = k_repertoires[g1].kind == Kind::g1_double;
      if (is_double) {
        decoded.clean &= m_converters.convert(g1, run, 2, decoded.text);
        continue;
      }
      if (g1 == ir_13) {
        shifted.clear();
        for (const char katakana : run) {
          shifted += '\x8E';  // where EUC-JP has the katakana of JIS X 0201
          shifted += katakana;
        }
        decoded.clean &= m_converters.convert(g1, shifted, 2, decoded.text);
        continue;
      }
      for (std::size_t start = 0; start < run.size();) {
        if (is_c1_control(run[start])) {
          give_up();
          ++start;
          continue;
        }
        const auto next = std::find_if(run.begin() + static_cast<std::ptrdiff_t>(start), run.end(), is_c1_control);
        const std::size_t end = static_cast<std::size_t>(next - run.begin());
        decoded.clean &= m_converters.convert(g1, run.substr(start, end - start), 1, decoded.text);
        start = end;
      }
      continue;
    }

    const bool is_double = k_repertoires[g0].kind == Kind::g0_double;
    if (is_double && is_graphic(c)) {
      // Two-byte characters hold bytes that look like delimiters, so a run of them ends only at a control or a space.
      const auto run = run_from(at, is_graphic);
      at += run.size();
      shifted.clear();
      for (std::size_t i = 0; i + 1 < run.size(); i += 2) {
        if (g0 == ir_159) {
          shifted += '\x8F';  // EUC-JP has JIS X 0212 behind a single shift
        }
        shifted += static_cast<char>(run[i] | '\x80');
        shifted += static_cast<char>(run[i + 1] | '\x80');
      }
      decoded.clean &= m_converters.convert(g0, shifted, g0 == ir_159 ? 3 : 2, decoded.text);
      if (run.size() % 2 != 0) {
        give_up();
      }
      continue;
    }

    if (is_control(c) || is_delimiter(c)) {
      decoded.text += c;
      g0 = m_first_g0;
      g1 = m_first_g1;
      ++at;
      continue;
    }
    // ISO-IR 14 is ASCII but for two characters.
    if (g0 == ir_14 && c == '\\') {
      decoded.text += k_yen_sign;
    } else if (g0 == ir_14 && c == '~') {
      decoded.text += k_overline;
    } else {
      decoded.text += c;
    }
    ++at;
  }
  return decoded;
}

}  // namespace kuva::dicom
