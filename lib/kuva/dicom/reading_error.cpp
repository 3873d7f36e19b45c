#include <kuva/dicom/reading_error.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::dicom {

std::optional<Error> reading_error(const DataSetReader& reader) {
  if (!reader.truncated() && !reader.broken()) {
    return std::nullopt;
  }
  const auto& defects = reader.defects();
  const auto last = std::find_if(defects.rbegin(), defects.rend(),
                                 [](const Defect& defect) { return defect.severity == Defect::Severity::error; });
  std::string reason;
  if (last != defects.rend()) {
    reason = fmt::format(" at byte {}{}: {}", last->offset,
                         last->tag_path.empty() ? std::string() : fmt::format(" ({})", last->tag_path), last->message);
  }
  if (reader.truncated()) {
    return Error(kuva::kind("file.truncated"), "the data set ends too early" + reason);
  }
  return Error(kuva::kind("file.malformed"), "the data set cannot be read" + reason);
}

}  // namespace kuva::dicom
