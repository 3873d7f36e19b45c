#include <kuva/dicom/tag.hpp>

namespace kuva::dicom {

std::string to_string(Tag tag) {
  static constexpr char k_digits[] = "0123456789ABCDEF";
  std::string text(9, ',');
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned shift = 12 - 4 * i;
    text[i] = k_digits[(tag.group >> shift) & 0xFU];
    text[5 + i] = k_digits[(tag.element >> shift) & 0xFU];
  }
  return text;
}

}  // namespace kuva::dicom
