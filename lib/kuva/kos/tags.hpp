#pragma once

#include <kuva/dicom/query_tags.hpp>
#include <kuva/dicom/tag.hpp>

// The elements of Key Object Selection documents (PS3.3 A.35.4, C.17.6).
namespace kuva::kos::tags {

using namespace kuva::dicom::tags;
using dicom::Tag;

inline constexpr Tag content_date{0x0008, 0x0023};
inline constexpr Tag content_time{0x0008, 0x0033};
inline constexpr Tag issuer_of_accession_number_sequence{0x0008, 0x0051};
inline constexpr Tag manufacturer{0x0008, 0x0070};
inline constexpr Tag referring_physician_name{0x0008, 0x0090};
inline constexpr Tag code_meaning{0x0008, 0x0104};
inline constexpr Tag mapping_resource{0x0008, 0x0105};
inline constexpr Tag coding_scheme_version{0x0008, 0x0103};
inline constexpr Tag long_code_value{0x0008, 0x0119};
inline constexpr Tag urn_code_value{0x0008, 0x0120};
inline constexpr Tag timezone_offset_from_utc{0x0008, 0x0201};
inline constexpr Tag procedure_code_sequence{0x0008, 0x1032};
inline constexpr Tag manufacturer_model_name{0x0008, 0x1090};
inline constexpr Tag referenced_study_sequence{0x0008, 0x1110};
inline constexpr Tag referenced_frame_number{0x0008, 0x1160};
inline constexpr Tag retrieve_url{0x0008, 0x1190};
inline constexpr Tag type_of_patient_id{0x0010, 0x0022};
inline constexpr Tag patient_birth_time{0x0010, 0x0032};
inline constexpr Tag other_patient_ids_sequence{0x0010, 0x1002};
inline constexpr Tag patient_identity_removed{0x0012, 0x0062};
inline constexpr Tag deidentification_method{0x0012, 0x0063};
inline constexpr Tag deidentification_method_code_sequence{0x0012, 0x0064};
inline constexpr Tag software_versions{0x0018, 0x1020};
inline constexpr Tag study_id{0x0020, 0x0010};
inline constexpr Tag series_number{0x0020, 0x0011};
inline constexpr Tag requested_procedure_description{0x0032, 0x1060};
inline constexpr Tag requested_procedure_code_sequence{0x0032, 0x1064};
inline constexpr Tag request_attributes_sequence{0x0040, 0x0275};
inline constexpr Tag requested_procedure_id{0x0040, 0x1001};
inline constexpr Tag placer_order_number{0x0040, 0x2016};
inline constexpr Tag filler_order_number{0x0040, 0x2017};
inline constexpr Tag relationship_type{0x0040, 0xA010};
inline constexpr Tag value_type{0x0040, 0xA040};
inline constexpr Tag continuity_of_content{0x0040, 0xA050};
inline constexpr Tag referenced_waveform_channels{0x0040, 0xA0B0};
inline constexpr Tag date_time{0x0040, 0xA120};
inline constexpr Tag date{0x0040, 0xA121};
inline constexpr Tag time{0x0040, 0xA122};
inline constexpr Tag person_name{0x0040, 0xA123};
inline constexpr Tag uid{0x0040, 0xA124};
inline constexpr Tag text_value{0x0040, 0xA160};
inline constexpr Tag concept_code_sequence{0x0040, 0xA168};
inline constexpr Tag predecessor_documents_sequence{0x0040, 0xA360};
inline constexpr Tag referenced_request_sequence{0x0040, 0xA370};
inline constexpr Tag pertinent_other_evidence_sequence{0x0040, 0xA385};
inline constexpr Tag content_template_sequence{0x0040, 0xA504};
inline constexpr Tag identical_documents_sequence{0x0040, 0xA525};
inline constexpr Tag content_sequence{0x0040, 0xA730};
inline constexpr Tag template_identifier{0x0040, 0xDB00};
inline constexpr Tag retrieve_uri{0x0040, 0xE010};
inline constexpr Tag retrieve_location_uid{0x0040, 0xE011};

}  // namespace kuva::kos::tags
