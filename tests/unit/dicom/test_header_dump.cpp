#include "../support/temporary_directory.hpp"

#include <kuva/dicom/data_set.hpp>
#include <kuva/dicom/header_dump.hpp>
#include <kuva/dicom/part10.hpp>

#include <doctest/doctest.h>

#include <fstream>
#include <string>

using namespace kuva::dicom;

namespace {

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

std::string dump_of(const DataSet& data, std::size_t cut = 0) {
  const kuva::test::TemporaryDirectory directory;
  const auto path = directory.path() / "object.dcm";
  std::string bytes = encode_file_meta("1.2.840.10008.5.1.4.1.1.2", "1.2.3.4", k_explicit_vr_little_endian) +
                      data.encode(transfer_syntax(k_explicit_vr_little_endian));
  bytes.resize(bytes.size() - cut);
  std::ofstream(path, std::ios::binary) << bytes;
  return masked_header_dump(path);
}

DataSet object() {
  DataSet data;
  data.set_string(tags::sop_class_uid, "1.2.840.10008.5.1.4.1.1.2");
  data.set_string(tags::sop_instance_uid, "1.2.3.4");
  data.set_string(tags::study_date, "17770711");
  data.set_string(tags::modality, "CT");
  data.set_string(tags::study_description, "QZXTEXT");
  data.set_string(tags::patient_name, "QZXNAME^A");
  data.set_string(tags::patient_id, "071177-707Q");
  data.set_string(tags::patient_sex, "F");
  data.set_string({0x0008, 0x0068}, Vr::CS, "071177-707Q");  // an identifier in the wrong place
  data.set_string({0x0009, 0x0010}, Vr::LO, "QZXCREATOR");
  data.set_us(tags::rows, 512);
  data.add_item({0x0008, 0x1140}).set_string({0x0008, 0x1155}, "1.2.3.9");
  data.set_bytes(tags::pixel_data, Vr::OW, std::string(64, 'Q'));
  return data;
}

}  // namespace

TEST_CASE("a header dump shows what an object is and not whom") {
  const std::string text = dump_of(object());
  CHECK(has(text, "(0008,0060) CS Modality 2 bytes CT"));
  CHECK(has(text, "(0028,0010) US Rows 2 bytes 512"));
  CHECK(has(text, "ReferencedSOPInstanceUID 8 bytes 1.2.3.9"));
  CHECK(has(text, "(0010,0010) PN PatientName 10 bytes ***"));
  CHECK(has(text, "PixelData 64 bytes ***"));
  for (const char* secret : {"QZX", "17770711", "071177", "707Q", "QQQ"}) {
    CAPTURE(secret);
    CHECK_FALSE(has(text, secret));
  }
  CHECK(has(text, "PatientSex 2 bytes ***"));
}

TEST_CASE("a file that is cut or is nothing at all is a line, not an exception") {
  CHECK(has(dump_of(object(), 40), "! structure.truncated"));
  const kuva::test::TemporaryDirectory directory;
  CHECK(has(masked_header_dump(directory.path() / "none"), "! local.read"));
}
