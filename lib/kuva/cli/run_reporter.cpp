#include <kuva/cli/options.hpp>
#include <kuva/cli/run_reporter.hpp>
#include <kuva/cli/text_renderer.hpp>
#include <kuva/core/byte_count.hpp>
#include <kuva/core/file.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace kuva::cli {

namespace {

constexpr std::uint64_t k_metrics_limit = 1U << 20U;

// Lines of an earlier run's file that tell of its end.
std::string last_run_of(const std::string& file, std::string_view tool) {
  std::string text;
  try {
    text = read_small_file(file, k_metrics_limit);
  } catch (const Error&) {
    return {};  // none yet
  }
  std::string lines;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size() - 1);
    const std::string_view line = rest.substr(0, end + 1);
    rest.remove_prefix(end + 1);
    if (line.starts_with("kuva_last_run_") && line.find(fmt::format("tool=\"{}\"", tool)) != std::string_view::npos) {
      lines += line;
    }
  }
  return lines;
}

double seconds_since_epoch(std::chrono::system_clock::time_point time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

// One metric: its help, its type, its samples.
void put_metric(std::string& text, std::string_view name, std::string_view help, const std::string& samples) {
  if (!samples.empty()) {
    text += fmt::format("# HELP {0} {1}\n# TYPE {0} gauge\n{2}", name, help, samples);
  }
}

}  // namespace

void add_report_options(CLI::App& app, ReportOptions& options) {
  constexpr const char* k_group = "Progress";
  add_duration(app, "--stats", options.stats, "Say how far it is on standard error this often")->group(k_group);
  app.add_option("--metrics", options.metrics, "Keep numbers in a file for node_exporter's textfile collector")
      ->type_name("FILE")
      ->group(k_group);
}

RunReporter::RunReporter(ReportOptions options, std::string tool, const workflow::Accounting& accounting,
                         Messages& messages)
    : m_options(std::move(options)), m_tool(std::move(tool)), m_accounting(accounting), m_messages(messages) {
  m_before.time = m_started;
  if (!m_options.metrics.empty()) {
    m_last_run = last_run_of(m_options.metrics, m_tool);
    write_metrics(std::nullopt);
  }
  if (!m_options.metrics.empty() || m_options.stats.count() != 0) {
    m_thread = std::thread([this] { run(); });
  }
}

RunReporter::~RunReporter() {
  {
    const std::lock_guard lock(m_mutex);
    m_ended = true;
  }
  m_changed.notify_all();
  if (m_thread.joinable()) {
    m_thread.join();
  }
}

void RunReporter::run() {
  std::unique_lock lock(m_mutex);
  auto stats_at = m_options.stats.count() != 0 ? m_started + m_options.stats : Clock::time_point::max();
  auto metrics_at = m_options.metrics.empty() ? Clock::time_point::max() : m_started + k_metrics_interval;
  while (!m_changed.wait_until(lock, std::min(stats_at, metrics_at), [this] { return m_ended; })) {
    const auto now = Clock::now();
    if (now >= stats_at) {
      m_messages.say(line());
      stats_at = now + m_options.stats;
    }
    if (now >= metrics_at) {
      write_metrics(std::nullopt);
      metrics_at = now + k_metrics_interval;
    }
  }
}

void RunReporter::say_now() {
  const std::lock_guard lock(m_mutex);
  m_messages.say(line());
}

void RunReporter::finish(ExitCode code) {
  const std::lock_guard lock(m_mutex);
  m_ended = true;
  m_changed.notify_all();
  if (!m_options.metrics.empty()) {
    write_metrics(code);
  }
}

std::string RunReporter::line() {
  const workflow::Accounting::Snapshot counts = m_accounting.snapshot();
  const double seconds = std::max(0.001, std::chrono::duration<double>(Clock::now() - m_started).count());
  const double rate = static_cast<double>(counts.left) / seconds;
  std::string text = fmt::format("{}", counts.left);
  if (const std::uint64_t of = std::max(counts.expected, counts.entered); of > counts.left) {
    text += fmt::format(" of {}", of);
  }
  text += fmt::format(" done, {} failed, {}, {:.1f}/s, {}/s", counts.failed, format_bytes(counts.bytes), rate,
                      format_bytes(static_cast<std::uint64_t>(static_cast<double>(counts.bytes) / seconds)));
  text += fmt::format(", after {}", format_clock(std::chrono::seconds(static_cast<std::int64_t>(seconds))));
  if (counts.expected > counts.left && counts.left != 0) {
    const double rest = static_cast<double>(counts.expected - counts.left) / rate;
    text += fmt::format(", {} left", format_clock(std::chrono::seconds(static_cast<std::int64_t>(rest))));
  }
  return text;
}

