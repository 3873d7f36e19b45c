#include "engines.hpp"
#include "version_1.hpp"

#include <kuva/core/error.hpp>
#include <kuva/ledger/connection.hpp>
#include <kuva/ledger/schema.hpp>

#include <doctest/doctest.h>

using kuva::ledger::Connection;
using kuva::ledger::Instance;
using kuva::ledger::Ledger;
using kuva::ledger::State;

namespace {

std::unique_ptr<Connection> connect(const std::string& where) {
  return Ledger::is_shared(where) ? kuva::ledger::connect_postgres(where, Connection::Access::write)
                                  : kuva::ledger::connect_sqlite(where, Connection::Access::write);
}

std::string filled_in(std::string_view sql, const kuva::ledger::Dialect& dialect) {
  std::string text(sql);
  for (const auto& [word, by] : {std::pair(std::string_view("{identity}"), dialect.identity),
                                 std::pair(std::string_view("{time}"), dialect.time),
                                 std::pair(std::string_view("{one_uid}"), dialect.one_uid)}) {
    for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word)) {
      text.replace(at, word.size(), by);
    }
  }
  return text;
}

void make_version_1(const std::string& where) {
  const auto connection = connect(where);
  kuva::ledger::Transaction transaction(*connection, Connection::Durability::full);
  connection->prepare_schema();
  connection->script(filled_in(kuva::test::k_version_1_tables, connection->dialect()));
  connection->script(std::string(kuva::test::k_version_1_rows));
  if (Ledger::is_shared(where)) {
    // The rows above chose their own keys.
    connection->script(
        "ALTER TABLE study ALTER COLUMN id RESTART WITH 3; ALTER TABLE instance ALTER COLUMN id RESTART WITH 5");
  }
  connection->set_schema_version(1);
  transaction.commit();
}

}  // namespace

TEST_CASE("a ledger of version 1 is brought up to date, and all of it is still there") {
  kuva::test::with_each_engine([](const std::string& where) {
    make_version_1(where);
    try {
      Ledger::open(where, Ledger::Role::reading);
      FAIL("an older ledger was read as it is");
    } catch (const kuva::Error& error) {
      CHECK(error.kind().code == "ledger.version");
      CHECK(error.message().find("was made by an older kuva: kuva-ledger check brings it up to date") !=
            std::string::npos);
    }
    CHECK(connect(where)->schema_version() == 1);
    {
      const auto ledger = Ledger::open(where, Ledger::Role::maintenance);
      CHECK(ledger->check().empty());
    }
    CHECK(connect(where)->schema_version() == kuva::ledger::k_schema_version);
    const auto ledger = Ledger::open(where, Ledger::Role::inventory);
    CHECK(ledger->target_identity() == "ARCHIVE@archive.example:11112, from KUVA");
    REQUIRE(ledger->runs(10).size() == 1);
    CHECK(ledger->runs(10).front().exit_code == 3);
    Ledger::Position position;
    kuva::ledger::Filter all;
    all.states.assign(kuva::ledger::k_states.begin(), kuva::ledger::k_states.end());
    const std::vector<Instance> rows = ledger->next_instances(position, 100, all);
    REQUIRE(rows.size() == 4);
    CHECK(rows[0].state == State::superseded);
    CHECK(rows[1].state == State::committed);
    CHECK(rows[1].transaction_uid == "2.25.1");
    CHECK(rows[1].file == kuva::ledger::FileIdentity{"/archive/1/0.dcm", 1000, 1'700'000'000'000'000'000});
    CHECK(rows[2].state == State::failed_temporary);
    CHECK(rows[2].error_code == "store.out-of-resources");
    CHECK(rows[2].attempts == 2);
    CHECK(rows[3].study_instance_uid == "1.2.3.2");
    CHECK(rows[3].patient_key == "P2");
    position = {};
    CHECK(ledger->next_attempts(position, 100).size() == 3);
    CHECK(ledger->retrieval_counts().empty());
    // And the new tables work with the old rows.
    ledger->begin_run({});
    const std::int64_t id = ledger->begin_retrieval("OLD@old.example:104", "1.2.3.2");
    ledger->mark_retrieved(id, std::vector<std::int64_t>{rows[2].id, rows[3].id});
    const auto retrieval = ledger->find_retrieval("OLD@old.example:104", "1.2.3.2");
    REQUIRE(retrieval);
    CHECK(ledger->retrieved_instances(*retrieval).size() == 2);
    const auto added = ledger->record(std::vector<Instance>{kuva::test::instance_of_study(3, 1)});
    CHECK(added.front().id == 5);
    CHECK(ledger->study_counts().studies == 3);
  });
}

TEST_CASE("a new ledger has the tables of one that was brought up to date") {
  kuva::test::with_each_engine([](const std::string& where) {
    Ledger::open(where, Ledger::Role::maintenance);
    const auto connection = connect(where);
    CHECK(connection->schema_version() == kuva::ledger::k_schema_version);
    std::int64_t rows = -1;
    connection->run("SELECT count(*) FROM instance WHERE retrieval IN (SELECT id FROM retrieval)", {},
                    [&](std::size_t, const kuva::ledger::Row& row) { rows = row.number(0); });
    CHECK(rows == 0);
  });
}
