#include <kuva/core/error.hpp>
#include <kuva/rules/profile.hpp>
#include <kuva/rules/standard.hpp>
#include <kuva/rules/value_checks.hpp>

#include <doctest/doctest.h>

#include <set>

using namespace kuva;
using namespace kuva::rules;

namespace {

constexpr std::string_view k_head = "format = 1\nname = \"x\"\ntitle = \"X\"\nversion = \"1\"\nsource = \"s\"\n";

std::string fault(std::string_view text) {
  try {
    parse_profile(std::string(k_head) + std::string(text), "x.toml");
  } catch (const Error& error) {
    CHECK(&error.kind() == &kind("usage.profile"));
    return error.message();
  }
  return "no fault";
}

std::string rule_of(dicom::Vr vr, std::string_view text) {
  const auto defect = value_defect(vr, text);
  return defect ? std::string(defect->rule) : "";
}

}  // namespace

TEST_CASE("every built-in profile loads, and each of its rules has a source") {
  const std::vector<std::string> names = profile_names();
  CHECK(names.size() == 6);
  for (const std::string& name : names) {
    CAPTURE(name);
    const Profile profile = load_profile(name);
    CHECK(profile.name == name);
    for (const Rule& rule : profile.rules) {
      CHECK_FALSE(rule.source.empty());
      CHECK(explain_rule(profile, rule.id));
    }
    CHECK(list_rules(profile).find("structure.truncated") != std::string::npos);
  }
}

TEST_CASE("checks have ids of their own") {
  std::set<std::string_view> ids;
  for (const Check& check : checks()) {
    CHECK(ids.insert(check.id).second);
    CHECK_FALSE(check.hint.empty());
  }
}

TEST_CASE("inheritance: at most, severities, lists") {
  const Profile profile =
      parse_profile(std::string(k_head) +
                        "[[inherit]]\nprofile = \"kanta-2.4.1\"\n[lists]\nstudy_codes = [\"AA1AA\"]\n"
                        "[severity]\n\"iod.type2-absent\" = \"off\"\n\"uid.syntax\" = \"error\"\n"
                        "[codes]\n\"kanta.study-description-code\" = \"K1\"\n",
                    "x.toml");
  CHECK(profile.checks_iods);
  CHECK(profile.severity_of("iod.type1-absent", Severity::error) == Severity::warning);
  CHECK_FALSE(profile.severity_of("iod.type2-absent", Severity::error));
  CHECK(profile.severity_of("uid.syntax", Severity::error) == Severity::error);
  CHECK(profile.find("image.high-bit")->severity == Severity::warning);
  CHECK(profile.find("kanta.study-description-missing")->severity == Severity::error);
  CHECK(list_rules(profile).find("not filled") != std::string::npos);
}

TEST_CASE("inheritance: at most holds for the severities that the other profile has set, too") {
  const Profile profile =
      parse_profile(std::string(k_head) + "[[inherit]]\nprofile = \"dcm4chee\"\nat_most = \"info\"\n", "x.toml");
  REQUIRE(load_profile("dcm4chee").severity_of("uid.syntax", Severity::error) == Severity::warning);
  CHECK(profile.severity_of("uid.syntax", Severity::error) == Severity::info);
}

TEST_CASE("dates") {
  CHECK(validity_warning(load_profile("kanta-2.3.4"), "2026-01-01") ==
        "profile kanta-2.3.4: valid for certification until 2023-10-31");
  CHECK(validity_warning(load_profile("kanta-2.4.1"), "2023-01-01") ==
        "profile kanta-2.4.1: valid for production from 2024-01-30");
  CHECK_FALSE(validity_warning(load_profile("kanta-2.4.1"), "2026-01-01"));
}

TEST_CASE("faults of a profile name line and key") {
  CHECK(fault("colour = 1") == "x.toml, line 6: there is no key 'colour' here");
  CHECK(fault("checks = [\"all\"]") == "x.toml, line 6: 'checks' may have \"values\" and \"iod\"");
  CHECK(fault("[severity]\n\"no.such\" = \"off\"") == "x.toml, line 7: there is no rule 'no.such'");
  CHECK(fault("[[inherit]]\nprofile = \"no\"").starts_with("there is no profile 'no'; kuva has dcm4chee, dicom"));
  CHECK(fault("[[rule]]\nid = \"a.b\"\nkind = \"filled\"\nseverity = \"error\"\nmessage = \"m\"\nsource = \"s\"\n"
              "attribute = \"Patient\"")
            .starts_with("x.toml, line 12: 'attribute' no attribute of PS3.6"));
  CHECK(fault("[[rule]]\nid = \"a.b\"\nkind = \"matches\"\nseverity = \"error\"\nmessage = \"m\"\nsource = \"s\"\n"
              "attribute = \"PatientID\"\npattern = \"(\"")
            .find("is no POSIX extended regular expression") != std::string::npos);
}

TEST_CASE("the tables of the standard") {
  const StandardTables& tables = StandardTables::get();
  const StandardTables::Iod* ct = tables.iod_of("1.2.840.10008.5.1.4.1.1.2");
  REQUIRE(ct != nullptr);
  CHECK(ct->name == "ct-image");
  CHECK(tables.iod_of("1.2.3") == nullptr);
  CHECK(to_string(tables.multiplicity({0x0008, 0x0008})) == "2-n");
  CHECK(to_string(tables.multiplicity({0x0010, 0x0020})) == "1");
  CHECK(tables.multiplicity({0x0020, 0x0037}).allows(6));
  CHECK_FALSE(tables.multiplicity({0x0020, 0x0037}).allows(5));
  const StandardTables::Coverage coverage = tables.coverage();
  CHECK(coverage.evaluated > 1000);
  CHECK_FALSE(coverage.not_checked.empty());
}

TEST_CASE("values by VR (PS3.5 6.2)") {
  using dicom::Vr;
  CHECK(rule_of(Vr::DA, "20240229").empty());
  CHECK(rule_of(Vr::DA, "20230229") == "value.format");
  CHECK(rule_of(Vr::DA, "2024.01.01") == "value.format");
  CHECK(rule_of(Vr::TM, "235960.123456").empty());
  CHECK(rule_of(Vr::TM, "12:30") == "value.format");
  CHECK(rule_of(Vr::TM, "2460") == "value.format");
  CHECK(rule_of(Vr::DT, "20240101120000.5+0200").empty());
  CHECK(rule_of(Vr::DT, "2024010112000x") == "value.format");
  CHECK(rule_of(Vr::DS, "-1.5E+3").empty());
  CHECK(rule_of(Vr::DS, "1,5") == "value.format");
  CHECK(rule_of(Vr::DS, "0.12345678901234567") == "value.length");
  CHECK(rule_of(Vr::IS, "+2147483647").empty());
  CHECK(rule_of(Vr::IS, "2147483648") == "value.format");
  CHECK(rule_of(Vr::AS, "012Y").empty());
  CHECK(rule_of(Vr::AS, "12Y") == "value.format");
  CHECK(rule_of(Vr::CS, "lower") == "value.characters");
  CHECK(rule_of(Vr::SH, "exactly 16 chars").empty());
  CHECK(rule_of(Vr::SH, "no more than 16 ch") == "value.length");
  CHECK(rule_of(Vr::SH, "\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4").empty());
  CHECK(rule_of(Vr::PN, "A^B^C^D^E^F") == "value.format");
  CHECK(rule_of(Vr::PN, "A=B=C=D") == "value.format");
  CHECK(rule_of(Vr::LO, "a\tb") == "value.characters");
  CHECK(rule_of(Vr::LT, "a\r\nb").empty());
}
