#pragma once

#include <kuva/core/error.hpp>
#include <kuva/core/exit_code.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::workflow {

// What comes into a tool: a path to look at (a file, or a directory to walk), or a record of an earlier stage.
struct Input {
  std::string path;  // when not a record
  std::optional<Json> record;
};

// Where input comes from: arguments, a list of paths, NDJSON. Blocks; one thread.
class InputSource {
 public:
  virtual ~InputSource() = default;
  // Nothing at the end, or when the run is to stop. Errors: local.read, stream.record (a line that is not a record:
  // the caller reports it and goes on).
  virtual std::optional<Input> next() = 0;
};

// Where records go. Thread-safe; records of one caller keep their order.
class RecordSink {
 public:
  virtual ~RecordSink() = default;
  // Errors: local.write (stdout is gone); the run then stops.
  virtual void emit(const Json& record) = 0;
  // The same, of a record that is no longer needed.
  virtual void pass_on(Json&& record) { emit(record); }
  // Several, which leave together.
  virtual void emit_all(std::span<const Json> records) {
    for (const Json& record : records) {
      emit(record);
    }
  }
};

// What people see while it runs (stderr). Thread-safe.
class Observer {
 public:
  enum class Level { error, warning, info, detail };
  struct Progress {
    std::uint64_t seen = 0;
    std::uint64_t done = 0;
    std::uint64_t failed = 0;
    std::uint64_t bytes = 0;
    std::string doing;        // "sending", "waiting for reports"
    std::uint64_t total = 0;  // that are to be done, where it is known
  };
  virtual ~Observer() = default;
  virtual void message(Level level, std::string_view text) = 0;
  virtual void progress(const Progress& progress) = 0;
};

// Counts what enters and what leaves. Thread-safe. Items are the records of type `instance`; others pass uncounted.
class Accounting {
 public:
  // Items are the records of these types instead. Before anything is counted.
  void items_are(std::vector<std::string> types);
  // An item entered the tool.
  void entered();
  // So many of those that entered are not items of this run after all.
  void entered_not(std::uint64_t items);
  // A record left it (called by whoever emits).
  void left(const Json& record);
  // Something besides the items decides on the exit code too: an error of the run, the summary of an earlier stage.
  void note(ExitCode code);
  void note(const Error& error);

  // So many items will have left when everything is done, where that is known before.
  void expect(std::uint64_t items);

  // What a report in between says.
  struct Snapshot {
    std::uint64_t entered = 0;
    std::uint64_t left = 0;
    std::uint64_t expected = 0;  // 0: not known
    std::uint64_t failed = 0;    // left with ok: false
    std::uint64_t bytes = 0;
    std::map<std::string, std::uint64_t> by_outcome;
    std::map<std::string, std::uint64_t> by_error;
  };
  Snapshot snapshot() const;

  // A key of the tool's own for the summary.
  void add_to_summary(std::string key, Json value);

  std::uint64_t seen() const;
  // Items that entered and have not left: 0 at the end of a sound run.
  std::uint64_t missing() const;
  // By precedence over all items, notes and what is missing.
  ExitCode exit_code() const;
  // type summary; seen, counts by outcome, bytes, elapsed ms, exitCode, interrupted; outcome "done" or "failed".
  Json summary(std::string_view tool, std::chrono::milliseconds elapsed, bool interrupted) const;

 private:
  mutable std::mutex m_mutex;
  std::vector<std::string> m_types{"instance"};
  std::uint64_t m_entered = 0;
  std::uint64_t m_left = 0;
  std::uint64_t m_expected = 0;
  std::uint64_t m_failed = 0;
  std::uint64_t m_bytes = 0;
  std::map<std::string, std::uint64_t> m_by_outcome;
  std::map<std::string, std::uint64_t> m_by_error;
  ExitCode m_worst = ExitCode::done;
  Json m_more = Json::object();
};

// The exit code that a record by itself asks for: done for ok, else by its error's code.
ExitCode exit_code_of(const Json& record);

// True when a stage acts on this record: an instance with ok, and neither skipped nor a duplicate.
bool is_actionable(const Json& record);

}  // namespace kuva::workflow
