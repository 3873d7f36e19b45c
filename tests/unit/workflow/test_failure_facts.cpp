#include "support/temporary_directory.hpp"

#include <kuva/dicom/data_set.hpp>
#include <kuva/dicom/part10.hpp>
#include <kuva/workflow/failure_facts.hpp>

#include <doctest/doctest.h>

#include <fstream>

using namespace kuva;
using namespace kuva::workflow;
namespace tags = kuva::dicom::tags;
using dicom::Vr;

namespace {

const std::string k_ct = "1.2.840.10008.5.1.4.1.1.2";
const std::string k_syntax(dicom::k_explicit_vr_little_endian);

void write_object(const std::filesystem::path& path, const std::string& meta_class, const std::string& meta_uid) {
  dicom::DataSet data;
  data.set_string(tags::sop_class_uid, k_ct);
  data.set_string(tags::sop_instance_uid, "1.2.3");
  data.set_string(tags::modality, "CT");
  data.set_string(tags::patient_name, "Koe^Matti");
  data.set_string(tags::patient_id, "010181-900C");
  data.set_us(tags::rows, std::uint16_t{512});
  std::ofstream(path, std::ios::binary) << dicom::encode_file_meta(meta_class, meta_uid, k_syntax)
                                        << data.encode(dicom::transfer_syntax(k_syntax));
}

}  // namespace

TEST_CASE("what may be a patient's is shown as its shape") {
  CHECK(masked_value(tags::patient_id, Vr::LO, "010181-900C") == "999999-999x");
  CHECK(masked_value(tags::patient_name, Vr::PN, "Virt\xC3\xA4^\xC3\x84ij\xC3\xA4 ") == "xxxxxx^xxxxxx");
  CHECK(masked_value(tags::patient_sex, Vr::CS, "F ") == "x");
  CHECK(masked_value(tags::study_date, Vr::DA, "20240229") == "99999999");
  CHECK(masked_value(tags::accession_number, Vr::SH, "A12/3") == "x99/9");
  CHECK(masked_value({0x0009, 0x1001}, Vr::CS, "SECRET") == "xxxxxx");
  CHECK(masked_value(tags::modality, Vr::CS, "CT") == "CT");
  CHECK(masked_value(tags::sop_instance_uid, Vr::UI, std::string_view("1.2.3\0", 6)) == "1.2.3");
  CHECK(masked_value(tags::rows, Vr::US, std::string_view("\0\x02", 2)) == "0002");
  CHECK(masked_value(tags::study_description, Vr::LO, std::string(1000, 'a')) == std::string(64, 'x'));
}

TEST_CASE("offending elements with what our file has there") {
  const test::TemporaryDirectory directory;
  const auto path = directory.path() / "object.dcm";
  write_object(path, k_ct, "1.2.3");
  const Json values = offending_values(path, {tags::patient_id, tags::rows, tags::accession_number});
  REQUIRE(values.size() == 3);
  CHECK(values[0] ==
        Json{{"tag", "0010,0020"}, {"keyword", "PatientID"}, {"vr", "LO"}, {"length", 12}, {"value", "999999-999x"}});
  CHECK(values[1]["value"] == "0002");
  CHECK(values[2] == Json{{"tag", "0008,0050"}, {"keyword", "AccessionNumber"}, {"absent", true}});
  CHECK(offending_values(directory.path() / "gone.dcm", {tags::patient_id}).empty());
}

TEST_CASE("the file meta information is compared with the data set") {
  const test::TemporaryDirectory directory;
  const auto path = directory.path() / "object.dcm";
  write_object(path, k_ct, "1.2.3");
  CHECK(object_facts(path, k_ct, "1.2.3", k_syntax) ==
        Json{{"sopClassName", "CT Image Storage"}, {"transferSyntaxName", "Explicit VR Little Endian"}});
  write_object(path, "1.2.840.10008.5.1.4.1.1.4", "1.2.4");
  const Json facts = object_facts(path, k_ct, "1.2.3", k_syntax);
  CHECK(facts["fileMetaDiffers"] ==
        Json{{"MediaStorageSOPClassUID", "1.2.840.10008.5.1.4.1.1.4"}, {"MediaStorageSOPInstanceUID", "1.2.4"}});
}

TEST_CASE("the command that does it again is quoted for a shell") {
  CHECK(command_for("archive", "US", true, "a b") == "kuva-send -v --retries 0 -t 'archive' -- 'a b'");
  CHECK(command_for("X@h:1", "US", false, "it's") ==
        "kuva-send -v --retries 0 -t 'X@h:1' --calling 'US' --security plain -- 'it'\\''s'");
}
