#pragma once

#include <kuva/dicom/data_set.hpp>
#include <kuva/dicom/transcoder.hpp>
#include <kuva/sandbox/patients.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace kuva::sandbox {

// The patient that objects show on their way out instead of the one that they were stored with: the identifier always,
// name, birth date and sex where a message said them. Text in UTF-8.
struct PatientIdentity {
  std::string patient_id;
  std::string issuer;      // (0010,0021)
  std::string issuer_oid;  // of (0010,0024); empty: none
  std::optional<std::string> name;
  std::optional<std::string> birth_date;
  std::optional<std::string> sex;

  bool operator==(const PatientIdentity&) const = default;
};

inline constexpr dicom::Tag k_name_tag{0x0010, 0x0010};
inline constexpr dicom::Tag k_birth_date_tag{0x0010, 0x0030};
inline constexpr dicom::Tag k_sex_tag{0x0010, 0x0040};

// Puts the identity into attributes in UTF-8 without (0008,0005), as the index has them.
void put_identity(dicom::DataSet& attributes, const PatientIdentity& identity);
// The same into those of an object, in its own character set. Where that lacks a character, a question mark takes its
// place; an object in ASCII becomes one in UTF-8.
void coerce(dicom::DataSet& object, const PatientIdentity& identity);

// dicom::open_data_set, with the identity put into the data set on the way: everything behind (0010,0040) goes out as
// it is. Errors: as that; file.malformed when the elements up to there cannot be read, file.not-encodable when they are
// longer than k_longest_head.
std::unique_ptr<dicom::DataSetStream> open_coerced(const std::filesystem::path& path,
                                                   const std::string& transfer_syntax_uid,
                                                   const std::optional<PatientIdentity>& identity);
inline constexpr std::size_t k_longest_head = std::size_t{16} << 20U;

}  // namespace kuva::sandbox
