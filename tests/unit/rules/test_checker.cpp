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

Checker::Result check(const Profile& profile, const Encoded& bytes,
                      std::string_view syntax = dicom::k_explicit_vr_little_endian) {
  Checker checker(profile);
  const auto source = dicom::make_memory_source(dicom::test::as_bytes(bytes.bytes()));
  dicom::DataSetReader reader(*source, dicom::transfer_syntax(syntax));
  for (auto event = reader.next(); event != dicom::DataSetReader::Event::end; event = reader.next()) {
    checker.event(reader, event);
  }
  dicom::Inspection inspection;
  inspection.complete = true;
  inspection.header.attributes.transfer_syntax_uid = syntax;
  return checker.finish(inspection);
}

std::vector<std::string> rules_of(std::string_view profile, const Encoded& bytes,
                                  std::string_view syntax = dicom::k_explicit_vr_little_endian) {
  std::vector<std::string> found;
  for (const Finding& finding :
       check(parse_profile(std::string(k_head) + std::string(profile), "x.toml"), bytes, syntax).findings) {
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

TEST_CASE("a rule that breaks everywhere is reported so many times, then once that there is more") {
  Encoded bytes(Encoded::Form::explicit_little);
  bytes.head(Tag{0x0008, 0x1140}, "SQ", dicom::k_undefined_length);
  for (std::size_t i = 0; i < 3 * Checker::k_most_findings; ++i) {
    bytes.item().element(Tag{0x0008, 0x1155}, "UI", "1.2.3.4 ").item_end();
  }
  bytes.sequence_end();
  const auto found = rules_of(rule("absent", "ReferencedImageSequence.ReferencedSOPInstanceUID"), bytes);
  REQUIRE(found.size() == Checker::k_most_findings + 1);
  CHECK(found.back() == "inspection.more");
}

TEST_CASE("an object whose standard elements are in UN breaks no rule for that (PS3.5 6.2.2)") {
  const auto two = std::string_view("\x02\0", 2);
  Encoded bytes(Encoded::Form::explicit_little);
  bytes.element(Tag{0x0008, 0x0008}, "UN", "ORIGINAL\\PRIMARY\\AXIAL ")
      .element(Tag{0x0008, 0x0016}, "UI", std::string_view("1.2.840.10008.5.1.4.1.1.2\0", 26))
      .element(Tag{0x0008, 0x0060}, "UN", "CT")
      .element(Tag{0x0028, 0x0010}, "UN", two)
      .element(Tag{0x0028, 0x0011}, "UN", two)
      .element(Tag{0x0028, 0x0100}, "UN", two)
      .element(Tag{0x0028, 0x0101}, "UN", two)
      .element(Tag{0x0028, 0x0102}, "UN", std::string_view("\x01\0", 2));
  for (const Finding& finding : check(load_profile("dicom"), bytes).findings) {
    CAPTURE(finding.rule);
    CHECK_FALSE(finding.rule.starts_with("image."));
    CHECK_FALSE(finding.rule.starts_with("modality."));
    CHECK_FALSE(finding.rule == "iod.type1-empty");
  }
}

TEST_CASE("a rule is not broken by what is not kept of a long value") {
  std::string many;
  while (many.size() < 2000) {
    many += many.empty() ? "123456789" : "\\123456789";
  }
  Encoded bytes(Encoded::Form::explicit_little);
  bytes.element(Tag{0x0028, 0x1050}, "DS", many + (many.size() % 2 != 0 ? " " : ""));
  CHECK_FALSE(breaks(rule("matches", "WindowCenter", "pattern = \"[0-9]{9}\""), bytes));
  CHECK(breaks(rule("matches", "WindowCenter", "pattern = \"[0-8]{9}\""), bytes));
  CHECK_FALSE(breaks(rule("expression", "WindowCenter", "test = 'count(WindowCenter) = 7'"), bytes));
}

TEST_CASE("a value that was cut where reading ends has no format") {
  const std::size_t limit = dicom::ByteSource::k_largest_peek;
  const auto found = [&](std::string_view one, std::size_t length) {
    std::string many;
    while (many.size() + one.size() < length) {
      many += std::string(one) + "\\";
    }
    many += std::string(length - many.size(), '1');
    Encoded bytes(Encoded::Form::implicit_little);
    bytes.element(Tag{0x0028, 0x1050}, "DS", many);
    return rules_of("checks = [\"values\"]", bytes, dicom::k_implicit_vr_little_endian);
  };
  REQUIRE(limit % 9 == 1);  // the limit falls behind a sign
  CHECK(found("-1E00001", limit).empty());
  CHECK(found("-1E00001", limit + 4096).empty());
  CHECK(found("1.5E+", limit + 4096) == std::vector<std::string>{"value.format"});
}

TEST_CASE("rules about the transfer syntax, whatever their kind") {
  const Encoded none(Encoded::Form::explicit_little);
  CHECK_FALSE(breaks(rule("present", "TransferSyntaxUID"), none));
  CHECK_FALSE(breaks(rule("filled", "TransferSyntaxUID"), none));
  CHECK(breaks(rule("absent", "TransferSyntaxUID"), none));
  CHECK(breaks(rule("values", "TransferSyntaxUID", "values = [\"1.2.840.10008.1.2\"]"), none));
  CHECK_FALSE(breaks(rule("values", "TransferSyntaxUID", "values = [\"1.2.840.10008.1.2.1\"]"), none));
  const Profile profile =
      parse_profile(std::string(k_head) + rule("consistent", "TransferSyntaxUID", "scope = \"series\""), "x.toml");
  const auto facts = check(profile, none).facts;
  REQUIRE(facts.size() == 1);
  CHECK(facts.front().value == "1.2.840.10008.1.2.1");
}
