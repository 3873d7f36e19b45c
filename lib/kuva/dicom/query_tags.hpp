#pragma once

#include <kuva/dicom/tag.hpp>

// The elements of queries, retrievals and notifications (PS3.4 annexes C and R).
namespace kuva::dicom::tags {

inline constexpr Tag query_retrieve_level{0x0008, 0x0052};
inline constexpr Tag instance_availability{0x0008, 0x0056};
inline constexpr Tag failed_sop_instance_uid_list{0x0008, 0x0058};
inline constexpr Tag modalities_in_study{0x0008, 0x0061};
inline constexpr Tag sop_classes_in_study{0x0008, 0x0062};
inline constexpr Tag code_value{0x0008, 0x0100};
inline constexpr Tag coding_scheme_designator{0x0008, 0x0102};
inline constexpr Tag referenced_performed_procedure_step_sequence{0x0008, 0x1111};
inline constexpr Tag referenced_series_sequence{0x0008, 0x1115};
inline constexpr Tag number_of_patient_related_studies{0x0020, 0x1200};
inline constexpr Tag number_of_patient_related_series{0x0020, 0x1202};
inline constexpr Tag number_of_patient_related_instances{0x0020, 0x1204};
inline constexpr Tag number_of_study_related_series{0x0020, 0x1206};
inline constexpr Tag number_of_study_related_instances{0x0020, 0x1208};
inline constexpr Tag number_of_series_related_instances{0x0020, 0x1209};
inline constexpr Tag concept_name_code_sequence{0x0040, 0xA043};
inline constexpr Tag current_requested_procedure_evidence_sequence{0x0040, 0xA375};

}  // namespace kuva::dicom::tags
