#include <kuva/xds/data_types.hpp>
#include <kuva/xds/names.hpp>

#include <doctest/doctest.h>

namespace kuva::xds {

TEST_CASE("CX and CXi come apart and together again") {
  const Cx patient = parse_cx("010181-900C^^^&1.2.246.21&ISO");
  CHECK(patient.id == "010181-900C");
  CHECK(patient.authority == "1.2.246.21");
  CHECK(patient.authority_type == "ISO");
  CHECK(patient.to_string() == "010181-900C^^^&1.2.246.21&ISO");
  CHECK(make_cx("010181-900C", "1.2.246.21") == patient.to_string());

  const Cx study = parse_cx("1.2.3^^^^urn:ihe:iti:xds:2016:studyInstanceUID");
  CHECK(study.id == "1.2.3");
  CHECK(study.authority.empty());
  CHECK(study.kind == reference_type::study_instance_uid);
  CHECK(study.to_string() == "1.2.3^^^^urn:ihe:iti:xds:2016:studyInstanceUID");

  CHECK(parse_cx("a^^^NAME&1.2&ISO").to_string() == "a^^^NAME&1.2&ISO");
  CHECK(parse_cx("a^^^NAME").authority == "NAME");
  CHECK(parse_cx("a^^^NAME").to_string() == "a^^^NAME");
  CHECK(parse_cx("").id.empty());
}

TEST_CASE("escapes of HL7 are taken off and put back") {
  const Cx cx = parse_cx("a\\S\\b\\T\\c\\E\\d\\F\\e\\R\\f^^^&1.2&ISO");
  CHECK(cx.id == "a^b&c\\d|e~f");
  CHECK(cx.to_string() == "a\\S\\b\\T\\c\\E\\d\\F\\e\\R\\f^^^&1.2&ISO");
  CHECK(parse_cx("a\\X\\b\\").id == "a\\X\\b\\");
}

TEST_CASE("persons and organisations") {
  const Xcn person = parse_xcn("11^Kuvaaja^Kalle^K^Jr^Dr^^^&1.2.246.537.26&ISO");
  CHECK(person.display() == "Dr Kalle K Kuvaaja Jr");
  CHECK(person.authority == "1.2.246.537.26");
  CHECK(person.to_string() == "11^Kuvaaja^Kalle^K^Jr^Dr^^^&1.2.246.537.26&ISO");
  CHECK(parse_xcn("^Smith^J^^^").display() == "J Smith");
  CHECK(parse_xcn("^Smith^J^^^").to_string() == "^Smith^J");

  const Xon organisation = parse_xon("Sairaala^^^^^&1.2.246.10&ISO^^^^45");
  CHECK(organisation.name == "Sairaala");
  CHECK(organisation.authority == "1.2.246.10");
  CHECK(organisation.id == "45");
  CHECK(organisation.to_string() == "Sairaala^^^^^&1.2.246.10&ISO^^^^45");
  CHECK(parse_xon("Sairaala^^^^^^^^^1.2.246.10").id == "1.2.246.10");
}

TEST_CASE("times of every precision") {
  CHECK(format_dtm(parse_dtm("2024")->time) == "20240101000000");
  CHECK(format_dtm(parse_dtm("2024")->end()) == "20250101000000");
  CHECK(format_dtm(parse_dtm("202402")->end()) == "20240301000000");
  CHECK(format_dtm(parse_dtm("20240229")->end()) == "20240301000000");
  CHECK(format_dtm(parse_dtm("2024022923")->end()) == "20240301000000");
  CHECK(format_dtm(parse_dtm("202402292359")->end()) == "20240301000000");
  CHECK(format_dtm(parse_dtm("20240229235959")->end()) == "20240301000000");
  CHECK(format_dtm(parse_dtm("20240229235960")->time) == "20240229235959");
  CHECK(format_dtm(parse_dtm("20240229235959")->time, 8) == "20240229");
  for (const auto* wrong : {"", "202", "20241", "20230229", "2024022924", "202402292360", "20240229235961",
                            "20240229120000.5", "20240229120000+0200", "2024-01-01", "'2024'", "abcd"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_dtm(wrong));
  }
}

TEST_CASE("UUIDs are the same in any case and with or without their urn") {
  CHECK(same_uuid("urn:uuid:AB", " URN:UUID:ab\n"));
  CHECK(same_uuid("ab", "urn:uuid:AB"));
  CHECK_FALSE(same_uuid("urn:uuid:ab", "urn:uuid:ac"));
}

}  // namespace kuva::xds
