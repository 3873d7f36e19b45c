#include <kuva/workflow/presentation_plan.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kuva::workflow;
using namespace kuva::dicom;

namespace {

const std::string k_ct = "1.2.840.10008.5.1.4.1.1.2";
const std::string k_jpeg_2000 = "1.2.840.10008.1.2.4.90";
const std::string k_explicit(k_explicit_vr_little_endian);
const std::string k_implicit(k_implicit_vr_little_endian);
const std::string k_big(k_explicit_vr_big_endian);

std::vector<std::vector<std::string>> lists_of(const PresentationPlan& plan) {
  std::vector<std::vector<std::string>> lists;
  for (const auto& context : plan.contexts()) {
    lists.push_back(context.transfer_syntaxes);
  }
  return lists;
}

using Lists = std::vector<std::vector<std::string>>;

}  // namespace

TEST_CASE("the two uncompressed syntaxes are offered together, the file's first") {
  PresentationPlan plan;
  CHECK(plan.add({k_ct, k_implicit}));
  CHECK(lists_of(plan) == Lists{{k_implicit, k_explicit}});
  CHECK(plan.add({k_ct, k_explicit}));
  CHECK(lists_of(plan) == Lists{{k_implicit, k_explicit}, {k_explicit, k_implicit}});
  CHECK(plan.add({k_ct, k_explicit}));
  CHECK(plan.contexts().size() == 2);
  CHECK(plan.covers({k_ct, k_explicit}));
}

TEST_CASE("a compressed syntax has a context of its own; the class is offered uncompressed besides") {
  PresentationPlan plan;
  CHECK(plan.add({k_ct, k_jpeg_2000}));
  CHECK(lists_of(plan) == Lists{{k_jpeg_2000}, {k_explicit, k_implicit}});
  CHECK_FALSE(plan.covers({k_ct, k_explicit}));
}

TEST_CASE("Big Endian and Deflated have theirs and the uncompressed pair") {
  PresentationPlan plan;
  CHECK(plan.add({k_ct, k_big}));
  CHECK(lists_of(plan) == Lists{{k_big}, {k_explicit, k_implicit}});
}

TEST_CASE("ids are odd and unique, and there are never more than 128 contexts") {
  PresentationPlan plan;
  int taken = 0;
  for (int i = 0; i < 300; ++i) {
    taken += plan.add({fmt::format("1.2.3.{}", i), i % 2 == 0 ? k_explicit : k_jpeg_2000}) ? 1 : 0;
  }
  CHECK(taken == 128);
  const auto contexts = plan.contexts();
  REQUIRE(contexts.size() == 128);
  for (std::size_t i = 0; i < contexts.size(); ++i) {
    CHECK(contexts[i].id == 2 * i + 1);
  }
  CHECK(plan.add({"1.2.3.0", k_explicit}));  // known: still fine
}

TEST_CASE("room can be kept for another service") {
  PresentationPlan plan(PresentationPlan::k_limit - 1);
  std::size_t count = 0;
  while (plan.has_room_for({"1.2." + std::to_string(count), "1.2.840.10008.1.2.4.50"})) {
    REQUIRE(plan.add({"1.2." + std::to_string(count), "1.2.840.10008.1.2.4.50"}));
    ++count;
  }
  CHECK(count == 127);
  CHECK(plan.contexts().size() == 127);
  CHECK_FALSE(plan.add({"1.9.9", "1.2.840.10008.1.2.4.50"}));
  CHECK(plan.has_room_for({"1.2.0", "1.2.840.10008.1.2.4.50"}));
}
