#pragma once

#include <cstddef>
#include <string_view>

namespace kuva::hl7 {

// The name of a segment ("Patient Identification") and of one of its fields ("Patient Name") as HL7 v2.5.1 has them;
// empty where they are not known, as for Z segments.
std::string_view segment_name(std::string_view segment);
std::string_view field_name(std::string_view segment, std::size_t field);
// The name of a component of a field that holds a CX, XPN, HD, MSG, PT or VID; empty elsewhere.
std::string_view component_name(std::string_view segment, std::size_t field, std::size_t component);

}  // namespace kuva::hl7
