#pragma once

#include <kuva/hl7/message.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::hl7 {

// A character set of MSH-18 (HL7 table 0211).
class CharacterSet {
 public:
  // Nothing when the term is not known. An empty one is ASCII. Terms that are common and not of the table (UTF-8,
  // ISO-8859-1, ...) are taken as what they mean; is_misspelt() says so.
  static std::optional<CharacterSet> find(std::string_view term);
  static CharacterSet ascii();
  static CharacterSet utf8();

  // As it belongs into MSH-18; empty for ASCII.
  std::string_view term() const { return m_term; }
  bool is_misspelt() const { return m_misspelt; }
  bool is_utf8() const;
  bool is_ascii() const;

  struct Decoded {
    std::string text;   // UTF-8; U+FFFD for what is not of the set
    bool clean = true;  // false when there was such
  };
  Decoded to_utf8(std::string_view bytes) const;
  // Nothing when the set lacks one of the characters, or the text is not UTF-8.
  std::optional<std::string> from_utf8(std::string_view text) const;

 private:
  CharacterSet(std::string_view term, const char* iconv_name, bool misspelt)
      : m_term(term), m_iconv_name(iconv_name), m_misspelt(misspelt) {}

  std::string_view m_term;
  const char* m_iconv_name;
  bool m_misspelt;
};

// Text from bytes of a message: escape sequences resolved (HL7 v2.5.1 chapter 2.7), \X..\ as bytes of the character
// set, .br and .sp as line breaks; formatting without a text of its own (.in, .ti, .fi, .nf, .ce, H, N) falls away.
struct DecodedText {
  std::string text;              // UTF-8
  bool clean = true;             // false: bytes that are not of the character set
  bool unknown_escapes = false;  // kept as they stand: local (Z), character set switches (C, M), unended, unknown
};
DecodedText decode(std::string_view raw, const Delimiters& delimiters, const CharacterSet& set);

// Bytes for a message from UTF-8: delimiters and control characters escaped. Errors: hl7.charset where the set lacks a
// character, or the text is not UTF-8.
std::string encode(std::string_view text, const Delimiters& delimiters, const CharacterSet& set);

}  // namespace kuva::hl7
