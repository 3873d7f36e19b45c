#pragma once

#include <cstdint>
#include <string_view>

namespace kuva::dicom {

// Value representations (PS3.5 6.2). `none` stands for items, delimiters, and bytes that are no VR.
enum class Vr : std::uint16_t {
  none = 0,
  AE = 'A' << 8 | 'E',
  AS = 'A' << 8 | 'S',
  AT = 'A' << 8 | 'T',
  CS = 'C' << 8 | 'S',
  DA = 'D' << 8 | 'A',
  DS = 'D' << 8 | 'S',
  DT = 'D' << 8 | 'T',
  FD = 'F' << 8 | 'D',
  FL = 'F' << 8 | 'L',
  IS = 'I' << 8 | 'S',
  LO = 'L' << 8 | 'O',
  LT = 'L' << 8 | 'T',
  OB = 'O' << 8 | 'B',
  OD = 'O' << 8 | 'D',
  OF = 'O' << 8 | 'F',
  OL = 'O' << 8 | 'L',
  OV = 'O' << 8 | 'V',
  OW = 'O' << 8 | 'W',
  PN = 'P' << 8 | 'N',
  SH = 'S' << 8 | 'H',
  SL = 'S' << 8 | 'L',
  SQ = 'S' << 8 | 'Q',
  SS = 'S' << 8 | 'S',
  ST = 'S' << 8 | 'T',
  SV = 'S' << 8 | 'V',
  TM = 'T' << 8 | 'M',
  UC = 'U' << 8 | 'C',
  UI = 'U' << 8 | 'I',
  UL = 'U' << 8 | 'L',
  UN = 'U' << 8 | 'N',
  UR = 'U' << 8 | 'R',
  US = 'U' << 8 | 'S',
  UT = 'U' << 8 | 'T',
  UV = 'U' << 8 | 'V',
};

// The VR that these two characters name, or none.
Vr vr_from_chars(char first, char second);
// "PN"; "--" for none.
std::string_view to_string(Vr vr);

// Explicit VR with two reserved bytes and a 32-bit length (PS3.5 7.1.2).
bool has_long_length(Vr vr);
// Text whose bytes depend on Specific Character Set (PS3.5 6.1.2.3): LO LT PN SH ST UC UT.
bool uses_character_set(Vr vr);
// Character strings of any kind.
bool is_string(Vr vr);
// The bytes that change places between the two byte orders: 1 (none), 2, 4 or 8.
unsigned swap_unit(Vr vr);

}  // namespace kuva::dicom
