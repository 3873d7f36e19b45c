#pragma once

#include <kuva/core/error.hpp>
#include <kuva/dicom/reader.hpp>

namespace kuva::dicom {

// Why a reader that is at its end could not read to the end: file.truncated or file.malformed with its last defect.
// Nothing when it could.
std::optional<Error> reading_error(const DataSetReader& reader);

}  // namespace kuva::dicom
