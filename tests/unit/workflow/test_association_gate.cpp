#include <kuva/workflow/association_gate.hpp>

#include <doctest/doctest.h>

#include <thread>

using namespace kuva;
using namespace kuva::workflow;
using namespace std::chrono_literals;
using Time = std::chrono::steady_clock::time_point;

namespace {

const Error k_busy(kind("associate.rejected.transient"), "busy");
const Error k_lost(kind("connection.lost"), "reset");

CircuitBreaker::Settings breaker_settings() { return {.failures = 3, .probes = 2, .wait = 10s, .longest_wait = 15s}; }

}  // namespace

TEST_CASE("a rejection for the moment lowers the limit to what is open") {
  ConcurrencyLimit limit(8);
  const Time start{};
  CHECK(limit.at(start) == 8);
  limit.rejected(3, start);
  CHECK(limit.at(start) == 3);
  CHECK(limit.least() == 3);
  limit.rejected(0, start);
  CHECK(limit.at(start) == 1);
}

TEST_CASE("it comes back one at a time, and more slowly where that was wrong") {
  ConcurrencyLimit limit(4, {.recovery = 10s, .longest_recovery = 30s});
  Time now{};
  limit.rejected(2, now);
  CHECK(limit.at(now + 9s) == 2);
  CHECK(limit.at(now += 10s) == 3);
  limit.rejected(2, now += 1s);  // the peer does not take a third
  CHECK(limit.at(now + 19s) == 2);
  CHECK(limit.at(now += 20s) == 3);
  limit.rejected(2, now += 1s);
  CHECK(limit.at(now + 29s) == 2);  // no longer than the longest
  CHECK(limit.at(now += 30s) == 3);
  CHECK(limit.at(now + 29s) == 3);
  CHECK(limit.at(now += 30s) == 4);  // the one before did no harm
  CHECK(limit.at(now += 1h) == 4);
  CHECK(limit.least() == 2);
}

TEST_CASE("out of resources halves the limit, once for what was under way then") {
  ConcurrencyLimit limit(8, {.calm = 2s});
  Time now{};
  limit.overloaded(now);
  CHECK(limit.at(now) == 4);
  limit.overloaded(now + 1s);
  CHECK(limit.at(now + 1s) == 4);
  limit.overloaded(now + 3s);
  CHECK(limit.at(now + 3s) == 2);
  limit.overloaded(now + 6s);
  limit.overloaded(now + 9s);
  CHECK(limit.at(now + 9s) == 1);
}

TEST_CASE("answers that come much more slowly than the best lower the limit by one") {
  ConcurrencyLimit limit(4, {.calm = 2s, .unremarkable_wait = 500ms, .slower_factor = 4});
  Time now{};
  limit.waited(20ms, now);
  limit.waited(400ms, now += 1s);  // much slower, and still nothing
  CHECK(limit.at(now) == 4);
  limit.waited(900ms, now += 1s);
  CHECK(limit.at(now) == 3);
  limit.waited(900ms, now += 1s);  // what was under way
  CHECK(limit.at(now) == 3);
  limit.waited(900ms, now += 2s);
  CHECK(limit.at(now) == 2);

  ConcurrencyLimit slow_peer(4);
  for (int i = 0; i < 20; ++i) {
    slow_peer.waited(3s, now += 10s);
  }
  CHECK(slow_peer.at(now) == 4);  // slow from the start is how it is
}

TEST_CASE("the breaker opens after failures in a row, and lets one probe through") {
  CircuitBreaker breaker(breaker_settings());
  Time now{};
  breaker.failed(now);
  breaker.failed(now);
  CHECK(breaker.may_try(now));
  breaker.worked();
  CHECK_FALSE(breaker.has_failures());
  for (int i = 0; i < 3; ++i) {
    CHECK(breaker.may_try(now));
    breaker.failed(now);
  }
  CHECK_FALSE(breaker.may_try(now + 9s));
  breaker.failed(now + 9s);  // begun before
  CHECK(breaker.may_try(now += 10s));
  CHECK_FALSE(breaker.may_try(now + 1h));  // one at a time
  breaker.worked();
  CHECK(breaker.may_try(now));
  CHECK(breaker.is_closed());
}

