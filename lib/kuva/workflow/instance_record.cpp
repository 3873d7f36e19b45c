#include <kuva/dicom/uid.hpp>
#include <kuva/workflow/instance_record.hpp>

#include <fmt/format.h>

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

bool is_same_data_set(const dicom::Header& header, const std::string& path, const BatchState::Known& first) {
  if (path == first.path) {
    return true;
  }
  if (header.size - header.data_set_offset != first.data_set_size) {
    return false;
  }
  try {
    return dicom::has_same_data_set(path, first.path);
  } catch (const Error& error) {
    const bool unreadable = error.kind().exit_code == ExitCode::local_io;
    throw Error(
        unreadable ? error.kind() : kind("file.changed"),
        fmt::format("cannot compare it with {}, which has the same SOP Instance UID: {}", first.path, error.message()));
  }
}

}  // namespace kuva::workflow
