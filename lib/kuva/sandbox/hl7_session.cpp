#include <kuva/mllp/frame.hpp>
#include <kuva/sandbox/connection_faults.hpp>
#include <kuva/sandbox/hl7_session.hpp>
#include <kuva/sandbox/web_faults.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>

namespace kuva::sandbox {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds k_hl7_close_limit{1'000};
constexpr milliseconds k_answer_drip{5};
constexpr std::size_t k_longest_word = 60;
// Neither a start nor an end of a block is in it.
constexpr std::string_view k_noise = "\r\nHTTP/1.1 400 Bad Request\r\n\r\n";

// MSH-10 of an answer.
std::string make_control_id() {
  static std::atomic<std::uint64_t> counter{0};
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return fmt::format("S{:x}{:03x}", std::chrono::duration_cast<milliseconds>(now).count(), ++counter & 0xFFFU);
}

class Conversation {
 public:
  Conversation(std::unique_ptr<net::Stream> stream, std::uint64_t number, bool is_tls, const Settings& settings,
               AdtService& service, FaultPlan& plan, Transcript& transcript, const std::stop_token& stop)
      : m_settings(settings),
        m_service(service),
        m_plan(plan),
        m_transcript(transcript),
        m_stop(stop),
        m_number(number),
        m_tls(is_tls),
        m_stream(std::make_unique<FaultStream>(std::move(stream))) {
    m_scope.of_all = number;
  }

  void run() {
    FaultStream& stream = *m_stream;
    mllp::Connection connection(std::move(m_stream), m_settings.hl7.most_message_bytes);
    // A stop ends the wait for a message, and lets an answer go out.
    std::mutex mutex;
    bool is_busy = false;
    const std::stop_callback end(m_stop, [&] {
      const std::lock_guard lock(mutex);
      if (!is_busy) {
        stream.shutdown();
      }
    });
    while (!m_stop.stop_requested()) {
      std::optional<std::string> bytes;
      try {
        bytes = connection.receive(Deadline::after(m_settings.idle_timeout));
      } catch (const Error&) {
        if (m_stop.stop_requested()) {
          break;
        }
        throw;
      }
      if (!bytes) {
        break;
      }
      {
        const std::lock_guard lock(mutex);
        is_busy = true;
      }
      if (!answer(*bytes, stream, connection)) {
        break;
      }
      const std::lock_guard lock(mutex);
      is_busy = false;
    }
    connection.stream().close(Deadline::after(k_hl7_close_limit));
  }

 private:
  // False: the connection is to be closed.
  bool answer(const std::string& bytes, FaultStream& stream, mllp::Connection& connection) {
    Json facts{{"peer", stream.peer().to_json()}, {"bytes", bytes.size()}};
    std::vector<FaultRule> faults;
    hl7::Acknowledgement acknowledgement;
    std::optional<hl7::Message> message;
    try {
      message = hl7::Message::parse(bytes);
      facts["messageControlId"] = message->control_id().substr(0, k_longest_word);
      facts["messageType"] = message->type().substr(0, k_longest_word);
      faults = fire();
      if (!happens_before(faults)) {
        acknowledgement = judge(*message, faults, facts);
        acknowledgement.own_control_id = make_control_id();
        facts["acknowledgement"] = hl7::to_string(acknowledgement.code);
        facts["acknowledgementControlId"] = acknowledgement.own_control_id;
        if (!acknowledgement.errors.empty()) {
          facts["errorCode"] = acknowledgement.errors.front().code;
          facts["errorLocation"] = acknowledgement.errors.front().location;
        }
      }
    } catch (const Error& error) {
      facts["error"] = error.to_json();
      m_transcript.write("hl7-message", m_number, facts);
      return false;  // no MSH, no answer: dcm4chee-arc closes too
    }
    m_transcript.write("hl7-message", m_number, facts);
    return send(*message, std::move(acknowledgement), faults, stream, connection);
  }

