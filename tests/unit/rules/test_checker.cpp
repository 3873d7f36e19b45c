#include "../dicom/encoded.hpp"

#include <kuva/core/error.hpp>
#include <kuva/rules/checker.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::rules;
using dicom::Tag;
using dicom::test::Encoded;

namespace {

constexpr std::string_view k_head = "format = 1\nname = \"x\"\ntitle = \"X\"\nversion = \"1\"\nsource = \"s\"\n";

Checker::Result check(const Profile& profile, const Encoded& bytes) {
  Checker checker(profile);
  const auto source = dicom::make_memory_source(dicom::test::as_bytes(bytes.bytes()));
  dicom::DataSetReader reader(*source, dicom::transfer_syntax(dicom::k_explicit_vr_little_endian));
  for (auto event = reader.next(); event != dicom::DataSetReader::Event::end; event = reader.next()) {
    checker.event(reader, event);
  }
  dicom::Inspection inspection;
  inspection.complete = true;
  inspection.header.attributes.transfer_syntax_uid = dicom::k_explicit_vr_little_endian;
  return checker.finish(inspection);
}

std::vector<std::string> rules_of(std::string_view profile, const Encoded& bytes) {
  std::vector<std::string> found;
  for (const Finding& finding :
       check(parse_profile(std::string(k_head) + std::string(profile), "x.toml"), bytes).findings) {
    found.push_back(finding.rule);
  }
  return found;
}

std::string rule(std::string_view kind, std::string_view attribute, std::string_view more = {}) {
  return "[[rule]]\nid = \"a.b\"\nkind = \"" + std::string(kind) +
         "\"\nseverity = \"error\"\nmessage = \"m\"\nsource = \"s\"\n" + "attribute = \"" + std::string(attribute) +
         "\"\n" + std::string(more) + "\n";
}

bool breaks(const std::string& profile, const Encoded& bytes) { return !rules_of(profile, bytes).empty(); }

Encoded patient(std::string_view id, std::string_view birth_date = {}) {
  Encoded bytes(Encoded::Form::explicit_little);
  bytes.element(Tag{0x0010, 0x0020}, "LO", std::string(id) + (id.size() % 2 != 0 ? " " : ""));
  if (!birth_date.empty()) {
    bytes.element(Tag{0x0010, 0x0030}, "DA", birth_date);
  }
  return bytes;
}

}  // namespace

TEST_CASE("each kind of rule fires where it must, and not where it must not") {
  const Encoded none(Encoded::Form::explicit_little);
  const Encoded empty = patient("");
  const Encoded given = patient("AB12");
  CHECK(breaks(rule("present", "PatientID"), none));
  CHECK_FALSE(breaks(rule("present", "PatientID"), empty));
  CHECK(breaks(rule("filled", "PatientID"), empty));
  CHECK_FALSE(breaks(rule("filled", "PatientID"), given));
  CHECK(breaks(rule("absent", "PatientID"), given));
  CHECK_FALSE(breaks(rule("absent", "PatientID"), none));
  CHECK(breaks(rule("values", "PatientID", "values = [\"AB\"]"), given));
  CHECK_FALSE(breaks(rule("values", "PatientID", "values = [\"AB\"]\nprefix = 2"), given));
  CHECK(breaks(rule("matches", "PatientID", "pattern = \"[A-Z]+\""), given));
  CHECK_FALSE(breaks(rule("matches", "PatientID", "pattern = \"[A-Z]+[0-9]+\""), given));
  CHECK(breaks(rule("uid", "PatientID"), given));
  CHECK(breaks(rule("uid", "PatientID", "root = \"1.3\""), patient("1.2.34")));
  CHECK_FALSE(breaks(rule("uid", "PatientID", "root = \"1.2\""), patient("1.2.34")));
  CHECK(breaks(rule("expression", "PatientID", "test = 'PatientID = \"X\"'"), given));
  CHECK_FALSE(breaks(rule("expression", "PatientID", "test = 'PatientID = \"AB12\"'"), given));
  CHECK_FALSE(breaks(rule("absent", "PatientID", "when = 'PatientID = \"X\"'"), given));
}

