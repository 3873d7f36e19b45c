#include <kuva/workflow/pacing.hpp>

#include <algorithm>
#include <condition_variable>
#include <random>
#include <thread>
#include <utility>

namespace kuva::workflow {

bool sleep_unless_stopped(std::chrono::milliseconds duration, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, stop, duration, [] { return false; });
  return !stop.stop_requested();
}

std::chrono::milliseconds retry_delay(unsigned attempt, std::chrono::milliseconds first,
                                      std::chrono::milliseconds limit) {
  std::chrono::milliseconds delay = first;
  for (unsigned i = 1; i < attempt && delay < limit; ++i) {
    delay *= 2;
  }
  delay = std::min(delay, limit);
  thread_local std::minstd_rand random{std::random_device{}()};
  return delay / 2 +
         std::chrono::milliseconds(std::uniform_int_distribution<std::int64_t>(0, delay.count() / 2)(random));
}

BandwidthLimit::BandwidthLimit(std::uint64_t bytes_per_second)
    : BandwidthLimit([bytes_per_second] { return bytes_per_second; }) {}

BandwidthLimit::BandwidthLimit(std::function<std::uint64_t()> rate)
    : m_rate(std::move(rate)), m_free_at(std::chrono::steady_clock::now()) {}

void BandwidthLimit::take(std::uint64_t bytes) {
  const std::uint64_t rate = m_rate();
  if (rate == 0 || bytes == 0) {
    return;
  }
  std::chrono::steady_clock::time_point turn;
  {
    const std::lock_guard lock(m_mutex);
    turn = std::max(m_free_at, std::chrono::steady_clock::now());
    m_free_at = turn + std::chrono::nanoseconds(
                           static_cast<std::int64_t>(1e9 * static_cast<double>(bytes) / static_cast<double>(rate)));
  }
  std::this_thread::sleep_until(turn);
}

ObjectRateLimit::ObjectRateLimit(double objects_a_second)
    : m_interval(objects_a_second > 0 ? static_cast<std::int64_t>(1e9 / objects_a_second) : 0),
      m_free_at(std::chrono::steady_clock::now()) {}

std::chrono::milliseconds ObjectRateLimit::take() {
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(m_mutex);
  const auto turn = std::max(m_free_at, now);
  m_free_at = turn + m_interval;
  return std::chrono::ceil<std::chrono::milliseconds>(turn - now);
}

}  // namespace kuva::workflow
