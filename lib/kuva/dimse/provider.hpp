#pragma once

#include <kuva/dimse/commitment.hpp>
#include <kuva/dimse/messenger.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace kuva::dimse {

// What a provider does with one C-STORE (PS3.4 annex B). One object a message, on the association's thread.
class StoreReception {
 public:
  virtual ~StoreReception() = default;
  virtual void write(std::span<const std::byte> data) = 0;  // may throw Error: the rest is read and dropped, status 0110/A700
  virtual Command finish(const Command& response) = 0;      // the response with its status, comment, elements
};

// The services of an accepted association. An empty handler makes the provider answer 0211 or 0122.
struct Services {
  std::function<std::unique_ptr<StoreReception>(const Messenger::Message&, const ul::AcceptedContext&)> store;
  // N-ACTION of storage commitment: returns the response; `after` may be set to something that is done on this thread
  // once the response has been sent (a report on the same association).
  std::function<Command(const Messenger::Message&, const dicom::DataSet&, std::function<void(Messenger&)>& after)> action;
  // N-EVENT-REPORT: returns the response.
  std::function<Command(const Messenger::Message&, const dicom::DataSet&)> event_report;
  // Called before (received = true) and after each message, for a transcript.
  std::function<void(const Messenger::Message&, bool received)> trace;
};

// Serves until the peer releases (answered), aborts or is idle too long; C-ECHO is always answered.
// Errors: as Association; the association is closed on return and on throw.
void serve(Messenger& messenger, const Services& services, std::chrono::milliseconds idle_timeout,
           std::chrono::milliseconds stall_limit);

}  // namespace kuva::dimse
