#include <kuva/dicom/vr.hpp>

#include <array>
#include <cstddef>

namespace kuva::dicom {

namespace {

// Everything that is to be known of a VR, found by its letters without a search: the reader asks for every element.
struct Properties {
  bool known = false;
  bool long_length = false;
  bool character_set = false;
  bool string = false;
  unsigned char swap = 1;
  std::array<char, 2> name{};
};

constexpr std::size_t k_letters = 26;

constexpr std::size_t index_of(Vr vr) {
  const unsigned code = static_cast<unsigned>(vr);
  return ((code >> 8) - 'A') * k_letters + ((code & 0xFFU) - 'A');
}

constexpr auto k_properties = [] {
  std::array<Properties, k_letters * k_letters> table{};
  const auto add = [&table](Vr vr, bool long_length, bool character_set, bool string, unsigned char swap) {
    const unsigned code = static_cast<unsigned>(vr);
    table[index_of(vr)] = {true,   long_length, character_set,
                           string, swap,        {static_cast<char>(code >> 8), static_cast<char>(code & 0xFFU)}};
  };
  for (const Vr vr : {Vr::AE, Vr::AS, Vr::CS, Vr::DA, Vr::DS, Vr::DT, Vr::IS, Vr::TM, Vr::UI}) {
    add(vr, false, false, true, 1);
  }
  for (const Vr vr : {Vr::LO, Vr::LT, Vr::PN, Vr::SH, Vr::ST}) {
    add(vr, false, true, true, 1);
  }
  add(Vr::UC, true, true, true, 1);
  add(Vr::UT, true, true, true, 1);
  add(Vr::UR, true, false, true, 1);
  for (const Vr vr : {Vr::AT, Vr::SS, Vr::US}) {
    add(vr, false, false, false, 2);
  }
  for (const Vr vr : {Vr::FL, Vr::SL, Vr::UL}) {
    add(vr, false, false, false, 4);
  }
  add(Vr::FD, false, false, false, 8);
  add(Vr::OB, true, false, false, 1);
  add(Vr::OW, true, false, false, 2);
  add(Vr::OF, true, false, false, 4);
  add(Vr::OL, true, false, false, 4);
  add(Vr::OD, true, false, false, 8);
  add(Vr::OV, true, false, false, 8);
  add(Vr::SV, true, false, false, 8);
  add(Vr::UV, true, false, false, 8);
  add(Vr::SQ, true, false, false, 1);
  add(Vr::UN, true, false, false, 1);
  return table;
}();

constexpr Properties k_unknown{};

const Properties& properties(Vr vr) { return vr == Vr::none ? k_unknown : k_properties[index_of(vr)]; }

}  // namespace

Vr vr_from_chars(char first, char second) {
  if (first < 'A' || first > 'Z' || second < 'A' || second > 'Z') {
    return Vr::none;
  }
  const Vr vr = static_cast<Vr>(static_cast<unsigned>(first) << 8 | static_cast<unsigned>(second));
  return k_properties[index_of(vr)].known ? vr : Vr::none;
}

std::string_view to_string(Vr vr) {
  return vr == Vr::none ? std::string_view("--") : std::string_view(properties(vr).name.data(), 2);
}

bool has_long_length(Vr vr) { return properties(vr).long_length; }

bool uses_character_set(Vr vr) { return properties(vr).character_set; }

bool is_string(Vr vr) { return properties(vr).string; }

unsigned swap_unit(Vr vr) { return properties(vr).swap; }

}  // namespace kuva::dicom
