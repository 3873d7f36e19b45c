#pragma once

#include <kuva/hl7/escape.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::hl7 {

// Who gave an identifier out (HD, HL7 v2.5.1 2.A.36): a namespace, a universal id with its type, or all three.
struct AssigningAuthority {
  std::string namespace_id;
  std::string universal_id;
  std::string universal_id_type;  // "ISO" for an OID

  bool empty() const { return namespace_id.empty() && universal_id.empty(); }
  bool operator==(const AssigningAuthority&) const = default;
  // "NAMESPACE&1.2.3&ISO"; the namespace alone where there is no more.
  std::string to_string() const;
  // The same, and a bare OID. Nothing when it is none of these, or a part is the null value.
  static std::optional<AssigningAuthority> parse(std::string_view text);
};

// An identifier of a patient (CX, 2.A.14).
struct PatientIdentifier {
  std::string id;
  AssigningAuthority authority;
  std::string type_code;  // table 0203: PI, NNFIN, ...
  bool null = false;      // "" as the id: delete it

  bool operator==(const PatientIdentifier&) const = default;
  // "ID^^^NAMESPACE&1.2.3&ISO^PI".
  std::string to_string() const;
  // Nothing when it is none, or a part is the null value, which identifies nobody.
  static std::optional<PatientIdentifier> parse(std::string_view text);
};

// As archives match patients (dcm4chee): the same id, and nothing that says of different authorities. A missing
// authority, or a namespace on one side and an OID on the other, says nothing.
bool may_be_same_patient(const PatientIdentifier& a, const PatientIdentifier& b);

// One repetition of a CX field, and the whole field.
PatientIdentifier read_identifier(std::string_view raw, const Delimiters& delimiters, const CharacterSet& set);
std::vector<PatientIdentifier> read_identifiers(const Message& message, const Position& field, const CharacterSet& set);
// Errors: hl7.charset.
std::string write_identifier(const PatientIdentifier& identifier, const Delimiters& delimiters,
                             const CharacterSet& set);

// A name of a person, the parts that DICOM has too (XPN, 2.A.88; PN, PS3.5 6.2.1.2).
struct PersonName {
  std::string family;  // FN.1; FN.2 and FN.3 joined where it is empty
  std::string given;
  std::string middle;
  std::string suffix;  // XPN.4 and the degree, XPN.6
  std::string prefix;
  std::string type_code;  // table 0200: L legal

  bool empty() const { return family.empty() && given.empty() && middle.empty() && suffix.empty() && prefix.empty(); }
  bool operator==(const PersonName&) const = default;

  // family^given^middle^prefix^suffix, what PN does not bear (^, =, backslash, controls) replaced by spaces, without
  // empty components at the end.
  std::string to_dicom() const;
  // The alphabetic group of a PN in UTF-8.
  static PersonName from_dicom(std::string_view pn);
};

PersonName read_name(std::string_view raw, const Delimiters& delimiters, const CharacterSet& set);
// The repetition of type L, else the first that is neither of maiden name, birth nor alias (M, B, A), else the first.
// Nothing when the field is empty; an empty name when it is null.
std::optional<PersonName> read_legal_name(const Message& message, const Position& field, const CharacterSet& set);
// Errors: hl7.charset.
std::string write_name(const PersonName& name, const Delimiters& delimiters, const CharacterSet& set);

// YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ] (TS, 2.A.77), with a date that exists.
bool is_time_stamp(std::string_view text);
// YYYYMMDDHHMMSS+0000.
std::string to_time_stamp(std::chrono::system_clock::time_point time);

}  // namespace kuva::hl7
