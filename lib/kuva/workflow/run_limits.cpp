#include <kuva/core/time.hpp>
#include <kuva/workflow/pacing.hpp>
#include <kuva/workflow/run_limits.hpp>

#include <fmt/format.h>

#include <charconv>

namespace kuva::workflow {

namespace {

constexpr std::uint64_t k_default_last = 1000;
constexpr std::uint64_t k_most_remembered = 1'000'000;
constexpr std::chrono::milliseconds k_limit_check{200};

std::optional<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && value != 0 ? std::optional(value) : std::nullopt;
}

}  // namespace

FailureLimit FailureLimit::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  std::string_view amount = text.substr(0, slash);
  const bool is_share = amount.ends_with('%');
  if (is_share) {
    amount.remove_suffix(1);
  }
  const auto number = parse_count(amount);
  const auto last = slash == std::string_view::npos ? std::optional(is_share ? k_default_last : 0)
                                                    : parse_count(text.substr(slash + 1));
  if (!number || !last || *last > k_most_remembered || (is_share && *number > 100)) {
    throw Error(kind("usage.argument"),
                fmt::format("'{}' is not a number of failures such as 20, 20/1000, 5% or 5%/1000", text));
  }
  // So many among the last M are the share of the last M, however many have been seen.
  return {is_share ? std::max<std::uint64_t>(1, (*number * *last + 99) / 100) : *number, *last};
}

RunLimits::RunLimits(RunLimitSettings settings, Clocks clocks)
    : m_settings(std::move(settings)), m_clocks(std::move(clocks)), m_started(m_clocks.steady()) {}

std::optional<Error> RunLimits::reached() {
  const std::lock_guard lock(m_mutex);
  look_at_clocks();
  return m_reached;
}

std::optional<Error> RunLimits::begin(std::uint64_t bytes) {
  const std::lock_guard lock(m_mutex);
  look_at_clocks();
  if (m_settings.max_items != 0 && m_items >= m_settings.max_items) {
    reach(kind("limit.reached"), fmt::format("{} objects were begun, as many as this run may", m_items));
  } else if (m_settings.max_bytes != 0 && m_bytes >= m_settings.max_bytes) {
    reach(kind("limit.reached"), fmt::format("{} bytes were begun, this run may {}", m_bytes, m_settings.max_bytes));
  }
  if (!m_reached) {
    ++m_items;
    m_bytes += bytes;
  }
  return m_reached;
}

void RunLimits::ended(bool failed) {
  const FailureLimit& limit = m_settings.max_failures;
  if (limit.failures == 0) {
    return;
  }
  const std::lock_guard lock(m_mutex);
  m_failures += failed ? 1 : 0;
  if (limit.among_last != 0) {
    m_last.push_back(failed);
    if (m_last.size() > limit.among_last) {
      m_failures -= m_last.front() ? 1 : 0;
      m_last.pop_front();
    }
  }
  if (m_failures >= limit.failures) {
    reach(kind("limit.failures"), limit.among_last == 0
                                      ? fmt::format("{} objects failed", m_failures)
                                      : fmt::format("{} of the last {} objects failed", m_failures, m_last.size()));
  }
}

std::uint64_t RunLimits::bandwidth() const {
  if (m_settings.bandwidth.is_constant()) {
    return m_settings.bandwidth.at({});
  }
  return m_settings.bandwidth.at(m_settings.zone.to_local(std::chrono::floor<std::chrono::seconds>(m_clocks.system())));
}

void RunLimits::look_at_clocks() {
  if (m_reached) {
    return;
  }
  if (m_settings.max_duration.count() != 0 && m_clocks.steady() - m_started >= m_settings.max_duration) {
    reach(kind("limit.reached"),
          fmt::format("the run took {}, as long as it may", format_duration(m_settings.max_duration)));
    return;
  }
  if (m_settings.windows.empty()) {
    return;
  }
  const auto local = m_settings.zone.to_local(std::chrono::floor<std::chrono::seconds>(m_clocks.system()));
  for (const WeeklyWindow& window : m_settings.windows) {
    if (window.contains(local)) {
      return;
    }
  }
  reach(kind("limit.window"),
        fmt::format("the window {} ({}) is closed", m_settings.windows_text, m_settings.zone.name()));
}

void RunLimits::reach(const ErrorKind& which, std::string message) {
  if (!m_reached) {
    m_reached.emplace(which, std::move(message));
  }
}

LimitWatch::LimitWatch(RunLimits& limits, std::stop_token outer)
    : m_on_outer_stop(std::move(outer), [this] { m_stop.request_stop(); }) {
  if (!limits.settings().has_time()) {
    return;
  }
  // A window that is closed already: nothing is even begun.
  if (limits.reached()) {
    m_stop.request_stop();
    return;
  }
  m_thread = std::jthread([this, &limits](std::stop_token end) {
    while (sleep_unless_stopped(k_limit_check, end)) {
      if (limits.reached()) {
        m_stop.request_stop();
        return;
      }
    }
  });
}

}  // namespace kuva::workflow
