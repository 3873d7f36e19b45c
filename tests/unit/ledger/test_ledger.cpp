#include "engines.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <set>
#include <thread>

using kuva::ledger::Instance;
using kuva::ledger::Ledger;
using kuva::ledger::RunFacts;
using kuva::ledger::Selection;
using kuva::ledger::State;
using kuva::ledger::Study;
using kuva::ledger::Verdict;
using kuva::test::error_code_of;
using kuva::test::instance_of_study;
using kuva::test::with_each_engine;

namespace {

constexpr std::chrono::seconds k_lease{60};

RunFacts run_of(const std::string& tool, const std::string& identity = "") {
  RunFacts facts;
  facts.tool = tool;
  facts.version = "1.0";
  facts.target_identity = identity;
  return facts;
}

std::unique_ptr<Ledger> sender(const std::string& where) {
  auto ledger = Ledger::open(where, Ledger::Role::sending);
  ledger->begin_run(run_of("kuva-send", "archive:104"));
  return ledger;
}

std::vector<Instance> studies_of(int studies, int instances) {
  std::vector<Instance> all;
  for (int study = 1; study <= studies; ++study) {
    for (int number = 1; number <= instances; ++number) {
      all.push_back(instance_of_study(study, number));
    }
  }
  return all;
}

State state_at(Ledger& ledger, const std::string& path) {
  const std::vector<std::string> paths{path};
  const auto rows = ledger.find(paths);
  REQUIRE(rows[0]);
  return rows[0]->state;
}

Verdict verdict_on(const Instance& instance, State state, const std::string& code = "") {
  Verdict verdict;
  verdict.instance = instance.id;
  verdict.state = state;
  verdict.error_code = code;
  verdict.started = "2026-11-22T10:00:00.000Z";
  verdict.ended = "2026-11-22T10:00:01.000Z";
  return verdict;
}

std::uint64_t count_of(Ledger& ledger, State state) {
  for (const auto& count : ledger.counts()) {
    if (count.state == state) {
      return count.instances;
    }
  }
  return 0;
}

// Studies of one pass, each given back.
std::vector<std::string> claimed(Ledger& ledger, const Selection& selection) {
  std::vector<std::string> uids;
  ledger.rewind_claims();
  while (const auto study = ledger.claim_study(selection, k_lease)) {
    uids.push_back(study->study_instance_uid);
    ledger.release(*study);
  }
  return uids;
}

}  // namespace

TEST_CASE("what is recorded is found as it was, in another process too") {
  with_each_engine([](const std::string& where) {
    Instance given = instance_of_study(1, 1);
    given.file.path = "/archive/\xff\xfe/a.dcm";  // not UTF-8
    given.file.size = 5'000'000'000;
    given.record = R"({"findings":[]})";
    given.digest = std::string(64, 'a');
    Instance named = instance_of_study(1, 2);
    named.file.path = "bytes:L2E=";  // looks like the form of a path that is not UTF-8
    named.modality = "\xc4";         // not UTF-8
    {
      const auto ledger = Ledger::open(where, Ledger::Role::inventory);
      const std::vector<Instance> both{given, named};
      const auto rows = ledger->record(both);
      REQUIRE(rows.size() == 2);
      CHECK(rows[0].id != rows[1].id);
    }
    const auto ledger = Ledger::open(where, Ledger::Role::reading);
    const std::vector<std::string> paths{named.file.path, "/elsewhere", given.file.path};
    const auto found = ledger->find(paths);
    REQUIRE(found[0]);
    CHECK(!found[1]);
    REQUIRE(found[2]);
    CHECK(found[0]->file == named.file);
    CHECK(found[0]->modality == "?");
    CHECK(found[2]->file == given.file);
    CHECK(found[2]->digest == given.digest);
    CHECK(found[2]->sop_instance_uid == given.sop_instance_uid);
    CHECK(found[2]->sop_class_uid == given.sop_class_uid);
    CHECK(found[2]->transfer_syntax_uid == given.transfer_syntax_uid);
    CHECK(found[2]->series_instance_uid == given.series_instance_uid);
    CHECK(found[2]->study_instance_uid == given.study_instance_uid);
    CHECK(found[2]->study_date == given.study_date);
    CHECK(found[2]->patient_key == given.patient_key);
    CHECK(found[2]->accession_number == given.accession_number);
    CHECK(found[2]->state == State::seen);
    CHECK(found[2]->record == given.record);
    CHECK(ledger->check().empty());
  });
}

