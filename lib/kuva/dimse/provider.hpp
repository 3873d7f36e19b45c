#pragma once

#include <kuva/dimse/commitment.hpp>
#include <kuva/dimse/messenger.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>

namespace kuva::dimse {

// What a provider does with one C-STORE (PS3.4 annex B). One object a message, on the association's thread.
class StoreReception {
 public:
  virtual ~StoreReception() = default;
  // May throw Error: the rest is read and dropped, and the answer is A700 for local.write and local.resource, 0110
  // otherwise.
  virtual void write(std::span<const std::byte> data) = 0;
  virtual Command finish(const Command& response) = 0;  // the response with its status, comment, elements
};

class Operation;

// The services of an association. A command without a handler is answered 0122 (store, action, event report,
// create) or 0211.
// An Error that a handler throws becomes status 0110 with its message as Error Comment.
struct Services {
  // Called for each C-STORE before its data set is read; null: the data set is read and dropped, 0122.
  std::function<std::unique_ptr<StoreReception>(const Messenger::Message&, const ul::AcceptedContext&)> store;
  // N-ACTION of storage commitment: returns the response; `after` may be set to something that is done on this thread
  // once the response has been sent (a report on the same association).
  std::function<Command(const Messenger::Message&, const dicom::DataSet&, std::function<void(Messenger&)>& after)>
      action;
  // N-EVENT-REPORT: returns the response.
  std::function<Command(const Messenger::Message&, const dicom::DataSet&)> event_report;
  // N-CREATE: returns the response.
  std::function<Command(const Messenger::Message&, const dicom::DataSet&)> create;
  // C-FIND, C-MOVE, C-GET: respond as often as it takes, the final response included (dimse/operation.hpp).
  std::function<void(Operation&, const dicom::DataSet& identifier)> query;
  // Called before (received = true) and after each message, for a transcript.
  std::function<void(const Messenger::Message&, bool received)> trace;
  // Sends the response instead of serve(), which then sends and traces nothing.
  std::function<void(Messenger&, const Messenger::Message& request, Command response)> respond;
  // Called between messages, at least every k_tick: may send requests of its own (a report on this association).
  std::function<void(Messenger&)> between;
  // The responses to those. Without it a response is dimse.unexpected-response.
  std::function<void(const Messenger::Message&)> response;
  // serve() aborts the association between two messages once stop is requested.
  std::stop_token stop;

  static constexpr std::chrono::milliseconds k_tick{50};
};

// Answers one request that was received on the messenger, reading its data set: for a user that waits for its own
// response and is asked something meanwhile (an N-EVENT-REPORT before the N-ACTION response).
void answer(Messenger& messenger, const Messenger::Message& request, const Services& services,
            std::chrono::milliseconds stall_limit);

enum class Ending { released, idle, stopped };  // idle and stopped: aborted by us

// Serves until the peer releases (answered), aborts or is idle too long; C-ECHO is always answered.
// Errors: as Association; the association is closed on return and on throw.
Ending serve(Messenger& messenger, const Services& services, std::chrono::milliseconds idle_timeout,
             std::chrono::milliseconds stall_limit);

}  // namespace kuva::dimse
