#pragma once

#include <kuva/dimse/commitment.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::sandbox {

// Why an instance was rejected: the title of a rejection note (IHE IOCM, CID 7010). Each is a bit.
enum class Rejection : std::uint8_t {
  none = 0,
  quality = 1,         // 113001 Rejected for Quality Reasons
  patient_safety = 2,  // 113037 Rejected for Patient Safety Reasons
  worklist = 4,        // 113038 Incorrect Modality Worklist Entry
  retention = 8,       // 113039 Data Retention Policy Expired
};
// "113001"; empty for none.
std::string_view to_string(Rejection rejection);
std::optional<Rejection> rejection_of(std::string_view code_value);
// Whether a note with the new title may take the place of an earlier one, as dcm4chee-arc is set by default.
bool may_override(Rejection earlier, Rejection later);

// A Key Object Selection whose title rejects what its evidence refers to.
struct RejectionNote {
  Rejection rejection = Rejection::none;
  bool revokes = false;  // (REVOKE_REJECTION, 99DCM4CHEE): what was rejected is restored
  struct Series {
    std::string study_instance_uid;
    std::string series_instance_uid;
    std::vector<dimse::SopReference> references;
  };
  std::vector<Series> evidence;  // Current Requested Procedure Evidence Sequence (0040,A375)
};

inline constexpr std::string_view k_key_object_selection = "1.2.840.10008.5.1.4.1.1.88.59";

// Nothing when the document's title is another. Errors: as open_part10, file.malformed.
std::optional<RejectionNote> read_rejection_note(const std::filesystem::path& path);

}  // namespace kuva::sandbox
