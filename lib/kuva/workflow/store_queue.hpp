#pragma once

#include <kuva/workflow/association_gate.hpp>
#include <kuva/workflow/items.hpp>
#include <kuva/workflow/pacing.hpp>
#include <kuva/workflow/presentation_plan.hpp>
#include <kuva/workflow/run_limits.hpp>
#include <kuva/workflow/send.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace kuva::workflow {

inline constexpr std::string_view k_send_tool = "kuva-send";

// One instance to be stored.
struct StoreJob {
  Json record;
  std::string path;
  StorageKind kind;
  std::string sop_instance_uid;
  std::string study_instance_uid;
  std::uint64_t size = 0;
  unsigned attempts = 0;
  std::chrono::steady_clock::time_point not_before{};
  std::uint8_t context_id = 0;           // it was sent in last
  std::uint64_t not_on_association = 0;  // where it failed in a way that may be the association's; 0: none

  // Of an instance that has failed before; null otherwise.
  std::shared_ptr<const Json> first_failure;  // time, code, message
  std::shared_ptr<const Error> doubt;         // sent whole and not answered: to be settled before anything else
  unsigned settle_attempts = 0;
  bool was_sent_again = false;  // after settling said that the peer does not have it
  bool has_begun = false;       // counted against the limits of the run
};

// What the workers of one run have in common: where records go, what stops the run, and what is known of the peer.
// Thread-safe.
class StoreRun {
 public:
  StoreRun(RecordSink& sink, Observer& observer, const Target& target, const SendSettings& settings,
           std::stop_token stop);

  const Target& target() const { return m_target; }
  const SendSettings& settings() const { return m_settings; }
  Observer& observer() { return m_observer; }
  const std::shared_ptr<const net::TlsContext>& tls() const { return m_tls; }

  // Nothing new is started: a signal, a failure of this machine, or --fail-fast.
  bool stopping() const { return m_stop.stop_requested(); }
  // Names this run in records and in the summary.
  const std::string& id() const { return m_id; }
  std::stop_token stop_token() const { return m_stop.get_token(); }
  // The same, or a limit of the run: what was entered leaves as unsent. For waits that come before something new.
  bool ending() const { return m_watch.ending(); }
  std::stop_token ending_token() const { return m_watch.stop_token(); }
  RunLimits& limits() { return m_limits; }
  // Waits for this object's turn and asks whether it may begin; each once. False where it may not.
  bool may_begin(StoreJob& job);
  void fail(std::exception_ptr failure);
  void rethrow_failure();

  // A record leaves. When it cannot be written the run stops.
  void emit(Json record);
  void finish_failed(StoreJob job, const Error& error);
  void finish_indeterminate(StoreJob job, const Error& error);
  // For this reason, else for that for which the run ends.
  void finish_unsent(StoreJob job, const std::optional<Error>& reason = {});
  void finish_stored(StoreJob job, bool with_warning, std::uint64_t bytes);

  // Why nothing more is sent: the peer is given up, or a limit was reached. Nothing where neither is so.
  std::optional<Error> why_ended();
  // Asked before each C-STORE: why an instance of this study must not go out. Before workers begin.
  void check_lease(std::function<std::optional<Error>(const std::string& study_instance_uid)> check);
  std::optional<Error> lost_lease(const std::string& study_instance_uid) const;
  // For the progress: so many are to be done.
  void expect(std::uint64_t total);

  // No more instances of this study are sent.
  void stop_study(const std::string& study_instance_uid, const Error& error);
  // The peer refused an instance of this SOP class for a reason that concerns the class: after `limit` of them, none
  // of which it ever took, no more are sent.
  void class_refused(const std::string& sop_class_uid, const Error& error, unsigned limit);
  void class_worked(const std::string& sop_class_uid);
  bool has_class_worked(const std::string& sop_class_uid) const;
  // Why an instance is not to be sent any more though its turn has come.
  std::optional<Error> stopped(const StoreJob& job) const;

  // Associations: how many, whether another may be opened, and whether the peer is given up.
  AssociationGate& gate() { return m_gate; }
  bool given_up() const { return m_gate.is_given_up(); }
  std::uint64_t next_association_id() { return ++m_associations; }

 private:
  void finish_with_error(StoreJob job, std::string_view state, const Error& error);
  void count_ended(bool failed);

  RecordSink& m_sink;
  Observer& m_observer;
  const Target& m_target;
  const SendSettings& m_settings;
  std::shared_ptr<const net::TlsContext> m_tls;
  std::string m_id;
  std::atomic<std::uint64_t> m_associations{0};
  AssociationGate m_gate;
  std::stop_source m_stop;
  std::stop_callback<std::function<void()>> m_on_outer_stop;
  RunLimits m_limits;
  ObjectRateLimit m_object_rate;
  LimitWatch m_watch;
  std::function<std::optional<Error>(const std::string&)> m_lease_check;

  mutable std::mutex m_mutex;
  std::exception_ptr m_failure;
  std::map<std::string, Error> m_stopped_studies;
  struct ClassState {
    bool worked = false;
    unsigned refusals = 0;
    std::optional<Error> stopped;
  };
  std::map<std::string, ClassState> m_classes;
  std::atomic<bool> m_any_stopped{false};  // so that nobody looks where there is nothing
  Observer::Progress m_progress{0, 0, 0, 0, "sending"};
};

// The jobs of one worker, bounded. One producer, one consumer.
class StoreQueue {
 public:
  // Waits for room. When the run is stopping the job leaves as unsent.
  void push(StoreJob job, StoreRun& run);
  // No more will be pushed.
  void close();
  // Which waiting job is best sent next over an association that is open.
  struct Preference {
    const PresentationPlan* plan = nullptr;  // null: no association
    std::string_view study_instance_uid;     // of the last job
  };
  // The next job, waiting at most until `deadline`; nothing when there is none by then, or the queue has ended. In the
  // order in which they came, but what the open association has no context for lets pass what it has one for: the rest
  // of the study at hand, or, where no context can be added any more, everything that waits.
  std::optional<StoreJob> pop(std::chrono::steady_clock::time_point deadline, const Preference& preference);
  bool ended() const;
  bool is_empty() const;
  std::size_t load() const;
  // Waits until it is full or closed, but not past `deadline`: what is known then is what an association is planned
  // for.
  void wait_filled(std::chrono::steady_clock::time_point deadline);
  // The distinct kinds of the jobs that wait, the next one first, for the contexts of the next association.
  std::vector<StorageKind> kinds() const;

  // From now on more may wait: there are more kinds than an association has contexts for, and the more of them are in
  // sight, the fewer associations it takes.
  void hold_more();
  std::size_t capacity() const;

  static constexpr std::size_t k_capacity = 256;
  static constexpr std::size_t k_large_capacity = 4096;

 private:
  mutable std::mutex m_mutex;
  std::condition_variable_any m_changed;
  std::deque<StoreJob> m_jobs;
  std::size_t m_capacity = k_capacity;
  bool m_closed = false;
};

}  // namespace kuva::workflow
