#pragma once

#include <kuva/dimse/messenger.hpp>
#include <kuva/dimse/status.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace kuva::dimse {

// The storage service as user (PS3.4 annex B): C-STORE requests, several outstanding where a window was negotiated.
class StoreUser {
 public:
  struct Request {
    std::uint8_t context_id = 1;
    std::string sop_class_uid;
    std::string sop_instance_uid;
    ul::DataSource data;
    std::uint64_t token = 0;  // the caller's, comes back with the response
  };
  struct Response {
    std::uint64_t token = 0;
    Command command;
    std::uint64_t bytes = 0;                 // of the data set, sent
    bool complete = true;                    // all of it
    std::chrono::milliseconds send_time{0};  // first to last byte
    std::chrono::milliseconds wait_time{0};  // last byte to response
  };

  // `cap` bounds what is outstanding where the window is unlimited.
  StoreUser(Messenger& messenger, std::chrono::milliseconds response_timeout, std::size_t cap = k_unlimited_cap);
  static constexpr std::size_t k_unlimited_cap = 64;

  // True while another request may be outstanding.
  bool may_send() const;
  // True when receive() has an answer without waiting for the peer: one that came while its object was still going out.
  bool has_answer() const { return m_early.has_value(); }
  std::size_t outstanding() const { return m_pending.size(); }
  // Sends; when it throws, the message was not sent whole (it is in unsent()) and the association is gone. An answer
  // that comes meanwhile and is no failure is dimse.unexpected-response.
  void send(Request request);
  // Waits for the next response; only while something is outstanding. Errors: store.no-response when nothing came for
  // the time allowed since the last byte or the last response; connection.*, association.*; dimse.unexpected-response
  // (wrong message id, another instance, no status, success for an object that was not sent whole). The association
  // is then gone.
  Response receive();

  // What is known of a request that has no response yet; also after an Error.
  struct Outstanding {
    std::uint16_t message_id = 0;
    std::uint64_t bytes = 0;  // of the data set; 0 where it was not sent whole
    bool complete = false;
    std::chrono::milliseconds send_time{0};
    std::chrono::milliseconds wait_time{0};  // since the last byte
  };
  std::optional<Outstanding> find(std::uint64_t token) const;

  // After an Error: tokens of the requests whose last byte had been sent and that have no response (indeterminate), and
  // of those that were not sent whole (not stored).
  std::vector<std::uint64_t> unanswered() const;
  std::vector<std::uint64_t> unsent() const;

 private:
  struct Pending {
    std::uint16_t message_id = 0;
    std::string sop_instance_uid;
    std::uint64_t token = 0;
    std::uint64_t bytes = 0;
    bool complete = false;
    std::chrono::milliseconds send_time{0};
    std::chrono::steady_clock::time_point sent_at;
  };
  [[noreturn]] void unexpected(std::string what);
  bool is_refused_early();
  Response check(Command command);
  Response take(std::deque<Pending>::iterator pending, Command command);

  Messenger& m_messenger;
  std::chrono::milliseconds m_response_timeout;
  std::size_t m_window;
  std::deque<Pending> m_pending;
  std::chrono::steady_clock::time_point m_last_activity;
  std::optional<std::uint16_t> m_last_answered;
  std::optional<Messenger::Message> m_early;
};

}  // namespace kuva::dimse
