#pragma once

#include <kuva/core/error.hpp>

#include <string>
#include <string_view>
#include <vector>

// What kuva-query shows people: document records as a table, in groups, or along time.
namespace kuva::cli {

// Names of columns, for --columns and its help: time, utc, modality, kind, title, ...
std::vector<std::string> column_names();
std::vector<std::string> default_columns();
// Names of groups for --group-by: study, modality, kind, institution, day, month, year.
std::vector<std::string> group_names();

// The documents in the order of their groups, which are in the order of their first documents; other records stay
// behind them.
std::vector<Json> in_groups(std::vector<Json> records, std::string_view group);

struct TableSettings {
  std::vector<std::string> columns = default_columns();
  std::string group;  // empty: none
};
// Aligned, with a line of headings; groups have a line of their own.
std::string render_table(const std::vector<Json>& records, const TableSettings& settings);
// From the oldest to the newest, a heading a year, with the gaps between.
std::string render_timeline(const std::vector<Json>& records);

}  // namespace kuva::cli
