#pragma once

#include <kuva/core/error.hpp>
#include <kuva/core/file.hpp>
#include <kuva/workflow/target.hpp>

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::cli {

// --bundle: one file to attach to a request for support: the records and the summary, the target without secrets (paths
// of keys, not their content), versions, what --trace wrote in this run, and the headers of objects that failed, masked
// (dicom::masked_header_dump). Memory is bounded: records wait in an unnamed file on disk. Thread-safe.
class Bundle {
 public:
  static constexpr std::size_t k_most_headers = 50;

  // Errors: local.write, before anything is done.
  Bundle(std::filesystem::path path, std::string_view tool, const workflow::Target& target);

  void note(const Json& record);
  // Writes the file. `told` is what standard error says of the failures. Errors: local.write, local.read.
  void write(const std::vector<std::string>& told);

 private:
  std::filesystem::path m_path;
  std::string m_tool;
  Json m_target;
  std::filesystem::path m_trace_directory;
  std::mutex m_mutex;
  FileDescriptor m_records;
  std::set<std::string> m_failed;  // paths
  std::uint64_t m_failed_left_out = 0;
};

}  // namespace kuva::cli
