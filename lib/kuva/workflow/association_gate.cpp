#include <kuva/workflow/association_gate.hpp>

#include <algorithm>

namespace kuva::workflow {

namespace {

using Clock = std::chrono::steady_clock;

// How often a wait looks whether the time has come; a change by another worker wakes it at once.
constexpr std::chrono::milliseconds k_look{20};

}  // namespace

ConcurrencyLimit::ConcurrencyLimit(unsigned most, const Settings& settings)
    : m_most(std::max(1U, most)),
      m_settings(settings),
      m_limit(m_most),
      m_least(m_most),
      m_recovery(settings.recovery) {}

unsigned ConcurrencyLimit::at(Time now) {
  if (m_limit < m_most && now - m_changed_at >= m_recovery) {
    if (m_was_raised) {
      m_recovery = m_settings.recovery;  // the one before did no harm
    }
    ++m_limit;
    m_changed_at = now;
    m_was_raised = true;
  }
  return m_limit;
}

void ConcurrencyLimit::lower(unsigned limit, Time now) {
  if (m_was_raised) {
    m_recovery = std::min(2 * m_recovery, m_settings.longest_recovery);
  }
  m_limit = std::clamp(limit, 1U, m_limit);
  m_least = std::min(m_least, m_limit);
  m_changed_at = now;
  m_was_raised = false;
}

void ConcurrencyLimit::rejected(unsigned open, Time now) { lower(open, now); }

void ConcurrencyLimit::overloaded(Time now) {
  const bool is_calm = !m_was_raised && m_limit < m_most && now - m_changed_at < m_settings.calm;
  if (!is_calm) {
    lower(m_limit / 2, now);
  }
}

void ConcurrencyLimit::waited(std::chrono::milliseconds median, Time now) {
  const auto wait = static_cast<double>(median.count());
  if (!m_best_wait || wait < *m_best_wait) {
    m_best_wait = wait;
    return;
  }
  const bool is_slow = wait > static_cast<double>(m_settings.unremarkable_wait.count()) &&
                       wait > m_settings.slower_factor * *m_best_wait;
  const bool is_calm = m_limit < m_most && now - m_changed_at < m_settings.calm;
  if (is_slow && !is_calm && m_limit > 1) {
    lower(m_limit - 1, now);
  }
  // What was best an hour ago need not be possible now.
  *m_best_wait += (wait - *m_best_wait) / 64;
}

bool CircuitBreaker::may_try(Time now) {
  switch (m_state) {
    case State::closed:
      return true;
    case State::open:
      if (now < m_until) {
        return false;
      }
      m_state = State::probing;
      return true;
    case State::probing:
    case State::given_up:
      break;
  }
  return false;
}

void CircuitBreaker::open(Time now) {
  std::chrono::milliseconds wait = m_settings.wait;
  for (unsigned i = 0; i < m_failed_probes && wait < m_settings.longest_wait; ++i) {
    wait *= 2;
  }
  m_state = State::open;
  m_until = now + std::min(wait, m_settings.longest_wait);
}

void CircuitBreaker::failed(Time now) {
  switch (m_state) {
    case State::closed:
      if (++m_failures >= m_settings.failures) {
        open(now);
      }
      break;
    case State::probing:
      if (++m_failed_probes >= m_settings.probes) {
        m_state = State::given_up;
      } else {
        open(now);
      }
      break;
    case State::open:  // began before it opened
    case State::given_up:
      break;
  }
}

void CircuitBreaker::worked() {
  if (m_state == State::given_up) {
    return;
  }
  m_state = State::closed;
  m_failures = 0;
  m_failed_probes = 0;
}

AssociationGate::AssociationGate(const Settings& settings)
    : m_most(std::max(1U, settings.most)), m_limit(m_most, settings.concurrency), m_breaker(settings.breaker) {}

bool AssociationGate::enter(std::stop_token stop) {
  std::unique_lock lock(m_mutex);
  bool counted = false;
  bool may = false;
  while (!stop.stop_requested() && !m_given_up) {
    const auto now = Clock::now();
    if (m_open + m_opening < m_limit.at(now) && m_breaker.may_try(now)) {
      ++m_opening;
      may = true;
      break;
    }
    if (!counted) {
      ++m_waiting;
      counted = true;
    }
    m_changed.wait_for(lock, stop, k_look, [] { return false; });
  }
  if (counted) {
    --m_waiting;
  }
  update();
  return may;
}

void AssociationGate::opened() {
  const std::lock_guard lock(m_mutex);
  --m_opening;
  ++m_open;
  ++m_opened_ever;
  update();
}

bool AssociationGate::failed(const Error& error) {
  const std::lock_guard lock(m_mutex);
  --m_opening;
  const bool is_busy = &error.kind() == &kind("associate.rejected.transient");
  m_rejected += is_busy ? 1 : 0;
  const unsigned others = m_open + m_opening;
  if (is_busy && others != 0) {
    m_limit.rejected(others, Clock::now());
    update();
    return true;
  }
  ++m_failed;
  breaker_failed(error);
  return false;
}

void AssociationGate::closed() {
  const std::lock_guard lock(m_mutex);
  --m_open;
  m_breaker.worked();
  update();
}

void AssociationGate::broke(const Error& error) {
  const std::lock_guard lock(m_mutex);
  --m_open;
  ++m_broken;
  breaker_failed(error);
}

void AssociationGate::breaker_failed(const Error& error) {
  m_breaker.failed(Clock::now());
  if (m_breaker.given_up() && !m_given_up) {
    m_given_up = error;
    m_is_given_up.store(true, std::memory_order_release);
  }
  update();
}

void AssociationGate::forget_failures() {
  const std::lock_guard lock(m_mutex);
  m_breaker.worked();
  update();
}

void AssociationGate::overloaded() {
  const std::lock_guard lock(m_mutex);
  m_limit.overloaded(Clock::now());
  update();
}

void AssociationGate::waited(std::chrono::milliseconds median) {
  const std::lock_guard lock(m_mutex);
  m_limit.waited(median, Clock::now());
  update();
}

// With the lock held, after every change.
void AssociationGate::update() {
  m_has_failures.store(m_breaker.has_failures(), std::memory_order_relaxed);
  m_excess.store(m_open > m_limit.at(Clock::now()), std::memory_order_relaxed);
  m_changed.notify_all();
}

unsigned AssociationGate::open() const {
  const std::lock_guard lock(m_mutex);
  return m_open;
}

void AssociationGate::give_up(const Error& error) {
  const std::lock_guard lock(m_mutex);
  if (!m_given_up) {
    m_given_up = error;
    m_is_given_up.store(true, std::memory_order_release);
  }
  m_changed.notify_all();
}

std::optional<Error> AssociationGate::given_up() const {
  const std::lock_guard lock(m_mutex);
  return m_given_up;
}

Json AssociationGate::facts() const {
  const std::lock_guard lock(m_mutex);
  return Json{{"asked", m_most},        {"least", m_limit.least()}, {"opened", m_opened_ever},
              {"rejected", m_rejected}, {"failed", m_failed},       {"broken", m_broken}};
}

}  // namespace kuva::workflow
