#pragma once

#include <kuva/core/error.hpp>
#include <kuva/dicom/inspection.hpp>
#include <kuva/workflow/batch_state.hpp>

#include <string>

namespace kuva::workflow {

// Puts what a scan knows of an instance into its record: size and identifiers under their keywords. Patient values stay
// out.
void put_header(Json& record, const dicom::Header& header);

// Sets a key, unless the value is empty.
void put_text(Json& record, const char* key, const std::string& value);

// The `findings` entry of a defect.
Json to_json(const dicom::Defect& defect);
std::string_view to_string(dicom::Defect::Severity severity);

// Why a file is not an instance to act on though it is DICOM (a DICOMDIR), or an empty string.
std::string skip_reason(const dicom::FileMeta& meta);

// True when a file holds the same data set, byte for byte, as one that the batch knows by the same UID. Files are read
// only where the sizes agree, and as far as they do. Errors: local.read; file.changed where one is no instance any
// more.
bool is_same_data_set(const dicom::Header& header, const std::string& path, const BatchState::Known& first);

}  // namespace kuva::workflow
