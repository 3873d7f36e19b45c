#include <kuva/core/time.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace std::chrono_literals;

TEST_CASE("RFC 3339 in UTC with milliseconds, both ways") {
  const auto time = from_rfc3339("2026-11-21T08:15:30.123Z");
  REQUIRE(time);
  CHECK(to_rfc3339(*time) == "2026-11-21T08:15:30.123Z");
  CHECK(to_rfc3339(std::chrono::system_clock::time_point() - 1ms) == "1969-12-31T23:59:59.999Z");
  CHECK_FALSE(from_rfc3339("2026-11-21"));
  CHECK(from_rfc3339("2026-11-21T08:15:30+02:00") == from_rfc3339("2026-11-21T06:15:30Z"));
  CHECK(from_rfc3339("2026-11-21T23:15:30.5-03:30") == from_rfc3339("2026-11-22T02:45:30.500Z"));
  for (const char* bad : {"", "z", "+2:00", "+02", "+0200", "+15:00", "+02:60", "+02:0x", "02:00", "+02:00Z"}) {
    CAPTURE(bad);
    CHECK_FALSE(from_rfc3339(std::string("2026-11-21T08:15:30") + bad));
  }
  CHECK_FALSE(from_rfc3339("2026-13-21T08:15:30Z"));
  CHECK_FALSE(from_rfc3339("2026-11--1T08:15:30Z"));
  CHECK_FALSE(from_rfc3339("0001-01-01T00:00:00Z"));
  CHECK(from_rfc3339("9999-12-31T23:59:59Z") == from_rfc3339("2200-12-31T23:59:59Z"));
}

TEST_CASE("durations and sizes") {
  CHECK(parse_duration("250ms") == 250ms);
  CHECK(parse_duration("30") == 30s);
  CHECK(parse_duration("2h") == 2h);
  CHECK(parse_duration("1d") == 24h);
  for (const char* bad : {"", "s", "-1s", "1 s", "1x", "99999999999999999999", "9223372036854775807d"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_duration(bad));
  }
  CHECK(format_duration(90s) == "90s");
  CHECK(format_duration(2h) == "2h");
  CHECK(format_duration(0ms) == "0s");
  CHECK(format_duration(1500ms) == "1500ms");
  CHECK(parse_size("10M") == 10U * 1024 * 1024);
  CHECK(parse_size("7") == 7U);
  CHECK_FALSE(parse_size("18446744073709551615G"));
}

TEST_CASE("deadlines") {
  CHECK(Deadline::never().poll_timeout() == -1);
  CHECK_FALSE(Deadline::never().expired());
  CHECK(Deadline::after(0ms).expired());
  CHECK(Deadline::after(-5s).poll_timeout() == 0);
  CHECK(Deadline::after(1h).poll_timeout() > 3'590'000);
  CHECK(earlier(Deadline::never(), Deadline::after(0ms)).expired());
}
