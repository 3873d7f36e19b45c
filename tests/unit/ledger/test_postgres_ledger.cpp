#include "engines.hpp"

#include <kuva/core/error.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <thread>

using kuva::ledger::Instance;
using kuva::ledger::Ledger;
using kuva::ledger::RunFacts;
using kuva::ledger::State;
using kuva::ledger::Verdict;
using kuva::test::error_code_of;
using kuva::test::instance_of_study;

namespace {

std::unique_ptr<Ledger> worker(const std::string& where) {
  auto ledger = Ledger::open(where, Ledger::Role::sending);
  RunFacts facts;
  facts.tool = "kuva-send";
  facts.version = "1";
  ledger->begin_run(facts);
  return ledger;
}

}  // namespace

TEST_CASE("addresses of servers hold no password, and messages show no user") {
  CHECK(Ledger::is_shared("postgresql://x/y"));
  CHECK(!Ledger::is_shared("/data/postgresql"));
  CHECK(Ledger::display_name("postgresql://ann@db.example:5433/migration?sslmode=require") ==
        "postgresql://db.example:5433/migration");
  CHECK(Ledger::display_name("/data/l") == "/data/l");
  for (const char* url : {"postgresql://ann:secret@db/x", "postgresql://db/x?password=secret"}) {
    try {
      Ledger::open(url, Ledger::Role::reading);
      FAIL("a password was taken");
    } catch (const kuva::Error& error) {
      CHECK(error.kind().code == "usage.argument");
      CHECK(error.message().find("secret") == std::string::npos);
    }
  }
  CHECK(error_code_of([] { Ledger::open("postgresql://[::1/secret", Ledger::Role::reading); }) == "usage.argument");
  CHECK(error_code_of([] { Ledger::open("postgresql://u@127.0.0.1:1/x", Ledger::Role::reading); }) ==
        "ledger.unreachable");
}

TEST_CASE("a server that does not let us in says so") {
  auto* const server = kuva::test::postgres();
  if (server == nullptr) {
    return;
  }
  const std::string where = server->new_database();
  CHECK(error_code_of([&] { Ledger::open(where, Ledger::Role::reading); }) == "ledger.version");
  CHECK(error_code_of([&] { Ledger::open(server->tcp_url("postgres"), Ledger::Role::reading); }) == "ledger.refused");
  std::string none = where;
  none.replace(none.find("/ledger"), 7, "/nowhere");
  CHECK(error_code_of([&] { Ledger::open(none, Ledger::Role::reading); }) == "ledger.refused");

  worker(where)->record(std::vector<Instance>{instance_of_study(1, 1)});
  server->psql(where, "CREATE ROLE guest LOGIN");
  std::string guest = where;
  guest.replace(guest.find("kuva@"), 4, "guest");
  CHECK(error_code_of([&] { Ledger::open(guest, Ledger::Role::reading); }) == "ledger.refused");
  server->psql(where, "GRANT USAGE ON SCHEMA kuva TO guest; GRANT SELECT ON ALL TABLES IN SCHEMA kuva TO guest");
  CHECK(Ledger::open(guest, Ledger::Role::reading)->study_counts().studies == 1);
  CHECK(error_code_of([&] { worker(guest); }) == "ledger.refused");

  server->psql(where, "UPDATE kuva.meta SET value = '99' WHERE key = 'schema_version'");
  CHECK(error_code_of([&] { worker(where); }) == "ledger.version");
}

