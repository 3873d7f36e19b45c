#include <kuva/core/time.hpp>
#include <kuva/soap/assertion.hpp>

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace kuva::soap {

namespace {

// IMF-fixdate: "Sun, 22 Nov 2026 06:19:42 GMT".
std::optional<TimePoint> read_http_date(std::string_view text) {
  constexpr std::array<std::string_view, 12> k_months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  constexpr std::string_view k_pattern = "???, 00 ??? 0000 00:00:00 GMT";
  if (text.size() != k_pattern.size()) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char want = k_pattern[i];
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if ((want == '0' && !digit) || (want != '0' && want != '?' && text[i] != want)) {
      return std::nullopt;
    }
  }
  const auto number = [&](std::size_t from, std::size_t count) {
    unsigned value = 0;
    std::from_chars(text.data() + from, text.data() + from + count, value);
    return value;
  };
  for (unsigned month = 0; month < k_months.size(); ++month) {
    if (text.substr(8, 3) == k_months.at(month)) {
      const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(number(12, 4))),
                                             std::chrono::month(month + 1), std::chrono::day(number(5, 2))};
      if (!date.ok() || number(17, 2) > 23 || number(20, 2) > 59 || number(23, 2) > 60) {
        return std::nullopt;
      }
      return std::chrono::sys_days(date) + std::chrono::hours(number(17, 2)) + std::chrono::minutes(number(20, 2)) +
             std::chrono::seconds(number(23, 2));
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<ClockComparison> compare_clocks(std::string_view date_header, TimePoint now) {
  const auto theirs = read_http_date(date_header);
  if (!theirs) {
    return std::nullopt;
  }
  // The header has whole seconds.
  const auto ahead = std::chrono::duration_cast<std::chrono::seconds>(now - *theirs);
  ClockComparison comparison{ahead, {}};
  if (std::chrono::abs(ahead) <= std::chrono::seconds(1)) {
    comparison.sentence = "this machine's clock and the server's agree";
  } else {
    comparison.sentence =
        fmt::format("this machine's clock is {} {} the server's (its Date: {})",
                    format_duration(std::chrono::abs(ahead)), ahead.count() > 0 ? "ahead of" : "behind", date_header);
  }
  return comparison;
}

}  // namespace kuva::soap
