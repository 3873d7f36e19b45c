#pragma once

#include <kuva/dicom/vr.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::dicom {

// The character sets of a data set, from (0008,0005) (PS3.3 C.12.1.1.2, PS3.5 6.1.2). Inherited by items that have
// none.
//
// An object is for one thread at a time: it keeps the converters that it has opened. A copy is cheap and opens its own.
class CharacterSets {
 public:
  // The default repertoire, ISO IR 6.
  CharacterSets();
  // The value of (0008,0005), its values parted by backslash. An unknown term makes defect() non-empty, and the
  // text is then decoded as ISO IR 6 where possible; a misspelt one is a defect, and taken as what it means.
  explicit CharacterSets(std::string_view value);

  // What is wrong with the value itself (unknown term, misspelt, ISO_IR 192 with others), or empty.
  const std::string& defect() const { return m_defect; }
  // The value as written.
  const std::string& terms() const { return m_terms; }

  struct Decoded {
    std::string text;   // UTF-8; U+FFFD for what cannot be decoded
    bool clean = true;  // false when something could not be decoded or an escape sequence was not declared
  };
  // Decodes a value of a VR that uses the character set; escape states are reset where PS3.5 6.1.2.5.3 says
  // (PN also at '^' and '='; not in LT, ST, UT at backslash). Trailing padding stays.
  // C1 control characters are never part of a repertoire (PS3.5 6.1.3), so they are not clean: mostly they are the sign
  // of a Windows code page behind the name of an ISO one.
  // Errors: Error internal when the C library lacks the conversion.
  Decoded decode(std::string_view bytes, Vr vr) const;

 private:
  // Opened when first needed; never copied along.
  class Converters {
   public:
    Converters();
    Converters(const Converters&);
    Converters(Converters&&) noexcept;
    Converters& operator=(const Converters&);
    Converters& operator=(Converters&&) noexcept;
    ~Converters();

    // Appends `bytes` as UTF-8; `unit` bytes are given up where they mean nothing. False when there were such.
    bool convert(unsigned repertoire, std::string_view bytes, std::size_t unit, std::string& text);

   private:
    struct Open;
    std::vector<Open> m_open;
  };

  void add_term(std::string_view term, std::size_t position, std::size_t count);
  void add_defect(std::string sentence);
  Decoded decode_with_extensions(std::string_view bytes, Vr vr) const;

  std::string m_terms;
  std::string m_defect;
  unsigned m_first_g0 = 0;  // code elements that value 1 designates
  unsigned m_first_g1 = 0;
  std::uint32_t m_declared = 0;  // a bit for each repertoire whose escape sequence may be used
  bool m_whole = false;          // ISO_IR 192, GB18030, GBK: no code extensions
  mutable Converters m_converters;
};

}  // namespace kuva::dicom
