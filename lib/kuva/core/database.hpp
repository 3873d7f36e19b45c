#pragma once

#include <kuva/core/error.hpp>

#include <fmt/format.h>

#include <SQLiteCpp/SQLiteCpp.h>

#include <string_view>

namespace kuva {

// Calls `work` and gives what it returns; what goes wrong in a database of our own is the disk or the memory of this
// machine. `name` says which database, in the message. Errors: local.write, and those of `work`.
template <typename Work>
auto with_database(std::string_view name, const Work& work) {
  try {
    return work();
  } catch (const SQLite::Exception& exception) {
    throw Error(kind("local.write"), fmt::format("{}: {}", name, exception.what()));
  }
}

// A private database on disk, with these tables, that goes away when it is closed. Throws what SQLite does.
inline SQLite::Database open_temporary_database(const char* tables) {
  SQLite::Database database("", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -8192;");
  database.exec(tables);
  return database;
}

}  // namespace kuva
