#include <kuva/core/record.hpp>
#include <kuva/workflow/manifest_query.hpp>
#include <kuva/workflow/sample_check.hpp>
#include <kuva/workflow/study_listing.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

namespace kuva::workflow::test {

namespace {

using ledger::State;

ledger::Instance row_in(State state) {
  ledger::Instance row;
  row.sop_instance_uid = "1.2.3.1";
  row.series_instance_uid = "1.2.3";
  row.study_instance_uid = "1.2";
  row.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2";
  row.state = state;
  return row;
}

ArchiveInstance as_listed() { return {"1.2.3.1", "1.2.840.10008.5.1.4.1.1.2", "1.2.3", "1.2", "ONLINE"}; }

std::string word(const std::optional<InstanceDifference>& difference) {
  return difference ? std::string(to_string(*difference)) : "none";
}

StudySign sign_with(std::initializer_list<InstanceDifference> differences, std::uint64_t attributes = 0) {
  StudyTally tally;
  for (const InstanceDifference difference : differences) {
    ++tally.differences[difference];
  }
  tally.attributes = attributes;
  return tally.sign();
}

}  // namespace

TEST_CASE("what a state means when the archive lists the instance, does not, or has it rejected") {
  struct Expected {
    State state;
    const char* listed;
    const char* absent;
    const char* rejected;
  };
  static constexpr Expected k_expected[] = {
      {State::seen, "present-unsent", "none", "none"},
      {State::valid, "present-unsent", "none", "none"},
      {State::sending, "present-unsent", "none", "none"},
      {State::indeterminate, "present-unsent", "none", "none"},
      {State::stored, "none", "missing", "rejected"},
      {State::stored_with_warning, "none", "missing", "rejected"},
      {State::committed, "none", "committed-gone", "rejected"},
      {State::registered, "none", "committed-gone", "rejected"},
      {State::failed_temporary, "present-failed", "none", "none"},
      {State::failed_permanent, "present-failed", "none", "none"},
      {State::skipped, "none", "none", "none"},
      {State::superseded, "none", "none", "none"},
  };
  const ArchiveInstance listed = as_listed();
  for (const Expected& expected : k_expected) {
    CAPTURE(ledger::to_string(expected.state));
    const ledger::Instance row = row_in(expected.state);
    CHECK(word(judge(row, &listed, false)) == expected.listed);
    CHECK(word(judge(row, nullptr, false)) == expected.absent);
    CHECK(word(judge(row, nullptr, true)) == expected.rejected);
  }
}

TEST_CASE("how a listed instance may differ") {
  const ledger::Instance row = row_in(State::committed);
  const auto with = [&](std::string ArchiveInstance::*member, const char* value) {
    ArchiveInstance listed = as_listed();
    listed.*member = value;
    return word(judge(row, &listed, false));
  };
  CHECK(with(&ArchiveInstance::study_instance_uid, "1.9") == "other-study");
  CHECK(with(&ArchiveInstance::series_instance_uid, "1.9") == "other-series");
  CHECK(with(&ArchiveInstance::sop_class_uid, "1.2.840.10008.5.1.4.1.1.7") == "other-class");
  CHECK(with(&ArchiveInstance::availability, "UNAVAILABLE") == "unavailable");
  CHECK(with(&ArchiveInstance::availability, "NEARLINE") == "none");
  // What the archive does not say differs from nothing.
  CHECK(with(&ArchiveInstance::sop_class_uid, "") == "none");
  CHECK(with(&ArchiveInstance::availability, "") == "none");
}

TEST_CASE("of two objects with one UID the other one is listed") {
  ledger::Instance row = row_in(State::failed_permanent);
  row.error_code = "batch.uid-clash";
  const ArchiveInstance listed = as_listed();
  CHECK(word(judge(row, &listed, false)) == "none");
}

TEST_CASE("a study's sign") {
  using D = InstanceDifference;
  CHECK(sign_with({}) == StudySign::equal);
  CHECK(sign_with({D::missing, D::missing}) == StudySign::missing);
  CHECK(sign_with({D::extra}) == StudySign::more);
  CHECK(sign_with({D::present_unsent}) == StudySign::more);
  CHECK(sign_with({D::missing, D::extra}) == StudySign::different);
  CHECK(sign_with({}, 1) == StudySign::different);
  for (const D difference : {D::committed_gone, D::rejected, D::present_failed, D::other_study, D::other_series,
                             D::other_class, D::unavailable, D::not_in_manifest, D::only_in_manifest, D::content}) {
    CAPTURE(to_string(difference));
    CHECK(sign_with({difference}) == StudySign::different);
    CHECK(sign_of(difference) == "!");
  }
  CHECK(character_of(StudySign::not_checked) == "?");
  CHECK(to_string(StudySign::not_checked) == "not-checked");
}

TEST_CASE("a listing knows what is listed, known and rejected, one study at a time") {
  using Where = StudyListing::Where;
  StudyListing listing;
  ArchiveInstance instance = as_listed();
  CHECK(listing.add(Where::archive, instance));
  CHECK_FALSE(listing.add(Where::archive, instance));
  CHECK(listing.add(Where::manifest, instance));
  instance.sop_instance_uid = "1.2.3.2";
  instance.sop_class_uid = "1.2.840.10008.5.1.4.1.1.88.59";
  CHECK(listing.add(Where::archive, instance));
  CHECK(listing.count(Where::archive) == 2);
  CHECK(listing.count(Where::manifest) == 1);
  REQUIRE(listing.find(Where::archive, "1.2.3.2"));
  CHECK(listing.find(Where::archive, "1.2.3.2")->sop_class_uid == "1.2.840.10008.5.1.4.1.1.88.59");
  CHECK_FALSE(listing.find(Where::manifest, "1.2.3.2"));

  listing.mark("1.2.3.1");
  std::string unmarked;
  const auto collect = [&](const ArchiveInstance& one) { unmarked += one.sop_instance_uid + " "; };
  listing.for_each_unmarked(Where::archive, {}, collect);
  listing.for_each_unmarked(Where::manifest, {}, collect);
  listing.for_each_unmarked(Where::archive, "1.2.840.10008.5.1.4.1.1.2", collect);
  CHECK(unmarked == "1.2.3.2 ");

  listing.reject("1.2.3.2");
  CHECK(listing.is_rejected("1.2.3.2"));
  CHECK_FALSE(listing.is_rejected("1.2.3.1"));
  listing.keep_record(Json{{"a", 1}});
  listing.keep_record(Json{{"a", 2}});
  std::string records;
  listing.for_each_record([&](const Json& record) { records += to_line(record); });
  CHECK(records == R"({"a":1}{"a":2})");

  // Who looks on may throw; the next look is as good as the first.
  CHECK_THROWS(listing.for_each_record([](const Json&) { throw Error(kind("local.write"), "gone"); }));
  records.clear();
  listing.for_each_record([&](const Json& record) { records += to_line(record); });
  CHECK(records == R"({"a":1}{"a":2})");

  listing.clear();
  CHECK(listing.count(Where::archive) == 0);
  CHECK_FALSE(listing.is_rejected("1.2.3.2"));
  CHECK(listing.add(Where::archive, instance));
}

TEST_CASE("a sample is the same in every run, as large as it should be, and another one with another seed") {
  unsigned chosen = 0;
  unsigned both = 0;
  for (unsigned i = 0; i < 10'000; ++i) {
    const std::string study = fmt::format("1.2.3.{}", i);
    const bool one = is_in_sample(study, 10, "");
    CHECK(one == is_in_sample(study, 10, ""));
    chosen += one ? 1 : 0;
    both += one && is_in_sample(study, 10, "other") ? 1 : 0;
    // A larger sample holds the smaller one.
    CHECK((!one || is_in_sample(study, 20, "")));
    CHECK(is_in_sample(study, 100, ""));
  }
  CHECK(chosen > 850);
  CHECK(chosen < 1150);
  CHECK(both < 200);
}

TEST_CASE("the patient of a ledger's key") {
  XdsSettings xds;
  CHECK(cx_of_patient_key("010181-900C", xds) == "010181-900C^^^&1.2.246.21&ISO");
  CHECK(cx_of_patient_key("4711^^^1.2.246.10.123", xds) == "4711^^^&1.2.246.10.123&ISO");
  // An issuer that is no OID is none that a registry knows.
  CHECK(cx_of_patient_key("010181-900C^^^HOSPITAL", xds) == "010181-900C^^^&1.2.246.21&ISO");
  CHECK_THROWS_AS(cx_of_patient_key("", xds), Error);
}

}  // namespace kuva::workflow::test
