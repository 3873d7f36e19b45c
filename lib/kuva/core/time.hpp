#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace kuva {

// RFC 3339 in UTC with milliseconds, e.g. 2026-11-21T08:15:30.123Z. Read: any offset; none before 1700, 2200 for later.
std::string to_rfc3339(std::chrono::system_clock::time_point time);
std::optional<std::chrono::system_clock::time_point> from_rfc3339(std::string_view text);

// "250ms", "30s", "5m", "2h", "1d"; a bare number is seconds. Nothing when it is none of these or does not fit.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
// The shortest of these forms, e.g. 90000 ms is "90s".
std::string format_duration(std::chrono::milliseconds duration);

// "512", "64K", "10M", "2G" (powers of 1024). Nothing when it is none of these or does not fit.
std::optional<std::uint64_t> parse_size(std::string_view text);

// A point on the steady clock after which a wait gives up.
class Deadline {
 public:
  static Deadline after(std::chrono::milliseconds duration) {
    return Deadline(std::chrono::steady_clock::now() + duration);
  }
  static Deadline never() { return Deadline(std::chrono::steady_clock::time_point::max()); }

  bool expired() const { return !is_never() && std::chrono::steady_clock::now() >= m_at; }
  bool is_never() const { return m_at == std::chrono::steady_clock::time_point::max(); }
  // At least 0; the largest value where it never expires.
  std::chrono::milliseconds remaining() const;
  // For poll(2): milliseconds rounded up, capped, -1 where it never expires.
  int poll_timeout() const;
  std::chrono::steady_clock::time_point time_point() const { return m_at; }

  friend Deadline earlier(Deadline a, Deadline b) { return a.m_at < b.m_at ? a : b; }

 private:
  explicit Deadline(std::chrono::steady_clock::time_point at) : m_at(at) {}
  std::chrono::steady_clock::time_point m_at;
};

}  // namespace kuva
