#include "engines.hpp"

#include <kuva/core/error.hpp>

#include <doctest/doctest.h>

using kuva::ledger::Instance;
using kuva::ledger::Ledger;
using kuva::ledger::Retrieval;
using kuva::ledger::State;
using kuva::test::instance_of_study;

namespace {

const std::string k_source = "OLD@old.example:104";

kuva::ledger::RunFacts run_of(const std::string& id) {
  kuva::ledger::RunFacts facts;
  facts.id = id;
  facts.tool = "kuva-retrieve";
  return facts;
}

// Retrieves `count` instances of a study, as far as the ledger is concerned.
std::int64_t retrieve(Ledger& ledger, const std::string& source, int study, int count, bool complete) {
  const std::string uid = instance_of_study(study, 0).study_instance_uid;
  const std::int64_t id = ledger.begin_retrieval(source, uid);
  std::vector<Instance> rows;
  for (int number = 0; number < count; ++number) {
    rows.push_back(instance_of_study(study, number));
  }
  std::vector<std::int64_t> ids;
  for (const Instance& row : ledger.record(rows)) {
    ids.push_back(row.id);
  }
  ledger.mark_retrieved(id, ids);
  Retrieval end;
  end.id = id;
  end.expected = static_cast<std::uint64_t>(count) + (complete ? 0 : 1);
  end.retrieved = static_cast<std::uint64_t>(count);
  end.failed = complete ? 0 : 1;
  end.complete = complete;
  end.error_code = complete ? "" : "retrieve.incomplete";
  ledger.end_retrieval(end);
  return id;
}

}  // namespace

TEST_CASE("a retrieval is known by its archive and study, and by what came with it") {
  kuva::test::with_each_engine([](const std::string& where) {
    const auto ledger = Ledger::open(where, Ledger::Role::inventory);
    ledger->begin_run(run_of("run-1"));
    CHECK_FALSE(ledger->find_retrieval(k_source, "1.2.3.1"));
    const std::int64_t id = retrieve(*ledger, k_source, 1, 3, true);
    // Something else of the same study, which nobody retrieved.
    ledger->record(std::vector<Instance>{instance_of_study(1, 9)});
    const auto retrieval = ledger->find_retrieval(k_source, "1.2.3.1");
    REQUIRE(retrieval);
    CHECK(retrieval->id == id);
    CHECK(retrieval->complete);
    CHECK(retrieval->retrieved == 3);
    CHECK(retrieval->run == "run-1");
    CHECK_FALSE(retrieval->ended.empty());
    CHECK(ledger->retrieved_instances(*retrieval).size() == 3);
    CHECK_FALSE(ledger->find_retrieval("OTHER@old.example:104", "1.2.3.1"));
    CHECK_FALSE(ledger->find_retrieval(k_source, "1.2.3.2"));
  });
}

TEST_CASE("a retrieval that begins again is not complete, and what it had landed stays known") {
  kuva::test::with_each_engine([](const std::string& where) {
    const auto ledger = Ledger::open(where, Ledger::Role::inventory);
    ledger->begin_run(run_of("run-1"));
    const std::int64_t id = retrieve(*ledger, k_source, 1, 3, true);
    // A file that has changed since: its old row still says that it came, its new one does not.
    Instance changed = instance_of_study(1, 1);
    changed.file.size = 7;
    ledger->record(std::vector<Instance>{changed});
    CHECK(ledger->begin_retrieval(k_source, "1.2.3.1") == id);
    const auto retrieval = ledger->find_retrieval(k_source, "1.2.3.1");
    REQUIRE(retrieval);
    CHECK_FALSE(retrieval->complete);
    CHECK(retrieval->ended.empty());
    const auto rows = ledger->retrieved_instances(*retrieval);
    REQUIRE(rows.size() == 3);
    CHECK(rows[1].state == State::superseded);
    CHECK(rows[2].state == State::seen);
  });
}

TEST_CASE("the counts of retrievals are by archive") {
  kuva::test::with_each_engine([](const std::string& where) {
    const auto ledger = Ledger::open(where, Ledger::Role::inventory);
    ledger->begin_run(run_of("run-1"));
    CHECK(ledger->retrieval_counts().empty());
    retrieve(*ledger, k_source, 1, 3, true);
    retrieve(*ledger, k_source, 2, 2, false);
    Retrieval part;
    part.id = retrieve(*ledger, "A@b:1", 3, 1, true);
    part.expected = 1;
    part.retrieved = 1;
    ledger->end_retrieval(part);
    ledger->begin_retrieval("A@b:1", "1.2.3.4");  // and was cut
    const auto counts = ledger->retrieval_counts();
    REQUIRE(counts.size() == 2);
    CHECK(counts[0].source == "A@b:1");
    CHECK(counts[0].studies == 2);
    CHECK(counts[0].complete == 0);
    CHECK(counts[0].in_part == 1);
    CHECK(counts[1].studies == 2);
    CHECK(counts[1].complete == 1);
    CHECK(counts[1].in_part == 0);
    CHECK(counts[1].expected == 6);
    CHECK(counts[1].retrieved == 5);
    CHECK(counts[1].failed == 1);
    Ledger::Position position;
    CHECK(ledger->next_retrievals(position, 2).size() == 2);
    const auto rest = ledger->next_retrievals(position, 2);
    REQUIRE(rest.size() == 2);
    CHECK(rest.front().study_instance_uid == "1.2.3.3");
    CHECK(ledger->next_retrievals(position, 2).empty());
  });
}

TEST_CASE("merging takes retrievals over: what is complete counts") {
  kuva::test::with_each_engine([](const std::string& where) {
    const kuva::test::TemporaryDirectory directory;
    const std::string other = (directory.path() / "other").string();
    {
      const auto theirs = Ledger::open(other, Ledger::Role::inventory);
      theirs->begin_run(run_of("run-theirs"));
      retrieve(*theirs, k_source, 1, 3, true);
      retrieve(*theirs, k_source, 2, 1, false);
      retrieve(*theirs, k_source, 3, 2, true);
    }
    {
      const auto ours = Ledger::open(where, Ledger::Role::inventory);
      ours->begin_run(run_of("run-ours"));
      retrieve(*ours, k_source, 2, 2, true);
      retrieve(*ours, k_source, 3, 1, false);
    }
    const auto ours = Ledger::open(where, Ledger::Role::maintenance);
    for (int round = 0; round < 2; ++round) {
      const auto theirs = Ledger::open(other, Ledger::Role::reading);
      ours->merge_from(*theirs, false);
      const auto one = ours->find_retrieval(k_source, "1.2.3.1");
      const auto two = ours->find_retrieval(k_source, "1.2.3.2");
      const auto three = ours->find_retrieval(k_source, "1.2.3.3");
      REQUIRE(one);
      REQUIRE(two);
      REQUIRE(three);
      CHECK(one->complete);
      CHECK(one->run == "run-theirs");
      CHECK(ours->retrieved_instances(*one).size() == 3);
      CHECK(two->complete);
      CHECK(two->run == "run-ours");
      CHECK(ours->retrieved_instances(*two).size() == 2);
      CHECK(three->complete);
      CHECK(ours->retrieved_instances(*three).size() == 2);
    }
  });
}
