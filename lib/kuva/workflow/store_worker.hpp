#pragma once

#include <kuva/dimse/store.hpp>
#include <kuva/workflow/pacing.hpp>
#include <kuva/workflow/store_queue.hpp>

#include <deque>
#include <map>
#include <memory>
#include <optional>

namespace kuva::workflow {

// Sends the jobs of one queue over one association at a time, on one thread. Every job that it takes leaves as exactly
// one record.
class StoreWorker {
 public:
  StoreWorker(StoreRun& run, StoreQueue& queue, BandwidthLimit& bandwidth);
  ~StoreWorker();

  // Until the queue has ended and everything has left.
  void work();

 private:
  // An open association and what goes with it.
  struct Session;

  std::optional<StoreJob> next_job();
  void process(StoreJob job);
  bool ready_for(const StoreJob& job);
  bool open_session(const StoreJob& job);
  void close_session();
  void transmit(StoreJob job, const ContextChoice& choice);
  void await_answer();
  void collect();
  void on_response(StoreJob job, const dimse::StoreUser::Response& response);
  void on_broken(const Error& error);
  void retry_or_fail(StoreJob job, const Error& error);

  StoreRun& m_run;
  StoreQueue& m_queue;
  BandwidthLimit& m_bandwidth;
  std::unique_ptr<Session> m_session;
  std::deque<StoreJob> m_retries;
  std::map<std::uint64_t, StoreJob> m_in_flight;  // by token
  std::uint64_t m_next_token = 1;
  std::set<StorageKind> m_recent_kinds;  // of earlier associations: a batch tends to go on as it began
};

}  // namespace kuva::workflow
