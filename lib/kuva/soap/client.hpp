#pragma once

#include <kuva/soap/http_client.hpp>
#include <kuva/soap/message.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::soap {

// How often a request is tried that changes nothing at the peer. Tried again are http.unavailable, time-outs and
// connection errors (class temporary of phases up to the answer); faults and everything else are answers.
struct RetryPolicy {
  unsigned attempts = 3;                         // in all; 1: no retry
  std::chrono::milliseconds first_pause{1'000};  // doubled for each further one; longer where Retry-After says
  std::chrono::milliseconds longest_pause{30'000};
};

// How the wsse:Security header of a request is made.
struct Security {
  // Called for each attempt with the soap:Body element as it will stand in the envelope: the children of wsse:Security
  // (assertion with a fresh time), spliced in unchanged. None: no such header.
  std::function<std::string(std::string_view body)> header;
  bool signs_body = false;  // the Body gets a wsu:Id
};

// One request.
struct Call {
  std::string action;
  std::string response_action;  // what the answer's Action has to be; empty: action + "Response"
  std::string body_xml;         // the element in soap:Body
  bool mtom = false;            // ITI-43, ITI-39, RAD-69, RAD-75; false: a plain envelope
  Security security;
};

struct Reply {
  Message message;  // its body is there and is no fault
  HttpResponse http;
  std::string request_id;  // our MessageID
  unsigned attempts = 1;

  const xml::Element& body() const { return *message.body; }
};

// A service at one URL.
class Client {
 public:
  // Errors: http.url.
  Client(std::string url, HttpSettings settings, RetryPolicy retry = {}, MessageLimits limits = {});

  // One read-only call; the parts of the answer go to `store`. Warnings stand in Reply::message. Errors, with Peer:
  //   those of HttpClient::exchange; mime.*, xml.*; soap.not-soap, soap.envelope;
  //   soap.fault, soap.fault.security, soap.fault.addressing with faultCode, faultSubcode, faultReason, faultDetail;
  //   soap.relates-to, soap.action, soap.empty-body.
  // All have messageId, httpStatus where there was an answer, and attempts in their details.
  Reply call(const Call& call, PartStore& store, const std::stop_token& stop = {});
  Reply call(const Call& call, const std::stop_token& stop = {});

  const std::string& url() const { return m_url; }

 private:
  Reply attempt(const Call& call, PartStore& store, const std::stop_token& stop);

  std::string m_url;
  RetryPolicy m_retry;
  MessageLimits m_limits;
  HttpClient m_http;
};

// The Error of a fault.
Error fault_error(const Fault& fault);

// What the server's clock (HttpResponse::clock_skew) may have to do with a refusal of our assertion: "this machine's
// clock is 10m ahead of the server's". Nothing within two seconds, which the header and the way explain.
std::optional<std::string> clock_remark(std::chrono::seconds skew);

}  // namespace kuva::soap