TEST_CASE("a second look goes forward, a changed file begins anew") {
  with_each_engine([](const std::string& where) {
    const auto ledger = sender(where);
    Instance one = instance_of_study(1, 1);
    ledger->record(std::span(&one, 1));
    one.state = State::valid;
    CHECK(ledger->record(std::span(&one, 1))[0].state == State::valid);
    one.state = State::seen;
    CHECK(ledger->record(std::span(&one, 1))[0].state == State::valid);

    const auto study = ledger->claim_study({}, k_lease);
    REQUIRE(study);
    const auto taken = ledger->take(*study, 10);
    REQUIRE(taken.size() == 1);
    const std::vector<Verdict> stored{verdict_on(taken[0], State::stored)};
    ledger->finish(stored);
    one.state = State::failed_permanent;
    one.error_code = "rule";
    CHECK(ledger->record(std::span(&one, 1))[0].state == State::stored);

    one.state = State::seen;
    one.error_code.clear();
    ++one.file.mtime_ns;
    const auto changed = ledger->record(std::span(&one, 1));
    CHECK(changed[0].state == State::seen);
    CHECK(changed[0].id != taken[0].id);
    CHECK(count_of(*ledger, State::superseded) == 1);
    CHECK(count_of(*ledger, State::seen) == 1);
    const std::vector<std::string> paths{one.file.path};
    ledger->forget(paths);
    CHECK(!ledger->find(paths)[0]);
    CHECK(count_of(*ledger, State::superseded) == 2);
    CHECK(ledger->check().empty());
  });
}

TEST_CASE("a copy in the same batch goes out once, told by its digest") {
  with_each_engine([](const std::string& where) {
    const auto ledger = sender(where);
    Instance first = instance_of_study(1, 1);
    first.digest = "d1";
    Instance copy = first;
    copy.file.path = "/copy.dcm";
    const std::vector<Instance> batch{first, copy, first};
    const auto rows = ledger->record(batch);
    CHECK(rows[0].state == State::seen);
    CHECK(rows[1].state == State::skipped);
    CHECK(rows[1].error_message == "a copy of /archive/1/1.dcm");
    CHECK(rows[2].id == rows[0].id);
  });
}

TEST_CASE("a copy in a later batch goes out once, told by comparing the files") {
  with_each_engine([](const std::string& where) {
    const auto ledger = sender(where);
    Instance first = instance_of_study(1, 1);
    Instance copy = first;
    copy.file.path = "/copy.dcm";
    ledger->record(std::span(&first, 1));
    int asked = 0;
    const auto rows = ledger->record(std::span(&copy, 1), [&](const Instance& known, const Instance& added) {
      ++asked;
      CHECK(known.file.path == first.file.path);
      CHECK(added.file.path == copy.file.path);
      return true;
    });
    CHECK(asked == 1);
    CHECK(rows[0].state == State::skipped);
    copy.state = State::valid;  // by itself it is
    CHECK(ledger->record(std::span(&copy, 1))[0].state == State::skipped);
    CHECK(claimed(*ledger, {}).size() == 1);
  });
}

TEST_CASE("another object with a known UID stops the study") {
  with_each_engine([](const std::string& where) {
    const auto ledger = sender(where);
    Instance first = instance_of_study(1, 1);
    Instance other = first;
    other.file.path = "/other.dcm";
    ledger->record(std::span(&first, 1));
    const auto rows = ledger->record(std::span(&other, 1), [](const Instance&, const Instance&) { return false; });
    CHECK(rows[0].state == State::failed_permanent);
    CHECK(rows[0].error_code == "batch.uid-clash");
    CHECK(state_at(*ledger, first.file.path) == State::failed_permanent);
    const std::vector<Instance> more{instance_of_study(1, 2), instance_of_study(2, 1)};
    ledger->record(more);
    CHECK(claimed(*ledger, {}) == std::vector<std::string>{"1.2.3.2"});
    Selection again;
    again.only_failed = true;
    CHECK(claimed(*ledger, again).empty());
    // One of the two goes away: the other may go out.
    const std::vector<std::string> gone{other.file.path};
    ledger->forget(gone);
    CHECK(claimed(*ledger, again) == std::vector<std::string>{"1.2.3.1"});
  });
}

