#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::workflow {

// Hours of the week by the clock on the wall: "Mon-Fri 22:00-06:00", "Sat,Sun 00:00-24:00", "22:00-06:00" for every
// day. One that ends at or before its beginning goes on over midnight and belongs to the day on which it begins.
// Because the clock on the wall decides, an hour that there is twice when clocks are set back is in it twice, and one
// that there is not is never waited for.
class WeeklyWindow {
 public:
  // Errors: usage.argument.
  static WeeklyWindow parse(std::string_view text);
  bool contains(std::chrono::local_seconds time) const;

 private:
  std::array<bool, 7> m_days{};  // by weekday::c_encoding(): 0 is Sunday
  std::chrono::minutes m_from{0};
  std::chrono::minutes m_to{0};
};

// Several of them, separated by ";": open in any of them. Errors: usage.argument.
std::vector<WeeklyWindow> parse_windows(std::string_view text);

// Bytes a second by the time of the day or of the week: "20M" always, "08:00,512K 22:00,off" each day,
// "Mon-08:00,512K Fri-18:00,off" in the week. An entry holds until the next one.
class BandwidthTimetable {
 public:
  BandwidthTimetable() = default;
  explicit BandwidthTimetable(std::uint64_t bytes_per_second)
      : m_entries{{std::chrono::minutes(0), bytes_per_second}} {}
  // Errors: usage.argument.
  static BandwidthTimetable parse(std::string_view text);

  // 0: no limit.
  std::uint64_t at(std::chrono::local_seconds time) const;
  bool is_constant() const { return m_entries.size() < 2; }

 private:
  struct Entry {
    std::chrono::minutes since;  // of the week, from Sunday 00:00
    std::uint64_t bytes_per_second;
  };
  std::vector<Entry> m_entries;  // in their order
};

}  // namespace kuva::workflow
