#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::dicom {

// The Implementation Class UID and Version Name of this suite (PS3.7 D.3.3.2), in every association and file it writes.
std::string_view implementation_class_uid();
std::string_view implementation_version_name();

// Why the text is not a UID (PS3.5 9.1): 1-64 characters of 0-9 and '.', no empty component, no leading zero.
// Nothing when it is one. `text` is without padding.
std::optional<std::string_view> uid_defect(std::string_view text);

// Trailing NULs (legal padding) and spaces (sloppy padding) removed.
std::string_view trim_uid(std::string_view value);

// A fresh UID of the form 2.25.<UUID as decimal> (PS3.5 B.2).
std::string make_uid();

// The name of a SOP class, transfer syntax or other registered UID of PS3.6 annex A, or an empty string.
std::string_view uid_name(std::string_view uid);
// True for a composite storage SOP class of PS3.4 B.5 (retired ones included), by the table in the dictionary.
bool is_storage_sop_class(std::string_view uid);
// All of those, in the order of their text.
std::vector<std::string_view> storage_sop_classes();

namespace uids {
inline constexpr std::string_view verification = "1.2.840.10008.1.1";
inline constexpr std::string_view media_storage_directory = "1.2.840.10008.1.3.10";
inline constexpr std::string_view storage_commitment_push_model = "1.2.840.10008.1.20.1";
inline constexpr std::string_view storage_commitment_push_model_instance = "1.2.840.10008.1.20.1.1";
inline constexpr std::string_view application_context = "1.2.840.10008.3.1.1.1";
}  // namespace uids

}  // namespace kuva::dicom
