#include <kuva/core/error.hpp>
#include <kuva/core/time_zone.hpp>

#include <doctest/doctest.h>

namespace {

using namespace std::chrono;
using kuva::TimeZone;

local_seconds local(int y, unsigned m, unsigned d, int h, int min = 0) {
  return local_days(year(y) / month(m) / day(d)) + hours(h) + minutes(min);
}
sys_seconds utc(int y, unsigned m, unsigned d, int h, int min = 0) {
  return sys_days(year(y) / month(m) / day(d)) + hours(h) + minutes(min);
}

}  // namespace

TEST_CASE("Helsinki in summer and in winter") {
  const TimeZone zone = TimeZone::load("Europe/Helsinki");
  CHECK(zone.to_utc(local(2024, 1, 15, 12)) == utc(2024, 1, 15, 10));
  CHECK(zone.to_utc(local(2024, 7, 15, 12)) == utc(2024, 7, 15, 9));
  CHECK(zone.to_local(utc(2024, 7, 31, 22, 30)) == local(2024, 8, 1, 1, 30));
  // A year that no table reaches.
  CHECK(zone.to_utc(local(2060, 1, 15, 12)) == utc(2060, 1, 15, 10));
  CHECK(zone.to_utc(local(2060, 7, 15, 12)) == utc(2060, 7, 15, 9));
}

TEST_CASE("the hour that there is twice is the first, the one that there is not follows the old clock") {
  const TimeZone zone = TimeZone::load("Europe/Helsinki");
  CHECK(zone.to_utc(local(2024, 10, 27, 3, 30)) == utc(2024, 10, 27, 0, 30));
  CHECK(zone.to_local(utc(2024, 10, 27, 1, 30)) == local(2024, 10, 27, 3, 30));
  CHECK(zone.to_utc(local(2024, 3, 31, 3, 30)) == utc(2024, 3, 31, 1, 30));
  CHECK(zone.to_utc(local(2060, 10, 31, 2, 59)) == utc(2060, 10, 30, 23, 59));
  CHECK(zone.to_utc(local(2060, 10, 31, 4, 0)) == utc(2060, 10, 31, 2, 0));
}

TEST_CASE("zones without rules, of the other half of the world, and none at all") {
  CHECK(TimeZone::load("UTC").to_utc(local(2024, 7, 1, 1)) == utc(2024, 7, 1, 1));
  CHECK(TimeZone::load("").name() == "UTC");
  const TimeZone sydney = TimeZone::load("Australia/Sydney");
  CHECK(sydney.to_utc(local(2059, 1, 1, 11)) == utc(2059, 1, 1, 0));
  CHECK(sydney.to_utc(local(2059, 7, 1, 10)) == utc(2059, 7, 1, 0));
  for (const char* name : {"Europe/Nowhere", "../passwd", "/etc/passwd", "Europe"}) {
    CHECK_THROWS_AS(TimeZone::load(name), kuva::Error);
  }
}
