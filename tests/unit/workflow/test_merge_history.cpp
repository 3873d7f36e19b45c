#include "support/temporary_directory.hpp"

#include <kuva/workflow/merge_history.hpp>

#include <doctest/doctest.h>

#include <sys/stat.h>

using kuva::Error;
using kuva::hl7::PatientIdentifier;
using kuva::workflow::MergeHistory;
using State = MergeHistory::State;

namespace {

PatientIdentifier id(const std::string& text) { return *PatientIdentifier::parse(text); }

}  // namespace

TEST_CASE("a merge is unknown, sent or applied, and stays so for the next process") {
  const kuva::test::TemporaryDirectory directory;
  const auto state = directory.path() / "a" / "b";
  const MergeHistory::Entry entry{id("T1^^^&1.2.3&ISO"), id("P1^^^&1.2.4&ISO"), "K1", State::sent};
  {
    MergeHistory history(state, false);
    CHECK(!history.disappeared(entry.from));
    history.save_sent(entry);
  }
  {
    MergeHistory history(state, false);
    const auto found = history.disappeared(entry.from);
    REQUIRE(found);
    CHECK(found->state == State::sent);
    CHECK(found->control_id == "K1");
    CHECK(found->into == entry.into);
    CHECK(!history.disappeared(entry.into));
    history.save_applied(entry);
  }
  MergeHistory history(state, false);
  CHECK(history.disappeared(entry.from)->state == State::applied);
  struct stat status {};
  REQUIRE(::stat(state.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
}

TEST_CASE("patients are told apart as archives do") {
  const kuva::test::TemporaryDirectory directory;
  MergeHistory history(directory.path(), false);
  history.save_sent({id("T1^^^&1.2.3&ISO"), id("P1^^^&1.2.4&ISO"), "K1", State::sent});
  CHECK(history.disappeared(id("T1^^^HOSPITAL")));  // a namespace says nothing against an OID
  CHECK(history.disappeared(id("T1")));
  CHECK(!history.disappeared(id("T1^^^&1.2.9&ISO")));
  CHECK(!history.disappeared(id("T11^^^&1.2.3&ISO")));
}

TEST_CASE("what was refused is as if it had not been") {
  const kuva::test::TemporaryDirectory directory;
  MergeHistory history(directory.path(), false);
  const MergeHistory::Entry entry{id("T1^^^&1.2.3&ISO"), id("P1^^^&1.2.4&ISO"), "K1", State::sent};
  history.save_sent(entry);
  history.forget(entry);
  CHECK(!history.disappeared(entry.from));
}

TEST_CASE("a rehearsal leaves nothing behind, and sees what was") {
  const kuva::test::TemporaryDirectory directory;
  const MergeHistory::Entry real{id("T1^^^&1.2.3&ISO"), id("P1^^^&1.2.4&ISO"), "K1", State::sent};
  const MergeHistory::Entry planned{id("T2^^^&1.2.3&ISO"), id("P1^^^&1.2.4&ISO"), "K2", State::sent};
  {
    MergeHistory history(directory.path(), false);
    history.save_sent(real);
  }
  {
    MergeHistory rehearsal(directory.path(), true);
    CHECK(rehearsal.disappeared(real.from));
    rehearsal.save_sent(planned);
    CHECK(rehearsal.disappeared(planned.from));
  }
  MergeHistory history(directory.path(), false);
  CHECK(!history.disappeared(planned.from));
}

TEST_CASE("one process at a time") {
  const kuva::test::TemporaryDirectory directory;
  const MergeHistory first(directory.path(), false);
  try {
    const MergeHistory second(directory.path(), false);
    FAIL("two have it");
  } catch (const Error& error) {
    CHECK(error.kind().code == "usage.state-in-use");
  }
}
