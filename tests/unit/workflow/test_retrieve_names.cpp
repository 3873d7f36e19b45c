#include <kuva/core/error.hpp>
#include <kuva/workflow/retrieve_names.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using workflow::NameTemplate;

TEST_CASE("names by template") {
  dicom::InstanceAttributes attributes;
  attributes.study_instance_uid = "1.2";
  attributes.series_instance_uid = "1.3";
  attributes.sop_instance_uid = "1.4";
  attributes.modality = "CT";
  CHECK(NameTemplate().make(attributes) == "1.2/1.3/1.4.dcm");
  CHECK(NameTemplate().needs_uids_only());
  const NameTemplate by_modality("{Modality}/x{SOPInstanceUID}{AccessionNumber}");
  CHECK(by_modality.make(attributes) == "CT/x1.4_");
  CHECK_FALSE(by_modality.needs_uids_only());
}

TEST_CASE("what a value holds never leads out of the directory") {
  dicom::InstanceAttributes attributes;
  for (const auto& [value, name] : {std::pair{"../../etc/passwd", "_._.._etc_passwd"}, std::pair{"..", "_."},
                                    std::pair{".", "_"}, std::pair{"/absolute", "_absolute"},
                                    std::pair{"a b\tc\n", "a_b_c_"}, std::pair{"\xC3\xA4", "__"}, std::pair{"", "_"}}) {
    attributes.patient_id = value;
    CHECK(NameTemplate("{PatientID}").make(attributes) == name);
  }
  attributes.patient_id = std::string(1000, 'x');
  CHECK(NameTemplate("{PatientID}").make(attributes).string().size() == 128);
  attributes.patient_id = std::string("a\0b", 3);
  CHECK(NameTemplate("{PatientID}").make(attributes) == "a_b");
}

TEST_CASE("templates that are none") {
  for (const char* text : {"", "/{SOPInstanceUID}", "{SOPInstanceUID}/", "../{SOPInstanceUID}", "a/../{SOPInstanceUID}",
                           "a//b", "./a", "{PatientName}", "{SOPInstanceUID", "SOPInstanceUID}", "{}"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(NameTemplate{text}, Error);
  }
}
