#pragma once

#include <kuva/dicom/inspection.hpp>
#include <kuva/ledger/ledger.hpp>
#include <kuva/workflow/items.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

namespace kuva::workflow {

// Writes what became of instances into the ledger, some hundred at a time and in a thread of its own, and passes their
// records on only then: what a record says, the ledger knows. When the ledger is lost the records go out all the same,
// since they are true, and the run is told to stop. Thread-safe.
class LedgerSink : public RecordSink {
 public:
  static constexpr std::size_t k_most = 256;                  // records that wait
  static constexpr std::size_t k_full = 4 * k_most;           // with so many the next has to wait
  static constexpr std::chrono::milliseconds k_longest{200};  // for as long

  // `on_lost` is called once, with ledger.* (or local.write of the sink behind).
  LedgerSink(ledger::Ledger& ledger, RecordSink& sink, std::function<void(std::exception_ptr)> on_lost);
  ~LedgerSink() override;

  // These were taken from the ledger: their records are verdicts. Those of others only pass.
  void took(std::span<const ledger::Instance> instances);
  // The records of every instance that this tool has decided on are verdicts, by their path. Before the first record.
  void take_all_of(std::string_view tool) { m_tool = tool; }
  void emit(const Json& record) override { pass_on(Json(record)); }
  void pass_on(Json&& record) override;
  // Files that are left as they are, and why: their records are made in the sink's thread.
  struct Left {
    enum class Why {
      resumed,       // an earlier run has done it
      ended,         // it has just turned out that nothing can be done for it
      not_selected,  // this run is to leave it
    };
    Why why = Why::resumed;
    ledger::Instance row;
    Json record;  // what came in of it; null where nothing did
  };
  void leave(std::vector<Left>&& files, std::string_view tool);
  // Everything so far is in the ledger and has been passed on. Errors: ledger.*, local.write.
  void flush();
  // The same, when something else has failed already.
  void leave_all() { write_out(); }
  // Instances of the study that were taken and whose verdict is not in the ledger.
  std::uint64_t outstanding(const std::string& study_instance_uid) const;
  // Returns when something was written, or after this time.
  void wait_changed(std::chrono::milliseconds time);

 private:
  struct Waiting {
    Json record;
    std::optional<ledger::Verdict> verdict;
    std::int64_t put_back = 0;  // taken and not sent
    std::string study;          // of one that was taken
    std::optional<Left> left;   // has no record yet
    std::string_view tool;      // of its record
  };
  struct Taken {
    std::int64_t id;
    std::string study;
  };
  void run();
  void write_out();

  ledger::Ledger& m_ledger;
  RecordSink& m_sink;
  std::function<void(std::exception_ptr)> m_on_lost;
  std::string m_tool;    // of take_all_of; empty: only what was taken
  std::mutex m_writing;  // one at a time, in order
  std::exception_ptr m_failure;
  bool m_ledger_is_lost = false;
  mutable std::mutex m_mutex;
  std::condition_variable m_wake;
  std::condition_variable m_changed;
  std::vector<Waiting> m_waiting;
  std::unordered_map<std::string, Taken> m_taken;                // by path
  std::unordered_map<std::string, std::uint64_t> m_outstanding;  // by study
  bool m_ended = false;
  std::thread m_thread;
};

}  // namespace kuva::workflow