TEST_CASE("a connection that is lost ends the run with a word") {
  auto* const server = kuva::test::postgres();
  if (server == nullptr) {
    return;
  }
  const std::string where = server->new_database();
  const auto ledger = worker(where);
  server->psql(where, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kuva'");
  CHECK(error_code_of([&] { ledger->record(std::vector<Instance>{instance_of_study(1, 1)}); }) == "ledger.unreachable");
  CHECK(error_code_of([&] { ledger->counts(); }) == "ledger.unreachable");
  CHECK(worker(where)->study_counts().studies == 0);
}

TEST_CASE("workers that begin at the same time make one ledger, and share it without two hands on a study") {
  auto* const server = kuva::test::postgres();
  if (server == nullptr) {
    return;
  }
  const std::string where = server->new_database();
  constexpr int k_workers = 4;
  constexpr int k_studies = 40;
  std::mutex mutex;
  std::map<std::int64_t, int> taken;
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  for (int number = 0; number < k_workers; ++number) {
    threads.emplace_back([&] {
      try {
        const auto ledger = worker(where);
        // All of them walk the same files.
        for (int study = 1; study <= k_studies; ++study) {
          std::vector<Instance> files;
          for (int i = 0; i < 5; ++i) {
            files.push_back(instance_of_study(study, i));
          }
          ledger->record(files);
        }
        while (const auto study = ledger->claim_study({}, std::chrono::seconds(60))) {
          for (;;) {
            const auto some = ledger->take(*study, 2);
            if (some.empty()) {
              break;
            }
            std::vector<Verdict> verdicts;
            for (const Instance& instance : some) {
              Verdict verdict;
              verdict.instance = instance.id;
              verdict.state = State::stored;
              verdicts.push_back(verdict);
              const std::scoped_lock lock(mutex);
              ++taken[instance.id];
            }
            ledger->finish(verdicts);
          }
          ledger->release(*study);
        }
      } catch (const kuva::Error& error) {
        MESSAGE(error.kind().code << ": " << error.message());
        ++failures;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(failures == 0);
  CHECK(taken.size() == k_studies * 5);
  for (const auto& one : taken) {
    CHECK(one.second == 1);
  }
  const auto ledger = Ledger::open(where, Ledger::Role::maintenance);
  CHECK(ledger->check().empty());
  CHECK(ledger->study_counts().done == k_studies);
}

TEST_CASE("a dead worker's study is taken over when its lease is over, and not before") {
  auto* const server = kuva::test::postgres();
  if (server == nullptr) {
    return;
  }
  const std::string where = server->new_database();
  const auto first = worker(where);
  first->record(std::vector<Instance>{instance_of_study(1, 1), instance_of_study(1, 2)});
  const auto held = first->claim_study({}, std::chrono::seconds(2));
  REQUIRE(held);
  const auto taken = first->take(*held, 1);
  REQUIRE(taken.size() == 1);

  const auto second = worker(where);
  CHECK(!second->claim_study({}, std::chrono::seconds(60)));
  CHECK(second->held_elsewhere() == 1);
  CHECK(first->renew(*held, std::chrono::seconds(1)));
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  CHECK(second->held_elsewhere() == 1);  // over, and not done
  second->rewind_claims();
  const auto over = second->claim_study({}, std::chrono::seconds(60));
  REQUIRE(over);
  CHECK(second->held_elsewhere() == 0);
  CHECK(!first->renew(*held, std::chrono::seconds(60)));
  CHECK(first->take(*held, 1).empty());
  const auto rest = second->take(*over, 10);
  REQUIRE(rest.size() == 2);
  CHECK(rest[0].state == State::indeterminate);
  CHECK(rest[1].state == State::sending);
  // The one that was thought dead speaks late: a failure of its own says nothing about what the other one stored.
  std::vector<Verdict> verdicts(1);
  verdicts[0].instance = rest[0].id;
  verdicts[0].state = State::stored;
  second->finish(verdicts);
  verdicts[0].state = State::failed_temporary;
  first->finish(verdicts);
  first->release(*held);
  const std::vector<std::string> paths{rest[0].file.path};
  CHECK(first->find(paths)[0]->state == State::stored);
  CHECK(second->renew(*over, std::chrono::seconds(60)));
}

TEST_CASE("the questions of kuva-ledger(5) are understood by psql") {
  auto* const server = kuva::test::postgres();
  if (server == nullptr) {
    return;
  }
  const std::string where = server->new_database();
  worker(where)->record(std::vector<Instance>{instance_of_study(1, 1)});
  CHECK(server->psql(where, "SET search_path = kuva; SELECT state, instances FROM status_by_state") == "seen|1\n");
  CHECK(server->psql(where, "SET search_path = kuva; SELECT study_instance_uid, waiting FROM study_status") ==
        "1.2.3.1|1\n");
  CHECK(server->psql(where, "SET search_path = kuva; SELECT count(*) FROM failures") == "0\n");
}

TEST_CASE("a worker that comes back after its lease says nothing about what another one has taken") {
  auto* const server = kuva::test::postgres();
  if (server == nullptr) {
    return;
  }
  const std::string where = server->new_database();
  const auto late = worker(where);
  late->record(std::vector<Instance>{instance_of_study(1, 1), instance_of_study(1, 2), instance_of_study(1, 3)});
  const auto its_study = late->claim_study({}, std::chrono::seconds(60));
  const auto its_own = late->take(its_study.value(), 10);
  REQUIRE(its_own.size() == 3);
  server->psql(where, "UPDATE kuva.study SET lease_until = clock_timestamp() - interval '1 second'");

  const auto other = worker(where);
  const auto study = other->claim_study({}, std::chrono::seconds(60));
  REQUIRE(other->take(study.value(), 10).size() == 3);
  std::vector<Verdict> verdicts(3);
  const std::array<State, 3> states{State::indeterminate, State::failed_permanent, State::stored};
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    verdicts[i].instance = its_own[i].id;
    verdicts[i].state = states.at(i);
    verdicts[i].started = "2026-01-01T00:00:00.000Z";
  }
  late->finish(verdicts);
  late->put_back(std::vector<std::int64_t>{its_own[0].id});
  CHECK_FALSE(late->renew(its_study.value(), std::chrono::seconds(60)));
  CHECK(late->take(its_study.value(), 10).empty());
  late->release(its_study.value());

  // It still has them in hand, and none a second time; that one is stored is true all the same.
  CHECK(other->take(study.value(), 10).empty());
  Ledger::Position position;
  const auto rows = other->next_instances(position, 10, {});
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].state == State::indeterminate);
  CHECK(rows[1].state == State::indeterminate);
  CHECK(rows[2].state == State::stored);
  CHECK(other->renew(study.value(), std::chrono::seconds(60)));
}
