#include <kuva/cli/query_table.hpp>
#include <kuva/cli/text_renderer.hpp>
#include <kuva/core/byte_count.hpp>
#include <kuva/core/record.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <optional>

namespace kuva::cli {

namespace {

constexpr std::size_t k_widest = 48;  // of a column; longer text is cut and marked

const Json& part_of(const Json& object, std::string_view key) {
  static const Json k_none = Json::object();
  const auto value = object.find(key);
  return value == object.end() ? k_none : *value;
}

std::string joined(const Json& list, std::string_view key) {
  std::string out;
  if (list.is_array()) {
    for (const Json& one : list) {
      const std::string text = one.is_string() ? one.get<std::string>() : string_at(one, key);
      out += (out.empty() || text.empty() ? "" : "/") + text;
    }
  }
  return out;
}

// "2024-02-29 23:20", or as much of it as is known.
std::string moment(const Json& record, std::string_view zone) {
  const Json& start = part_of(record, "serviceStartTime");
  const Json& time = start.empty() ? part_of(record, "creationTime") : start;
  std::string text = string_at(time, zone);
  if (text.empty()) {
    text = string_at(time, "utc");
  }
  text = text.substr(0, 16);
  std::replace(text.begin(), text.end(), 'T', ' ');
  return text;
}

std::string title(const Json& record) {
  std::string text = string_at(record, "title");
  if (text.empty()) {
    text = string_at(part_of(record, "typeCode"), "display");
  }
  if (record.contains("preliminary")) {
    text = "[PRELIMINARY] " + text;
  }
  const std::string status = string_at(record, "availabilityStatus");
  if (!status.empty() && status != "Approved") {
    text = fmt::format("[{}] {}", status, text);
  }
  return text;
}

std::string institution(const Json& record) {
  const Json& authors = part_of(record, "author");
  for (const Json& author : authors) {
    if (const Json& list = part_of(author, "authorInstitution");
        list.is_array() && !list.empty() && list.front().is_string()) {
      const std::string name = list.front().get<std::string>();
      return name.substr(0, name.find('^'));
    }
  }
  return {};
}

std::string number(const Json& record, std::string_view key) {
  const auto value = record.find(key);
  return value != record.end() && value->is_number_unsigned() ? format_bytes(value->get<std::uint64_t>())
                                                              : std::string();
}

std::string expected(const Json& record) {
  const auto value = record.find("expectedMs");
  return value != record.end() && value->is_number_unsigned()
             ? fmt::format("{:.1f} s", static_cast<double>(value->get<std::uint64_t>()) / 1000.0)
             : std::string();
}

struct Column {
  std::string_view name;
  std::string (*text)(const Json&);
};
constexpr std::array k_columns{
    Column{"time", [](const Json& record) { return moment(record, "local"); }},
    Column{"utc", [](const Json& record) { return moment(record, "utc"); }},
    Column{"codes", [](const Json& record) { return joined(part_of(record, "eventCodeList"), "code"); }},
    Column{"kind", [](const Json& record) { return string_at(record, "kind"); }},
    Column{"title", title},
    Column{"type", [](const Json& record) { return string_at(part_of(record, "typeCode"), "code"); }},
    Column{"class", [](const Json& record) { return string_at(part_of(record, "classCode"), "code"); }},
    Column{"institution", institution},
    Column{"specialty",
           [](const Json& record) { return string_at(part_of(record, "practiceSettingCode"), "display"); }},
    Column{"accession", [](const Json& record) { return joined(part_of(record, "accessionNumbers"), "id"); }},
    Column{"study", [](const Json& record) { return joined(part_of(record, "StudyInstanceUIDs"), ""); }},
    Column{"size", [](const Json& record) { return number(record, "size"); }},
    Column{"expected", expected},
    Column{"status", [](const Json& record) { return string_at(record, "availabilityStatus"); }},
    Column{"mime", [](const Json& record) { return string_at(record, "mimeType"); }},
    Column{"uniqueid", [](const Json& record) { return string_at(record, "uniqueId"); }},
    Column{"repository", [](const Json& record) { return string_at(record, "repositoryUniqueId"); }},
    Column{"home", [](const Json& record) { return string_at(record, "homeCommunityId"); }},
    Column{"uuid", [](const Json& record) { return string_at(record, "entryUUID"); }},
};

constexpr std::array<std::string_view, 7> k_groups{"study", "codes", "kind", "institution", "day", "month", "year"};

const Column* find_column(std::string_view name) {
  const auto found =
      std::find_if(k_columns.begin(), k_columns.end(), [&](const Column& one) { return one.name == name; });
  return found == k_columns.end() ? nullptr : &*found;
}

std::string group_of(const Json& record, std::string_view group) {
  if (group == "day" || group == "month" || group == "year") {
    return moment(record, "local").substr(0, group == "day" ? 10 : group == "month" ? 7 : 4);
  }
  const Column* column = find_column(group);
  return column == nullptr ? std::string() : column->text(record);
}

bool is_document(const Json& record) { return string_at(record, "type") == "document"; }

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

std::string fitted(std::string text, std::size_t width) {
  if (width_of(text) > width) {
    std::size_t at = 0;
    for (std::size_t seen = 0; at < text.size(); ++at) {
      seen += continues(text[at]) ? 0 : 1;
      if (seen == width) {
        break;
      }
    }
    text = text.substr(0, at) + "+";
  }
  return text + std::string(width - width_of(text), ' ');
}

std::string without_blanks_at_end(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::optional<std::chrono::sys_days> day_of(const std::string& text) {
  if (text.size() < 10) {
    return std::nullopt;
  }
  const auto part = [&](std::size_t at, std::size_t length) { return std::atoi(text.substr(at, length).c_str()); };
  const std::chrono::year_month_day date{std::chrono::year(part(0, 4)),
                                         std::chrono::month(static_cast<unsigned>(part(5, 2))),
                                         std::chrono::day(static_cast<unsigned>(part(8, 2)))};
  return date.ok() ? std::optional(std::chrono::sys_days(date)) : std::nullopt;
}

}  // namespace

std::vector<std::string> column_names() {
  std::vector<std::string> names;
  for (const Column& column : k_columns) {
    names.emplace_back(column.name);
  }
  return names;
}

std::vector<std::string> default_columns() { return {"time", "utc", "codes", "kind", "title", "institution", "size"}; }

std::vector<std::string> group_names() { return {k_groups.begin(), k_groups.end()}; }

std::vector<Json> in_groups(std::vector<Json> records, std::string_view group) {
  if (group.empty()) {
    return records;
  }
  std::map<std::string, std::size_t> order;
  const auto place = [&](const Json& record) {
    return is_document(record) ? order.at(group_of(record, group)) : order.size();
  };
  for (const Json& record : records) {
    if (is_document(record)) {
      order.try_emplace(group_of(record, group), order.size());
    }
  }
  std::stable_sort(records.begin(), records.end(), [&](const Json& a, const Json& b) { return place(a) < place(b); });
  return records;
}

std::string render_table(const std::vector<Json>& records, const TableSettings& settings) {
  std::vector<const Column*> columns;
  std::vector<std::size_t> widths;
  for (const std::string& name : settings.columns) {
    if (const Column* column = find_column(name)) {
      columns.push_back(column);
      widths.push_back(column->name.size());
    }
  }
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> groups;
  for (const Json& record : records) {
    if (!is_document(record)) {
      continue;
    }
    std::vector<std::string> row;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      row.push_back(printable(columns[i]->text(record)));
      widths[i] = std::min(k_widest, std::max(widths[i], width_of(row[i])));
    }
    rows.push_back(std::move(row));
    groups.push_back(settings.group.empty() ? std::string() : printable(group_of(record, settings.group)));
  }
  if (rows.empty()) {
    return {};
  }
  const auto line = [&](const auto& text_of) {
    std::string out;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      // The last column is not cut: nothing stands behind it.
      out += i + 1 == columns.size() ? text_of(i) : fitted(text_of(i), widths[i]) + "  ";
    }
    return without_blanks_at_end(std::move(out));
  };
  std::string out = line([&](std::size_t i) { return std::string(columns[i]->name); });
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (!settings.group.empty() && (r == 0 || groups[r] != groups[r - 1])) {
      out += fmt::format("-- {} {}\n", settings.group, groups[r].empty() ? "unknown" : groups[r]);
    }
    out += line([&](std::size_t i) { return rows[r][i]; });
  }
  return out;
}

std::string render_timeline(const std::vector<Json>& records) {
  std::vector<const Json*> documents;
  for (const Json& record : records) {
    if (is_document(record)) {
      documents.push_back(&record);
    }
  }
  std::stable_sort(documents.begin(), documents.end(),
                   [](const Json* a, const Json* b) { return moment(*a, "utc") < moment(*b, "utc"); });
  std::string out;
  std::string year;
  std::optional<std::chrono::sys_days> before;
  for (const Json* record : documents) {
    const std::string time = moment(*record, "local");
    const auto day = day_of(time);
    if (before && day && *day - *before > std::chrono::days(30)) {
      out += fmt::format("   :  {} days\n", (*day - *before).count());
    }
    before = day ? day : before;
    if (time.substr(0, 4) != year) {
      year = time.substr(0, 4);
      out += (year.empty() ? "time unknown" : year) + "\n";
    }
    out += without_blanks_at_end(fmt::format("   |  {}  {}  {}  {}", fitted(time.size() > 5 ? time.substr(5) : "", 11),
                                             fitted(printable(joined(part_of(*record, "eventCodeList"), "code")), 10),
                                             fitted(string_at(*record, "kind"), 8), printable(title(*record))));
  }
  return out;
}

}  // namespace kuva::cli
