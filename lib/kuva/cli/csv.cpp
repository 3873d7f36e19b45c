#include <kuva/cli/csv.hpp>
#include <kuva/cli/record_reader.hpp>

namespace kuva::cli {

char csv_separator(const std::string& first_line) {
  return first_line.find(';') != std::string::npos && first_line.find(',') == std::string::npos ? ';' : ',';
}

std::optional<std::vector<std::string>> csv_fields(std::string line, char separator,
                                                   const std::function<std::optional<std::string>()>& more) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0;; ++i) {
    if (i == line.size()) {
      if (!quoted) {
        return fields;
      }
      const std::optional<std::string> next = more();
      if (!next || line.size() + next->size() > LineReader::k_line_limit) {
        return std::nullopt;
      }
      line += "\n" + *next;
    }
    const char c = line[i];
    if (quoted) {
      if (c != '"') {
        fields.back().push_back(c);
      } else if (i + 1 < line.size() && line[i + 1] == '"') {
        fields.back().push_back('"');
        ++i;
      } else {
        quoted = false;
      }
    } else if (c == '"' && fields.back().empty()) {
      quoted = true;
    } else if (c == separator) {
      fields.emplace_back();
    } else {
      fields.back().push_back(c);
    }
  }
}

}  // namespace kuva::cli
