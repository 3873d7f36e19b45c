#pragma once

#include <span>
#include <string>
#include <string_view>

namespace kuva::dicom {

// How a data set is encoded (PS3.5 section 10, PS3.6 annex A).
struct TransferSyntax {
  std::string uid;
  std::string_view name;  // of PS3.6; "unknown transfer syntax" where known is false
  bool known = false;
  bool explicit_vr = true;
  bool big_endian = false;
  bool deflated = false;
  bool encapsulated = false;  // pixel data in fragments

  // Native pixel data: kuva can write it in another uncompressed syntax.
  bool is_uncompressed() const { return !encapsulated; }
};

inline constexpr std::string_view k_implicit_vr_little_endian = "1.2.840.10008.1.2";
inline constexpr std::string_view k_explicit_vr_little_endian = "1.2.840.10008.1.2.1";
inline constexpr std::string_view k_deflated_explicit_vr_little_endian = "1.2.840.10008.1.2.1.99";
inline constexpr std::string_view k_explicit_vr_big_endian = "1.2.840.10008.1.2.2";

// A UID that PS3.6 does not have is taken as Explicit VR Little Endian, encapsulated, known = false (PS3.5 A.4):
// new and private syntaxes pass through without a codec.
TransferSyntax transfer_syntax(std::string_view uid);

}  // namespace kuva::dicom
