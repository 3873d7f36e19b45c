#pragma once

#include <kuva/dicom/inspection.hpp>
#include <kuva/dimse/messenger.hpp>
#include <kuva/dimse/provider.hpp>
#include <kuva/sandbox/fault_stream.hpp>
#include <kuva/sandbox/faults.hpp>
#include <kuva/sandbox/reception.hpp>
#include <kuva/sandbox/transcript.hpp>
#include <kuva/ul/association.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace kuva::sandbox {

// Thrown when a fault has ended the association: nothing more is to be done with it.
struct FaultEnded {
  std::string fault;
};

// Writes that a rule fired. `facts` go into the same line.
void write_fault(Transcript& transcript, std::uint64_t association, const FaultRule& rule, const Json& facts = {});

// The faults of one connection, from TCP to its end, in the hands of its thread. Each that takes effect is a line of
// the transcript. It outlives the streams and associations that it hands out.
class ConnectionFaults {
 public:
  struct Circumstances {
    std::uint64_t number = 0;  // of the connection
    bool tls = false;
    std::chrono::milliseconds patience{0};  // how long silence lasts where the rule does not say
    std::stop_token stop;
  };
  ConnectionFaults(FaultPlan& plan, Transcript& transcript, Circumstances circumstances);

  // Before TLS. Throws FaultEnded where the connection is to be closed; the rules about TLS are the caller's.
  std::vector<FaultRule> at_connect(FaultPoint point = FaultPoint::connect);
  std::unique_ptr<net::Stream> wrap(std::unique_ptr<net::Stream> stream);
  // Changes what is answered to an association request. Throws FaultEnded.
  void at_associate(const ul::AssociateRequest& request, ul::Association::Decision& decision);
  std::unique_ptr<ul::Association> wrap(std::unique_ptr<ul::Association> association);

  // The command set of a request has come. A response means that it is refused with that. `trace` is told what went out
  // already. Throws FaultEnded.
  using Trace = std::function<void(const dimse::Messenger::Message&)>;
  std::optional<dimse::Command> at_request(FaultPoint point, dimse::Messenger& messenger,
                                           const dimse::Messenger::Message& request, const Trace& trace);
  // All of an object has come and it could be stored: the same.
  std::optional<dimse::Command> at_object(const dicom::InstanceAttributes& attributes, const dimse::Command& response);
  // Takes the place of receiving an object: a disk that gets full.
  std::unique_ptr<dimse::StoreReception> wrap(std::unique_ptr<dimse::StoreReception> reception, StoreNote& note);
  // Sends the response, or what a fault makes of it. Throws FaultEnded.
  void respond(dimse::Messenger& messenger, const dimse::Messenger::Message& request, dimse::Command response,
               const StoreNote& note, const Trace& trace);
  // Between two messages: answers that were held back go out when no more requests come.
  void between(dimse::Messenger& messenger, const Trace& trace);

 private:
  class FaultyAssociation;
  class FullDisk;

  std::vector<FaultRule> fire(FaultPoint point, FaultScope& scope, const FaultOccasion& occasion);
  void write(const FaultRule& rule, const Json& facts = {});
  std::chrono::milliseconds patience(const FaultRule& rule) const {
    return rule.duration.value_or(m_circumstances.patience);
  }
  void pause(std::chrono::milliseconds duration) const;

  void answer_contexts(const FaultRule& rule, const ul::AssociateRequest& request, ul::AssociateAccept& accept);
  [[noreturn]] void end(const FaultRule& rule);
  void at_pdv();
  void at_release();
  void send_held(dimse::Messenger& messenger, const Trace& trace);
  Json facts_of_current(const StoreNote& note) const;

  FaultPlan& m_plan;
  Transcript& m_transcript;
  Circumstances m_circumstances;
  std::string m_calling_ae;
  FaultScope m_scope;
  FaultStream* m_stream = nullptr;
  ul::Association* m_association = nullptr;

  // The request under way and what fired for it.
  std::optional<dimse::Messenger::Message> m_request;
  std::vector<FaultRule> m_current;
  bool m_is_answered = false;
  std::optional<FaultRule> m_at_pdv;
  std::uint32_t m_pdvs = 0;

  std::vector<dimse::Messenger::Message> m_held;
  std::chrono::steady_clock::time_point m_held_since;
};

}  // namespace kuva::sandbox
