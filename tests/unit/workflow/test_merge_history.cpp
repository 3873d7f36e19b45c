#include "support/temporary_directory.hpp"

#include <kuva/workflow/merge_history.hpp>

#include <doctest/doctest.h>

#include <SQLiteCpp/SQLiteCpp.h>
#include <sys/stat.h>

using kuva::Error;
using kuva::hl7::PatientIdentifier;
using kuva::workflow::MergeHistory;
using State = MergeHistory::State;

namespace {

const MergeHistory::Archive k_archive{"archive.example:2575", "ARCHIVE|NATIONAL"};

PatientIdentifier id(const std::string& text) { return *PatientIdentifier::parse(text); }

MergeHistory::Entry entry(const std::string& from, const std::string& into, const std::string& control_id,
                          const std::string& event = "A40") {
  return {id(from), id(into), event, control_id, State::sent};
}

int mode_of(const std::filesystem::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return static_cast<int>(status.st_mode & 0777U);
}

std::string refusal(const std::filesystem::path& directory, const MergeHistory::Archive& archive = k_archive) {
  try {
    const MergeHistory history(directory, archive, {});
    return {};
  } catch (const Error& error) {
    return std::string(error.kind().code) + ": " + error.message();
  }
}

// A history as kuva made it before it noted the event and the archive.
void make_old_history(const std::filesystem::path& directory, const std::string& into = "P1^^^&1.2.4&ISO") {
  SQLite::Database db((directory / "merges.sqlite").string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  db.exec(
      "CREATE TABLE merge (from_id TEXT, from_cx TEXT, into_cx TEXT, control_id TEXT PRIMARY KEY, state INTEGER,"
      " saved_at TEXT);"
      "CREATE INDEX merge_from ON merge (from_id);"
      "INSERT INTO merge VALUES ('T1', 'T1^^^&1.2.3&ISO', '" +
      into + "', 'K1', 1, '2026-11-22T00:00:00Z'), ('T2', 'T2^^^&1.2.3&ISO', 'P2^^^&1.2.4&ISO', 'K2', 0, '')");
}

}  // namespace

TEST_CASE("a merge is unknown, sent or applied, and stays so for the next process") {
  const kuva::test::TemporaryDirectory directory;
  const auto state = directory.path() / "a" / "b";
  const MergeHistory::Entry merge = entry("T1^^^&1.2.3&ISO", "P1^^^&1.2.4&ISO", "K1");
  {
    MergeHistory history(state, k_archive, {});
    CHECK(history.disappeared(merge.from).empty());
    history.save_sent(merge);
  }
  {
    MergeHistory history(state, k_archive, {});
    const auto found = history.find(merge.from, merge.into, "A40");
    REQUIRE(found);
    CHECK(found->state == State::sent);
    CHECK(found->control_id == "K1");
    CHECK(found->into == merge.into);
    CHECK(history.disappeared(merge.into).empty());
    CHECK(history.awaited(merge.into).size() == 1);
    history.save_applied(merge);
    CHECK(history.awaited(merge.into).empty());
  }
  const MergeHistory history(state, k_archive, {});
  CHECK(history.find(merge.from, merge.into, "A40")->state == State::applied);
  CHECK_FALSE(history.find(merge.from, merge.into, "A47"));
}

TEST_CASE("it is for its owner alone, and a directory that was there stays as it was") {
  const kuva::test::TemporaryDirectory directory;
  const auto ours = directory.path() / "ours";
  const auto theirs = directory.path() / "theirs";
  std::filesystem::create_directory(theirs);
  REQUIRE(::chmod(theirs.c_str(), 0755) == 0);
  const MergeHistory first(ours, k_archive, {});
  const MergeHistory second(theirs, k_archive, {});
  CHECK(mode_of(ours) == 0700);
  CHECK(mode_of(theirs) == 0755);
  CHECK(mode_of(ours / "merges.sqlite") == 0600);
  CHECK(mode_of(theirs / "merges.sqlite") == 0600);
}

TEST_CASE("a history is of one archive") {
  const kuva::test::TemporaryDirectory directory;
  CHECK(refusal(directory.path()).empty());
  CHECK(refusal(directory.path()).empty());
  for (const MergeHistory::Archive& other :
       {MergeHistory::Archive{"test:2575", "ARCHIVE|NATIONAL"}, MergeHistory::Archive{k_archive.address, "TEST|"}}) {
    const std::string why = refusal(directory.path(), other);
    CHECK(why.starts_with("usage.argument"));
    CHECK(why.find(k_archive.to_string()) != std::string::npos);
    CHECK(why.find(other.to_string()) != std::string::npos);
  }
  const MergeHistory::Archive moved{"new.example:2575", "ARCHIVE|NATIONAL"};
  { const MergeHistory history(directory.path(), moved, {false, true}); }
  CHECK(refusal(directory.path(), moved).empty());
  CHECK(!refusal(directory.path()).empty());
}

TEST_CASE("what was sent before histories noted event and archive still forbids, and confirms nothing") {
  const kuva::test::TemporaryDirectory directory;
  make_old_history(directory.path());
  { const MergeHistory rehearsal(directory.path(), k_archive, {true, false}); }
  {
    const MergeHistory history(directory.path(), k_archive, {});
    CHECK(history.disappeared(id("T1^^^&1.2.3&ISO")).size() == 1);
    CHECK(history.disappeared(id("T2^^^&1.2.3&ISO")).front().state == State::sent);
    CHECK(history.awaited(id("P2^^^&1.2.4&ISO")).size() == 1);
    CHECK_FALSE(history.find(id("T1^^^&1.2.3&ISO"), id("P1^^^&1.2.4&ISO"), "A40"));
  }
  CHECK(refusal(directory.path()).empty());
  CHECK(refusal(directory.path(), {"other:1", ""}).starts_with("usage.argument"));
}

TEST_CASE("a row that cannot be read is no row that forbids nothing") {
  const kuva::test::TemporaryDirectory directory;
  make_old_history(directory.path(), "P1|");
  CHECK(refusal(directory.path()).starts_with("local.read"));
  const kuva::test::TemporaryDirectory other;
  {
    MergeHistory history(other.path(), k_archive, {});
    history.save_sent(entry("T1^^^&1.2.3&ISO", "P1^^^&1.2.4&ISO", "K1"));
  }
  SQLite::Database((other.path() / "merges.sqlite").string(), SQLite::OPEN_READWRITE)
      .exec("UPDATE merge SET from_cx = 'T1^^^a^b^c^d'");
  const MergeHistory history(other.path(), k_archive, {});
  CHECK_THROWS_AS(history.disappeared(id("T1^^^&1.2.3&ISO")), Error);
}

TEST_CASE("patients are told apart as archives do, and equal identifiers come first") {
  const kuva::test::TemporaryDirectory directory;
  MergeHistory history(directory.path(), k_archive, {});
  history.save_sent(entry("T1^^^&1.2.3&ISO", "P1^^^&1.2.4&ISO", "K1"));
  CHECK(!history.disappeared(id("T1^^^HOSPITAL")).empty());  // a namespace says nothing against an OID
  CHECK(!history.disappeared(id("T1")).empty());
  CHECK(history.disappeared(id("T1^^^&1.2.9&ISO")).empty());
  CHECK(history.disappeared(id("T11^^^&1.2.3&ISO")).empty());
  CHECK_FALSE(history.find(id("T1^^^HOSPITAL"), id("P1^^^&1.2.4&ISO"), "A40"));
  history.save_sent(entry("T1^^^HOSPITAL", "P2^^^&1.2.4&ISO", "K2"));
  const auto found = history.disappeared(id("T1^^^&1.2.3&ISO"));
  REQUIRE(found.size() == 2);
  CHECK(found.front().control_id == "K1");
  CHECK(history.disappeared(id("T1^^^HOSPITAL")).front().control_id == "K2");
}

TEST_CASE("what was refused is as if it had not been") {
  const kuva::test::TemporaryDirectory directory;
  MergeHistory history(directory.path(), k_archive, {});
  const MergeHistory::Entry merge = entry("T1^^^&1.2.3&ISO", "P1^^^&1.2.4&ISO", "K1");
  history.save_sent(merge);
  history.forget(merge);
  CHECK(history.disappeared(merge.from).empty());
}

TEST_CASE("a rehearsal leaves nothing behind, and sees what was") {
  const kuva::test::TemporaryDirectory directory;
  const MergeHistory::Entry real = entry("T1^^^&1.2.3&ISO", "P1^^^&1.2.4&ISO", "K1");
  const MergeHistory::Entry planned = entry("T2^^^&1.2.3&ISO", "P1^^^&1.2.4&ISO", "K2");
  { const MergeHistory rehearsal(directory.path(), {"test:1", ""}, {true, false}); }
  {
    MergeHistory history(directory.path(), k_archive, {});
    history.save_sent(real);
  }
  {
    MergeHistory rehearsal(directory.path(), k_archive, {true, false});
    CHECK(!rehearsal.disappeared(real.from).empty());
    rehearsal.save_sent(planned);
    CHECK(!rehearsal.disappeared(planned.from).empty());
  }
  const MergeHistory history(directory.path(), k_archive, {});
  CHECK(history.disappeared(planned.from).empty());
}

TEST_CASE("one process at a time") {
  const kuva::test::TemporaryDirectory directory;
  const MergeHistory first(directory.path(), k_archive, {});
  CHECK(refusal(directory.path()).starts_with("usage.state-in-use"));
}
