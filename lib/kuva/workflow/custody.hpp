#pragma once

#include <kuva/core/time.hpp>
#include <kuva/dimse/commitment.hpp>
#include <kuva/workflow/items.hpp>
#include <kuva/workflow/transaction_store.hpp>

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

namespace kuva::workflow {

inline constexpr std::string_view k_commit_tool = "kuva-commit";

// The open transactions of a run, and what the archive says of them. Each instance leaves exactly once: committed,
// failed or pending. Thread-safe. Errors: local.read, local.write.
class Custody {
 public:
  Custody(RecordSink& sink, Observer& observer, TransactionStore& store);

  // Saves the records under a fresh Transaction UID, before anything is asked. `earlier` is the transaction of an
  // earlier run in which they were asked for already, if any: its report, should it come yet, settles them too.
  std::string open(std::vector<Json> records, const std::string& earlier = {});
  dimse::CommitmentRequest request_of(const std::string& transaction_uid) const;

  // The same records under a fresh Transaction UID, for another attempt: one is never used twice. A report that comes
  // for the earlier one all the same settles the new one.
  std::string renew(const std::string& transaction_uid);
  // Whether there is anything left to ask under this UID: a report may have settled it.
  bool is_open(const std::string& transaction_uid) const;

  // The archive took the request.
  void acknowledged(const std::string& transaction_uid);
  // The request failed: its instances leave as failed (a permanent error; the transaction is void) or as pending (a
  // temporary one, or the archive may have taken the request all the same).
  void request_failed(const std::string& transaction_uid, const Error& error, bool may_be_taken = false);

  // A report came, on whatever association. Known: its instances leave. Of an earlier run: kept for --resume. Repeated
  // or unknown: told, and taken as read, so that the archive does not send it for ever.
  void report(const dimse::CommitmentReport& report);

  // The records of an earlier run's transaction that its saved report does not settle; the others leave.
  std::vector<Json> settle_earlier(const TransactionStore::Transaction& transaction);

  // Until every transaction has a report, or the deadline, or a stop. True when none is left without one.
  bool wait(Deadline deadline, std::stop_token stop);
  // Once every transaction has a report: until what the reports leave out has been named by further ones, or the
  // deadline, or a stop.
  void wait_for_rest(Deadline deadline, std::stop_token stop);
  bool all_settled() const;
  // What no report speaks of leaves as pending; the transactions stay in the store.
  void leave_pending();

 private:
  struct Open {
    bool acknowledged = false;
    bool reported = false;              // by a report that left some out: another may name them yet
    std::set<std::string> asked_later;  // their records have left as pending; the archive wants to be asked again
  };
  TransactionStore::Transaction load(const std::string& transaction_uid) const;
  std::vector<std::string> current_uids(const std::string& transaction_uid) const;
  void settle(const std::string& transaction_uid, const dimse::CommitmentReport& report);
  void tell_progress();

  RecordSink& m_sink;
  Observer& m_observer;
  TransactionStore& m_store;
  mutable std::mutex m_mutex;
  std::condition_variable_any m_changed;
  std::map<std::string, Open> m_open;
  std::multimap<std::string, std::string> m_renewed;  // earlier to later UIDs
  std::set<std::string> m_settled;                    // of this run, to know a repeated report
  Observer::Progress m_progress{0, 0, 0, 0, "waiting for reports"};
};

}  // namespace kuva::workflow
