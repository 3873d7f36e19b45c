#pragma once

#include <kuva/dicom/tag.hpp>

// What of the Patient module (PS3.3 C.7.1.1) HL7 messages change.
namespace kuva::sandbox {

inline constexpr dicom::Tag k_patient_name{0x0010, 0x0010};
inline constexpr dicom::Tag k_birth_date{0x0010, 0x0030};
inline constexpr dicom::Tag k_sex{0x0010, 0x0040};

}  // namespace kuva::sandbox
