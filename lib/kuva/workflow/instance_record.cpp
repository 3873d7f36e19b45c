#include <kuva/dicom/uid.hpp>
#include <kuva/workflow/instance_record.hpp>

namespace kuva::workflow {

void put_header(Json& record, const dicom::Header& header) {
  const dicom::InstanceAttributes& attributes = header.attributes;
  record["size"] = header.size;
  put_text(record, "StudyInstanceUID", attributes.study_instance_uid);
  put_text(record, "SeriesInstanceUID", attributes.series_instance_uid);
  put_text(record, "SOPInstanceUID", attributes.sop_instance_uid);
  put_text(record, "SOPClassUID", attributes.sop_class_uid);
  put_text(record, "TransferSyntaxUID", attributes.transfer_syntax_uid);
  put_text(record, "Modality", attributes.modality);
}

std::string_view to_string(dicom::Defect::Severity severity) {
  switch (severity) {
    case dicom::Defect::Severity::error:
      return "error";
    case dicom::Defect::Severity::warning:
      return "warning";
    case dicom::Defect::Severity::info:
      return "info";
  }
  return "error";
}

Json to_json(const dicom::Defect& defect) {
  Json finding;
  finding["severity"] = to_string(defect.severity);
  finding["rule"] = defect.rule;
  finding["message"] = defect.message;
  if (!defect.tag_path.empty()) {
    finding["tagPath"] = defect.tag_path;
    finding["offset"] = defect.offset;
  }
  return finding;
}

void put_text(Json& record, const char* key, const std::string& value) {
  if (!value.empty()) {
    record[key] = value;
  }
}

std::string skip_reason(const dicom::FileMeta& meta) {
  return meta.media_storage_sop_class_uid == dicom::uids::media_storage_directory ? "DICOMDIR" : std::string();
}

bool same_data_set(const std::string& path, const std::string& other_path) {
  return dicom::data_set_digest(path) == dicom::data_set_digest(other_path);
}

}  // namespace kuva::workflow
