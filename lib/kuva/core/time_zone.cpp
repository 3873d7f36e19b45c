#include <kuva/core/error.hpp>
#include <kuva/core/file.hpp>
#include <kuva/core/time_zone.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace kuva {

namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::seconds;
using std::chrono::sys_days;
using std::chrono::sys_seconds;

constexpr std::string_view k_directory = "/usr/share/zoneinfo";
constexpr std::uint64_t k_largest = 1U << 20U;

struct Damaged {};

// Big-endian numbers, never beyond the end.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : m_bytes(bytes) {}

  std::string_view take(std::size_t count) {
    if (count > m_bytes.size()) {
      throw Damaged{};
    }
    const std::string_view taken = m_bytes.substr(0, count);
    m_bytes.remove_prefix(count);
    return taken;
  }
  std::uint64_t number(std::size_t width) {
    std::uint64_t value = 0;
    for (const char byte : take(width)) {
      value = value << 8U | static_cast<unsigned char>(byte);
    }
    return value;
  }
  std::int64_t signed_32() { return static_cast<std::int32_t>(number(4)); }
  std::int64_t signed_64() { return static_cast<std::int64_t>(number(8)); }
  std::string_view rest() const { return m_bytes; }

 private:
  std::string_view m_bytes;
};

// A day of the year and a time on it when the clocks are set (POSIX, RFC 8536 3.3.1).
struct Change {
  char form = 'M';  // M month.week.day, J Julian day without February 29, 0 day from 0
  int month = 0;
  int week = 0;
  int day = 0;
  seconds time = hours(2);

  // By the wall clock.
  std::chrono::local_seconds in(std::chrono::year year) const {
    using namespace std::chrono;
    if (form != 'M') {
      const int leap = form == 'J' && year.is_leap() && day >= 60 ? 1 : 0;
      const int past = form == 'J' ? day - 1 + leap : day;
      return local_days(year / January / 1) + days(past) + time;
    }
    const year_month in_month = year / std::chrono::month(static_cast<unsigned>(month));
    const weekday wanted(static_cast<unsigned>(day));
    const local_days at =
        week == 5 ? local_days(in_month / wanted[last]) : local_days(in_month / wanted[static_cast<unsigned>(week)]);
    return at + time;
  }
};

// "EET-2EEST,M3.5.0/3,M10.5.0/4": what goes on after the last transition.
struct Footer {
  seconds standard{0};
  std::optional<seconds> daylight;
  Change begins;
  Change ends;

  seconds offset(sys_seconds time) const {
    if (!daylight) {
      return standard;
    }
    const std::chrono::year_month_day date(std::chrono::floor<days>(time + standard));
    const auto utc = [](std::chrono::local_seconds local, seconds ahead) {
      return sys_seconds(local.time_since_epoch() - ahead);
    };
    const sys_seconds begin = utc(begins.in(date.year()), standard);
    const sys_seconds end = utc(ends.in(date.year()), *daylight);
    const bool is_daylight = begin < end ? time >= begin && time < end : time >= begin || time < end;
    return is_daylight ? *daylight : standard;
  }
};

class FooterReader {
 public:
  explicit FooterReader(std::string_view text) : m_text(text) {}

  Footer read() {
    Footer footer;
    skip_name();
    footer.standard = -time();
    if (m_text.empty()) {
      return footer;
    }
    skip_name();
    footer.daylight = m_text.empty() || m_text.front() == ',' ? footer.standard + hours(1) : -time();
    expect(',');
    footer.begins = change();
    expect(',');
    footer.ends = change();
    return footer;
  }

 private:
  void expect(char wanted) {
    if (m_text.empty() || m_text.front() != wanted) {
      throw Damaged{};
    }
    m_text.remove_prefix(1);
  }
  bool takes(char wanted) {
    const bool is_there = !m_text.empty() && m_text.front() == wanted;
    if (is_there) {
      m_text.remove_prefix(1);
    }
    return is_there;
  }
  void skip_name() {
    if (takes('<')) {
      const std::size_t end = m_text.find('>');
      if (end == std::string_view::npos) {
        throw Damaged{};
      }
      m_text.remove_prefix(end + 1);
      return;
    }
    const auto is_letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
    const auto end = std::find_if_not(m_text.begin(), m_text.end(), is_letter);
    m_text.remove_prefix(static_cast<std::size_t>(end - m_text.begin()));
  }
  int number(int most) {
    int value = 0;
    std::size_t digits = 0;
    while (!m_text.empty() && m_text.front() >= '0' && m_text.front() <= '9' && digits < 4) {
      value = value * 10 + (m_text.front() - '0');
      m_text.remove_prefix(1);
      ++digits;
    }
    if (digits == 0 || value > most) {
      throw Damaged{};
    }
    return value;
  }
  seconds time() {
    const bool is_negative = takes('-');
    if (!is_negative) {
      takes('+');
    }
    seconds value = hours(number(167));
    if (takes(':')) {
      value += std::chrono::minutes(number(59));
      if (takes(':')) {
        value += seconds(number(59));
      }
    }
    return is_negative ? -value : value;
  }
  Change change() {
    Change change;
    if (takes('M')) {
      change.month = number(12);
      expect('.');
      change.week = number(5);
      expect('.');
      change.day = number(6);
      if (change.month == 0 || change.week == 0) {
        throw Damaged{};
      }
    } else {
      change.form = takes('J') ? 'J' : '0';
      change.day = number(365);
    }
    if (takes('/')) {
      change.time = time();
    }
    return change;
  }

