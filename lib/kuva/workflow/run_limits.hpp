#pragma once

#include <kuva/core/error.hpp>
#include <kuva/core/time_zone.hpp>
#include <kuva/workflow/schedule.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace kuva::workflow {

// "20": so many in the whole run; "20/1000": so many among the last 1000; "5%/1000": the same as a share, "5%" of the
// last 1000. 0: no limit.
struct FailureLimit {
  std::uint64_t failures = 0;
  std::uint64_t among_last = 0;  // 0: all of the run

  // Errors: usage.argument.
  static FailureLimit parse(std::string_view text);
};

// How far a run may go. 0 and empty: no limit.
struct RunLimitSettings {
  std::vector<WeeklyWindow> windows;
  std::string windows_text;                   // as they were given, for messages
  TimeZone zone = TimeZone::load("UTC");      // of windows and of the timetable
  std::chrono::milliseconds max_duration{0};  // on the steady clock, from the making of RunLimits
  std::uint64_t max_items = 0;                // objects begun
  std::uint64_t max_bytes = 0;                // of the objects begun; the one that goes over is still finished
  FailureLimit max_failures;
  BandwidthTimetable bandwidth;
  double objects_a_second = 0;

  // Whether the passing of time alone can end the run.
  bool has_time() const { return !windows.empty() || max_duration.count() != 0; }
};

// Whether a run may begin something new. What was reached stays reached, whatever clocks do afterwards. Thread-safe.
class RunLimits {
 public:
  // For tests; else the clocks of the machine.
  struct Clocks {
    std::function<std::chrono::system_clock::time_point()> system = std::chrono::system_clock::now;
    std::function<std::chrono::steady_clock::time_point()> steady = std::chrono::steady_clock::now;
  };
  explicit RunLimits(RunLimitSettings settings) : RunLimits(std::move(settings), Clocks{}) {}
  RunLimits(RunLimitSettings settings, Clocks clocks);

  const RunLimitSettings& settings() const { return m_settings; }
  // Why nothing new may begin (limit.window, limit.reached, limit.failures); nothing while it may.
  std::optional<Error> reached();
  // Asks for leave to begin an object of this size; nothing where it is given, and the object is then counted.
  std::optional<Error> begin(std::uint64_t bytes);
  // One has ended.
  void ended(bool failed);
  // Bytes a second at this moment. 0: no limit.
  std::uint64_t bandwidth() const;

 private:
  void look_at_clocks();
  void reach(const ErrorKind& which, std::string message);

  RunLimitSettings m_settings;
  Clocks m_clocks;
  std::chrono::steady_clock::time_point m_started;
  std::mutex m_mutex;
  std::optional<Error> m_reached;
  std::uint64_t m_items = 0;
  std::uint64_t m_bytes = 0;
  std::uint64_t m_failures = 0;
  std::deque<bool> m_last;  // whether each of the last ones failed, at most max_failures.among_last
};

// Asks for a stop as soon as time alone has brought a run to its limit, so that no wait outlasts it.
class LimitWatch {
 public:
  // `outer`: a stop of the run, which is passed on.
  LimitWatch(RunLimits& limits, std::stop_token outer);

  std::stop_token stop_token() const { return m_stop.get_token(); }
  bool ending() const { return m_stop.stop_requested(); }
  // Something else than time has reached a limit.
  void request_stop() { m_stop.request_stop(); }

 private:
  std::stop_source m_stop;
  std::stop_callback<std::function<void()>> m_on_outer_stop;
  std::jthread m_thread;
};

}  // namespace kuva::workflow
