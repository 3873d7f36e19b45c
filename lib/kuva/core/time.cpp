#include <kuva/core/time.hpp>

#include <fmt/compile.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <limits>

namespace kuva {

namespace {

// The number and its unit, or nothing.
struct Quantity {
  std::uint64_t number;
  std::string_view unit;
};

std::optional<Quantity> split_quantity(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data()) {
    return std::nullopt;
  }
  return Quantity{number, text.substr(static_cast<std::size_t>(end - text.data()))};
}

std::optional<std::uint64_t> multiply(std::uint64_t number, std::uint64_t factor, std::uint64_t limit) {
  if (number > limit / factor) {
    return std::nullopt;
  }
  return number * factor;
}

// "Z", or how far local time is ahead: "+02:00".
std::optional<std::chrono::minutes> offset_of(std::string_view text) {
  if (text == "Z") {
    return std::chrono::minutes(0);
  }
  const auto digits = [text](std::size_t at) {
    const char tens = text[at];
    const char ones = text[at + 1];
    return tens < '0' || tens > '9' || ones < '0' || ones > '9' ? -1 : (tens - '0') * 10 + (ones - '0');
  };
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':' || digits(1) < 0 || digits(1) > 14 ||
      digits(4) < 0 || digits(4) > 59) {
    return std::nullopt;
  }
  const std::chrono::minutes offset(digits(1) * 60 + digits(4));
  return text[0] == '-' ? -offset : offset;
}

}  // namespace

std::string to_rfc3339(std::chrono::system_clock::time_point time) {
  const auto since_epoch = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch());
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(since_epoch).count();
  const auto millis = (since_epoch - std::chrono::seconds(seconds)).count();
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format(FMT_COMPILE("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z"), utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, millis);
}

// What the clock's nanoseconds hold: 1677 to 2262. A year before is none; one after ("for ever") is taken as the last.
constexpr int k_first_year = 1700;
constexpr int k_last_year = 2200;

std::optional<std::chrono::system_clock::time_point> from_rfc3339(std::string_view text) {
  std::tm utc{};
  int millis = 0;
  int consumed = 0;
  const std::string copy(text);
  if (std::sscanf(copy.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &utc.tm_year, &utc.tm_mon, &utc.tm_mday, &utc.tm_hour,
                  &utc.tm_min, &utc.tm_sec, &consumed) != 6) {
    return std::nullopt;
  }
  std::string_view rest = text.substr(static_cast<std::size_t>(consumed));
  if (!rest.empty() && rest.front() == '.') {
    rest.remove_prefix(1);
    int scale = 100;
    while (!rest.empty() && rest.front() >= '0' && rest.front() <= '9') {
      millis += (rest.front() - '0') * scale;
      scale /= 10;
      rest.remove_prefix(1);
    }
  }
  const std::optional<std::chrono::minutes> ahead = offset_of(rest);
  if (!ahead) {
    return std::nullopt;
  }
  const auto within = [](int value, int least, int most) { return value >= least && value <= most; };
  if (utc.tm_year < k_first_year || !within(utc.tm_mon, 1, 12) || !within(utc.tm_mday, 1, 31) ||
      !within(utc.tm_hour, 0, 24) || !within(utc.tm_min, 0, 59) || !within(utc.tm_sec, 0, 60)) {
    return std::nullopt;
  }
  utc.tm_year = std::min(utc.tm_year, k_last_year) - 1900;
  utc.tm_mon -= 1;
  return std::chrono::system_clock::from_time_t(timegm(&utc)) + std::chrono::milliseconds(millis) - *ahead;
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto quantity = split_quantity(text);
  if (!quantity) {
    return std::nullopt;
  }
  std::uint64_t factor = 0;
  if (quantity->unit == "ms") {
    factor = 1;
  } else if (quantity->unit.empty() || quantity->unit == "s") {
    factor = 1000;
  } else if (quantity->unit == "m") {
    factor = 60'000;
  } else if (quantity->unit == "h") {
    factor = 3'600'000;
  } else if (quantity->unit == "d") {
    factor = 86'400'000;
  } else {
    return std::nullopt;
  }
  // Ten years: enough for every wait, and far from overflowing a clock.
  constexpr std::uint64_t k_limit = 3650ULL * 86'400'000ULL;
  const auto millis = multiply(quantity->number, factor, k_limit);
  if (!millis) {
    return std::nullopt;
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(*millis));
}

std::string format_duration(std::chrono::milliseconds duration) {
  const auto millis = duration.count();
  if (millis % 1000 != 0) {
    return fmt::format("{}ms", millis);
  }
  const auto seconds = millis / 1000;
  if (seconds != 0 && seconds % 86400 == 0) {
    return fmt::format("{}d", seconds / 86400);
  }
  if (seconds != 0 && seconds % 3600 == 0) {
    return fmt::format("{}h", seconds / 3600);
  }
  if (seconds != 0 && seconds % 60 == 0) {
    return fmt::format("{}m", seconds / 60);
  }
  return fmt::format("{}s", seconds);
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const auto quantity = split_quantity(text);
  if (!quantity) {
    return std::nullopt;
  }
  std::uint64_t factor = 1;
  if (quantity->unit == "K" || quantity->unit == "k") {
    factor = 1024ULL;
  } else if (quantity->unit == "M") {
    factor = 1024ULL * 1024;
  } else if (quantity->unit == "G") {
    factor = 1024ULL * 1024 * 1024;
  } else if (!quantity->unit.empty()) {
    return std::nullopt;
  }
  return multiply(quantity->number, factor, std::numeric_limits<std::uint64_t>::max());
}

std::chrono::milliseconds Deadline::remaining() const {
  if (is_never()) {
    return std::chrono::milliseconds::max();
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(m_at - std::chrono::steady_clock::now());
  return left.count() < 0 ? std::chrono::milliseconds(0) : left;
}

int Deadline::poll_timeout() const {
  if (is_never()) {
    return -1;
  }
  constexpr std::int64_t k_longest = std::numeric_limits<int>::max();
  return static_cast<int>(std::min<std::int64_t>(remaining().count(), k_longest));
}

}  // namespace kuva
