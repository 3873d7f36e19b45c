#include <kuva/workflow/run_limits.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace kuva;
using namespace kuva::workflow;
using namespace std::chrono_literals;

namespace {

// Clocks that a test moves.
struct MovedClocks {
  std::chrono::system_clock::time_point system = std::chrono::sys_days{std::chrono::year(2026) / 11 / 23} + 12h;
  std::chrono::steady_clock::time_point steady{1h};

  RunLimits::Clocks get() {
    return {[this] { return system; }, [this] { return steady; }};
  }
  void pass(std::chrono::seconds time) {
    system += time;
    steady += time;
  }
};

std::string code_of(const std::optional<Error>& error) { return error ? std::string(error->kind().code) : ""; }

}  // namespace

TEST_CASE("without limits a run goes on") {
  RunLimits limits{RunLimitSettings{}};
  for (int i = 0; i < 1000; ++i) {
    CHECK_FALSE(limits.begin(1U << 30U));
    limits.ended(true);
  }
  CHECK_FALSE(limits.reached());
  CHECK(limits.bandwidth() == 0);
}

TEST_CASE("a window that has closed stays closed for the run, whatever the clock is set to") {
  MovedClocks clocks;
  RunLimitSettings settings;
  settings.windows = parse_windows("11:00-13:00");
  settings.windows_text = "11:00-13:00";
  RunLimits limits(settings, clocks.get());
  CHECK_FALSE(limits.begin(1));
  clocks.pass(59min);
  CHECK_FALSE(limits.reached());
  clocks.pass(1min);
  CHECK(code_of(limits.reached()) == "limit.window");
  CHECK(limits.reached()->message() == "the window 11:00-13:00 (UTC) is closed");
  clocks.system -= 1h;  // somebody sets the clock back
  CHECK(code_of(limits.begin(1)) == "limit.window");
}

TEST_CASE("a clock that is set back does not make a run longer than it may be") {
  MovedClocks clocks;
  RunLimitSettings settings;
  settings.max_duration = 2h;
  RunLimits limits(settings, clocks.get());
  clocks.pass(1h);
  clocks.system -= 24h;
  CHECK_FALSE(limits.reached());
  clocks.pass(1h);
  CHECK(code_of(limits.reached()) == "limit.reached");
}

TEST_CASE("windows go by the zone's time on both sides of the change to summer and winter time") {
  MovedClocks clocks;
  RunLimitSettings settings;
  settings.windows = parse_windows("Sat 22:00-06:00");
  settings.zone = TimeZone::load("Europe/Helsinki");
  const auto hours_open = [&](std::chrono::system_clock::time_point from) {
    clocks.system = from;
    RunLimits limits(settings, clocks.get());
    int hours = 0;
    while (!limits.reached()) {
      clocks.pass(1h);
      ++hours;
    }
    return hours;
  };
  using std::chrono::sys_days;
  using std::chrono::year;
  CHECK(hours_open(sys_days{year(2026) / 6 / 6} + 19h) == 8);    // 22:00 in summer is 19:00 UTC
  CHECK(hours_open(sys_days{year(2026) / 3 / 28} + 20h) == 7);   // an hour is left out
  CHECK(hours_open(sys_days{year(2026) / 10 / 24} + 19h) == 9);  // an hour comes twice
}

TEST_CASE("as many objects and bytes as allowed are begun, and the last is not cut") {
  RunLimitSettings items;
  items.max_items = 2;
  RunLimits by_count(items);
  CHECK_FALSE(by_count.begin(1));
  CHECK_FALSE(by_count.begin(1));
  CHECK_FALSE(by_count.reached());  // known when another one asks
  CHECK(code_of(by_count.begin(1)) == "limit.reached");
  CHECK(code_of(by_count.reached()) == "limit.reached");

  RunLimitSettings bytes;
  bytes.max_bytes = 100;
  RunLimits by_size(bytes);
  CHECK_FALSE(by_size.begin(60));
  CHECK_FALSE(by_size.begin(60));
  CHECK(code_of(by_size.begin(1)) == "limit.reached");
}

TEST_CASE("failures are counted over the run, or over the last ones") {
  RunLimitSettings settings;
  settings.max_failures = FailureLimit::parse("3");
  RunLimits in_all(settings);
  for (int i = 0; i < 2; ++i) {
    in_all.ended(true);
    for (int n = 0; n < 5000; ++n) {
      in_all.ended(false);
    }
  }
  CHECK_FALSE(in_all.reached());
  in_all.ended(true);
  CHECK(code_of(in_all.reached()) == "limit.failures");

  settings.max_failures = FailureLimit::parse("5%/100");
  RunLimits lately(settings);
  for (int i = 0; i < 20; ++i) {  // 4 of any 100
    lately.ended(true);
    for (int n = 0; n < 24; ++n) {
      lately.ended(false);
    }
  }
  CHECK_FALSE(lately.reached());
  for (int i = 0; i < 5; ++i) {
    lately.ended(true);
  }
  CHECK(code_of(lately.reached()) == "limit.failures");
}

TEST_CASE("limits of failures are read") {
  CHECK(FailureLimit::parse("20").among_last == 0);
  CHECK(FailureLimit::parse("20/500").among_last == 500);
  CHECK(FailureLimit::parse("5%").failures == 50);
  CHECK(FailureLimit::parse("1%/10").failures == 1);
  for (const char* text : {"", "0", "%", "101%", "5/", "/5", "5%/0", "-1", "5%/2000000", "five"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(FailureLimit::parse(text), Error);
  }
}

TEST_CASE("bandwidth follows the timetable") {
  MovedClocks clocks;
  RunLimitSettings settings;
  settings.zone = TimeZone::load("Europe/Helsinki");
  settings.bandwidth = BandwidthTimetable::parse("15:00,1K 16:00,off");
  RunLimits limits(settings, clocks.get());  // 12:00 UTC is 14:00 there
  CHECK(limits.bandwidth() == 0);
  clocks.pass(1h);
  CHECK(limits.bandwidth() == 1024);
  clocks.pass(1h);
  CHECK(limits.bandwidth() == 0);
}

TEST_CASE("a watch asks for a stop when the time is up, and passes on that of the run") {
  RunLimitSettings settings;
  settings.max_duration = 10ms;
  RunLimits limits(settings);
  LimitWatch watch(limits, {});
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!watch.ending() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(10ms);
  }
  CHECK(watch.ending());

  RunLimits none{RunLimitSettings{}};
  std::stop_source outer;
  LimitWatch other(none, outer.get_token());
  CHECK_FALSE(other.ending());
  outer.request_stop();
  CHECK(other.ending());
}
