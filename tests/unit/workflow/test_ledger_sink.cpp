#include "support/temporary_directory.hpp"

#include <kuva/core/record.hpp>
#include <kuva/workflow/ledger_rows.hpp>
#include <kuva/workflow/ledger_sink.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <mutex>

using namespace kuva;
using namespace kuva::workflow;
using ledger::State;

namespace {

// Remembers records, and what the ledger knew when they came.
class WatchingSink : public RecordSink {
 public:
  explicit WatchingSink(ledger::Ledger* ledger) : m_ledger(ledger) {}
  void emit(const Json& record) override {
    records.push_back(record);
    if (m_ledger != nullptr) {
      const std::string path = string_at(record, "path");
      states.push_back(m_ledger->find(std::vector{path}).front()->state);
    }
  }
  std::vector<Json> records;
  std::vector<State> states;

 private:
  ledger::Ledger* m_ledger;
};

ledger::Instance row_at(const std::string& path, const std::string& uid) {
  ledger::Instance row;
  row.file = {path, 10, 20};
  row.sop_instance_uid = uid;
  row.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2";
  row.series_instance_uid = "1.2.3.4";
  row.study_instance_uid = "1.2.3";
  return row;
}

Json record_at(const std::string& path, std::string_view state, bool ok) {
  Json record = make_record("instance", "kuva-send", state, ok);
  record["path"] = path;
  return record;
}

}  // namespace

TEST_CASE("a record leaves when the ledger knows what it says") {
  const test::TemporaryDirectory directory;
  const auto batch = ledger::Ledger::open((directory.path() / "batch.db").string(), ledger::Ledger::Role::sending);
  ledger::RunFacts facts;
  facts.tool = "kuva-send";
  batch->begin_run(facts);
  batch->record(std::vector{row_at("/a", "1.1"), row_at("/b", "1.2"), row_at("/c", "1.3")});
  const auto study = batch->claim_study({}, std::chrono::seconds(60));
  REQUIRE(study);
  const auto taken = batch->take(*study, 10);
  REQUIRE(taken.size() == 3);

  WatchingSink out(batch.get());
  LedgerSink sink(*batch, out, [](const std::exception_ptr&) { FAIL("the ledger is there"); });
  sink.took(taken);
  CHECK(sink.outstanding("1.2.3") == 3);
  sink.emit(record_at("/a", outcome::stored, true));
  sink.emit(record_at("/b", outcome::unsent, false));
  Json failed = record_at("/c", outcome::failed, false);
  set_error(failed, Error(kind("store.no-response"), "nothing came"));
  failed["error"]["class"] = "temporary";
  sink.emit(failed);
  sink.flush();
  REQUIRE(out.records.size() == 3);
  CHECK(out.states == std::vector{State::stored, State::seen, State::failed_temporary});
  CHECK(sink.outstanding("1.2.3") == 0);
}

TEST_CASE("when the output is gone the ledger still gets what was decided") {
  class BrokenSink : public RecordSink {
   public:
    void emit(const Json&) override { throw Error(kind("local.write"), "no space"); }
  };
  const test::TemporaryDirectory directory;
  const auto batch = ledger::Ledger::open((directory.path() / "batch.db").string(), ledger::Ledger::Role::sending);
  ledger::RunFacts facts;
  facts.tool = "kuva-send";
  batch->begin_run(facts);
  batch->record(std::vector{row_at("/a", "1.1")});
  const auto study = batch->claim_study({}, std::chrono::seconds(60));
  REQUIRE(study);
  BrokenSink out;
  int lost = 0;
  LedgerSink sink(*batch, out, [&lost](const std::exception_ptr&) { ++lost; });
  sink.took(batch->take(*study, 10));
  sink.emit(record_at("/a", outcome::stored, true));
  CHECK_THROWS_AS(sink.flush(), Error);
  CHECK(lost == 1);
  CHECK(batch->find(std::vector<std::string>{"/a"}).front()->state == State::stored);
}

TEST_CASE("outcomes and states") {
  CHECK(state_of_record(record_at("/a", outcome::stored_with_warning, true)) == State::stored_with_warning);
  CHECK(state_of_record(record_at("/a", outcome::duplicate, true)) == State::skipped);
  CHECK(state_of_record(record_at("/a", outcome::invalid, false)) == State::failed_permanent);
  CHECK_FALSE(state_of_record(record_at("/a", outcome::unsent, false)));
  CHECK_FALSE(state_of_record(record_at("/a", outcome::pending, false)));
  Json missing = record_at("/a", outcome::failed, false);
  set_error(missing, Error(kind("commit.failed.no-such-instance"), "0112"));
  CHECK(state_of_record(missing) == State::failed_temporary);

  ledger::Instance row = row_at("/a", "1.1");
  row.state = State::failed_permanent;
  row.error_code = "store.data-set-mismatch";
  row.error_message = "refused";
  const Json record = ended_record(record_of_row(row, "kuva-send"), row, "kuva-send");
  CHECK(string_at(record, "outcome") == "failed");
  CHECK(string_at(record["error"], "code") == "store.data-set-mismatch");
  CHECK(patient_key("1", "") == "1");
  CHECK(patient_key("1", "HUS") == "1^^^HUS");
  CHECK(split_patient_key("1^^^HUS").patient_id == "1");
  CHECK(split_patient_key("1^^^HUS").issuer == "HUS");
  CHECK(split_patient_key("1").patient_id == "1");
  CHECK(split_patient_key("1").issuer.empty());
}