  std::vector<FaultRule> fire() {
    auto fired =
        m_plan.is_empty() ? std::vector<FaultRule>() : m_plan.fire(FaultPoint::hl7, m_scope, {{}, m_tls, {}, {}});
    for (const FaultRule& rule : fired) {
      write_fault(m_transcript, m_number, rule);
    }
    return fired;
  }

  // A message that nobody acts on.
  static bool happens_before(const std::vector<FaultRule>& faults) {
    return std::any_of(faults.begin(), faults.end(), [](const FaultRule& rule) {
      const bool ends =
          rule.action == FaultAction::silent || rule.action == FaultAction::close || rule.action == FaultAction::reset;
      return ends && rule.moment == FaultMoment::request;
    });
  }

  hl7::Acknowledgement judge(const hl7::Message& message, const std::vector<FaultRule>& faults, Json& facts) {
    hl7::Acknowledgement said;
    if (const FaultRule* const rule = web_fault(faults, FaultAction::acknowledgement)) {
      said.code = *hl7::parse_ack_code(rule->code);
      said.text = rule->reason;
      if (!rule->subcode.empty()) {
        said.errors.push_back({"", rule->subcode, "", "E", "", rule->reason});
      }
      return said;
    }
    try {
      return m_service.receive(message, facts);
    } catch (const Error& error) {
      facts["error"] = error.to_json();
      said.code = hl7::AckCode::AR;
      said.errors.push_back({"", "207", "", "E", "", "The sandbox failed; its transcript says how."});
      return said;
    }
  }

  bool send(const hl7::Message& message, hl7::Acknowledgement acknowledgement, const std::vector<FaultRule>& faults,
            FaultStream& stream, mllp::Connection& connection) {
    if (has_fault(faults, FaultAction::wrong_control_id)) {
      acknowledgement.control_id = make_control_id();
    }
    const std::string answer = hl7::make_acknowledgement(message, acknowledgement).wire_bytes();
    for (const FaultRule& rule : faults) {
      switch (rule.action) {
        case FaultAction::silent:
          stream.wait_out(rule.duration.value_or(m_settings.idle_timeout), m_stop);
          return false;
        case FaultAction::close:
          return false;
        case FaultAction::reset:
          stream.reset();
          return false;
        case FaultAction::delay:
          pause(*rule.duration);
          break;
        case FaultAction::drip:
          stream.drip(rule.duration.value_or(k_answer_drip));
          break;
        default:
          break;
      }
    }
    const bool is_twice = has_fault(faults, FaultAction::twice);
    const bool is_noisy = has_fault(faults, FaultAction::noise);
    if (!is_twice && !is_noisy) {
      connection.send(answer, m_settings.timeouts.stall);
      return true;
    }
    // In one piece, so that all of it is there before the next message.
    std::string bytes = mllp::to_block(answer);
    if (is_twice) {
      bytes += bytes;
    }
    stream.write_raw(is_noisy ? std::string(k_noise) + bytes + std::string(k_noise) : bytes);
    return true;
  }

  void pause(milliseconds duration) const {
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any woken;
    woken.wait_for(lock, m_stop, duration, [] { return false; });
  }

  const Settings& m_settings;
  AdtService& m_service;
  FaultPlan& m_plan;
  Transcript& m_transcript;
  std::stop_token m_stop;
  std::uint64_t m_number;
  bool m_tls;
  FaultScope m_scope;
  std::unique_ptr<FaultStream> m_stream;
};

}  // namespace

void serve_hl7(std::unique_ptr<net::Stream> stream, std::uint64_t number, bool is_tls, const Settings& settings,
               AdtService& service, FaultPlan& plan, Transcript& transcript, const std::stop_token& stop) {
  Conversation(std::move(stream), number, is_tls, settings, service, plan, transcript, stop).run();
}

}  // namespace kuva::sandbox
