#include <kuva/dicom/dictionary.hpp>
#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/dicom/uid.hpp>

#include <doctest/doctest.h>

#include <set>
#include <string>

using namespace kuva::dicom;

TEST_CASE("elements by tag and by keyword") {
  REQUIRE(find_entry(tags::patient_id) != nullptr);
  CHECK(find_entry(tags::patient_id)->keyword == "PatientID");
  CHECK(find_entry(tags::patient_id)->vr == Vr::LO);
  REQUIRE(find_entry("StudyInstanceUID") != nullptr);
  CHECK(find_entry("StudyInstanceUID")->tag == tags::study_instance_uid);
  CHECK(find_entry("NoSuchKeyword") == nullptr);
  CHECK(find_entry(Tag{0x0008, 0xFFFE}) == nullptr);
}

TEST_CASE("a choice of VRs keeps both") {
  CHECK(find_entry(tags::pixel_data)->vr == Vr::OB);
  CHECK(find_entry(tags::pixel_data)->second_vr == Vr::OW);
  CHECK(find_entry(Tag{0x0028, 0x0106})->vr == Vr::US);
  CHECK(find_entry(Tag{0x0028, 0x0106})->second_vr == Vr::SS);
}

TEST_CASE("repeating groups, group lengths, private creators and file meta") {
  CHECK(find_entry(Tag{0x6002, 0x3000})->keyword == "OverlayData");
  CHECK(find_entry(Tag{0x601E, 0x0010})->keyword == "OverlayRows");
  CHECK(find_entry(Tag{0x6200, 0x0010}) == nullptr);
  CHECK(find_entry(Tag{0x5004, 0x0005})->keyword == "CurveDimensions");
  CHECK(find_entry(Tag{0x0010, 0x0000})->vr == Vr::UL);
  CHECK(find_entry(Tag{0x0009, 0x0000})->vr == Vr::UL);
  CHECK(find_entry(Tag{0x0009, 0x0010})->vr == Vr::LO);
  CHECK(find_entry(Tag{0x0009, 0x1001}) == nullptr);
  CHECK(find_entry(tags::transfer_syntax_uid)->vr == Vr::UI);
  CHECK(find_entry(tags::file_meta_group_length)->keyword == "FileMetaInformationGroupLength");
}

TEST_CASE("elements that are newer than GDCM's dictionary") {
  CHECK(find_entry("AcquisitionUID")->vr == Vr::UI);
  CHECK(find_entry(Tag{0x0018, 0x9364})->vr == Vr::SQ);
  CHECK(find_entry(Tag{0x0076, 0x0034})->vr == Vr::SQ);
}

TEST_CASE("private elements by their creator") {
  CHECK(private_vr("SIEMENS MR HEADER", Tag{0x0019, 0x100C}) == Vr::IS);
  CHECK(private_vr("SIEMENS MR HEADER ", Tag{0x0019, 0x110C}) == Vr::IS);
  CHECK(private_vr("NOBODY", Tag{0x0019, 0x100C}) == Vr::none);
  CHECK(private_vr("SIEMENS MR HEADER", tags::patient_id) == Vr::none);
}

TEST_CASE("names for people") {
  CHECK(name_of(tags::patient_id) == "PatientID");
  CHECK(name_of(Tag{0x0009, 0x1001}) == "0009,1001");
}

TEST_CASE("value representations") {
  CHECK(vr_from_chars('P', 'N') == Vr::PN);
  CHECK(vr_from_chars('Z', 'Z') == Vr::none);
  CHECK(vr_from_chars('\0', '\xFF') == Vr::none);
  CHECK(to_string(Vr::PN) == "PN");
  CHECK(to_string(Vr::none) == "--");
  for (const Vr vr :
       {Vr::OB, Vr::OD, Vr::OF, Vr::OL, Vr::OV, Vr::OW, Vr::SQ, Vr::SV, Vr::UC, Vr::UN, Vr::UR, Vr::UT, Vr::UV}) {
    CHECK(has_long_length(vr));
  }
  CHECK_FALSE(has_long_length(Vr::LT));
  CHECK(uses_character_set(Vr::UC));
  CHECK_FALSE(uses_character_set(Vr::UR));
  CHECK(is_string(Vr::UR));
  CHECK(swap_unit(Vr::AT) == 2);
  CHECK(swap_unit(Vr::FD) == 8);
  CHECK(swap_unit(Vr::UN) == 1);
}

TEST_CASE("transfer syntaxes by their structure") {
  CHECK_FALSE(transfer_syntax(k_implicit_vr_little_endian).explicit_vr);
  CHECK(transfer_syntax(k_explicit_vr_big_endian).big_endian);
  CHECK(transfer_syntax(k_deflated_explicit_vr_little_endian).deflated);
  CHECK_FALSE(transfer_syntax(k_deflated_explicit_vr_little_endian).encapsulated);
  for (const char* uid : {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.203", "1.2.840.10008.1.2.4.112",
                          "1.2.840.10008.1.2.8.1", "1.2.840.10008.1.2.5"}) {
    CHECK(transfer_syntax(uid).known);
    CHECK(transfer_syntax(uid).encapsulated);
  }
  CHECK(transfer_syntax("1.2.840.10008.1.2.4.205").deflated);
  CHECK_FALSE(transfer_syntax("1.2.840.10008.1.2.4.9999").known);
}

TEST_CASE("what is a UID") {
  for (const char* uid : {"1.2.3", "0.0", "2.25.0", "1.2.840.10008.1.1",
                          "1.2.345678901234567890123456789012345678901234567890123456789012"}) {
    CHECK_FALSE(uid_defect(uid));
  }
  for (const char* text : {"", ".1", "1.", "1..2", "1.02", "01.2", "1.2a", "1.2 ", " 1.2",
                           "1.2.34567890123456789012345678901234567890123456789012345678901234"}) {
    CAPTURE(text);
    CHECK(uid_defect(text));
  }
  CHECK(trim_uid(std::string_view("1.2\0", 4)) == "1.2");
  CHECK(trim_uid("1.2 ") == "1.2");
}

TEST_CASE("new UIDs are legal and never the same") {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string uid = make_uid();
    CHECK(uid.starts_with("2.25."));
    CHECK_FALSE(uid_defect(uid));
    CHECK(seen.insert(uid).second);
  }
  CHECK_FALSE(uid_defect(implementation_class_uid()));
  CHECK(implementation_version_name().size() <= 16);
}

TEST_CASE("registered UIDs") {
  CHECK(uid_name("1.2.840.10008.5.1.4.1.1.2") == "CT Image Storage");
  CHECK(uid_name(k_explicit_vr_little_endian) == "Explicit VR Little Endian");
  CHECK(uid_name("1.2.3").empty());
  CHECK(is_storage_sop_class("1.2.840.10008.5.1.4.1.1.2"));
  CHECK(is_storage_sop_class("1.2.840.10008.5.1.4.1.1.66.7"));
  CHECK(is_storage_sop_class("1.2.840.10008.5.1.4.1.1.6"));
  CHECK_FALSE(is_storage_sop_class(uids::media_storage_directory));
  CHECK_FALSE(is_storage_sop_class(uids::verification));
  CHECK_FALSE(is_storage_sop_class("1.2.840.10008.5.1.4.38.1"));
}
