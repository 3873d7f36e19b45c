#pragma once

#include <kuva/core/error.hpp>

#include <toml++/toml.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::cli {

inline constexpr std::int64_t k_max_port = 65535;

// Reads one table of a configuration file strictly: a value of the wrong kind is an error, and so is a key that nobody
// asked for (finish). Errors: usage.config naming file, line and key.
class TomlReader {
 public:
  // The whole file; the table lives as long as the reader's users. Errors: usage.config.
  static toml::table parse_file(const std::filesystem::path& file);

  TomlReader(const toml::table& table, std::filesystem::path file, std::string name);

  std::optional<std::string> text(std::string_view key);
  std::optional<std::int64_t> integer(std::string_view key, std::int64_t lowest, std::int64_t highest);
  // A number, whole or not.
  std::optional<double> number(std::string_view key, double lowest, double highest);
  std::optional<bool> boolean(std::string_view key);
  // "30s", or a number of seconds.
  std::optional<std::chrono::milliseconds> duration(std::string_view key);
  // A file name; a relative one is relative to the configuration file.
  std::optional<std::string> path(std::string_view key);
  // The position of the value in `words`.
  std::optional<std::size_t> choice(std::string_view key, const std::vector<std::string_view>& words);
  // An AE title (PS3.5 6.2): 1-16 characters without backslash and control characters, not only spaces.
  std::optional<std::string> ae_title(std::string_view key);
  std::vector<std::string> texts(std::string_view key);
  std::optional<TomlReader> table(std::string_view key);
  std::vector<TomlReader> tables(std::string_view key);
  // Every key of this table, for tables whose keys are names.
  std::vector<std::string> keys() const;

  // Keys that were not asked for are errors; names the nearest known one.
  void finish() const;
  [[noreturn]] void fail(std::string_view key, std::string_view what) const;

 private:
  const toml::node* find(std::string_view key);

  const toml::table* m_table;
  std::filesystem::path m_file;
  std::string m_name;  // "target.kanta.tls", empty for the top
  std::vector<std::string> m_known;
};

// Why the text is not an AE title; nothing when it is one.
std::optional<std::string> ae_title_defect(std::string_view text);

// The one of `words` that somebody may have meant; empty when none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& words);

}  // namespace kuva::cli