void RunReporter::write_metrics(std::optional<ExitCode> ended) {
  const workflow::Accounting::Snapshot counts = m_accounting.snapshot();
  const Point now{Clock::now(), counts.left, counts.bytes};
  // While it runs the rate is that of the last interval; at the end that of the whole run.
  const Point since = ended ? Point{m_started, 0, 0} : m_before;
  const double seconds = std::max(0.001, std::chrono::duration<double>(now.time - since.time).count());
  m_before = now;
  const std::string tool = fmt::format("tool=\"{}\"", m_tool);
  const auto sample = [&tool](std::string_view name, auto value) {
    return fmt::format("{}{{{}}} {}\n", name, tool, value);
  };
  std::string text;
  std::string samples;
  for (const auto& [outcome, count] : counts.by_outcome) {
    samples += fmt::format("kuva_run_items{{{},outcome=\"{}\"}} {}\n", tool, outcome, count);
  }
  put_metric(text, "kuva_run_items", "Items of the run that have left, by outcome.", samples);
  samples.clear();
  for (const auto& [code, count] : counts.by_error) {
    samples += fmt::format("kuva_run_errors{{{},code=\"{}\"}} {}\n", tool, code, count);
  }
  put_metric(text, "kuva_run_errors", "Items of the run with an error, by its code.", samples);
  put_metric(text, "kuva_run_items_entered", "Items that the run has taken in.",
             sample("kuva_run_items_entered", counts.entered));
  if (counts.expected != 0) {
    put_metric(text, "kuva_run_items_expected", "Items that the run has before it in all.",
               sample("kuva_run_items_expected", counts.expected));
  }
  put_metric(text, "kuva_run_bytes", "Bytes of the files of items that are done.",
             sample("kuva_run_bytes", counts.bytes));
  put_metric(
      text, "kuva_run_items_per_second", "Rate of the last interval, at the end of the whole run.",
      sample("kuva_run_items_per_second", fmt::format("{:.3f}", static_cast<double>(now.left - since.left) / seconds)));
  put_metric(text, "kuva_run_bytes_per_second", "Rate of the last interval, at the end of the whole run.",
             sample("kuva_run_bytes_per_second",
                    fmt::format("{:.0f}", static_cast<double>(now.bytes - since.bytes) / seconds)));
  put_metric(text, "kuva_run_start_timestamp_seconds", "When the run began.",
             sample("kuva_run_start_timestamp_seconds", fmt::format("{:.3f}", seconds_since_epoch(m_started_at))));
  put_metric(text, "kuva_run_active", "1 while the run goes on.", sample("kuva_run_active", ended ? 0 : 1));
  if (ended) {
    m_last_run = sample("kuva_last_run_end_timestamp_seconds",
                        fmt::format("{:.3f}", seconds_since_epoch(std::chrono::system_clock::now()))) +
                 sample("kuva_last_run_exit_code", static_cast<int>(*ended));
  }
  // As they stand in the file of the run before: the end, then the exit code.
  const std::size_t second = m_last_run.find("kuva_last_run_exit_code");
  if (second != std::string::npos) {
    put_metric(text, "kuva_last_run_end_timestamp_seconds", "When the last run that ended did so.",
               m_last_run.substr(0, second));
    put_metric(text, "kuva_last_run_exit_code", "Its exit status (kuva(7)).", m_last_run.substr(second));
  }
  try {
    AtomicFile file(m_options.metrics);
    file.write(text);
    file.commit(false);  // what a crash of the machine takes is written anew soon
  } catch (const Error& error) {
    if (!m_has_complained) {
      m_has_complained = true;
      m_messages.message(workflow::Observer::Level::warning, fmt::format("--metrics: {}", error.message()));
    }
  }
}

}  // namespace kuva::cli
