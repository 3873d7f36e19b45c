#pragma once

#include <kuva/core/error.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace kuva::workflow {

// A row of a CSV file (by its header) or an object of NDJSON: names and values in UTF-8.
struct Row {
  std::map<std::string, std::string> values;
  std::string source;           // file name, "standard input", or empty for options
  std::uint64_t line = 0;       // counted from 1; 0 for options
  std::optional<Error> defect;  // instead of values
};

// Where rows come from. One thread.
class RowSource {
 public:
  virtual ~RowSource() = default;
  // Nothing at the end, or when the run is to stop. Errors: local.read; hl7.row for a line that is no row: the caller
  // reports it and goes on.
  virtual std::optional<Row> next() = 0;
};

}  // namespace kuva::workflow
