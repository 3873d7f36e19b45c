#include <kuva/core/error.hpp>
#include <kuva/core/time.hpp>
#include <kuva/workflow/schedule.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>

namespace kuva::workflow {

namespace {

using std::chrono::minutes;

constexpr minutes k_day{24 * 60};
constexpr unsigned k_weekdays = 7;
constexpr std::array<std::string_view, k_weekdays> k_day_names{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

[[noreturn]] void refuse_schedule(std::string_view text, std::string_view example) {
  throw Error(kind("usage.argument"), fmt::format("'{}' is not a time such as {}", text, example));
}

std::vector<std::string_view> parts_between(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) {
      return parts;
    }
    text.remove_prefix(at + 1);
  }
}

std::string_view without_spaces(std::string_view text) {
  while (text.starts_with(' ')) {
    text.remove_prefix(1);
  }
  while (text.ends_with(' ')) {
    text.remove_suffix(1);
  }
  return text;
}

std::optional<unsigned> parse_weekday(std::string_view text) {
  std::string lower;
  for (const char c : text) {
    lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  const auto* const found = std::find(k_day_names.begin(), k_day_names.end(), lower);
  if (found == k_day_names.end()) {
    return std::nullopt;
  }
  return static_cast<unsigned>(found - k_day_names.begin());
}

// "06:00" up to "24:00".
std::optional<minutes> parse_time_of_day(std::string_view text) {
  const auto digit = [&text](std::size_t at) { return text[at] >= '0' && text[at] <= '9'; };
  if (text.size() != 5 || text[2] != ':' || !digit(0) || !digit(1) || !digit(3) || !digit(4)) {
    return std::nullopt;
  }
  const int hour = (text[0] - '0') * 10 + (text[1] - '0');
  const int minute = (text[3] - '0') * 10 + (text[4] - '0');
  const minutes time(hour * 60 + minute);
  if (minute > 59 || time > k_day) {
    return std::nullopt;
  }
  return time;
}

// "Mon-Fri,Sun"; Fri-Mon goes over the end of the week.
std::optional<std::array<bool, k_weekdays>> parse_weekdays(std::string_view text) {
  std::array<bool, k_weekdays> days{};
  for (const std::string_view part : parts_between(text, ',')) {
    const std::vector<std::string_view> ends = parts_between(part, '-');
    const auto first = parse_weekday(ends.front());
    const auto last = parse_weekday(ends.back());
    if (!first || !last || ends.size() > 2) {
      return std::nullopt;
    }
    for (unsigned day = *first;; day = (day + 1) % k_weekdays) {
      days.at(day) = true;
      if (day == *last) {
        break;
      }
    }
  }
  return days;
}

minutes time_of_day(std::chrono::local_seconds time) {
  return std::chrono::floor<minutes>(time - std::chrono::floor<std::chrono::days>(time));
}

unsigned weekday_of(std::chrono::local_seconds time) {
  return std::chrono::weekday(std::chrono::floor<std::chrono::days>(time)).c_encoding();
}

}  // namespace

WeeklyWindow WeeklyWindow::parse(std::string_view given) {
  constexpr std::string_view k_example = "\"Mon-Fri 22:00-06:00\"";
  const std::string_view text = without_spaces(given);
  const std::size_t space = text.rfind(' ');
  WeeklyWindow window;
  if (space == std::string_view::npos) {
    window.m_days.fill(true);
  } else {
    const auto days = parse_weekdays(without_spaces(text.substr(0, space)));
    if (!days) {
      refuse_schedule(given, k_example);
    }
    window.m_days = *days;
  }
  const std::vector<std::string_view> ends =
      parts_between(space == std::string_view::npos ? text : text.substr(space + 1), '-');
  const auto from = parse_time_of_day(ends.front());
  const auto to = parse_time_of_day(ends.back());
  if (ends.size() != 2 || !from || !to || *from == k_day) {
    refuse_schedule(given, k_example);
  }
  window.m_from = *from;
  window.m_to = *to;
  return window;
}

bool WeeklyWindow::contains(std::chrono::local_seconds time) const {
  const minutes now = time_of_day(time);
  const unsigned today = weekday_of(time);
  if (m_from < m_to) {
    return m_days.at(today) && now >= m_from && now < m_to;
  }
  const unsigned yesterday = (today + k_weekdays - 1) % k_weekdays;
  return (m_days.at(today) && now >= m_from) || (m_days.at(yesterday) && now < m_to);
}

std::vector<WeeklyWindow> parse_windows(std::string_view text) {
  std::vector<WeeklyWindow> windows;
  for (const std::string_view part : parts_between(text, ';')) {
    windows.push_back(WeeklyWindow::parse(part));
  }
  return windows;
}

BandwidthTimetable BandwidthTimetable::parse(std::string_view given) {
  const auto parse_rate = [](std::string_view rate) -> std::optional<std::uint64_t> {
    return rate == "off" ? 0 : parse_size(rate);
  };
  const std::string_view text = without_spaces(given);
  if (const auto always = parse_rate(text)) {
    return BandwidthTimetable(*always);
  }
  if (text.find(',') == std::string_view::npos) {
    throw Error(kind("usage.argument"), fmt::format("'{}' is not a size such as 512, 64K, 10M or 2G, nor a timetable "
                                                    "such as \"08:00,512K 22:00,off\"",
                                                    given));
  }
  BandwidthTimetable table;
  for (std::string_view part : parts_between(text, ' ')) {
    if (part.empty()) {
      continue;
    }
    const std::string_view whole = part;
    const std::size_t dash = part.find('-');
    std::optional<unsigned> day;
    if (dash != std::string_view::npos) {
      day = parse_weekday(part.substr(0, dash));
      part.remove_prefix(dash + 1);
    }
    const std::size_t comma = part.find(',');
    const auto time = parse_time_of_day(part.substr(0, comma));
    const auto rate = comma == std::string_view::npos ? std::nullopt : parse_rate(part.substr(comma + 1));
    if (!time || *time == k_day || !rate || day.has_value() != (dash != std::string_view::npos)) {
      refuse_schedule(whole, "\"08:00,512K 22:00,off\"");
    }
    for (unsigned each = day.value_or(0); each <= day.value_or(k_weekdays - 1); ++each) {
      table.m_entries.push_back({each * k_day + *time, *rate});
    }
  }
  std::stable_sort(table.m_entries.begin(), table.m_entries.end(),
                   [](const Entry& a, const Entry& b) { return a.since < b.since; });
  return table;
}

std::uint64_t BandwidthTimetable::at(std::chrono::local_seconds time) const {
  if (m_entries.empty()) {
    return 0;
  }
  const minutes now = weekday_of(time) * k_day + time_of_day(time);
  const auto next = std::upper_bound(m_entries.begin(), m_entries.end(), now,
                                     [](minutes value, const Entry& entry) { return value < entry.since; });
  // Before the first of the week the last one of the week before still holds.
  return next == m_entries.begin() ? m_entries.back().bytes_per_second : std::prev(next)->bytes_per_second;
}

}  // namespace kuva::workflow
