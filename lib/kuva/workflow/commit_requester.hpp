#pragma once

#include <kuva/dimse/messenger.hpp>
#include <kuva/dimse/provider.hpp>
#include <kuva/workflow/commit.hpp>
#include <kuva/workflow/custody.hpp>
#include <kuva/workflow/target.hpp>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

namespace kuva::workflow {

// Sends the N-ACTION requests on an association of its own thread, one transaction after the other, and takes the
// reports that come on that association: before the response, after it, and for the grace time after the last.
class CommitRequester {
 public:
  CommitRequester(const Target& target, const CommitSettings& settings, Custody& custody, Observer& observer,
                  RunLimits& limits, std::stop_token stop);
  ~CommitRequester();

  // Queues a transaction that Custody has opened.
  void request(std::string transaction_uid);
  // Returns when every request has been answered or has failed. The association may stay open for the grace time.
  void finish();
  // Ends the grace time; the association is released.
  void close();

 private:
  void run();
  void run_queue();
  std::optional<std::string> next(std::chrono::milliseconds patience);
  void ask(const std::string& transaction_uid);
  void open_association();
  void exchange(const std::string& transaction_uid);
  void take_events(Deadline deadline);
  dimse::Messenger::Message await_response(std::uint16_t message_id);
  void answer_event(const dimse::Messenger::Message& message);
  void release();
  bool stopping() const { return m_stop.stop_requested(); }

  const Target& m_target;
  const CommitSettings& m_settings;
  Custody& m_custody;
  Observer& m_observer;
  RunLimits& m_limits;
  std::stop_token m_stop;
  std::shared_ptr<const net::TlsContext> m_tls;
  dimse::Services m_services;

  std::mutex m_mutex;
  std::condition_variable_any m_changed;
  std::deque<std::string> m_queue;
  bool m_busy = false;
  bool m_closed = false;
  std::exception_ptr m_failure;
  std::optional<Error> m_given_up;

  bool m_is_unanswered = false;  // a request is out whose answer has not been understood
  std::unique_ptr<ul::Association> m_association;
  std::unique_ptr<dimse::Messenger> m_messenger;
  std::jthread m_thread;
};

}  // namespace kuva::workflow
