#pragma once

#include <kuva/cli/record_reader.hpp>
#include <kuva/workflow/rows.hpp>

#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

namespace kuva::cli {

// Rows of CSV (RFC 4180, the first line names the columns; comma or semicolon, as that line has it) or of NDJSON files:
// the first byte of a file tells. A file whose first line names a column twice is left. "-" is standard input. Errors:
// local.read when a file cannot be opened.
class RowReader : public workflow::RowSource {
 public:
  RowReader(std::vector<std::string> paths, std::stop_token stop);
  std::optional<workflow::Row> next() override;

 private:
  bool open_next();
  std::optional<std::string> line();
  workflow::Row json_row(const std::string& text) const;
  // Fields of a record that may go over several lines.
  std::vector<std::string> fields_of(std::string text);

  std::vector<std::string> m_paths;
  std::size_t m_next = 0;
  std::stop_token m_stop;
  std::optional<LineReader> m_reader;
  char m_separator = ',';
  bool m_is_json = false;
  std::vector<std::string> m_columns;
};

// One row: what the options of the command line say.
class OptionRow : public workflow::RowSource {
 public:
  explicit OptionRow(std::map<std::string, std::string> values) : m_values(std::move(values)) {}
  std::optional<workflow::Row> next() override;

 private:
  std::optional<std::map<std::string, std::string>> m_values;
};

}  // namespace kuva::cli
