#pragma once

#include <kuva/dicom/vr.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace kuva::dicom {

// The character sets of a data set, from (0008,0005) (PS3.3 C.12.1.1.2, PS3.5 6.1.2). Inherited by items that have none.
class CharacterSets {
 public:
  // The default repertoire, ISO IR 6.
  CharacterSets();
  // The value of (0008,0005), its values parted by backslash. An unknown term makes defect() non-empty, and the
  // text is then decoded as ISO IR 6 where possible.
  explicit CharacterSets(std::string_view value);

  // What is wrong with the value itself (unknown term, misspelt, ISO_IR 192 with others), or empty.
  const std::string& defect() const;
  // The value as written.
  const std::string& terms() const;

  struct Decoded {
    std::string text;     // UTF-8; U+FFFD for what cannot be decoded
    bool clean = true;    // false when something could not be decoded or an escape sequence was not declared
  };
  // Decodes a value of a VR that uses the character set; escape states are reset where PS3.5 6.1.2.5.3 says
  // (PN also at '^' and '='; not in LT, ST, UT at backslash). Trailing padding stays.
  Decoded decode(std::string_view bytes, Vr vr) const;
};

}  // namespace kuva::dicom
