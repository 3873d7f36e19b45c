#pragma once

#include <kuva/hl7/data_types.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::hl7 {

enum class Severity { error, warning };
std::string_view to_string(Severity severity);

// Something in a message that an archive refuses (error) or that leads to surprises (warning).
struct Finding {
  Severity severity = Severity::error;
  std::string rule;      // stable: "segment.missing", "field.missing", "identifier.national", ...
  std::string position;  // "PID-3.4"; empty for the message as a whole
  std::string message;   // without anything of the patient
  std::string source;    // where the rule comes from: "HL7 v2.5.1 ...", "IHE ...", "dcm4chee default", a profile's name
};

// A field that must have a value.
struct RequiredField {
  std::string_view segment;
  std::size_t field = 0;
  std::size_t component = 0;  // 0: any
  Severity severity = Severity::error;
  std::string_view source;
};

// A field that a profile demands besides those of required_fields.inc.
struct ProfileField {
  Position position;
  std::string source;
};

// What the receiver wants, as data. The defaults are those of dcm4chee-arc and IHE PAM; the archive's own annex is not
// public, and a profile in kuva.toml says what it adds.
struct CheckProfile {
  std::string name = "dcm4chee default, IHE PAM";
  std::vector<ProfileField> required;
  std::vector<std::string> events;  // trigger events that it takes; empty: those marked in event_rules.inc
  // Used where MSH-18 is unknown; without it an unknown MSH-18 is an error.
  std::optional<CharacterSet> assumed_set;
  // The OID of the national identifier, whose check character is checked.
  std::string national_authority = "1.2.246.21";
};

// Structure, required fields, identifiers, character set, escape sequences, time stamps. In the order of the message.
// After k_most_findings one more, "findings.more", says how many there are besides; it is an error if one of them is.
inline constexpr std::size_t k_most_findings = 1'000;
std::vector<Finding> check(const Message& message, const CheckProfile& profile = {});
bool has_errors(const std::vector<Finding>& findings);

// MSH-9.3 for an event in a version; empty where it is not known (or the version has none).
std::string_view message_structure(std::string_view trigger, std::string_view version);

// By MSH-18, else the one to assume. Errors: hl7.charset when it is unknown and nothing is assumed.
CharacterSet character_set_of(const Message& message, const std::optional<CharacterSet>& assumed = {});

// What is wrong with an identifier: empty, no authority, a national one that is no personal identity code. Nothing when
// it is good. The sentence has nothing of the identifier in it.
struct IdentifierDefect {
  std::string rule;  // "identifier.empty", "identifier.no-authority", "identifier.national"
  std::string message;
};
std::optional<IdentifierDefect> identifier_defect(const PatientIdentifier& identifier,
                                                  std::string_view national_authority);

}  // namespace kuva::hl7
