#pragma once

#include <kuva/dicom/inspection.hpp>

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::workflow {

// How files are named below a directory: "{StudyInstanceUID}/{SeriesInstanceUID}/{SOPInstanceUID}.dcm". What a value
// holds never leads out of the directory: characters other than letters, digits and "-_." become "_", as does a first
// dot, and an empty value is "_".
class NameTemplate {
 public:
  static constexpr std::string_view k_default = "{StudyInstanceUID}/{SeriesInstanceUID}/{SOPInstanceUID}.dcm";

  // Errors: usage.argument (an unknown key, a brace without its partner, an absolute path, "..", an empty part).
  explicit NameTemplate(std::string_view text = k_default);

  // Relative. A key that the attributes have no value for is "_".
  std::filesystem::path make(const dicom::InstanceAttributes& attributes) const;
  // It can be made from the UIDs alone, before the instance is there.
  bool needs_uids_only() const { return m_needs_uids_only; }

  // The keys, for help and messages.
  static std::vector<std::string_view> keys();

 private:
  struct Piece {
    std::string literal;
    std::string dicom::InstanceAttributes::*value = nullptr;
  };
  std::vector<Piece> m_pieces;
  bool m_needs_uids_only = true;
};

// A value as part of a file's name, by the rules above; at most 128 characters.
std::string safe_name(std::string_view value);

}  // namespace kuva::workflow
