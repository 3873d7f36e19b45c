#pragma once

#include "support/postgres_server.hpp"
#include "support/temporary_directory.hpp"

#include <kuva/ledger/ledger.hpp>

#include <functional>
#include <string>

namespace kuva::test {

// Runs a test with a new ledger in a file, and with one on a PostgreSQL server (skipped with a word where there is
// none). `where` is what Ledger::open takes.
void with_each_engine(const std::function<void(const std::string& where)>& test);

// The server of this process; nullptr where there is none.
PostgresServer* postgres();

// An instance of study `study`: number `number` at /archive/<study>/<number>.dcm.
ledger::Instance instance_of_study(int study, int number);

// The code of the error that `work` ends with; empty where it ends well.
std::string error_code_of(const std::function<void()>& work);

}  // namespace kuva::test
