#include "support/temporary_directory.hpp"

#include <kuva/core/record.hpp>
#include <kuva/workflow/transaction_store.hpp>

#include <doctest/doctest.h>

#include <fstream>

using namespace kuva;
using namespace kuva::workflow;

namespace {

TransactionStore::Transaction example(const std::string& uid) {
  Json record = make_record("instance", "kuva-send", outcome::stored, true);
  record["SOPInstanceUID"] = "1.2.3";
  record["time"] = "2026-11-21T08:00:00.000Z";
  return {uid, "2026-11-21T08:00:00.000Z", {record, record}, std::nullopt};
}

}  // namespace

TEST_CASE("what was saved is there for the next process") {
  const test::TemporaryDirectory directory;
  const auto state = directory.path() / "a" / "b";
  const TransactionStore::Transaction saved = example("2.25.1");
  {
    TransactionStore store(state);
    store.save(saved);
    store.save_report({"2.25.1", {{"1.2", "1.2.3"}}, {{{"1.2", "1.2.4"}, 0x0112}}, "AE"});
  }
  TransactionStore store(state);
  CHECK(store.list() == std::vector<std::string>{"2.25.1"});
  const auto loaded = store.load("2.25.1");
  REQUIRE(loaded);
  CHECK(loaded->records == saved.records);
  CHECK(loaded->requested_at == "2026-11-21T08:00:00.000Z");
  REQUIRE(loaded->report);
  CHECK(loaded->report->committed.at(0).sop_instance_uid == "1.2.3");
  CHECK(loaded->report->failed.at(0).reason == 0x0112);
  CHECK(loaded->report->retrieve_ae_title == "AE");
  store.remove("2.25.1");
  CHECK(store.list().empty());
  CHECK_FALSE(store.load("2.25.1"));
}

TEST_CASE("a UID from outside is no path") {
  const test::TemporaryDirectory directory;
  const TransactionStore store(directory.path() / "state");
  CHECK_FALSE(store.contains("../../etc/passwd"));
  CHECK_FALSE(store.contains(""));
}

TEST_CASE("one process at a time, and the other is named") {
  const test::TemporaryDirectory directory;
  const TransactionStore store(directory.path());
  CHECK_THROWS_WITH_AS(TransactionStore(directory.path()), doctest::Contains(std::to_string(::getpid()).c_str()),
                       Error);
}

TEST_CASE("a damaged file is named, not guessed at") {
  const test::TemporaryDirectory directory;
  TransactionStore store(directory.path());
  store.save(example("2.25.1"));
  for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
    if (entry.path().extension() == ".ndjson") {
      std::ofstream(entry.path()) << "{\"transactionUID\": \"2.25.1\"";
    }
  }
  CHECK_THROWS_WITH_AS(store.load("2.25.1"), doctest::Contains("damaged"), Error);
}
