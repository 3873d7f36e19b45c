#pragma once

#include <kuva/cli/bundle.hpp>
#include <kuva/cli/failure_summary.hpp>
#include <kuva/cli/messages.hpp>
#include <kuva/cli/options.hpp>
#include <kuva/cli/record_writer.hpp>
#include <kuva/cli/run_reporter.hpp>
#include <kuva/cli/signals.hpp>
#include <kuva/cli/target_options.hpp>
#include <kuva/workflow/items.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string_view>

namespace kuva::cli {

// What a tool says of itself.
struct ToolInfo {
  std::string_view name;   // "kuva-send"
  std::string_view usage;  // "[OPTION]... -t TARGET [PATH]..."
  std::string_view description;
  std::string_view examples;        // two spaces before each line, newline at the end of each
  bool flush_each = true;           // records leave one by one (network); else in blocks where no terminal reads them
  bool serves = false;              // a signal is the ordinary end of the work
  std::string_view documents = {};  // words of --format besides those of all tools: "fhir|ehn"
  // What --explain knows besides explain(); nothing where it knows nothing of it either.
  std::optional<std::string> (*explain)(std::string_view what) = nullptr;
};

// A run of a tool: its streams, its count of items, and its stop request.
class Session {
 public:
  // `command_line`: of this run, without its input; `repeat`: the same for the repetition of a single item.
  Session(const ToolInfo& info, const StandardOptions& options, Messages& messages, Signals& signals,
          std::string command_line, std::string repeat);
  ~Session();

  const StandardOptions& options() const { return m_options; }
  std::string_view tool() const { return m_info.name; }
  // Of this run, without its input; there are no secrets on command lines.
  const std::string& command_line() const { return m_command_line; }
  // The summary as it would be written now.
  Json summary_so_far() const;
  // Counts what leaves (Accounting::left), also where writing it fails.
  workflow::RecordSink& sink() { return m_sink; }
  workflow::Observer& observer() { return m_messages; }
  // Whether records are written as people read them.
  bool writes_text() const { return m_text; }
  // Text as it is, in place of records; for --format text.
  void write_text(std::string_view text) { m_writer->write(text); }
  // True with --format fhir and ehn: records and the summary are then counted and not written.
  bool writes_documents() const { return m_document; }
  // A document of such a format, as one line.
  void write_document(const Json& document);
  workflow::Accounting& accounting() { return m_accounting; }
  std::stop_token stop_token() const { return m_signals.stop_token(); }

  // Errors: usage.argument, local.read.
  std::unique_ptr<workflow::InputSource> open_input(const InputOptions& input);
  // Errors: as resolve_target.
  workflow::Target target(const TargetOptions& options, TargetNeeds needs = TargetNeeds::dicom);

  // Once, when all is over but the summary: the exit code is known then, whatever ended the run.
  void at_end(std::function<void()> end) { m_at_end = std::move(end); }
  // For each SIGHUP: what keeps a log open opens it anew by its name. May throw kuva::Error, which becomes a warning.
  // `reopen` is called from another thread, until finish() or the end of the session.
  void on_reopen(std::function<void()> reopen);
  // --stats and --metrics; without it only SIGUSR1 makes a line.
  void report_progress(const ReportOptions& options);

  // An error of the run: a message, a record of type error, and the exit code. Errors: local.write.
  void report(const Error& error);
  // Writes the summary, closes the output; the exit code of the process.
  int finish();

 private:
  class CountedSink : public workflow::RecordSink {
   public:
    explicit CountedSink(Session& session) : m_session(session) {}
    void emit(const Json& record) override;
    void emit_all(std::span<const Json> records) override;

   private:
    Session& m_session;
  };

  void say(const Error& error);
  void emit(const Json& record);

  const ToolInfo& m_info;
  const StandardOptions& m_options;
  Messages& m_messages;
  Signals& m_signals;
  std::string m_command_line;
  std::string m_repeat;
  std::function<void()> m_at_end;
  bool m_text = false;
  bool m_document = false;
  std::unique_ptr<RecordWriter> m_writer;
  CountedSink m_sink{*this};
  workflow::Accounting m_accounting;
  FailureSummary m_failures;
  std::optional<RunReporter> m_reporter;
  std::optional<Bundle> m_bundle;
  std::chrono::steady_clock::time_point m_started = std::chrono::steady_clock::now();
};

// Everything that is the same in all tools: options, streams, signals, summary, exit code. `add_options` adds what is
// the tool's own; `work` does it. Nothing is thrown out of it.
int run_tool(const ToolInfo& info, int argc, char** argv, const std::function<void(CLI::App&)>& add_options,
             const std::function<void(Session&)>& work);

}  // namespace kuva::cli
