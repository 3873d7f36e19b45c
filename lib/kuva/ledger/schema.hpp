#pragma once

#include <kuva/ledger/connection.hpp>

#include <string_view>

namespace kuva::ledger {

// The version of the tables that this kuva writes; kuva-ledger(5) describes them.
inline constexpr std::int64_t k_schema_version = 2;

// Makes the tables, or brings older ones up to date, in one transaction; only looks where `may_write` is false.
// `name` says which ledger, in messages. Errors: ledger.version, and those of the connection.
void prepare_tables(Connection& connection, bool may_write, std::string_view name);

}  // namespace kuva::ledger