TEST_CASE("personal identity codes") {
  const std::string is_one = rule("hetu", "PatientID");
  for (const char separator : std::string("+-YXWVUABCDEF")) {
    CAPTURE(separator);
    CHECK_FALSE(breaks(is_one, patient(std::string("010181") + separator + "900C")));
    CHECK(breaks(is_one, patient(std::string("010181") + separator + "900D")));
  }
  for (const char separator : std::string("GHZ*a")) {
    CHECK(breaks(is_one, patient(std::string("010181") + separator + "900C")));
  }
  CHECK(breaks(is_one, patient("310281-900C")));  // no such day
  CHECK(breaks(is_one, patient("290200-900X")));  // 1900 was no leap year
  CHECK(breaks(is_one, patient("010181-001C")));
  // Temporary identifiers of other shapes are none of its business.
  for (const char* other : {"", "T12345", "010181900C", "2026-000123"}) {
    CAPTURE(other);
    CHECK_FALSE(breaks(is_one, patient(other)));
  }
  const std::string same_date = rule("hetu-birth-date", "PatientBirthDate");
  CHECK_FALSE(breaks(same_date, patient("010181-900C", "19810101")));
  CHECK(breaks(same_date, patient("010181-900C", "20810101")));
  CHECK(breaks(same_date, patient("010181A900C", "19810101")));
  CHECK(breaks(same_date, patient("010181+900C", "19810101")));
  CHECK_FALSE(breaks(same_date, patient("010181+900C", "18810101")));
  CHECK_FALSE(breaks(same_date, patient("T12345", "19810101")));
}

TEST_CASE("personal identity codes in the profiles of Kanta") {
  const Profile profile = load_profile("kanta-2.4.1");
  const auto found = [&](const Encoded& bytes) {
    std::vector<std::string> rules;
    for (const Finding& finding : check(profile, bytes).findings) {
      if (finding.rule.starts_with("kanta.patient-id") && finding.rule != "kanta.patient-id-issuer") {
        rules.push_back(std::string(to_string(finding.severity)) + " " + finding.rule);
      }
    }
    return rules;
  };
  using Rules = std::vector<std::string>;
  CHECK(found(patient("131052-308T", "19521013")) == Rules{});
  CHECK(found(patient("010181-900C", "19810101")) == Rules{"info kanta.patient-id-artificial"});
  CHECK(found(patient("131052A308T", "19521013")) == Rules{"warning kanta.patient-id-birth-date"});
  CHECK(found(patient("131052-308U", "19521013")) == Rules{"error kanta.patient-id-check"});
  CHECK(found(patient("T12345")) == Rules{"warning kanta.patient-id-form"});
  CHECK(found(patient("")) == Rules{"error kanta.patient-id-missing"});
}

TEST_CASE("severities of a profile's own") {
  const Encoded given = patient("AB12");
  const auto severity = [&](std::string_view word) {
    const auto found = check(parse_profile(std::string(k_head) + rule("absent", "PatientID") +
                                               "[severity]\n\"a.b\" = \"" + std::string(word) + "\"\n",
                                           "x.toml"),
                             given)
                           .findings;
    return found.empty() ? "off" : std::string(to_string(found.front().severity));
  };
  for (const char* word : {"error", "warning", "info", "off"}) {
    CHECK(severity(word) == word);
  }
  const Profile stricter =
      parse_profile(std::string(k_head) + "[severity]\n\"private.no-creator\" = \"error\"\n", "x.toml");
  CHECK(stricter.severity_of("private.no-creator", Severity::warning) == Severity::error);
  const Profile strict =
      parse_profile(std::string(k_head) + "[severity]\n\"iod.type1-absent\" = \"error\"\n", "x.toml");
  CHECK(strict.severity_of("iod.type1-absent", Severity::warning) == Severity::warning);  // a module that is a guess
}
