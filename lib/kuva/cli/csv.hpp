#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace kuva::cli {

// The separator of a CSV file whose first line this is: a semicolon where it has those and no comma.
char csv_separator(const std::string& first_line);
// The fields of a record of CSV (RFC 4180), which begins with `line` and takes `more` lines while quotation marks are
// open. Nothing where they are never closed, or the record becomes longer than LineReader::k_line_limit.
std::optional<std::vector<std::string>> csv_fields(std::string line, char separator,
                                                   const std::function<std::optional<std::string>()>& more);

}  // namespace kuva::cli
