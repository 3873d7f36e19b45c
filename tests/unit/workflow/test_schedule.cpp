#include <kuva/core/error.hpp>
#include <kuva/core/time_zone.hpp>
#include <kuva/workflow/schedule.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::workflow;
using namespace std::chrono_literals;
using std::chrono::days;
using std::chrono::local_days;
using std::chrono::local_seconds;
using std::chrono::sys_days;
using std::chrono::sys_seconds;

namespace {

// 2026-11-22 is a Sunday.
local_seconds in_week(int days_after_sunday, std::chrono::seconds time) {
  return local_days{std::chrono::year(2026) / 11 / 22} + days(days_after_sunday) + time;
}

std::string code_of(void (*work)()) {
  try {
    work();
  } catch (const Error& error) {
    return std::string(error.kind().code);
  }
  return "";
}

}  // namespace

TEST_CASE("a window over midnight belongs to the day on which it begins") {
  const auto window = WeeklyWindow::parse("Mon-Fri 22:00-06:00");
  CHECK_FALSE(window.contains(in_week(1, 5h + 59min)));  // Monday morning: Sunday's night is not in it
  CHECK_FALSE(window.contains(in_week(1, 21h + 59min + 59s)));
  CHECK(window.contains(in_week(1, 22h)));
  CHECK(window.contains(in_week(2, 0h)));
  CHECK(window.contains(in_week(2, 5h + 59min + 59s)));
  CHECK_FALSE(window.contains(in_week(2, 6h)));
  CHECK(window.contains(in_week(6, 5h)));  // Friday's night
  CHECK_FALSE(window.contains(in_week(6, 22h)));
}

TEST_CASE("windows of whole days, of every day, over the end of the week, and several") {
  const auto weekend = WeeklyWindow::parse("Sat,Sun 00:00-24:00");
  CHECK(weekend.contains(in_week(0, 0h)));
  CHECK(weekend.contains(in_week(0, 23h + 59min + 59s)));
  CHECK_FALSE(weekend.contains(in_week(1, 0h)));
  CHECK(WeeklyWindow::parse("12:30-13:00").contains(in_week(3, 12h + 30min)));
  CHECK_FALSE(WeeklyWindow::parse("12:30-13:00").contains(in_week(3, 13h)));
  CHECK(WeeklyWindow::parse("08:00-08:00").contains(in_week(3, 7h)));
  const auto around = WeeklyWindow::parse("fri-mon 10:00-11:00");
  for (const int day : {5, 6, 0, 1}) {
    CHECK(around.contains(in_week(day, 10h)));
  }
  CHECK_FALSE(around.contains(in_week(2, 10h)));
  const auto several = parse_windows("Mon-Fri 22:00-06:00; Sat,Sun 00:00-24:00");
  REQUIRE(several.size() == 2);
  CHECK(several[1].contains(in_week(6, 12h)));
}

TEST_CASE("what is no window is refused") {
  for (const char* text :
       {"", "22:00", "22:00-", "25:00-26:00", "24:00-06:00", "22:60-23:00", "Mon- 22:00-06:00", "Moonday 22:00-06:00",
        "Mon-Tue-Wed 22:00-06:00", "22:00-06:00-07:00", "2:00-06:00", "22:00-06:00;", "Mon,,Tue 10:00-11:00"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_windows(text), Error);
  }
  CHECK(code_of([] { parse_windows("now"); }) == "usage.argument");
}

TEST_CASE("the clock on the wall decides when clocks are set forward and back") {
  const TimeZone zone = TimeZone::load("Europe/Helsinki");
  const auto window = WeeklyWindow::parse("22:00-03:30");
  const auto open_at = [&](sys_seconds time) { return window.contains(zone.to_local(time)); };
  // 2026-03-29: at 03:00 local (01:00 UTC) it becomes 04:00. The window ends there, not half an hour into the next
  // hour.
  const sys_seconds spring = sys_days{std::chrono::year(2026) / 3 / 29};
  CHECK(open_at(spring + 59min + 59s));
  CHECK_FALSE(open_at(spring + 1h));
  CHECK_FALSE(open_at(spring + 1h + 15min));
  // 2026-10-25: at 04:00 local (01:00 UTC) it becomes 03:00 again, and the clock shows 03:00 to 03:30 twice.
  const sys_seconds autumn = sys_days{std::chrono::year(2026) / 10 / 25};
  CHECK(open_at(autumn + 29min));
  CHECK_FALSE(open_at(autumn + 31min));
  CHECK(open_at(autumn + 1h));
  CHECK(open_at(autumn + 1h + 29min));
  CHECK_FALSE(open_at(autumn + 1h + 30min));
  // One that begins in the hour that there is not opens after it.
  const auto late = WeeklyWindow::parse("03:30-06:00");
  CHECK_FALSE(late.contains(zone.to_local(spring + 59min)));
  CHECK(late.contains(zone.to_local(spring + 1h)));
}

TEST_CASE("a timetable of bandwidth") {
  CHECK(BandwidthTimetable().at(in_week(0, 0h)) == 0);
  CHECK(BandwidthTimetable::parse("20M").at(in_week(0, 0h)) == 20U * 1024 * 1024);
  CHECK(BandwidthTimetable::parse("20M").is_constant());
  CHECK(BandwidthTimetable::parse("off").at(in_week(0, 0h)) == 0);

  const auto daily = BandwidthTimetable::parse("08:00,512K  22:00,off");
  CHECK_FALSE(daily.is_constant());
  CHECK(daily.at(in_week(0, 7h)) == 0);  // since 22:00 of the day before
  CHECK(daily.at(in_week(0, 8h)) == 512U * 1024);
  CHECK(daily.at(in_week(3, 21h + 59min)) == 512U * 1024);
  CHECK(daily.at(in_week(3, 22h)) == 0);

  const auto weekly = BandwidthTimetable::parse("Fri-18:00,off Mon-08:00,1M");
  CHECK(weekly.at(in_week(0, 12h)) == 0);
  CHECK(weekly.at(in_week(1, 8h)) == 1024U * 1024);
  CHECK(weekly.at(in_week(5, 17h)) == 1024U * 1024);
  CHECK(weekly.at(in_week(5, 18h)) == 0);
  for (const char* text : {"", "fast", "08:00", "08:00,", "08:00,fast", "24:00,1M", "Mo-08:00,1M", "08:00,1M,2M"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(BandwidthTimetable::parse(text), Error);
  }
}
