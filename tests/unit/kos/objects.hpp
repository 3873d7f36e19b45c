#pragma once

#include <kuva/core/file.hpp>
#include <kuva/dicom/data_set.hpp>
#include <kuva/dicom/part10.hpp>
#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/kos/tags.hpp>

#include <filesystem>
#include <string>
#include <string_view>

namespace kuva::test {

inline constexpr std::string_view k_ct = "1.2.840.10008.5.1.4.1.1.2";

// A small object to refer to; its elements may be changed before it is written.
inline dicom::DataSet sample_object(const std::string& sop_instance_uid,
                                    const std::string& series_instance_uid = "1.2.3.1",
                                    const std::string& study_instance_uid = "1.2.3") {
  namespace tags = kos::tags;
  dicom::DataSet data;
  data.set_string(tags::specific_character_set, "ISO_IR 100");
  data.set_string(tags::sop_class_uid, k_ct);
  data.set_string(tags::sop_instance_uid, sop_instance_uid);
  data.set_string(tags::study_date, "20240115");
  data.set_string(tags::study_time, "101500");
  data.set_string(tags::accession_number, "ACC1");
  data.set_string(tags::modality, "CT");
  data.set_string(tags::manufacturer, "Maker");
  data.set_string(tags::referring_physician_name, "");
  data.set_string(tags::study_description, "P\xE4\xE4n TT");
  data.set_string(tags::patient_name, "Koe^\xC4\xE4nikki");
  data.set_string(tags::patient_id, "010101-0101");
  data.set_string(tags::patient_birth_date, "19010101");
  data.set_string(tags::patient_sex, "F");
  data.set_string(tags::study_instance_uid, study_instance_uid);
  data.set_string(tags::series_instance_uid, series_instance_uid);
  data.set_string(tags::study_id, "1");
  data.set_string(tags::series_number, "1");
  data.set_string(tags::instance_number, "1");
  return data;
}

inline std::filesystem::path write_object(const dicom::DataSet& data, const std::filesystem::path& path) {
  const auto syntax = dicom::transfer_syntax(dicom::k_explicit_vr_little_endian);
  AtomicFile file(path);
  file.write(dicom::encode_file_meta(data.string(dicom::tags::sop_class_uid),
                                     data.string(dicom::tags::sop_instance_uid), syntax.uid));
  file.write(data.encode(syntax));
  file.commit(false);
  return path;
}

}  // namespace kuva::test
