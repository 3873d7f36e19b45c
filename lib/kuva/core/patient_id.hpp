#pragma once

#include <kuva/core/error.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace kuva {

// Why the text is not what its name says; nothing when it is. The sentence never holds the text.

// A Finnish personal identity code (henkilötunnus): DDMMYYCZZZQ, with the separators C of 2023 (+ 18xx; - Y X W V U
// 19xx; A B C D E F 20xx), a date that exists, ZZZ from 002, and its check character. 900-999 are test and temporary
// codes.
std::optional<std::string> hetu_defect(std::string_view text);
// A business identity code (y-tunnus) of seven digits, a hyphen and a check digit; of six where it begins with 0.
std::optional<std::string> business_id_defect(std::string_view text);
// An object identifier in dotted form, up to 64 characters.
std::optional<std::string> oid_defect(std::string_view text);

// The text in capitals where whoever wrote it meant a personal identity code, right or wrong: 11 characters, digits
// where the date of birth belongs and none after it. Nothing otherwise.
std::optional<std::string> meant_as_hetu(std::string_view text);

// What a valid personal identity code says.
struct Hetu {
  std::chrono::year_month_day birth_date;
  bool artificial = false;  // 900-999: not in the population register
};
std::optional<Hetu> read_hetu(std::string_view text);

// The recommended OID of an organisation's temporary identifiers: 1.2.246.10.<y-tunnus without hyphen and leading
// zero>.22.<year> (HL7 Finland). `business_id` has no defect.
std::string temporary_id_authority(std::string_view business_id, int year);

// A patient's identifier with the OID of its assigning authority.
struct PatientId {
  std::string id;
  std::string authority;

  friend bool operator==(const PatientId&, const PatientId&) = default;
};

// CX as XDS uses it (ITI TF-3 4.2.3.1.7): id^^^&OID&ISO, with HL7 escapes in the id.
std::string to_cx(const PatientId& id);
// Errors: usage.patient-id.
PatientId read_cx(std::string_view text);

struct PatientIdRules {
  std::string hetu_authority = "1.2.246.21";
  std::string temporary_authority;  // empty: not known
  bool check = true;                // false: only that it can be sent at all
};

// What a person writes: a personal identity code; ID@OID, for a temporary or another identifier; an ID alone, where the
// rules know the authority of temporary ones; or a whole CX. Errors: usage.patient-id, with the reason and not the
// text.
PatientId read_patient_id(std::string_view text, const PatientIdRules& rules);

}  // namespace kuva
