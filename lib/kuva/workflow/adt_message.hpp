#pragma once

#include <kuva/workflow/hl7_target.hpp>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::workflow {

// A patient's data as a row, options or a DICOM file give it. Absent stays as the receiver has it; the text "" (two
// quotation marks) deletes what the receiver has.
struct PatientData {
  hl7::PatientIdentifier identifier;
  std::optional<hl7::PersonName> name;
  std::optional<std::string> birth_date;  // YYYYMMDD
  std::optional<std::string> sex;         // table 0001
  std::vector<std::pair<hl7::Position, std::string>> more;
};

// The columns of a row: id (or a whole CX), authority, idType, name (family^given^middle^prefix^suffix), family, given,
// middle, prefix, suffix, birthDate, sex, and any place as PID-11.3 that is_free(). Unknown columns are errors, besides
// "from" and "fromAuthority" beside "into". `column` is what the identifier's column is called ("id", "into").
// Authorities that a row does not name are the target's. Errors: hl7.row, which never holds a value.
PatientData read_patient_row(const std::map<std::string, std::string>& row, const std::string& column,
                             const Hl7Target& target);
// An identifier as a person writes it: ID, ID^^^AUTHORITY^TYPE, or ID@OID; a missing authority is that of the target.
// What is meant as a personal identity code (hetu), right or wrong, gets the national one, so that a misspelt one fails
// its check instead of naming a patient who does not exist. Errors: hl7.row.
hl7::PatientIdentifier read_identifier_text(std::string_view text, const hl7::AssigningAuthority& default_authority,
                                            std::string_view national_authority);

// Whether rows and profiles may write this place: not the delimiters, type, control id and character set of the message
// (MSH-1, -2, -9, -10, -18) or an envelope's header, and not the identifiers that the message is about (PID-3, MRG-1):
// those were checked, confirmed and noted as they are.
bool is_free(const hl7::Position& position);

// A message control id (MSH-10) that nobody else gives out: K and 18 capital letters and digits.
std::string make_control_id();

// A08 or A31 (HL7 v2.5.1 3.3.8, 3.3.31; ITI-8, ITI-30). Errors: hl7.charset.
hl7::Message make_update(const Hl7Target& target, const PatientData& patient, std::string_view trigger,
                         const std::string& control_id);
// A40 (ITI-30 3.30.4.5) or A47: `from` disappears into `into`, which brings the demographics of the survivor.
hl7::Message make_merge(const Hl7Target& target, const hl7::PatientIdentifier& from, const PatientData& into,
                        std::string_view trigger, const std::string& control_id);

}  // namespace kuva::workflow
