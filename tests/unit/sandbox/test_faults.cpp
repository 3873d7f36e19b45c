#include <kuva/sandbox/faults.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

using namespace kuva::sandbox;

namespace {

FaultRule rule(const std::string& name, FaultMatch match = {}) {
  FaultRule made;
  made.name = name;
  made.match = std::move(match);
  return made;
}

FaultOccasion occasion(std::string_view calling_ae = "KUVA", std::string sop_class = "1.2.3") {
  return {calling_ae, false, {std::move(sop_class)}, {}};
}

// The numbers of the occasions, from 1, at which a plan of one rule fires.
std::vector<std::uint64_t> fires(FaultMatch match, std::uint64_t occasions, std::uint64_t seed = 1) {
  FaultPlan plan({seed, {rule("r", std::move(match))}});
  FaultScope scope = plan.begin(FaultPoint::associate, "KUVA");
  std::vector<std::uint64_t> fired;
  for (std::uint64_t i = 1; i <= occasions; ++i) {
    if (!plan.fire(FaultPoint::store, scope, occasion()).empty()) {
      fired.push_back(i);
    }
  }
  return fired;
}

using Numbers = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("which occasions a rule is for") {
  CHECK(fires({}, 3) == Numbers{1, 2, 3});
  FaultMatch match;
  match.nth = 2;
  CHECK(fires(match, 4) == Numbers{2});
  match = {};
  match.first = 2;
  CHECK(fires(match, 4) == Numbers{1, 2});
  match = {};
  match.every = 3;
  CHECK(fires(match, 7) == Numbers{3, 6});
  match.times = 1;
  CHECK(fires(match, 7) == Numbers{3});
  match = {};
  match.calling_ae = "OTHER";
  CHECK(fires(match, 2).empty());
  match = {};
  match.sop_class = "1.2.4";
  CHECK(fires(match, 2).empty());
  match = {};
  match.tls = true;
  CHECK(fires(match, 2).empty());
  match = {};
  match.association = 2;
  CHECK(fires(match, 2).empty());
}

TEST_CASE("chance is the same with the same seed") {
  FaultMatch match;
  match.probability = 0.25;
  const Numbers once = fires(match, 2000, 7);
  CHECK(once == fires(match, 2000, 7));
  CHECK(once != fires(match, 2000, 8));
  CHECK(once.size() > 400);
  CHECK(once.size() < 600);
  match.probability = 0.0;
  CHECK(fires(match, 100).empty());
}

TEST_CASE("occasions that a rule is not for are not counted") {
  FaultMatch match;
  match.sop_class = "1.2.3";
  match.nth = 2;
  FaultPlan plan({1, {rule("second CT", match)}});
  FaultScope scope = plan.begin(FaultPoint::associate, "KUVA");
  CHECK(plan.fire(FaultPoint::store, scope, occasion()).empty());
  CHECK(plan.fire(FaultPoint::store, scope, occasion("KUVA", "1.2.9")).empty());
  CHECK(plan.fire(FaultPoint::echo, scope, occasion()).empty());
  CHECK(plan.fire(FaultPoint::store, scope, occasion()).size() == 1);
}

TEST_CASE("associations are counted together, by calling AE title, and by themselves") {
  FaultMatch second;
  second.association = 2;
  FaultMatch second_of_b;
  second_of_b.association = 2;
  second_of_b.calling_ae = "B";
  FaultMatch each;
  each.nth = 1;
  each.nth_in_association = true;
  FaultPlan plan({1, {rule("second", second), rule("second of B", second_of_b), rule("each", each)}});
  const auto names = [&plan](std::string_view calling_ae) {
    FaultScope scope = plan.begin(FaultPoint::associate, calling_ae);
    std::string fired;
    for (int i = 0; i < 2; ++i) {
      for (const FaultRule& one : plan.fire(FaultPoint::store, scope, occasion(calling_ae))) {
        fired += one.name + (i == 0 ? "; " : " again; ");
      }
    }
    return fired;
  };
  CHECK(names("A") == "each; ");
  CHECK(names("B") == "second; each; second again; ");
  CHECK(names("B") == "second of B; each; second of B again; ");
}

TEST_CASE("rules about a study are looked at when the study is known, and only then") {
  FaultMatch match;
  match.study = "1.2.5";
  FaultPlan plan({1, {rule("study", match), rule("any")}});
  FaultScope scope = plan.begin(FaultPoint::associate, "KUVA");
  const auto before = plan.fire(FaultPoint::store, scope, occasion());
  REQUIRE(before.size() == 1);
  CHECK(before[0].name == "any");
  FaultOccasion known = occasion();
  known.study = "1.2.5";
  const auto after = plan.fire(FaultPoint::store, scope, known);
  REQUIRE(after.size() == 1);
  CHECK(after[0].name == "study");
}

TEST_CASE("words of points and actions") {
  CHECK(fault_point("release") == FaultPoint::release);
  CHECK_FALSE(fault_point("nowhere"));
  CHECK(to_string(FaultAction::wrong_message_id) == "wrong-message-id");
  CHECK(fault_action(to_string(FaultAction::stranger)) == FaultAction::stranger);
  CHECK(is_implemented(FaultPoint::commit, FaultAction::status));
  CHECK_FALSE(is_implemented(FaultPoint::connect, FaultAction::status));
}
