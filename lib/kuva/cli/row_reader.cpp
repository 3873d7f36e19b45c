#include <kuva/cli/csv.hpp>
#include <kuva/cli/row_reader.hpp>
#include <kuva/core/record.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace kuva::cli {

namespace {

Error row_error(const LineReader& reader, std::string_view what) {
  return Error(kind("hl7.row"), fmt::format("{}: line {} {}", reader.name(), reader.line_number(), what));
}

}  // namespace

RowReader::RowReader(std::vector<std::string> paths, std::stop_token stop)
    : m_paths(std::move(paths)), m_stop(std::move(stop)) {}

bool RowReader::open_next() {
  if (m_next == m_paths.size()) {
    return false;
  }
  const std::string& path = m_paths[m_next++];
  const bool standard = path == "-";
  FileDescriptor fd(standard ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const std::string name = standard ? "standard input" : path;
  if (!fd) {
    throw read_error(name, errno);
  }
  m_reader.emplace(std::move(fd), name, '\n', m_stop);
  m_columns.clear();
  m_is_json = false;
  return true;
}

std::optional<std::string> RowReader::line() {
  auto text = m_reader->next();
  if (text && text->ends_with('\r')) {
    text->pop_back();
  }
  return text;
}

std::vector<std::string> RowReader::fields_of(std::string text) {
  auto fields = csv_fields(std::move(text), m_separator, [this] { return line(); });
  if (!fields) {
    throw row_error(*m_reader, "ends inside of quotation marks");
  }
  return *std::move(fields);
}

workflow::Row RowReader::json_row(const std::string& text) const {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) {
    throw row_error(*m_reader, "is no JSON object");
  }
  workflow::Row row;
  for (const auto& [key, value] : json.items()) {
    if (value.is_string()) {
      row.values[key] = value.get<std::string>();
    } else if (value.is_null()) {
      row.values[key] = "\"\"";
    } else {
      throw row_error(*m_reader, "has a value that is neither text nor null");
    }
  }
  return row;
}

std::optional<workflow::Row> RowReader::next() {
  for (;;) {
    if (m_stop.stop_requested() || (!m_reader && !open_next())) {
      return std::nullopt;
    }
    auto text = line();
    if (!text) {
      m_reader.reset();
      continue;
    }
    if (m_reader->line_number() == 1 && text->starts_with("\xEF\xBB\xBF")) {
      text->erase(0, 3);
    }
    if (text->find_first_not_of(" \t") == std::string::npos) {
      continue;
    }
    const std::uint64_t number = m_reader->line_number();
    if (!is_utf8(*text)) {
      throw row_error(*m_reader, "is not UTF-8");
    }
    if (m_columns.empty() && !m_is_json) {
      m_is_json = text->front() == '{';
      if (!m_is_json) {
        m_separator = csv_separator(*text);
        m_columns = fields_of(*text);
        auto sorted = m_columns;
        std::sort(sorted.begin(), sorted.end());
        if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
          const Error error = row_error(*m_reader, "names a column twice: nothing of the file is used");
          m_reader.reset();
          throw Error(error);
        }
        continue;
      }
    }
    workflow::Row row;
    if (m_is_json) {
      row = json_row(*text);
    } else {
      std::vector<std::string> fields = fields_of(*text);
      if (fields.size() != m_columns.size()) {
        throw row_error(*m_reader,
                        fmt::format("has {} fields, and the first line names {}", fields.size(), m_columns.size()));
      }
      for (std::size_t i = 0; i < fields.size(); ++i) {
        row.values[m_columns[i]] = std::move(fields[i]);
      }
    }
    row.source = m_reader->name();
    row.line = number;
    return row;
  }
}

std::optional<workflow::Row> OptionRow::next() {
  auto values = std::exchange(m_values, std::nullopt);
  if (!values) {
    return std::nullopt;
  }
  workflow::Row row;
  row.values = std::move(*values);
  return row;
}

}  // namespace kuva::cli
