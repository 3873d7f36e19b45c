#pragma once

#include <kuva/core/file.hpp>
#include <kuva/workflow/items.hpp>

#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>

namespace kuva::cli {

// Writes records to standard output or to a file that appears whole at the end. Thread-safe. Errors: local.write, and
// the same again at every later call.
class RecordWriter : public workflow::RecordSink {
 public:
  struct Settings {
    std::string output = "-";
    bool text = false;
    bool color = false;
    bool flush_each = true;              // false: blocks of k_block bytes
    std::function<void()> before_write;  // takes a progress line off the terminal
    int standard_output = 1;
  };
  static constexpr std::size_t k_block = 65536;

  explicit RecordWriter(Settings settings);

  void emit(const Json& record) override;
  void emit_all(std::span<const Json> records) override;
  // Text as it is.
  void write(std::string_view text);
  // Writes what is left, closes, and gives a file its name. After this nothing can be emitted.
  void close();
  // True once something could not be written.
  bool failed();

 private:
  std::string text_of(const Json& record) const;
  void flush();
  void write_out(std::string_view text);

  Settings m_settings;
  std::mutex m_mutex;
  std::optional<AtomicFile> m_file;
  FileDescriptor m_fd;  // standard output, or a device that was named
  std::string m_name;
  std::string m_buffer;
  std::optional<Error> m_failure;
};

}  // namespace kuva::cli
