#include <kuva/dicom/charset.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

// The value of Specific Character Set up to the first zero byte, then a byte that picks the VR, then the text.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using kuva::dicom::CharacterSets;
  using kuva::dicom::Vr;
  constexpr Vr k_vrs[] = {Vr::PN, Vr::LO, Vr::SH, Vr::LT, Vr::ST, Vr::UC, Vr::UT};

  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t end = bytes.find('\0');
  if (end == std::string_view::npos || end + 1 >= size) {
    return 0;
  }
  const CharacterSets sets(bytes.substr(0, end));
  const Vr vr = k_vrs[data[end + 1] % std::size(k_vrs)];
  const auto decoded = sets.decode(bytes.substr(end + 2), vr);
  // What came out is UTF-8, whatever went in.
  const auto again = CharacterSets("ISO_IR 192").decode(decoded.text, Vr::UT);
  if (!again.clean && decoded.text.find('\x1B') == std::string::npos) {
    std::abort();
  }
  return 0;
}