TEST_CASE("probes that fail wait longer, and end it") {
  CircuitBreaker breaker(breaker_settings());
  Time now{};
  for (int i = 0; i < 3; ++i) {
    breaker.failed(now);
  }
  REQUIRE(breaker.may_try(now += 10s));
  breaker.failed(now);
  CHECK_FALSE(breaker.given_up());
  CHECK_FALSE(breaker.may_try(now + 14s));
  REQUIRE(breaker.may_try(now += 15s));
  breaker.failed(now);
  CHECK(breaker.given_up());
  CHECK_FALSE(breaker.may_try(now + 24h));
  breaker.worked();
  CHECK(breaker.given_up());
}

TEST_CASE("the gate lets in as many as the peer takes; one that was rejected waits for a place") {
  AssociationGate gate({.most = 3});
  std::stop_source stop;
  for (int i = 0; i < 2; ++i) {
    REQUIRE(gate.enter(stop.get_token()));
    gate.opened();
  }
  REQUIRE(gate.enter(stop.get_token()));
  CHECK(gate.failed(k_busy));
  CHECK_FALSE(gate.should_yield());
  std::jthread third([&] {
    CHECK(gate.enter(stop.get_token()));
    gate.opened();
    gate.closed();
  });
  while (!gate.has_waiting()) {
    std::this_thread::sleep_for(1ms);
  }
  gate.closed();
  third.join();
  gate.overloaded();
  gate.closed();
  const Json facts = gate.facts();
  CHECK(facts["asked"] == 3);
  CHECK(facts["least"] == 2);
  CHECK(facts["opened"] == 3);
  CHECK(facts["rejected"] == 1);
  CHECK(facts["failed"] == 0);
}

TEST_CASE("more open than there should be: somebody yields") {
  AssociationGate gate({.most = 4});
  for (int i = 0; i < 4; ++i) {
    REQUIRE(gate.enter({}));
    gate.opened();
  }
  CHECK_FALSE(gate.should_yield());
  gate.overloaded();
  CHECK(gate.should_yield());
  gate.closed();
  CHECK(gate.should_yield());
  gate.closed();
  CHECK_FALSE(gate.should_yield());
}

TEST_CASE("rejected with nothing open is a failure; enough of them give the peer up") {
  AssociationGate gate({.most = 2, .breaker = {.failures = 2, .probes = 1, .wait = 1ms, .longest_wait = 1ms}});
  for (int i = 0; i < 3; ++i) {
    REQUIRE(gate.enter({}));
    CHECK_FALSE(gate.failed(k_busy));
  }
  REQUIRE(gate.is_given_up());
  CHECK(&gate.given_up()->kind() == &kind("associate.rejected.transient"));
  CHECK_FALSE(gate.enter({}));
}

TEST_CASE("associations that break without an answer open the breaker, an answer closes it") {
  AssociationGate gate({.most = 1, .breaker = {.failures = 2, .probes = 1, .wait = 1ms, .longest_wait = 1ms}});
  const auto broken = [&gate](bool with_answer) {
    REQUIRE(gate.enter({}));
    gate.opened();
    if (with_answer) {
      gate.answered();
    }
    gate.broke(k_lost);
  };
  for (int i = 0; i < 5; ++i) {
    broken(true);
    CHECK_FALSE(gate.is_given_up());
  }
  broken(false);
  broken(false);
  CHECK(gate.is_given_up());
  CHECK(gate.facts()["broken"] == 7);
}

TEST_CASE("a stop, or the peer being given up, ends the wait") {
  AssociationGate gate({.most = 1});
  REQUIRE(gate.enter({}));
  gate.opened();
  std::stop_source stop;
  std::jthread stopped([&] { CHECK_FALSE(gate.enter(stop.get_token())); });
  std::jthread given_up([&] { CHECK_FALSE(gate.enter({})); });
  stop.request_stop();
  stopped.join();
  gate.give_up(k_lost);
}
