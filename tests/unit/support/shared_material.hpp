#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <vector>

namespace kuva::test {

// Test material that is not part of the project: KUVA_SHARED, or ../shared beside the repository's root, which is where
// tests run. Nothing when it is not there: the test says that it skips.
inline std::optional<std::filesystem::path> shared_material(const std::filesystem::path& part) {
  const char* const set = std::getenv("KUVA_SHARED");
  const std::filesystem::path path = (set != nullptr ? std::filesystem::path(set) : "../shared") / part;
  return std::filesystem::exists(path) ? std::optional(path) : std::nullopt;
}

// The corpus's files but those that are broken on purpose, in a stable order.
inline std::vector<std::filesystem::path> sound_corpus_files(const std::filesystem::path& corpus) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(corpus)) {
    const auto relative = entry.path().lexically_relative(corpus);
    if (entry.is_regular_file() && *relative.begin() != "malformed") {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace kuva::test
