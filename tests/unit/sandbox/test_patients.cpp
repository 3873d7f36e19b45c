#include "support/temporary_directory.hpp"

#include <kuva/sandbox/patients.hpp>

#include <doctest/doctest.h>

using namespace kuva::sandbox;
using kuva::hl7::PatientIdentifier;

namespace {

constexpr auto k_reject = MergedPolicy::reject;

PatientIdentifier id(const std::string& text) { return *PatientIdentifier::parse(text); }

PatientRecord record(const std::string& text, std::optional<std::string> name = {}) {
  return {id(text), std::move(name), {}, {}};
}

std::string code(const std::optional<PatientRefusal>& refusal) {
  return refusal ? refusal->code + " " + refusal->location : "";
}

struct Fixture {
  kuva::test::TemporaryDirectory directory;
  Patients patients{directory.path() / "patients.db", true};

  std::string now(const std::string& text) {
    const auto record = patients.current(id(text));
    return record ? record->identifier.to_string() + " " + record->name.value_or("-") : "";
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "an update creates, replaces what it says, and leaves the rest") {
  CHECK(now("P1^^^&1.2&ISO").empty());
  CHECK(code(patients.update(record("P1^^^&1.2&ISO", "Doe^Jane"), k_reject)).empty());
  PatientRecord more = record("P1^^^&1.2&ISO");
  more.sex = "F";
  CHECK(code(patients.update(more, k_reject)).empty());
  CHECK(now("P1^^^&1.2&ISO") == "P1^^^&1.2&ISO Doe^Jane");
  CHECK(patients.current(id("P1"))->sex == "F");
  CHECK(code(patients.update(record("P1^^^&1.2&ISO", ""), k_reject)).empty());
  CHECK(patients.current(id("P1"))->name == "");
}

TEST_CASE_FIXTURE(Fixture, "who was merged is the survivor, through chains, and messages about him are refused") {
  CHECK(code(patients.merge(id("T1^^^&1.9&ISO"), record("P1^^^&1.2&ISO", "Doe"), k_reject)).empty());
  CHECK(code(patients.merge(id("P1^^^&1.2&ISO"), record("P2^^^&1.2&ISO", "Roe"), k_reject)).empty());
  CHECK(now("T1^^^&1.9&ISO") == "P2^^^&1.2&ISO Roe");
  CHECK(patients.aliases(id("P2^^^&1.2&ISO")).size() == 3);
  CHECK(code(patients.update(record("T1^^^&1.9&ISO", "X"), k_reject)) == "204 PID-3");
  CHECK(code(patients.update(record("T1^^^&1.9&ISO", "X"), MergedPolicy::ignore)).empty());
  CHECK(now("P2^^^&1.2&ISO") == "P2^^^&1.2&ISO Roe");
  const auto again = patients.merge(id("T1^^^&1.9&ISO"), record("P1^^^&1.2&ISO", "Doe"), k_reject);
  CHECK(code(again) == "204 MRG-1");
  CHECK(again->text == "Patient[id=T1^^^&1.9&ISO] merged with Patient[id=P1^^^&1.2&ISO]");
  CHECK(code(patients.merge(id("P2^^^&1.2&ISO"), record("P1^^^&1.2&ISO", "Doe"), k_reject)) == "204 PID-3");
}

TEST_CASE_FIXTURE(Fixture, "a patient is not merged into itself, also where the authorities do not tell them apart") {
  CHECK(code(patients.merge(id("P1^^^&1.2&ISO"), record("P1^^^&1.2&ISO"), k_reject)) == "205 MRG-1");
  CHECK(code(patients.merge(id("P1^^^HOSPITAL"), record("P1^^^&1.2&ISO"), k_reject)) == "205 MRG-1");
  CHECK(code(patients.merge(id("P1^^^&1.3&ISO"), record("P1^^^&1.2&ISO"), k_reject)).empty());
}

TEST_CASE_FIXTURE(Fixture, "one of several is not guessed") {
  CHECK(code(patients.update(record("P1^^^&1.2&ISO"), k_reject)).empty());
  CHECK(code(patients.update(record("P1^^^&1.3&ISO"), k_reject)).empty());
  CHECK(code(patients.update(record("P1^^^HOSPITAL", "X"), k_reject)) == "205 PID-3");
  CHECK(now("P1").empty());
}

TEST_CASE_FIXTURE(Fixture, "another identifier must be free, and the old one stays an alias") {
  CHECK(code(patients.update(record("P1^^^&1.2&ISO", "Doe"), k_reject)).empty());
  CHECK(code(patients.update(record("P2^^^&1.2&ISO"), k_reject)).empty());
  const auto taken = patients.change_identifier(id("P1^^^&1.2&ISO"), record("P2^^^&1.2&ISO"), k_reject, false);
  CHECK(code(taken) == "205 PID-3");
  CHECK(code(patients.change_identifier(id("P1^^^&1.2&ISO"), record("P3^^^&1.2&ISO"), k_reject, true)) == "205 PID-3");
  CHECK(code(patients.change_identifier(id("P1^^^&1.2&ISO"), record("P3^^^&1.2&ISO"), k_reject, false)).empty());
  CHECK(now("P1^^^&1.2&ISO") == "P3^^^&1.2&ISO Doe");
}

TEST_CASE("what messages said is there after a stop") {
  const kuva::test::TemporaryDirectory directory;
  {
    Patients patients(directory.path() / "patients.db", true);
    CHECK(!patients.merge(id("T1^^^&1.9&ISO"), record("P1^^^&1.2&ISO", "Doe"), k_reject));
  }
  Patients patients(directory.path() / "patients.db", true);
  CHECK(patients.current(id("T1^^^&1.9&ISO"))->identifier.id == "P1");
  auto listed = patients.next(0);
  REQUIRE(listed);
  listed = patients.next(listed->key);
  REQUIRE(listed);
  CHECK(!patients.next(listed->key));
}
