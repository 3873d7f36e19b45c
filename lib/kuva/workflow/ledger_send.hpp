#pragma once

#include <kuva/workflow/inventory.hpp>
#include <kuva/workflow/ledger_sink.hpp>
#include <kuva/workflow/send.hpp>
#include <kuva/workflow/store_queue.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

namespace kuva::workflow {

// The first part of a run with a ledger: every file of the input gets its row. What is there unchanged is not read
// again, and where nothing is left to do for it its record leaves at once, with `resumed`. The ledger is asked in a
// thread of its own, while the caller walks on. Errors of take and flush: ledger.*.
class LedgerInventory {
 public:
  LedgerInventory(StoreRun& run, LedgerSink& sink, Accounting& accounting);
  // What was not flushed is left.
  ~LedgerInventory();
  LedgerInventory(const LedgerInventory&) = delete;
  LedgerInventory& operator=(const LedgerInventory&) = delete;

  void take(InventoryItem item);
  // What was taken so far is in the ledger.
  void flush();
  // Records that left.
  std::uint64_t left() const { return m_left; }

 private:
  struct Looked {
    InventoryItem item;
    ledger::FileIdentity file;
  };
  using Page = std::vector<Looked>;
  void hand_over();
  void work();
  void settle_all(Page files);
  std::optional<ledger::Instance> look(Looked& looked);
  void settle(Looked& looked, ledger::Instance&& row, bool is_known);
  void leave(Json record);
  bool is_wanted(const ledger::Instance& row) const;

  StoreRun& m_run;
  LedgerSink& m_sink;
  Accounting& m_accounting;
  const SendSettings::Batch& m_batch;
  std::unordered_set<std::string> m_studies;
  std::unordered_set<std::string> m_patients;
  Page m_files;                             // not handed over yet
  std::vector<LedgerSink::Left> m_leaving;  // of the page that is looked at
  std::atomic<std::uint64_t> m_left{0};
  Observer::Progress m_progress{0, 0, 0, 0, "inventory", 0};
  std::mutex m_mutex;
  std::condition_variable m_changed;
  std::deque<Page> m_pages;  // the first is looked at
  std::exception_ptr m_failure;
  bool m_ended = false;
  std::thread m_thread;
};

// The second part: studies are claimed one after the other, and their instances handed to the workers, a study to one
// of them. Leases are kept alive; what waits when the run comes to its end leaves as unsent.
class LedgerDispatcher {
 public:
  LedgerDispatcher(StoreRun& run, LedgerSink& sink, Accounting& accounting, std::deque<StoreQueue>& queues);

  // Until nothing is left to be claimed, or the run ends.
  void work();
  // When the workers have ended: gives studies back, and lets leave what the run did not come to.
  void finish();
  // Why an instance of this study must not go out now: the lease has run out.
  std::optional<Error> lost_lease(const std::string& study_instance_uid) const;

 private:
  struct Held {
    ledger::Study study;
    std::vector<ledger::Instance> last;  // taken, and to be sent when all others have ended
    bool is_exhausted = false;           // nothing more can be taken
  };

  bool claim(std::optional<Held>& slot);
  bool feed(Held& held, StoreQueue& queue);
  void push(const ledger::Instance& row, StoreQueue& queue);
  bool is_ready(const ledger::Study& study);
  void renew_leases();
  void note_lease(const std::string& study_instance_uid, std::chrono::steady_clock::time_point asked_at);
  void let_leave(const ledger::Filter& filter, const Error& reason);

  StoreRun& m_run;
  LedgerSink& m_sink;
  Accounting& m_accounting;
  std::deque<StoreQueue>& m_queues;
  const SendSettings::Batch& m_batch;
  ledger::Ledger& m_ledger;
  std::vector<std::optional<Held>> m_slots;  // one a worker
  std::vector<ledger::Study> m_draining;     // all of it is with the workers
  std::unordered_set<std::string> m_not_ready;
  bool m_is_at_end = false;
  bool m_has_waited = false;  // others held studies when this was last looked at
  std::chrono::steady_clock::time_point m_next_pass{};
  std::chrono::steady_clock::time_point m_next_renewal{};
  mutable std::mutex m_mutex;
  std::map<std::string, std::chrono::steady_clock::time_point> m_leases;  // in PostgreSQL alone
};

}  // namespace kuva::workflow
