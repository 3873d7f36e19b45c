#pragma once

#include <kuva/ledger/ledger.hpp>
#include <kuva/workflow/items.hpp>
#include <kuva/workflow/target.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace kuva::workflow {

// How a ledger names the archive that studies are taken out of: "AETITLE@host:port", or the address of its web service.
std::string retrieval_source(const Target& target);

// What kuva-retrieve notes in a ledger: the files that have landed, some hundred at a time and in a thread of its own,
// and the retrievals of studies. A record leaves for the sink behind once the ledger knows what it says; when the
// ledger is lost the records go out all the same, since they are true, and the run is told to stop. Thread-safe.
class RetrieveLedger : public RecordSink {
 public:
  static constexpr std::size_t k_most = 256;                  // records that wait
  static constexpr std::size_t k_full = 4 * k_most;           // with so many the next has to wait
  static constexpr std::chrono::milliseconds k_longest{200};  // for as long

  // `on_lost` is called once.
  RetrieveLedger(ledger::Ledger& ledger, std::string source, RecordSink& sink, Observer& observer,
                 std::function<void()> on_lost);
  ~RetrieveLedger() override;

  // An instance that need not come again.
  struct Known {
    ledger::Instance row;
    bool is_there = false;  // else its file is gone, and the next archive has it
  };
  // What came of a study before.
  struct Study {
    std::map<std::string, Known> instances;  // by SOP Instance UID
    bool is_complete = false;                // all of it came, and none of it needs to come again
    std::int64_t retrieval = 0;
  };
  // Looks at the files too. Errors: ledger.*.
  Study find(const std::string& study_instance_uid);
  // A study, or a part of it, is about to be asked for. Returns the id of its retrieval. Errors: ledger.*.
  std::int64_t begin(const std::string& study_instance_uid);

  void emit(const Json& record) override { pass_on(Json(record)); }
  void pass_on(Json&& record) override;
  // The record of an object that is in a file now.
  void landed(Json record, ledger::Instance row, std::int64_t retrieval);
  // The record of a retrieval that has ended.
  void ended(Json record, ledger::Retrieval retrieval);
  // Everything so far is in the ledger and has been passed on. Errors: ledger.*, local.write, local.read.
  void flush();

 private:
  struct Waiting {
    Json record;
    std::optional<ledger::Instance> row;
    std::int64_t retrieval = 0;  // of the row
    std::optional<ledger::Retrieval> end;
  };
  void add(Waiting waiting);
  void run();
  void write_out();
  void write(const std::vector<Waiting>& batch);
  void note(std::exception_ptr failure);

  ledger::Ledger& m_ledger;
  std::string m_source;
  RecordSink& m_sink;
  Observer& m_observer;
  std::function<void()> m_on_lost;
  std::mutex m_writing;  // one at a time, in order
  std::exception_ptr m_failure;
  bool m_ledger_is_lost = false;
  std::mutex m_mutex;
  std::condition_variable m_wake;
  std::condition_variable m_written;
  std::vector<Waiting> m_waiting;
  bool m_ended = false;
  std::thread m_thread;
};

// The record of an instance that need not come again: already-there, or skipped where its file is gone. `earlier`: of
// an earlier stage, or null.
Json resumed_instance_record(Json earlier, const RetrieveLedger::Known& known);

}  // namespace kuva::workflow