  std::string_view m_text;
};

struct Header {
  std::uint8_t version = 0;
  std::size_t utc_flags = 0;
  std::size_t standard_flags = 0;
  std::size_t leaps = 0;
  std::size_t transitions = 0;
  std::size_t types = 0;
  std::size_t name_bytes = 0;
};

Header read_header(Bytes& bytes) {
  if (bytes.take(4) != "TZif") {
    throw Damaged{};
  }
  Header header;
  header.version = static_cast<std::uint8_t>(bytes.take(1).front());
  bytes.take(15);
  header.utc_flags = bytes.number(4);
  header.standard_flags = bytes.number(4);
  header.leaps = bytes.number(4);
  header.transitions = bytes.number(4);
  header.types = bytes.number(4);
  header.name_bytes = bytes.number(4);
  return header;
}

}  // namespace

struct TimeZone::Rules {
  std::string name;
  std::vector<sys_seconds> transitions;
  std::vector<seconds> offsets;  // one more than there are transitions: what holds before, and after each
  std::optional<Footer> footer;
};

TimeZone TimeZone::load(std::string_view name) {
  auto rules = std::make_shared<Rules>();
  rules->name = name.empty() ? "UTC" : name;
  if (rules->name == "UTC") {
    rules->offsets.emplace_back(0);
    return TimeZone(std::move(rules));
  }
  const auto is_plain = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '/' || c == '_' ||
           c == '-' || c == '+';
  };
  const std::filesystem::path file = std::filesystem::path(k_directory) / name;
  std::error_code ignored;
  if (name.front() == '/' || !std::all_of(name.begin(), name.end(), is_plain) ||
      !std::filesystem::is_regular_file(file, ignored)) {
    throw Error(kind("usage.config"), fmt::format("there is no time zone '{}' in {}", name, k_directory));
  }
  const std::string text = read_small_file(file, k_largest);
  try {
    Bytes bytes(text);
    Header header = read_header(bytes);
    const bool is_wide = header.version >= '2';
    if (is_wide) {
      // The first block is for readers of 32 bits.
      bytes.take(header.transitions * 5);
      bytes.take(header.types * 6 + header.name_bytes + header.leaps * 8 + header.standard_flags + header.utc_flags);
      header = read_header(bytes);
    }
    std::vector<std::uint8_t> indices;
    for (std::size_t i = 0; i < header.transitions; ++i) {
      rules->transitions.emplace_back(seconds(is_wide ? bytes.signed_64() : bytes.signed_32()));
    }
    for (std::size_t i = 0; i < header.transitions; ++i) {
      indices.push_back(static_cast<std::uint8_t>(bytes.number(1)));
    }
    std::vector<seconds> types;
    for (std::size_t i = 0; i < header.types; ++i) {
      types.emplace_back(bytes.signed_32());
      bytes.take(2);
    }
    bytes.take(header.name_bytes + header.leaps * (is_wide ? 12 : 8) + header.standard_flags + header.utc_flags);
    if (types.empty() || !std::is_sorted(rules->transitions.begin(), rules->transitions.end())) {
      throw Damaged{};
    }
    rules->offsets.push_back(types.front());
    for (const std::uint8_t index : indices) {
      if (index >= types.size()) {
        throw Damaged{};
      }
      rules->offsets.push_back(types[index]);
    }
    if (is_wide) {
      std::string_view rest = bytes.rest();
      if (rest.size() > 2 && rest.front() == '\n' && rest.back() == '\n') {
        rest.remove_prefix(1);
        rest.remove_suffix(1);
        rules->footer = FooterReader(rest).read();
      }
    }
  } catch (const Damaged&) {
    throw Error(kind("local.read"), fmt::format("{} is damaged: it is no file of time zone rules", file.string()));
  }
  return TimeZone(std::move(rules));
}

const std::string& TimeZone::name() const { return m_rules->name; }

seconds TimeZone::offset(sys_seconds time) const {
  const auto& transitions = m_rules->transitions;
  const auto after = std::upper_bound(transitions.begin(), transitions.end(), time);
  if (after == transitions.end() && m_rules->footer) {
    return m_rules->footer->offset(time);
  }
  return m_rules->offsets[static_cast<std::size_t>(after - transitions.begin())];
}

std::chrono::local_seconds TimeZone::to_local(sys_seconds time) const {
  return std::chrono::local_seconds(time.time_since_epoch() + offset(time));
}

sys_seconds TimeZone::to_utc(std::chrono::local_seconds time) const {
  // The offsets of a day before and a day after are the two that there can be.
  const sys_seconds near(time.time_since_epoch());
  const seconds before = offset(near - days(1));
  const seconds after = offset(near + days(1));
  const sys_seconds by_before = near - before;
  if (offset(by_before) == before) {
    return by_before;
  }
  const sys_seconds by_after = near - after;
  return offset(by_after) == after ? by_after : by_before;
}

}  // namespace kuva