TEST_CASE("another object with the UID of a stored one takes nothing from it") {
  with_each_engine([](const std::string& where) {
    const auto ledger = sender(where);
    Instance first = instance_of_study(1, 1);
    Instance other = first;
    other.file.path = "/other.dcm";
    ledger->record(std::span(&first, 1));
    const auto study = ledger->claim_study({}, k_lease);
    REQUIRE(study);
    const auto taken = ledger->take(*study, 1);
    const std::vector<Verdict> stored{verdict_on(taken[0], State::stored)};
    ledger->finish(stored);
    CHECK(ledger->record(std::span(&other, 1))[0].state == State::failed_permanent);
    CHECK(state_at(*ledger, first.file.path) == State::stored);
  });
}

TEST_CASE("studies are claimed in the order asked for, each once a pass") {
  with_each_engine([](const std::string& where) {
    const auto ledger = sender(where);
    auto all = studies_of(3, 2);
    all[2].study_date = all[3].study_date = "20260105";  // of the second study
    ledger->record(all);
    Selection selection;
    using Uids = std::vector<std::string>;
    CHECK(claimed(*ledger, selection) == Uids{"1.2.3.1", "1.2.3.2", "1.2.3.3"});
    selection.order = Selection::Order::newest;
    CHECK(claimed(*ledger, selection) == Uids{"1.2.3.2", "1.2.3.3", "1.2.3.1"});
    selection.order = Selection::Order::oldest;
    CHECK(claimed(*ledger, selection) == Uids{"1.2.3.1", "1.2.3.3", "1.2.3.2"});
    selection.order = Selection::Order::listed;
    selection.studies = {"1.2.3.3", "9.9", "1.2.3.1", "1.2.3.3"};
    CHECK(claimed(*ledger, selection) == Uids{"1.2.3.3", "1.2.3.1"});
    selection.patients = {"P1", "P2"};
    CHECK(claimed(*ledger, selection) == Uids{"1.2.3.1"});
    selection = {};
    selection.patients = {"P2"};
    CHECK(claimed(*ledger, selection) == Uids{"1.2.3.2"});
    const auto study = [&] {
      ledger->rewind_claims();
      return ledger->claim_study(selection, k_lease);
    }();
    REQUIRE(study);
    CHECK(study->instances == 2);
    CHECK(study->accession_number == "A2");
    CHECK(study->patient_key == "P2");
  });
}

TEST_CASE("what is taken is sending, and in doubt for the run after a dead one") {
  with_each_engine([](const std::string& where) {
    {
      const auto ledger = sender(where);
      ledger->record(studies_of(1, 4));
      const auto study = ledger->claim_study({}, std::chrono::seconds(0));
      REQUIRE(study);
      if (!Ledger::is_shared(where)) {
        CHECK(ledger->take(*study, 3).size() == 3);
      } else {
        // A lease of no time is over: nothing is given out under it.
        CHECK(ledger->take(*study, 3).empty());
        ledger->rewind_claims();
        const auto again = ledger->claim_study({}, std::chrono::seconds(1));
        REQUIRE(again);
        const auto taken = ledger->take(*again, 3);
        REQUIRE(taken.size() == 3);
        CHECK(taken[0].state == State::sending);
        std::this_thread::sleep_for(std::chrono::milliseconds(1100));
      }
      CHECK(count_of(*ledger, State::sending) == 3);
      // It ends here, without a word.
    }
    const auto ledger = sender(where);
    const auto study = ledger->claim_study({}, k_lease);
    REQUIRE(study);
    const auto taken = ledger->take(*study, 10);
    REQUIRE(taken.size() == 4);
    CHECK(taken[0].state == State::indeterminate);
    CHECK(taken[2].state == State::indeterminate);
    CHECK(taken[3].state == State::sending);
    CHECK(ledger->take(*study, 10).empty());
    const std::vector<std::int64_t> back{taken[2].id, taken[3].id};
    ledger->put_back(back);
    CHECK(state_at(*ledger, taken[2].file.path) == State::indeterminate);
    CHECK(state_at(*ledger, taken[3].file.path) == State::seen);
    CHECK(ledger->take(*study, 10).empty());  // once a run
  });
}

