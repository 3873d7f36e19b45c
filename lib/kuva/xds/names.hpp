#pragma once

#include <string_view>

// The names that ebRIM metadata goes by (ITI TF-3 4.2.3, 4.2.5). UUIDs are lower case with their urn:uuid:.
namespace kuva::xds {

namespace object_type {
inline constexpr std::string_view stable_document = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1";
inline constexpr std::string_view on_demand_document = "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248";
inline constexpr std::string_view registry_package =
    "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:RegistryPackage";
inline constexpr std::string_view association = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:Association";
inline constexpr std::string_view classification =
    "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:Classification";
inline constexpr std::string_view external_identifier =
    "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:ExternalIdentifier";
}  // namespace object_type

// availabilityStatus
namespace entry_status {
inline constexpr std::string_view approved = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved";
inline constexpr std::string_view deprecated = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated";
}  // namespace entry_status

namespace response_status {
inline constexpr std::string_view success = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success";
inline constexpr std::string_view partial_success = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess";
inline constexpr std::string_view failure = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure";
}  // namespace response_status

namespace severity {
inline constexpr std::string_view error = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error";
inline constexpr std::string_view warning = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Warning";
}  // namespace severity

namespace association_type {
inline constexpr std::string_view has_member = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember";
inline constexpr std::string_view replaces = "urn:ihe:iti:2007:AssociationType:RPLC";
inline constexpr std::string_view transforms = "urn:ihe:iti:2007:AssociationType:XFRM";
inline constexpr std::string_view appends = "urn:ihe:iti:2007:AssociationType:APND";
inline constexpr std::string_view transforms_and_replaces = "urn:ihe:iti:2007:AssociationType:XFRM_RPLC";
inline constexpr std::string_view signs = "urn:ihe:iti:2007:AssociationType:signs";
inline constexpr std::string_view snapshot_of = "urn:ihe:iti:2010:AssociationType:IsSnapshotOf";
}  // namespace association_type

// classificationScheme of a DocumentEntry's attributes
namespace document_scheme {
inline constexpr std::string_view author = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d";
inline constexpr std::string_view class_code = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a";
inline constexpr std::string_view confidentiality_code = "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f";
inline constexpr std::string_view event_code = "urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4";
inline constexpr std::string_view format_code = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d";
inline constexpr std::string_view healthcare_facility_type_code = "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1";
inline constexpr std::string_view practice_setting_code = "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead";
inline constexpr std::string_view type_code = "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983";
inline constexpr std::string_view limited_metadata = "urn:uuid:ab9b591b-83ab-4d03-8f5d-f93b1fb92e85";  // a node
inline constexpr std::string_view patient_id = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427";
inline constexpr std::string_view unique_id = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab";
}  // namespace document_scheme

namespace submission_set_scheme {
inline constexpr std::string_view node = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd";
inline constexpr std::string_view author = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d";
inline constexpr std::string_view content_type_code = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500";
inline constexpr std::string_view limited_metadata = "urn:uuid:5003a9db-8d8d-49e6-bf0c-990e34ac7707";  // a node
inline constexpr std::string_view patient_id = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446";
inline constexpr std::string_view source_id = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832";
inline constexpr std::string_view unique_id = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8";
}  // namespace submission_set_scheme

namespace folder_scheme {
inline constexpr std::string_view node = "urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2";
inline constexpr std::string_view code_list = "urn:uuid:1ba97051-7806-41a8-a48b-8fce7af683c5";
inline constexpr std::string_view limited_metadata = "urn:uuid:2c144a76-29a9-4b7c-af54-b25409fe7d03";  // a node
inline constexpr std::string_view patient_id = "urn:uuid:f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a";
inline constexpr std::string_view unique_id = "urn:uuid:75df8f67-9973-4fbe-a900-df66cefecc5a";
}  // namespace folder_scheme

inline constexpr std::string_view k_association_documentation = "urn:uuid:abd807a3-4432-4053-87b4-fd82c643d1f3";
inline constexpr std::string_view k_reference_id_list = "urn:ihe:iti:xds:2013:referenceIdList";

// The kinds of identifiers in a referenceIdList (ITI TF-3 4.2.3.2.28)
namespace reference_type {
inline constexpr std::string_view accession = "urn:ihe:iti:xds:2013:accession";
inline constexpr std::string_view order = "urn:ihe:iti:xds:2013:order";
inline constexpr std::string_view referral = "urn:ihe:iti:xds:2013:referral";
inline constexpr std::string_view unique_id = "urn:ihe:iti:xds:2013:uniqueId";
inline constexpr std::string_view study_instance_uid = "urn:ihe:iti:xds:2016:studyInstanceUID";
inline constexpr std::string_view encounter = "urn:ihe:iti:xds:2015:encounterId";
inline constexpr std::string_view workflow_instance = "urn:ihe:iti:xdw:2013:workflowInstanceId";
}  // namespace reference_type

// The SHA-1 of no bytes: with size 0 it says that the document is assembled when it is asked for.
inline constexpr std::string_view k_hash_of_nothing = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

// formatCode of an imaging manifest: its SOP class (RAD TF-3 4.68.4.1.2.3)
inline constexpr std::string_view k_manifest_format = "1.2.840.10008.5.1.4.1.1.88.59";
inline constexpr std::string_view k_manifest_format_scheme = "1.2.840.10008.2.6.1";

// Of ASCII letters.
bool same_ignoring_case(std::string_view a, std::string_view b);

// True for the same UUID: any case, with urn:uuid: or without it, blanks around it passed by.
bool same_uuid(std::string_view a, std::string_view b);
// Without the white space of XML around it.
std::string_view trimmed(std::string_view text);

}  // namespace kuva::xds
