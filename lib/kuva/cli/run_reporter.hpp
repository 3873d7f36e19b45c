#pragma once

#include <kuva/cli/messages.hpp>
#include <kuva/core/exit_code.hpp>
#include <kuva/workflow/items.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace kuva::cli {

// What a run tells of itself while it runs.
struct ReportOptions {
  std::chrono::milliseconds stats{0};  // a line on standard error each time; 0: none
  std::string metrics;                 // a file for node_exporter's textfile collector; empty: none
};
// --stats, --metrics.
void add_report_options(CLI::App& app, ReportOptions& options);

// Says on standard error how far a run is, at an interval or when it is asked, and keeps a file of metrics in the text
// format of Prometheus up to date. The file appears whole, and from one run to the next it keeps when the last one
// ended and how. A file that cannot be written is told once and does not end the run. Thread-safe.
class RunReporter {
 public:
  // `tool` for the label.
  RunReporter(ReportOptions options, std::string tool, const workflow::Accounting& accounting, Messages& messages);
  ~RunReporter();

  // One line, now.
  void say_now();
  // The run has ended.
  void finish(ExitCode code);

  static constexpr std::chrono::milliseconds k_metrics_interval{15'000};

 private:
  using Clock = std::chrono::steady_clock;
  struct Point {
    Clock::time_point time;
    std::uint64_t left = 0;
    std::uint64_t bytes = 0;
  };

  void run();
  std::string line();
  void write_metrics(std::optional<ExitCode> ended);

  ReportOptions m_options;
  std::string m_tool;
  const workflow::Accounting& m_accounting;
  Messages& m_messages;
  Clock::time_point m_started = Clock::now();
  std::chrono::system_clock::time_point m_started_at = std::chrono::system_clock::now();
  std::string m_last_run;  // the lines of the run before
  std::mutex m_mutex;
  std::condition_variable m_changed;
  bool m_ended = false;
  bool m_has_complained = false;
  Point m_before;  // of the last metrics
  std::thread m_thread;
};

}  // namespace kuva::cli
