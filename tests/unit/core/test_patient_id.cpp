#include <kuva/core/patient_id.hpp>

#include <doctest/doctest.h>

using namespace kuva;

namespace {

std::string refusal(std::string_view text, const PatientIdRules& rules = {}) {
  try {
    read_patient_id(text, rules);
  } catch (const Error& error) {
    CHECK(error.kind().code == "usage.patient-id");
    CHECK(error.message().find(text) == std::string::npos);
    return error.message();
  }
  return {};
}

}  // namespace

TEST_CASE("personal identity codes") {
  // Published examples, of which 900-999 are nobody's.
  for (const char* hetu : {"131052-308T", "010181-900C", "020516C903K", "100190-999P", "100190Y999P", "010101-0101"}) {
    CAPTURE(hetu);
    CHECK_FALSE(hetu_defect(hetu));
  }
  using namespace std::chrono;
  CHECK(read_hetu("010181-900C")->birth_date == year(1981) / 1 / 1);
  CHECK(read_hetu("010181-900C")->artificial);
  CHECK_FALSE(read_hetu("131052-308T")->artificial);
  CHECK(read_hetu("020516C903K")->birth_date == year(2016) / 5 / 2);
  CHECK_FALSE(read_hetu("010181-900D"));
}

TEST_CASE("each separator says its century") {
  using namespace std::chrono;
  for (const char separator : std::string("+-YXWVUABCDEF")) {
    const std::string hetu = std::string("010181") + separator + "900C";
    CAPTURE(hetu);
    REQUIRE(read_hetu(hetu));
    const int expected = separator == '+'                                             ? 1881
                         : std::string("-YXWVU").find(separator) != std::string::npos ? 1981
                                                                                      : 2081;
    CHECK(read_hetu(hetu)->birth_date.year() == year(expected));
  }
  for (const char separator : std::string("GHIJKLMNOPQRSTZ0123456789 /a")) {
    CHECK(hetu_defect(std::string("010181") + separator + "900C"));
  }
}

TEST_CASE("what is wrong with a personal identity code is said") {
  CHECK(*hetu_defect("010181-900") == "a personal identity code has 11 characters, this has 10");
  CHECK(hetu_defect("O10181-900C")->find("six digits") != std::string::npos);
  CHECK(hetu_defect("010181*900C")->find("century") != std::string::npos);
  CHECK(hetu_defect("010181-9O0C")->find("three digits") != std::string::npos);
  CHECK(hetu_defect("310281-900C")->find("does not exist") != std::string::npos);
  CHECK(hetu_defect("001381-900C")->find("does not exist") != std::string::npos);
  CHECK(hetu_defect("010181-001C")->find("002 or more") != std::string::npos);
  CHECK(hetu_defect("010181-901C")->find("check character") != std::string::npos);
  CHECK(hetu_defect("290200A900")->find("11 characters") != std::string::npos);
  // 29 February: 2000 had one, 1900 had none.
  CHECK(hetu_defect("290200-900X")->find("does not exist") != std::string::npos);
  CHECK(hetu_defect("290200A900X").value_or("").find("does not exist") == std::string::npos);
}

TEST_CASE("business identity codes and the OIDs made of them") {
  CHECK_FALSE(business_id_defect("0204819-8"));
  CHECK_FALSE(business_id_defect("204819-8"));
  CHECK(business_id_defect("0204819-7"));
  CHECK(business_id_defect("02048198"));
  CHECK(business_id_defect("0204819-"));
  CHECK(business_id_defect("020481X-8"));
  CHECK(temporary_id_authority("0204819-8", 2026) == "1.2.246.10.2048198.22.2026");
}

TEST_CASE("OIDs") {
  CHECK_FALSE(oid_defect("1.2.246.21"));
  CHECK_FALSE(oid_defect("2.25.329800735698586629295641978511506172918"));
  for (const char* text : {"", "1", "3.1", "1..2", "1.02", "1.2.", ".1.2", "1.a", "10.1",
                           "1.2345678901234567890123456789012345678901234567890123456789012345"}) {
    CAPTURE(text);
    CHECK(oid_defect(text));
  }
}

TEST_CASE("a CX is written and read") {
  const PatientId id{"a^b&c\\d|e~f", "1.2.3"};
  CHECK(to_cx(id) == "a\\S\\b\\T\\c\\E\\d\\F\\e\\R\\f^^^&1.2.3&ISO");
  CHECK(read_cx(to_cx(id)) == id);
  CHECK(read_cx("010181-900C^^^&1.2.246.21&ISO") == PatientId{"010181-900C", "1.2.246.21"});
  for (const char* text :
       {"a", "a^^^1.2.3", "a^^^&1.2.3", "a^^^&1.2.3&DNS", "a^^^n&1.2.3&ISO", "a^1^^&1.2.3&ISO", "a^^^&1.2.3&ISO^PI",
        "^^^&1.2.3&ISO", "a&b^^^&1.2.3&ISO", "a\\X\\^^^&1.2.3&ISO", "a\\^^^&1.2.3&ISO", "a^^^&1.02.3&ISO"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(read_cx(text), Error);
  }
}

TEST_CASE("what a person writes") {
  PatientIdRules rules;
  CHECK(read_patient_id("010181-900C", rules) == PatientId{"010181-900C", "1.2.246.21"});
  CHECK(read_patient_id("010181-900c", rules) == PatientId{"010181-900C", "1.2.246.21"});
  CHECK(read_patient_id("T12345@1.2.246.10.2048198.22.2026", rules) ==
        PatientId{"T12345", "1.2.246.10.2048198.22.2026"});
  CHECK(read_patient_id("T12345@urn:oid:1.2.3", rules) == PatientId{"T12345", "1.2.3"});
  CHECK(read_patient_id("T12345^^^&1.2.3&ISO", rules) == PatientId{"T12345", "1.2.3"});
  CHECK(refusal("010181-900D").find("check character") != std::string::npos);
  CHECK(refusal("010181-900D@1.2.246.21").find("check character") != std::string::npos);
  CHECK(refusal("010181-900D^^^&1.2.246.21&ISO").find("check character") != std::string::npos);
  CHECK(refusal("T12345").find("ID@OID") != std::string::npos);
  CHECK(refusal("T12345@1.2.246.10.2048197.22.2026").find("check digit of the business") != std::string::npos);
  CHECK(refusal("T12345@x").find("is not an OID") != std::string::npos);
  CHECK(refusal("T\t12345@1.2.3").find("control characters") != std::string::npos);
  CHECK(refusal(std::string(300, 'x') + "@1.2.3").find("longer than XDS allows") != std::string::npos);
  rules.temporary_authority = "1.2.246.10.2048198.22.2026";
  CHECK(read_patient_id("T12345", rules) == PatientId{"T12345", "1.2.246.10.2048198.22.2026"});
  CHECK(refusal("010181-900D", rules).find("check character") != std::string::npos);
  rules.check = false;
  CHECK(read_patient_id("010181-900D", rules) == PatientId{"010181-900D", "1.2.246.21"});
  CHECK(read_patient_id("x@1.2.246.10.2048197.22.2026", rules).authority == "1.2.246.10.2048197.22.2026");
}

TEST_CASE("what was meant as a personal identity code, right or wrong") {
  CHECK(meant_as_hetu("131052-308T") == "131052-308T");
  CHECK(meant_as_hetu("131052-308u") == "131052-308U");
  CHECK(meant_as_hetu("999999x0000") == "999999X0000");
  for (const char* other : {"", "T1", "131052-308", "131052-308TT", "13105201234", "1310S2-308T"}) {
    CHECK_FALSE(meant_as_hetu(other));
  }
}
