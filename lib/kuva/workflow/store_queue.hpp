#pragma once

#include <kuva/workflow/items.hpp>
#include <kuva/workflow/presentation_plan.hpp>
#include <kuva/workflow/send.hpp>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
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
  std::stop_token stop_token() const { return m_stop.get_token(); }
  void fail(std::exception_ptr failure);
  void rethrow_failure();

  // A record leaves. When it cannot be written the run stops.
  void emit(const Json& record);
  void finish_failed(StoreJob job, const Error& error);
  void finish_indeterminate(StoreJob job, const Error& error);
  void finish_unsent(StoreJob job);
  void finish_stored(StoreJob job, bool with_warning, std::uint64_t bytes);

  // No more instances of this study are sent.
  void stop_study(const std::string& study_instance_uid, const Error& error);
  std::optional<Error> study_stopped(const std::string& study_instance_uid) const;

  // The circuit breaker: the peer cannot be used (any more) for the reason given; what is left stays unsent.
  void give_up(const Error& error);
  std::optional<Error> given_up() const;

  // Associations that are open; a rejection while another one works is a matter of patience.
  void association_opened();
  void association_closed();
  bool another_association_works() const;
  // An association broke without a response having come; gives up after k_most_breaks of them in a row.
  void association_broke(const Error& error);
  void response_came();

  static constexpr unsigned k_most_breaks = 8;

 private:
  void finish_with_error(StoreJob job, std::string_view state, const Error& error);

  RecordSink& m_sink;
  Observer& m_observer;
  const Target& m_target;
  const SendSettings& m_settings;
  std::shared_ptr<const net::TlsContext> m_tls;
  std::stop_source m_stop;
  std::stop_callback<std::function<void()>> m_on_outer_stop;

  mutable std::mutex m_mutex;
  std::exception_ptr m_failure;
  std::map<std::string, Error> m_stopped_studies;
  std::optional<Error> m_given_up;
  unsigned m_open_associations = 0;
  unsigned m_breaks = 0;
  Observer::Progress m_progress{0, 0, 0, 0, "sending"};
};

// The jobs of one worker, bounded. One producer, one consumer.
class StoreQueue {
 public:
  // Waits for room. When the run is stopping the job leaves as unsent.
  void push(StoreJob job, StoreRun& run);
  // No more will be pushed.
  void close();
  // The next job, waiting at most until `deadline`; nothing when there is none by then, or the queue has ended.
  std::optional<StoreJob> pop(std::chrono::steady_clock::time_point deadline);
  bool ended() const;
  std::size_t load() const;
  // The distinct kinds of the jobs that wait, for the contexts of the next association.
  std::set<StorageKind> kinds() const;

  static constexpr std::size_t k_capacity = 256;

 private:
  mutable std::mutex m_mutex;
  std::condition_variable_any m_changed;
  std::deque<StoreJob> m_jobs;
  bool m_closed = false;
};

}  // namespace kuva::workflow
