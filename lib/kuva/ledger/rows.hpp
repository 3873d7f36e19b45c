#pragma once

#include <kuva/ledger/connection.hpp>
#include <kuva/ledger/ledger.hpp>

#include <string>
#include <string_view>

namespace kuva::ledger {

// The columns of an instance and of its study, in the order in which instance_of reads them.
inline constexpr std::string_view k_instance_columns =
    "i.id, i.path, i.size, i.mtime_ns, i.digest, i.sop_instance_uid, i.sop_class_uid, i.transfer_syntax_uid,"
    " i.series_instance_uid, s.study_instance_uid, s.study_date, s.patient_key, s.accession_number, i.modality,"
    " i.state, i.error_code, i.error_class, i.error_message, i.attempts, i.updated, i.transaction_uid, i.record,"
    " i.run";
inline constexpr std::string_view k_instance_tables = "instance i LEFT JOIN study s ON s.id = i.study";
inline constexpr int k_instance_column_count = 23;

Instance instance_of(const Row& row);
State state_of(std::string_view text);

// How far an instance has come: a verdict of a lower rank says nothing about one of a higher rank.
int rank_of(State state);
// The same in SQL, of a column `state`.
inline constexpr std::string_view k_rank_sql =
    "CASE state WHEN 'superseded' THEN 9 WHEN 'registered' THEN 4 WHEN 'committed' THEN 3 WHEN 'stored' THEN 2"
    " WHEN 'stored-with-warning' THEN 2 ELSE 1 END";

// A path as it stands in the tables: as it is where it is UTF-8, else "bytes:" and base64. And back.
std::string stored_path(std::string_view path);
std::string path_of(std::string_view stored);

// A text that every database takes: bytes that are not UTF-8, and NUL, become '?'.
std::string stored_text(std::string_view text);

// Words of the catalogue's form only, so that they can stand in SQL. Errors: usage.argument.
void check_code(std::string_view code);
// "(i.error_code = 'a' OR i.error_code LIKE 'a.%' OR ...)"; "1 = 1" where there are none.
std::string code_condition(const std::vector<std::string>& codes);

inline constexpr std::string_view k_uid_clash = "batch.uid-clash";

}  // namespace kuva::ledger
