#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace kuva::dicom {

// A data element tag (PS3.5 7.1).
struct Tag {
  std::uint16_t group = 0;
  std::uint16_t element = 0;

  friend constexpr auto operator<=>(const Tag&, const Tag&) = default;
  constexpr bool is_private() const { return (group & 1U) != 0; }
  constexpr bool is_group_length() const { return element == 0; }
};

// "0010,0020", upper case.
std::string to_string(Tag tag);

// Tags that the code names; anything else is looked up in the dictionary.
namespace tags {
inline constexpr Tag file_meta_group_length{0x0002, 0x0000};
inline constexpr Tag file_meta_version{0x0002, 0x0001};
inline constexpr Tag media_storage_sop_class_uid{0x0002, 0x0002};
inline constexpr Tag media_storage_sop_instance_uid{0x0002, 0x0003};
inline constexpr Tag transfer_syntax_uid{0x0002, 0x0010};
inline constexpr Tag implementation_class_uid{0x0002, 0x0012};
inline constexpr Tag implementation_version_name{0x0002, 0x0013};
inline constexpr Tag source_application_entity_title{0x0002, 0x0016};
inline constexpr Tag specific_character_set{0x0008, 0x0005};
inline constexpr Tag image_type{0x0008, 0x0008};
inline constexpr Tag sop_class_uid{0x0008, 0x0016};
inline constexpr Tag sop_instance_uid{0x0008, 0x0018};
inline constexpr Tag study_date{0x0008, 0x0020};
inline constexpr Tag study_time{0x0008, 0x0030};
inline constexpr Tag accession_number{0x0008, 0x0050};
inline constexpr Tag retrieve_ae_title{0x0008, 0x0054};
inline constexpr Tag modality{0x0008, 0x0060};
inline constexpr Tag study_description{0x0008, 0x1030};
inline constexpr Tag referenced_sop_class_uid{0x0008, 0x1150};
inline constexpr Tag referenced_sop_instance_uid{0x0008, 0x1155};
inline constexpr Tag transaction_uid{0x0008, 0x1195};
inline constexpr Tag failure_reason{0x0008, 0x1197};
inline constexpr Tag failed_sop_sequence{0x0008, 0x1198};
inline constexpr Tag referenced_sop_sequence{0x0008, 0x1199};
inline constexpr Tag patient_name{0x0010, 0x0010};
inline constexpr Tag patient_id{0x0010, 0x0020};
inline constexpr Tag issuer_of_patient_id{0x0010, 0x0021};
inline constexpr Tag issuer_of_patient_id_qualifiers_sequence{0x0010, 0x0024};
inline constexpr Tag patient_birth_date{0x0010, 0x0030};
inline constexpr Tag patient_sex{0x0010, 0x0040};
inline constexpr Tag study_instance_uid{0x0020, 0x000D};
inline constexpr Tag series_instance_uid{0x0020, 0x000E};
inline constexpr Tag instance_number{0x0020, 0x0013};
inline constexpr Tag samples_per_pixel{0x0028, 0x0002};
inline constexpr Tag photometric_interpretation{0x0028, 0x0004};
inline constexpr Tag number_of_frames{0x0028, 0x0008};
inline constexpr Tag rows{0x0028, 0x0010};
inline constexpr Tag columns{0x0028, 0x0011};
inline constexpr Tag bits_allocated{0x0028, 0x0100};
inline constexpr Tag bits_stored{0x0028, 0x0101};
inline constexpr Tag high_bit{0x0028, 0x0102};
inline constexpr Tag pixel_representation{0x0028, 0x0103};
inline constexpr Tag universal_entity_id{0x0040, 0x0032};
inline constexpr Tag float_pixel_data{0x7FE0, 0x0008};
inline constexpr Tag double_float_pixel_data{0x7FE0, 0x0009};
inline constexpr Tag pixel_data{0x7FE0, 0x0010};
inline constexpr Tag item{0xFFFE, 0xE000};
inline constexpr Tag item_delimitation{0xFFFE, 0xE00D};
inline constexpr Tag sequence_delimitation{0xFFFE, 0xE0DD};
inline constexpr Tag data_set_trailing_padding{0xFFFC, 0xFFFC};
}  // namespace tags

}  // namespace kuva::dicom

template <>
struct std::hash<kuva::dicom::Tag> {
  std::size_t operator()(kuva::dicom::Tag tag) const noexcept {
    return std::hash<std::uint32_t>()((static_cast<std::uint32_t>(tag.group) << 16) | tag.element);
  }
};
