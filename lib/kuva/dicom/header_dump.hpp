#pragma once

#include <filesystem>
#include <string>

namespace kuva::dicom {

// The elements of an object as text, for whoever helps with it and must not learn whom it shows. A value is shown only
// where its VR has no room for what identifies a person and its characters are those of the VR: UI, CS, IS, DS and
// binary numbers, and never one of group 0010 (patient), of a private element, or of UN and bulk data; of all others
// stand VR and length alone. Never throws for what is in the file: a fault is a line. At most k_most_lines lines.
inline constexpr std::size_t k_most_lines = 5'000;
std::string masked_header_dump(const std::filesystem::path& path);

}  // namespace kuva::dicom
