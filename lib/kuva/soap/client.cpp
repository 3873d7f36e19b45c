#include <kuva/core/time.hpp>
#include <kuva/soap/ascii.hpp>
#include <kuva/soap/client.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace kuva::soap {

namespace {

constexpr std::size_t k_error_text = 16U << 10U;  // of an answer that is none, kept for its error

// Takes what may be a SOAP message, whatever the status: faults come with 400 and 500, and with 200 too.
class ReplySink final : public BodySink {
 public:
  ReplySink(PartStore& store, const MessageLimits& limits) : m_store(store), m_limits(limits) {}

  bool begin(const HttpResponse& response) override {
    m_response = response;
    m_is_message = is_message_type(response.content_type());
    if (m_is_message) {
      m_reader.emplace(response.content_type(), m_store, m_limits);
    }
    return m_is_message;
  }

  void write(std::span<const std::byte> bytes) override {
    if (m_response.status >= 300 && m_start.size() < k_error_text) {
      const auto more = bytes.first(std::min(bytes.size(), k_error_text - m_start.size()));
      m_start.append(reinterpret_cast<const char*>(more.data()), more.size());
    }
    m_reader->write(bytes);
  }

  Message finish(bool framed) { return m_reader->finish(framed); }

  const HttpResponse& response() const { return m_response; }
  bool is_message() const { return m_is_message; }
  const std::string& start() const { return m_start; }