TEST_CASE("verdicts: attempts are noted, and nothing confirmed becomes less") {
  with_each_engine([](const std::string& where) {
    std::vector<Instance> taken;
    {
      const auto ledger = sender(where);
      ledger->record(studies_of(1, 3));
      const auto study = ledger->claim_study({}, k_lease);
      REQUIRE(study);
      taken = ledger->take(*study, 10);
      REQUIRE(taken.size() == 3);
      std::vector<Verdict> verdicts{verdict_on(taken[0], State::stored),
                                    verdict_on(taken[1], State::stored_with_warning),
                                    verdict_on(taken[2], State::failed_temporary, "store.out-of-resources")};
      verdicts[0].instance = 0;
      verdicts[0].path = taken[0].file.path;
      ledger->finish(verdicts);
      Ledger::Position position;
      CHECK(ledger->next_uncommitted(position, 1).size() == 1);
      CHECK(ledger->next_uncommitted(position, 5).size() == 1);
      CHECK(ledger->next_uncommitted(position, 5).empty());
      ledger->end_run(3, kuva::Json::object());
    }
    {
      const auto committer = Ledger::open(where, Ledger::Role::committing);
      committer->begin_run(run_of("kuva-commit", "archive:104"));
      std::vector<Verdict> verdicts{
          verdict_on(taken[0], State::committed),
          verdict_on(taken[1], State::failed_permanent, "commit.failed.no-such-object-instance")};
      verdicts[0].transaction_uid = "2.25.1";
      committer->finish(verdicts);
      CHECK(state_at(*committer, taken[1].file.path) == State::failed_permanent);
      const std::vector<Verdict> late{
          verdict_on(taken[0], State::failed_permanent, "commit.failed.processing-failure")};
      committer->finish(late);
      CHECK(state_at(*committer, taken[0].file.path) == State::committed);
    }
    const auto ledger = sender(where);
    const std::vector<Verdict> late{verdict_on(taken[0], State::stored)};
    ledger->finish(late);
    const std::vector<std::string> paths{taken[0].file.path};
    const auto row = ledger->find(paths)[0];
    CHECK(row->state == State::committed);
    CHECK(row->transaction_uid == "2.25.1");

    const auto failures = ledger->failures();
    REQUIRE(failures.size() == 2);
    CHECK(failures[0].instances == 1);
    CHECK(failures[0].example_study_instance_uid == "1.2.3.1");
    Ledger::Position position;
    const auto attempts = ledger->next_attempts(position, 100);
    REQUIRE(attempts.size() >= 5);
    CHECK(attempts[0].number == 1);
    CHECK(attempts[0].tool == "kuva-send");
    CHECK(attempts[3].tool == "kuva-commit");
    CHECK(attempts[3].number == 2);
    const auto days = ledger->days();
    REQUIRE(!days.empty());
    CHECK(days[0].day == "2026-11-22");
    const auto runs = ledger->runs(10);
    REQUIRE(runs.size() == 3);
    CHECK(ledger->study_counts().failed == 1);
  });
}

TEST_CASE("failed ones are sent again when they are asked for") {
  with_each_engine([](const std::string& where) {
    {
      const auto ledger = sender(where);
      ledger->record(studies_of(2, 2));
      while (const auto study = ledger->claim_study({}, k_lease)) {
        const auto taken = ledger->take(*study, 10);
        const std::string code =
            study->study_instance_uid == "1.2.3.1" ? "store.out-of-resources" : "store.cannot-understand";
        const std::vector<Verdict> verdicts{verdict_on(taken[0], State::failed_permanent, code),
                                            verdict_on(taken[1], State::stored)};
        ledger->finish(verdicts);
      }
      ledger->end_run(3, kuva::Json::object());
    }
    const auto ledger = sender(where);
    CHECK(claimed(*ledger, {}).empty());
    Selection selection;
    selection.only_failed = true;
    CHECK(claimed(*ledger, selection).size() == 2);
    selection.error_codes = {"store"};
    CHECK(claimed(*ledger, selection).size() == 2);
    selection.error_codes = {"store.out-of-resources"};
    CHECK(claimed(*ledger, selection) == std::vector<std::string>{"1.2.3.1"});
    selection.error_codes = {"store.out"};
    CHECK(claimed(*ledger, selection).empty());
    selection.error_codes = {"store.cannot-understand", "x"};
    ledger->rewind_claims();
    const auto study = ledger->claim_study(selection, k_lease);
    REQUIRE(study);
    const auto taken = ledger->take(*study, 10);
    REQUIRE(taken.size() == 1);
    CHECK(taken[0].state == State::sending);
    selection.error_codes = {"'; DROP TABLE instance; --"};
    ledger->rewind_claims();
    CHECK(error_code_of([&] { ledger->claim_study(selection, k_lease); }) == "usage.argument");
  });
}

