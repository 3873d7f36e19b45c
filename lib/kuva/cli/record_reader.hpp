#pragma once

#include <kuva/cli/options.hpp>
#include <kuva/core/error.hpp>
#include <kuva/core/file.hpp>
#include <kuva/workflow/items.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace kuva::cli {

// Lines (or NUL-separated pieces) of a file descriptor, one at a time and never more than k_line_limit of them in
// memory. A wait ends when the run is to stop.
class LineReader {
 public:
  static constexpr std::size_t k_line_limit = std::size_t{16} * 1024 * 1024;

  // `name` is for messages.
  LineReader(FileDescriptor fd, std::string name, char separator, std::stop_token stop);
  LineReader(LineReader&& other) noexcept;
  ~LineReader();

  // Nothing at the end, or when the run is to stop. Errors: local.read; stream.record for a line that is too long,
  // which is passed over.
  std::optional<std::string> next();
  std::uint64_t line_number() const { return m_line_number; }
  const std::string& name() const { return m_name; }

 private:
  bool fill();
  struct Wake;

  FileDescriptor m_fd;
  std::string m_name;
  char m_separator;
  std::stop_token m_stop;
  std::unique_ptr<Wake> m_wake;
  std::string m_buffer;
  std::size_t m_position = 0;
  std::uint64_t m_line_number = 0;
  bool m_at_end = false;
};

// The input of a tool: paths of the command line, lists of paths, and records of an earlier stage on standard input.
// The summary of the earlier stage is taken out of the stream.
class RecordReader : public workflow::InputSource {
 public:
  struct Settings {
    InputOptions input;
    std::stop_token stop;
    // The exit code of the earlier stage, once a summary.
    std::function<void(ExitCode)> on_summary;
    // The records ended, and there was no summary at their end (stream.cut).
    std::function<void(const Error&)> on_cut;
    int standard_input = 0;
  };

  // Errors: local.read when the list of paths cannot be opened; usage.argument when there is no input at all.
  explicit RecordReader(Settings settings);

  std::optional<workflow::Input> next() override;

 private:
  std::optional<workflow::Input> next_record();
  void open_records();
  LineReader open_list() const;

  Settings m_settings;
  std::deque<std::string> m_paths;
  std::optional<LineReader> m_list;
  std::optional<LineReader> m_records;
  bool m_complete = false;  // the last record was a summary
};

}  // namespace kuva::cli
