#pragma once

#include <kuva/core/error.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>

namespace kuva::workflow {

// How many associations a peer can do with: what was asked for, fewer as soon as it says or shows that this is too
// much, and slowly more again. Pure: the time is given.
class ConcurrencyLimit {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Settings {
    std::chrono::milliseconds recovery{
        30'000};  // without trouble, before one more is tried; doubled when that was wrong
    std::chrono::milliseconds longest_recovery{600'000};
    std::chrono::milliseconds calm{2'000};             // after going down, what still comes in is about the time before
    std::chrono::milliseconds unremarkable_wait{500};  // answers as quick as this are never a sign of overload
    double slower_factor = 4;                          // than the best of this run: overload
  };
  explicit ConcurrencyLimit(unsigned most) : ConcurrencyLimit(most, Settings{}) {}
  ConcurrencyLimit(unsigned most, const Settings& settings);

  // Associations at the same time, at least 1.
  unsigned at(Time now);
  // The peer rejected one for the moment (A-ASSOCIATE-RJ 2/x) while `open` were open.
  void rejected(unsigned open, Time now);
  // The peer said that it is out of resources (A700, 0213).
  void overloaded(Time now);
  // The median of the last waits for an answer.
  void waited(std::chrono::milliseconds median, Time now);

  unsigned least() const { return m_least; }

 private:
  void lower(unsigned limit, Time now);

  unsigned m_most;
  Settings m_settings;
  unsigned m_limit;
  unsigned m_least;
  std::chrono::milliseconds m_recovery;
  Time m_changed_at{};
  bool m_was_raised = false;  // by the last change
  std::optional<double> m_best_wait;
};

// Stops hammering a peer that is gone: after so many failures in a row nothing is opened for a while, then one
// association is tried at a time. Pure: the time is given.
class CircuitBreaker {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Settings {
    unsigned failures = 8;                  // in a row
    unsigned probes = 3;                    // that fail, before it is given up
    std::chrono::milliseconds wait{8'000};  // before the first probe, doubled each time
    std::chrono::milliseconds longest_wait{60'000};
  };
  explicit CircuitBreaker(const Settings& settings) : m_settings(settings) {}

  // True when an association may be tried now; when it is open and its wait is over, for one caller: the probe.
  bool may_try(Time now);
  void failed(Time now);
  void worked();

  bool is_closed() const { return m_state == State::closed; }
  bool has_failures() const { return m_failures != 0 || m_state != State::closed; }
  bool given_up() const { return m_state == State::given_up; }

 private:
  enum class State { closed, open, probing, given_up };
  void open(Time now);

  Settings m_settings;
  State m_state = State::closed;
  unsigned m_failures = 0;
  unsigned m_failed_probes = 0;
  Time m_until{};
};

// Where the workers of a run ask whether an association may be opened, and say how it went. Thread-safe.
class AssociationGate {
 public:
  struct Settings {
    unsigned most = 1;
    ConcurrencyLimit::Settings concurrency{};
    CircuitBreaker::Settings breaker{};
  };
  explicit AssociationGate(const Settings& settings);

  // Waits for leave to open one. False when the run stops or the peer is given up. Each true is followed by opened() or
  // failed(), each opened() by closed() or broke().
  bool enter(std::stop_token stop);
  void opened();
  // It could not be opened. True when that was "not now" while others are open or about to be: a matter of patience,
  // and no failure.
  bool failed(const Error& error);
  void closed();
  // It ended by itself with work outstanding.
  void broke(const Error& error);

  // An answer came.
  void answered() {
    if (m_has_failures.load(std::memory_order_relaxed)) {
      forget_failures();
    }
  }
  void overloaded();
  void waited(std::chrono::milliseconds median);

  // More are open than there should be, or somebody waits and this one has nothing to do.
  bool should_yield() const { return m_excess.load(std::memory_order_relaxed); }
  bool has_waiting() const { return m_waiting.load(std::memory_order_relaxed) != 0; }
  unsigned open() const;

  // The peer cannot be used (any more), for the first reason given.
  void give_up(const Error& error);
  bool is_given_up() const { return m_is_given_up.load(std::memory_order_acquire); }
  std::optional<Error> given_up() const;

  // For the summary: asked, least, opened, rejected, broken.
  Json facts() const;

 private:
  void forget_failures();
  void breaker_failed(const Error& error);
  void update();

  mutable std::mutex m_mutex;
  std::condition_variable_any m_changed;
  unsigned m_most;
  ConcurrencyLimit m_limit;
  CircuitBreaker m_breaker;
  std::optional<Error> m_given_up;
  unsigned m_opening = 0;
  unsigned m_open = 0;
  std::uint64_t m_opened_ever = 0;
  std::uint64_t m_rejected = 0;
  std::uint64_t m_failed = 0;
  std::uint64_t m_broken = 0;
  std::atomic<bool> m_is_given_up{false};
  std::atomic<bool> m_has_failures{false};
  std::atomic<bool> m_excess{false};
  std::atomic<unsigned> m_waiting{0};
};

}  // namespace kuva::workflow
