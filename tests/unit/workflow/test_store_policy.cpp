#include <kuva/workflow/store_policy.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using kuva::workflow::policy_of_error;
using kuva::workflow::policy_of_status;
using kuva::workflow::StorePolicy;
using Action = kuva::workflow::StorePolicy::Action;

namespace {

Action action_of(unsigned status, bool class_worked = false) {
  return policy_of_status(static_cast<std::uint16_t>(status), class_worked).action;
}

}  // namespace

TEST_CASE("success is 0000 alone; Bxxx and the warnings of PS3.7 are stored with a warning") {
  CHECK(action_of(0x0000) == Action::stored);
  for (const unsigned status : {0x0001U, 0x0107U, 0x0116U, 0xB000U, 0xB006U, 0xB007U, 0xB123U, 0xBFFFU}) {
    CAPTURE(status);
    CHECK(action_of(status) == Action::stored_with_warning);
  }
  unsigned stored = 0;
  for (unsigned status = 0; status <= 0xFFFF; ++status) {
    stored += action_of(status) == Action::stored ? 1 : 0;
  }
  CHECK(stored == 1);
}

TEST_CASE("a duplicate is asked for, never sent again") { CHECK(action_of(0x0111) == Action::settle); }

TEST_CASE("what concerns the SOP class stops it") {
  CHECK(policy_of_status(0x0122, false) == StorePolicy{.action = Action::fail, .stops_class_after = 1});
  CHECK(policy_of_status(0x0124, false).action == Action::fail);
  CHECK(policy_of_status(0x0124, false).stops_class_after > 1);
}

TEST_CASE("out of resources is tried again a few times, more gently") {
  for (const unsigned status : {0xA700U, 0xA701U, 0xA76FU, 0xA780U, 0xA7FFU, 0x0213U}) {
    CAPTURE(status);
    const StorePolicy policy = policy_of_status(static_cast<std::uint16_t>(status), false);
    CHECK(policy.action == Action::retry);
    CHECK(policy.retries == 5);
    CHECK(policy.is_overload);
  }
}

TEST_CASE("rules of the archive are for good, but for a study that is being deleted") {
  for (unsigned status = 0xA770; status <= 0xA77F; ++status) {
    CAPTURE(status);
    CHECK(action_of(status) == (status == 0xA77A ? Action::retry : Action::fail));
    CHECK_FALSE(policy_of_status(static_cast<std::uint16_t>(status), false).is_overload);
  }
}

TEST_CASE("a processing failure is tried once more, on a new association") {
  const StorePolicy policy = policy_of_status(0x0110, true);
  CHECK(policy.action == Action::retry_elsewhere);
  CHECK(policy.retries == 1);
}

TEST_CASE("a Cxxx is for good, unless the class worked before: then once more") {
  for (const unsigned status : {0xC000U, 0xC123U, 0xCFFFU}) {
    CAPTURE(status);
    CHECK(action_of(status) == Action::fail);
    CHECK(policy_of_status(static_cast<std::uint16_t>(status), true) ==
          StorePolicy{.action = Action::retry, .retries = 1});
  }
}

TEST_CASE("everything else is for good, whatever worked before") {
  for (const unsigned status :
       {0x0105U, 0x0106U, 0x0112U, 0x0115U, 0x0117U, 0x0118U, 0x0119U, 0x0120U, 0x0121U, 0x0210U,
        0x0211U, 0x0212U, 0xA800U, 0xA900U, 0xA9FFU, 0xFE00U, 0xFF00U, 0xFF01U, 0x1234U, 0xD000U}) {
    CAPTURE(status);
    CHECK(policy_of_status(static_cast<std::uint16_t>(status), true) == StorePolicy{.action = Action::fail});
  }
}

TEST_CASE("an association that ends: before the last byte again, after it ask first") {
  const Error lost(kind("connection.lost"), "reset");
  CHECK(policy_of_error(lost, false).action == Action::retry_elsewhere);
  CHECK(policy_of_error(lost, true).action == Action::settle);
  CHECK(policy_of_error(Error(kind("association.aborted"), ""), true).action == Action::settle);
  CHECK(policy_of_error(Error(kind("store.no-response"), ""), true).action == Action::settle);
  CHECK(policy_of_error(Error(kind("dimse.unexpected-response"), ""), true).action == Action::settle);
  CHECK(policy_of_error(Error(kind("association.protocol"), ""), false).action == Action::fail);
  CHECK(policy_of_error(Error(kind("file.truncated"), ""), false).action == Action::fail);
  CHECK(policy_of_error(Error(kind("local.read"), ""), false).action == Action::fail);
}
