#pragma once

#include <kuva/dicom/reader.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace kuva::rules {

using Severity = dicom::Defect::Severity;  // error: would be refused, or unusable; warning: stored, but bad; info

// Something that a rule found in an object.
struct Finding {
  Severity severity = Severity::error;
  std::string rule;                // id, e.g. "iod.type1-absent"
  std::string message;             // a sentence without a value of the object
  std::string tag_path;            // as in Defect; empty for the object as a whole
  std::uint64_t offset = 0;        // bytes from the start of the file: of the element, or of the item that lacks it
  dicom::Tag tag;                  // the last one of the path
  dicom::Vr vr = dicom::Vr::none;  // of the value
  std::string value;    // the start of it as it stands in the file; for who masks it, never to be shown as it is
  std::string section;  // of the standard or of the profile's source
  std::string hint;
  std::string code;  // the repository's own number for it, where the profile has one
  bool has_offset = false;
};

std::string_view to_string(Severity severity);

}  // namespace kuva::rules
