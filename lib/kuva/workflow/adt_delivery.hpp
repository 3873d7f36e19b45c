#pragma once

#include <kuva/mllp/client.hpp>
#include <kuva/workflow/hl7_target.hpp>
#include <kuva/workflow/items.hpp>

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace kuva::workflow {

// The outcome of a message that the peer acknowledged with AA or CA.
inline constexpr std::string_view k_applied = "applied";

struct DeliverySettings {
  unsigned retries = 3;                          // after a temporary error
  std::chrono::milliseconds retry_delay{1'000};  // before the first, then doubled
  // The same message again, with the same MSH-10, when it was not answered or the answer is a temporary error.
  bool repeat_unanswered = true;
  bool repeat_merges = false;  // the same for messages with MRG
};

// How one message ended.
struct Delivery {
  std::optional<mllp::Answer> answer;
  std::optional<Error> error;  // none: AA or CA, for this very message
  unsigned attempts = 0;
  bool in_doubt = false;  // an attempt, of an earlier run too, went out and was not answered

  bool applied() const { return answer && !error; }
};

// Sends messages to one target, in order. A peer that cannot be reached is not tried again for the messages after.
class Courier {
 public:
  // Errors: tls.config.
  Courier(const Hl7Target& target, const DeliverySettings& settings, std::stop_token stop);

  // `secrets` are masked in what the peer says (identifiers and names of the message).
  Delivery deliver(const hl7::Message& message, const std::vector<std::string>& secrets);
  // Why nothing more is sent: the peer cannot be reached.
  const std::optional<Error>& unreachable() const { return m_unreachable; }
  std::uint64_t connections() const { return m_client.connections(); }

 private:
  bool pause(std::chrono::milliseconds delay);

  Hl7Target m_target;
  DeliverySettings m_settings;
  std::stop_token m_stop;
  mllp::Client m_client;
  std::optional<Error> m_unreachable;
  std::chrono::steady_clock::time_point m_last{};
};

// The Error for an acknowledgement that is not AA or CA (HL7 table 0357, and what dcm4chee-arc says beside it); none
// for AA and CA.
std::optional<Error> error_of(const hl7::Acknowledgement& acknowledgement, const std::vector<std::string>& secrets);

// For what may have been applied, since an attempt went out and was not answered, whatever came of a later one: the
// same error where its class is indeterminate, else mllp.no-acknowledgement with the code as "cause".
Error in_doubt(const Error& later);

// Identifiers, parts of names, addresses and dates of birth that stand in PID and MRG segments.
std::vector<std::string> secrets_of(const hl7::Message& message);
// The same and whatever looks like an identifier, masked: for words of the peer.
std::string masked(std::string text, const std::vector<std::string>& secrets);

// The keys of a record of type message: messageControlId, messageType, version.
void describe(Json& record, const hl7::Message& message);
// acknowledgement, attempts; outcome and error: indeterminate, too, for all that is in doubt and was not confirmed, and
// unsent without an attempt.
void conclude(Json& record, std::string_view tool, const Delivery& delivery, const std::vector<std::string>& secrets);
Json to_json(const std::vector<hl7::Finding>& findings);

}  // namespace kuva::workflow