 private:
  PartStore& m_store;
  const MessageLimits& m_limits;
  HttpResponse m_response;
  std::optional<MessageReader> m_reader;
  std::string m_start;
  bool m_is_message = false;
};

bool is_success(int status) { return status >= 200 && status < 300; }

Error with_kind(const ErrorKind& error_kind, const Error& error, std::string_view remark = {}) {
  Error changed(error_kind, remark.empty() ? error.message() : fmt::format("{}; {}", error.message(), remark));
  for (const auto& [key, value] : error.details().items()) {
    changed.with(key, value);
  }
  if (error.peer()) {
    changed.with_peer(*error.peer());
  }
  return changed;
}

std::string_view without_urn(std::string_view id) {
  constexpr std::string_view k_urn = "urn:uuid:";
  return equals_ignoring_case(id.substr(0, k_urn.size()), k_urn) ? id.substr(k_urn.size()) : id;
}

bool is_retryable(const Error& error) {
  return error.kind().error_class == ErrorClass::temporary && error.kind().side != Side::local;
}

// False when it was stopped.
bool pause(std::chrono::milliseconds duration, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any condition;
  std::unique_lock lock(mutex);
  condition.wait_for(lock, stop, duration, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace

Error fault_error(const Fault& fault) {
  constexpr std::string_view k_security[] = {"UnsupportedSecurityToken", "UnsupportedAlgorithm", "InvalidSecurity",
                                             "InvalidSecurityToken",     "FailedAuthentication", "FailedCheck",
                                             "SecurityTokenUnavailable", "MessageExpired"};
  constexpr std::string_view k_addressing[] = {"MessageAddressingHeaderRequired", "ActionNotSupported",
                                               "InvalidAddressingHeader", "DestinationUnreachable",
                                               "EndpointUnavailable"};
  const auto has = [&fault](std::span<const std::string_view> names) {
    return std::any_of(fault.subcodes.begin(), fault.subcodes.end(), [names](const std::string& subcode) {
      return std::find(names.begin(), names.end(), subcode) != names.end();
    });
  };
  const ErrorKind& error_kind = has(k_security)     ? kind("soap.fault.security")
                                : has(k_addressing) ? kind("soap.fault.addressing")
                                                    : kind("soap.fault");
  const std::string_view subcode = fault.subcodes.empty() ? std::string_view() : fault.subcodes.back();
  Error error(error_kind,
              fmt::format("SOAP fault {}{}{}: {}{}{}", fault.code.empty() ? "without a code" : fault.code,
                          subcode.empty() ? "" : "/", subcode, fault.reason.empty() ? "no reason given" : fault.reason,
                          fault.detail.empty() ? "" : "; detail: ", fault.detail));
  error.with("faultCode", fault.code);
  if (!subcode.empty()) {
    error.with("faultSubcode", subcode);
  }
  error.with("faultReason", fault.reason);
  if (!fault.detail.empty()) {
    error.with("faultDetail", fault.detail);
  }
  return error;
}

std::optional<std::string> clock_remark(std::chrono::seconds skew) {
  if (std::chrono::abs(skew) <= std::chrono::seconds(2)) {
    return std::nullopt;
  }
  return fmt::format("this machine's clock is {} {} the server's", format_duration(std::chrono::abs(skew)),
                     skew.count() < 0 ? "ahead of" : "behind");
}

Client::Client(std::string url, HttpSettings settings, RetryPolicy retry, MessageLimits limits)
    : m_url(std::move(url)), m_retry(retry), m_limits(limits), m_http(std::move(settings)) {
  parse_url(m_url);
}

Reply Client::call(const Call& call, const std::stop_token& stop) {
  NoParts store;
  return this->call(call, store, stop);
}

Reply Client::call(const Call& call, PartStore& store, const std::stop_token& stop) {
  auto wait = m_retry.first_pause;
  for (unsigned attempts = 1;; ++attempts) {
    try {
      Reply reply = attempt(call, store, stop);
      reply.attempts = attempts;
      return reply;
    } catch (Error& error) {
      store.discard();
      error.with("attempts", attempts);
      if (attempts >= m_retry.attempts || !is_retryable(error) || stop.stop_requested()) {
        throw;
      }
      auto duration = wait;
      if (const auto after = error.details().find("retryAfter"); after != error.details().end()) {
        duration = std::max<std::chrono::milliseconds>(duration, std::chrono::seconds(after->get<std::int64_t>()));
      }
      if (!pause(std::min(duration, m_retry.longest_pause), stop)) {
        throw;
      }
      wait *= 2;
    } catch (...) {
      store.discard();
      throw;
    }
  }
}

Reply Client::attempt(const Call& call, PartStore& store, const std::stop_token& stop) {
  const std::string id = make_message_id();
  HttpRequest request;
  request.url = m_url;
  request.label = without_urn(id);
  EnvelopeContent content;
  content.action = call.action;
  content.message_id = id;
  content.to = m_url;
  content.reply_to = true;
  content.body_xml = call.body_xml;
  content.body_is_signed = call.security.signs_body;
  if (call.security.header) {
    content.security_xml = call.security.header(write_body(content));
  }
  const std::string envelope = write_envelope(content);
  if (call.mtom) {
    const auto frame = MultipartWriter::mtom(call.action);
    request.headers.add("Content-Type", frame.content_type());
    request.body = frame.root(envelope) + frame.tail();
  } else {
    request.headers.add("Content-Type", envelope_content_type(call.action));
    request.body = envelope;
  }

  ReplySink sink(store, m_limits);
  try {
    HttpResponse http;
    try {
      http = m_http.exchange(request, sink, stop);
    } catch (const Error& error) {
      const int status = sink.response().status;
      if (is_success(status) && !sink.is_message() && error.kind().code == kind("http.protocol").code) {
        // Accepted, and the answer is to come by another way (WS-Addressing, asynchronous).
        throw with_kind(status == 202 || status == 204 ? kind("soap.empty-body") : kind("soap.not-soap"), error);
      }
      throw;
    }
    std::optional<Message> message;
    try {
      message = sink.finish(http.framed);
    } catch (const Error&) {
      if (is_success(http.status)) {
        throw;
      }
      throw http_error(http, sink.start());
    }
    if (message->fault) {
      Error error = fault_error(*message->fault);
      const bool unauthorised =
          (http.status == 401 || http.status == 403) && error.kind().code == kind("soap.fault").code;
      if (unauthorised || error.kind().code == kind("soap.fault.security").code) {
        const auto remark = clock_remark(http.clock_skew.value_or(std::chrono::seconds(0)));
        throw with_kind(kind("soap.fault.security"), error, remark.value_or(""));
      }
      throw error;
    }
    if (!is_success(http.status)) {
      if (message->bare || !message->body) {
        throw http_error(http, sink.start());
      }
      message->warnings.push_back(fmt::format("the answer is no fault and came with HTTP status {}", http.status));
    }
    if (!message->bare) {
      const Addressing& addressing = message->addressing;
      if (addressing.relates_to.empty()) {
        message->warnings.emplace_back("the answer has no wsa:RelatesTo");
      } else if (!equals_ignoring_case(without_urn(addressing.relates_to), without_urn(id))) {
        throw Error(kind("soap.relates-to"),
                    fmt::format("the answer relates to the message \"{}\" and not to ours, \"{}\"",
                                printable(addressing.relates_to, 100), id));
      }
      const std::string expected =
          call.response_action.empty() ? fmt::format("{}Response", call.action) : call.response_action;
      if (addressing.action.empty()) {
        message->warnings.emplace_back("the answer has no wsa:Action");
      } else if (addressing.action != expected) {
        throw Error(kind("soap.action"), fmt::format("the answer's action is \"{}\", not \"{}\"",
                                                     printable(addressing.action, 200), expected));
      }
    }
    if (!message->body) {
      throw Error(kind("soap.empty-body"), "the body of the answer is empty");
    }
    return Reply{.message = std::move(*message), .http = std::move(http), .request_id = id};
  } catch (Error& error) {
    error.with("messageId", id);
    const HttpResponse& response = sink.response();
    if (response.status != 0) {
      error.with("httpStatus", response.status);
      if (response.clock_skew) {
        error.with("clockSkew", response.clock_skew->count());
      }
      if (!error.peer()) {
        error.with_peer(response.peer);
      }
    }
    throw;
  }
}

}  // namespace kuva::soap
