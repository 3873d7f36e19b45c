#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <stop_token>

namespace kuva::workflow {

// Waits, but no longer than until a stop is asked for. False when it was stopped.
bool sleep_unless_stopped(std::chrono::milliseconds duration, std::stop_token stop);

// The wait before attempt number `attempt` (1 is the first retry): doubled each time up to `limit`, then a random part
// of it between a half and the whole, so that many clients do not come back at once.
std::chrono::milliseconds retry_delay(unsigned attempt, std::chrono::milliseconds first,
                                      std::chrono::milliseconds limit);

// A common limit of bytes a second for several threads. 0: no limit.
class BandwidthLimit {
 public:
  explicit BandwidthLimit(std::uint64_t bytes_per_second);
  // `rate` is asked each time: it may change with the hour.
  explicit BandwidthLimit(std::function<std::uint64_t()> rate);
  // Accounts for bytes that are about to go out, and waits for their turn. Also waits out when stopped half-way: a
  // message that was begun is finished, at the pace agreed.
  void take(std::uint64_t bytes);

 private:
  std::function<std::uint64_t()> m_rate;
  std::mutex m_mutex;
  std::chrono::steady_clock::time_point m_free_at;
};

// A common limit of objects a second for several threads. 0: no limit.
class ObjectRateLimit {
 public:
  explicit ObjectRateLimit(double objects_a_second);
  // How long until the turn of the next object, which is then taken.
  std::chrono::milliseconds take();
  bool is_limited() const { return m_interval.count() != 0; }

 private:
  std::chrono::nanoseconds m_interval;
  std::mutex m_mutex;
  std::chrono::steady_clock::time_point m_free_at;
};

}  // namespace kuva::workflow
