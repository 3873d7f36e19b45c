#pragma once

#include <kuva/core/error.hpp>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::cli {

// The items that this run could not bring to a good end, by kind, for people who look at standard error. Memory is
// bounded: beyond k_most_kinds kinds the rest is counted alone. Thread-safe.
class FailureSummary {
 public:
  static constexpr std::size_t k_most_kinds = 64;
  static constexpr std::size_t k_most_shown = 10;

  explicit FailureSummary(std::string_view tool) : m_tool(tool) {}

  // A record that leaves. Those with `ok` and those that an earlier stage has reported are passed over.
  void note(const Json& record);

  // Nothing where all went well. Each kind with an example, its hint and `repeat` (a command line without a path;
  // empty: none) for that one object.
  std::vector<std::string> lines(std::string_view repeat) const;

 private:
  struct Kind {
    std::uint64_t count = 0;
    std::string path;  // of the example: the first in the order of text, so that the same run says the same
    std::string study_instance_uid;
    std::string sop_instance_uid;
    std::string message;
    std::string hint;
    bool is_input = true;  // its file was given to the tool
  };
  std::string_view m_tool;
  mutable std::mutex m_mutex;
  std::uint64_t m_seen = 0;
  std::uint64_t m_failed = 0;
  std::uint64_t m_earlier = 0;
  std::uint64_t m_other = 0;  // of kinds beyond the limit
  std::map<std::string, Kind> m_kinds;
};

// A word of a command line as a shell takes it.
std::string shell_quoted(std::string_view word);

}  // namespace kuva::cli
