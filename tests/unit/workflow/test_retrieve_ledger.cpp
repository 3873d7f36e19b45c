#include "support/temporary_directory.hpp"

#include <kuva/core/record.hpp>
#include <kuva/workflow/ledger_rows.hpp>
#include <kuva/workflow/retrieve_ledger.hpp>

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <memory>

using namespace kuva;
using namespace kuva::workflow;
using ledger::State;

namespace {

class DeafObserver : public Observer {
 public:
  void message(Level, std::string_view) override {}
  void progress(const Progress&) override {}
};

// Remembers what the ledger knew of a file when its record came.
class RetrieveWatchingSink : public RecordSink {
 public:
  explicit RetrieveWatchingSink(ledger::Ledger& ledger) : m_ledger(ledger) {}
  void emit(const Json& record) override {
    const std::string path = string_at(record, "path");
    const auto retrieval = m_ledger.find_retrieval("OLD@old:104", "1.2.3");
    states.push_back(path.empty() ? (retrieval && retrieval->complete ? "complete" : "incomplete")
                     : m_ledger.find(std::vector{path}).front() ? "row"
                                                                : "no row");
  }
  std::vector<std::string> states;

 private:
  ledger::Ledger& m_ledger;
};

ledger::Instance row_of_file(const std::filesystem::path& path, const std::string& uid) {
  std::ofstream(path) << "an object " << uid;
  ledger::Instance row;
  row.file = identity_of(path.string()).value();
  row.sop_instance_uid = uid;
  row.study_instance_uid = "1.2.3";
  return row;
}

std::vector<std::string> uids(const RetrieveLedger::Study& study) {
  std::vector<std::string> list;
  for (const auto& [uid, known] : study.instances) {
    list.push_back(uid + (known.is_there ? "" : " gone"));
  }
  return list;
}

}  // namespace

TEST_CASE("what came of a study is known as long as its files are what they were, or were sent on") {
  using List = std::vector<std::string>;
  const test::TemporaryDirectory directory;
  const auto batch = ledger::Ledger::open((directory.path() / "batch.db").string(), ledger::Ledger::Role::inventory);
  ledger::RunFacts facts;
  facts.tool = "kuva-retrieve";
  batch->begin_run(facts);
  DeafObserver observer;
  RetrieveWatchingSink out(*batch);
  RetrieveLedger noted(*batch, "OLD@old:104", out, observer, [] { FAIL("the ledger is there"); });
  CHECK(noted.find("1.2.3").retrieval == 0);
  const std::int64_t id = noted.begin("1.2.3");
  for (const char* const name : {"1.1", "1.2", "1.3"}) {
    const auto path = directory.path() / name;
    noted.landed(Json{{"path", path.string()}}, row_of_file(path, name), id);
  }
  ledger::Retrieval end;
  end.id = id;
  end.expected = 3;
  end.retrieved = 3;
  end.complete = true;
  noted.ended(Json{{"type", "retrieval"}}, end);
  noted.flush();
  CHECK(out.states == List{"row", "row", "row", "complete"});

  CHECK(noted.find("1.2.3").is_complete);
  CHECK(uids(noted.find("1.2.3")) == List{"1.1", "1.2", "1.3"});
  // Sent on, and then deleted.
  ledger::Verdict committed;
  committed.path = (directory.path() / "1.1").string();
  committed.state = State::committed;
  batch->finish({&committed, 1});
  std::filesystem::remove(directory.path() / "1.1");
  CHECK(noted.find("1.2.3").is_complete);
  CHECK(uids(noted.find("1.2.3")) == List{"1.1 gone", "1.2", "1.3"});
  const Json record = resumed_instance_record({}, noted.find("1.2.3").instances.at("1.1"));
  CHECK(record["outcome"] == "skipped");
  CHECK(record["reason"] == "its file is gone, and the ledger has it as committed");
  // Deleted before it was sent on, and written to.
  std::filesystem::remove(directory.path() / "1.2");
  CHECK_FALSE(noted.find("1.2.3").is_complete);
  CHECK(uids(noted.find("1.2.3")) == List{"1.1 gone", "1.3"});
  std::ofstream(directory.path() / "1.3", std::ios::app) << "more";
  CHECK(uids(noted.find("1.2.3")) == List{"1.1 gone"});
  // Fetched again, under the names they had.
  const std::int64_t again = noted.begin("1.2.3");
  CHECK(again == id);
  CHECK_FALSE(noted.find("1.2.3").is_complete);
  for (const char* const name : {"1.2", "1.3"}) {
    const auto path = directory.path() / name;
    noted.landed(Json{{"path", path.string()}}, row_of_file(path, name), again);
  }
  noted.ended(Json{{"type", "retrieval"}}, end);
  noted.flush();
  CHECK(noted.find("1.2.3").is_complete);
  // A row that is superseded and has no successor is missing.
  const std::string gone = (directory.path() / "1.2").string();
  batch->forget({&gone, 1});
  CHECK_FALSE(noted.find("1.2.3").is_complete);
}