TEST_CASE("a ledger belongs to a target") {
  with_each_engine([](const std::string& where) {
    {
      const auto ledger = sender(where);
      CHECK(ledger->target_identity() == "archive:104");
    }
    const auto ledger = Ledger::open(where, Ledger::Role::sending);
    CHECK(error_code_of([&] { ledger->begin_run(run_of("kuva-send", "other:104")); }) == "ledger.other-target");
    ledger->begin_run(run_of("kuva-validate"));
    ledger->begin_run(run_of("kuva-send", "other:104"), true);
    CHECK(ledger->target_identity() == "other:104");
  });
}

TEST_CASE("listings go on where they were, with nothing between") {
  with_each_engine([](const std::string& where) {
    const auto ledger = sender(where);
    ledger->record(studies_of(5, 7));
    std::set<std::string> uids;
    Ledger::Position position;
    for (;;) {
      const auto page = ledger->next_instances(position, 4, {});
      if (page.empty()) {
        break;
      }
      for (const Instance& instance : page) {
        CHECK(uids.insert(instance.sop_instance_uid).second);
      }
    }
    CHECK(uids.size() == 35);
    position = {};
    std::uint64_t waiting = 0;
    for (;;) {
      const auto page = ledger->next_studies(position, 2);
      if (page.empty()) {
        break;
      }
      for (const auto& study : page) {
        waiting += study.waiting;
      }
    }
    CHECK(waiting == 35);
    position = {};
    kuva::ledger::Filter filter;
    filter.study_instance_uid = "1.2.3.2";
    filter.states = {State::seen};
    CHECK(ledger->next_instances(position, 100, filter).size() == 7);
    CHECK(ledger->study_counts().studies == 5);
    CHECK(ledger->study_counts().done == 0);
  });
}

TEST_CASE("ledgers are merged, and merging again changes nothing") {
  with_each_engine([](const std::string& where) {
    const kuva::test::TemporaryDirectory directory;
    const std::string other = (directory.path() / "other.sqlite").string();
    {
      const auto ledger = sender(other);
      ledger->record(studies_of(2, 3));
      const auto study = ledger->claim_study({}, k_lease);
      REQUIRE(study);
      const auto taken = ledger->take(*study, 3);
      const std::vector<Verdict> verdicts{verdict_on(taken[0], State::stored),
                                          verdict_on(taken[1], State::failed_permanent, "store.cannot-understand")};
      ledger->finish(verdicts);
    }
    {
      const auto ledger = Ledger::open(where, Ledger::Role::inventory);
      std::vector<Instance> own = studies_of(1, 1);
      ledger->record(own);
    }
    const auto from = Ledger::open(other, Ledger::Role::reading);
    const auto into = Ledger::open(where, Ledger::Role::maintenance);
    const auto merged = into->merge_from(*from, false);
    CHECK(merged.added == 5);
    CHECK(merged.advanced == 1);
    CHECK(state_at(*into, "/archive/1/1.dcm") == State::stored);
    CHECK(state_at(*into, "/archive/1/2.dcm") == State::failed_permanent);
    CHECK(state_at(*into, "/archive/1/3.dcm") == State::indeterminate);
    CHECK(into->target_identity() == "archive:104");
    const auto again = into->merge_from(*from, false);
    CHECK(again.unchanged == 6);
    CHECK(again.added == 0);
    Ledger::Position position;
    CHECK(into->next_attempts(position, 100).size() == 2);
    into->vacuum();
    CHECK(into->check().empty());
  });
}
