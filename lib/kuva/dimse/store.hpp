#pragma once

#include <kuva/dimse/messenger.hpp>
#include <kuva/dimse/status.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>

namespace kuva::dimse {

// The storage service as user (PS3.4 annex B): C-STORE requests, several outstanding where a window was negotiated.
class StoreUser {
 public:
  struct Request {
    std::uint8_t context_id = 1;
    std::string sop_class_uid;
    std::string sop_instance_uid;
    ul::DataProducer data;
    std::uint64_t token = 0;  // the caller's, comes back with the response
  };
  struct Response {
    std::uint64_t token = 0;
    Command command;
    std::uint64_t bytes = 0;               // of the data set, sent
    bool complete = true;                  // all of it
    std::chrono::milliseconds send_time{0};  // first to last byte
    std::chrono::milliseconds wait_time{0};  // last byte to response
  };

  StoreUser(Messenger& messenger, std::chrono::milliseconds response_timeout);

  // True while another request may be outstanding (window of the association; capped at `cap` where it is unlimited).
  bool may_send() const;
  std::size_t outstanding() const;
  // Sends; when it throws, the message was not sent whole (sent_whole() tells) and the association is gone.
  void send(Request request);
  // Waits for the next response. Errors: store.no-response after the time allowed, connection.*, association.*,
  // dimse.unexpected-response (wrong message id, another instance); the association is then aborted.
  Response receive();

  // After an Error: tokens of the requests whose last byte had been sent and that have no response (indeterminate), and
  // of those that were not sent whole (not stored).
  std::vector<std::uint64_t> unanswered() const;
  std::vector<std::uint64_t> unsent() const;
};

}  // namespace kuva::dimse
