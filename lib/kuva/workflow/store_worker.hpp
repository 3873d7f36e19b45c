#pragma once

#include <kuva/dicom/part10.hpp>
#include <kuva/dimse/store.hpp>
#include <kuva/workflow/pacing.hpp>
#include <kuva/workflow/store_policy.hpp>
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
  PresentationPlan plan_session(const StoreJob& job);
  void close_session();
  void send(StoreJob job);
  void transmit(StoreJob job, const ContextChoice& choice);
  void look_ahead();
  void await_answer();
  void collect();
  void finish_answered();
  void on_response(StoreJob job, const dimse::StoreUser::Response& response);
  void on_broken(const Error& error);
  // What becomes of a job after a failure.
  void decide(StoreJob job, const Error& error, const StorePolicy& policy);
  void try_again(StoreJob job, const Error& error);
  void doubt(StoreJob job, const Error& error);
  void ask_later(StoreJob job);
  void settle(StoreJob job);
  std::optional<bool> ask(StoreJob& job, std::string& why_not);
  void leave_in_doubt(StoreJob job, std::string_view settling);
  void note_wait(std::chrono::milliseconds wait);
  void note_class_worked(const std::string& sop_class_uid);
  // The facts of a failure on the association at hand, besides those of the message itself.
  void put_association_facts(Error& error, const StoreJob& job) const;

  StoreRun& m_run;
  StoreQueue& m_queue;
  BandwidthLimit& m_bandwidth;
  std::unique_ptr<Session> m_session;
  std::deque<StoreJob> m_retries;
  std::map<std::uint64_t, StoreJob> m_in_flight;  // by token
  // The job after those in flight, with its file open: it goes out as soon as the answer is in.
  std::optional<StoreJob> m_next;
  std::optional<dicom::Part10File> m_next_file;
  // Stored, their records still to be written: that need not keep the archive waiting for the next object.
  struct Answered {
    StoreJob job;
    bool with_warning;
    std::uint64_t bytes;
  };
  std::vector<Answered> m_answered;
  std::uint64_t m_next_token = 1;
  std::set<StorageKind> m_recent_kinds;  // of earlier associations: a batch tends to go on as it began
  std::set<std::string> m_worked_classes;
  std::string m_study;                             // of the last job
  std::vector<std::chrono::milliseconds> m_waits;  // since the last look at how quick the peer is
  bool m_has_planned = false;
  bool m_has_doubted = false;  // from then on associations are asked for C-FIND as well
};

}  // namespace kuva::workflow
