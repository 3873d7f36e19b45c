#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace kuva {

// A time zone of the tz database, e.g. "Europe/Helsinki", with its daylight saving times, past and to come. Immutable,
// cheap to copy, thread-safe.
class TimeZone {
 public:
  // Reads /usr/share/zoneinfo (RFC 8536). "UTC" and "" are always there. Errors: usage.config when there is no such
  // zone, local.read when its file is damaged.
  static TimeZone load(std::string_view name);

  const std::string& name() const;
  // How far local time is ahead of UTC.
  std::chrono::seconds offset(std::chrono::sys_seconds time) const;
  std::chrono::local_seconds to_local(std::chrono::sys_seconds time) const;
  // Of a local time that there is twice, when clocks are set back, the first; of one that there is not, when they are
  // set forward, the time that the clock showed by the offset before.
  std::chrono::sys_seconds to_utc(std::chrono::local_seconds time) const;

 private:
  struct Rules;
  explicit TimeZone(std::shared_ptr<const Rules> rules) : m_rules(std::move(rules)) {}
  std::shared_ptr<const Rules> m_rules;
};

}  // namespace kuva
