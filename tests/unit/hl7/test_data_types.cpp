#include <kuva/hl7/data_types.hpp>

#include <doctest/doctest.h>

using namespace kuva::hl7;

namespace {

const Delimiters k_usual;
const CharacterSet k_utf8 = CharacterSet::utf8();

Message with_name(const std::string& field) { return Message::parse("MSH|^~\\&|A\rPID|||1||" + field + "\r"); }
std::string legal_pn(const std::string& field) {
  const auto name = read_legal_name(with_name(field), {"PID", 5, 1, 0, 0, 1}, k_utf8);
  return name ? name->to_dicom() : "(absent)";
}

}  // namespace

TEST_CASE("identifiers with their authority") {
  const auto id = PatientIdentifier::parse("010101-123N^^^&1.2.246.21&ISO^NNFIN");
  REQUIRE(id);
  CHECK(id->authority.universal_id == "1.2.246.21");
  CHECK(id->authority.namespace_id.empty());
  CHECK(id->to_string() == "010101-123N^^^&1.2.246.21&ISO^NNFIN");
  CHECK(read_identifier(write_identifier(*id, k_usual, k_utf8), k_usual, k_utf8) == *id);
  CHECK(PatientIdentifier::parse("1^^^1.2.3")->authority.universal_id_type == "ISO");
  CHECK(PatientIdentifier::parse("1^^^HOSP")->authority.namespace_id == "HOSP");
  for (const std::string_view wrong : {"", "^^^A", "1|2", "1~2", "1^2", "1^^^A&1.2", "1^^^&1.02.3&ISO", "a&b^^^X",
                                       "\"\"", "\"\"^^^X", "1^^^\"\"", "1^^^X&\"\"&ISO", "1^^^X^\"\""}) {
    CHECK_FALSE(PatientIdentifier::parse(wrong));
  }
  const PatientIdentifier odd{"a^b|c", {"N&S", "", ""}, "", false};
  CHECK(read_identifier(write_identifier(odd, k_usual, k_utf8), k_usual, k_utf8) == odd);
}

TEST_CASE("an archive takes identifiers for the same patient where nothing says otherwise") {
  const auto id = [](std::string_view text) { return *PatientIdentifier::parse(text); };
  CHECK(may_be_same_patient(id("1^^^A"), id("1")));
  CHECK(may_be_same_patient(id("1^^^A"), id("1^^^&1.2.3&ISO")));
  CHECK_FALSE(may_be_same_patient(id("1^^^A"), id("1^^^B")));
  CHECK_FALSE(may_be_same_patient(id("1^^^1.2.3"), id("1^^^1.2.4")));
  CHECK_FALSE(may_be_same_patient(id("1"), id("2")));
}

TEST_CASE("names: suffix and prefix change places, the legal one is taken") {
  CHECK(legal_pn("Eve^Adam^B^Jr^Dr^MD^L") == "Eve^Adam^B^Dr^Jr MD");
  CHECK(legal_pn("Maiden^A^^^^^M~Display^A^^^^^D~Legal^A^^^^^L") == "Legal^A");
  CHECK(legal_pn("Maiden^A^^^^^M~Display^A^^^^^D") == "Display^A");
  CHECK(legal_pn("Only^A^^^^^M") == "Only^A");
  CHECK(legal_pn("van den Berg&van den&Berg^A") == "van den Berg^A");
  CHECK(legal_pn("&van den&Berg^A") == "van den Berg^A");
  CHECK(legal_pn("a\\S\\b=c\\E\\d^A") == "a b c d^A");
  CHECK(legal_pn("\"\"") == "");
  CHECK(legal_pn("") == "(absent)");
  const PersonName name = PersonName::from_dicom("Eve^Adam^B^Dr^Jr=ideographic");
  CHECK(write_name(name, k_usual, k_utf8) == "Eve^Adam^B^Jr^Dr");
  CHECK(name.to_dicom() == "Eve^Adam^B^Dr^Jr");
  CHECK(write_name(PersonName{"A|B", "", "", "", "", "L"}, k_usual, k_utf8) == "A\\F\\B^^^^^^L");
}

TEST_CASE("time stamps") {
  for (const std::string_view good : {"2026", "202602", "20260228", "20240229", "2026022823", "202602282359",
                                      "20260228235959", "20260228235959.1234", "20260228235959+0200", "202602-0500"}) {
    CHECK(is_time_stamp(good));
  }
  for (const std::string_view wrong : {"", "20260229", "20261301", "2026022824", "THIS", "2026-02-28",
                                       "20260228235959.12345", "20260228.1", "20260228235959+2500"}) {
    CHECK_FALSE(is_time_stamp(wrong));
  }
  CHECK(to_time_stamp(std::chrono::system_clock::time_point()) == "19700101000000+0000");
}
