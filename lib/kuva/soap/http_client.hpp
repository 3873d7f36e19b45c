#pragma once

#include <kuva/net/stream.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kuva::soap {

// "https://host:8443/path?query" in its parts.
struct Url {
  bool tls = true;
  std::string host;  // IPv6 without brackets
  std::uint16_t port = 443;
  std::string path = "/";  // with the query

  std::string to_string() const;
};
// http and https only; no user and no fragment. Errors: http.url.
Url parse_url(std::string_view text);

// Header fields in their order; names are compared without regard to case.
class HttpHeaders {
 public:
  void add(std::string name, std::string value) { m_fields.emplace_back(std::move(name), std::move(value)); }
  // The first with this name.
  std::optional<std::string_view> get(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& fields() const { return m_fields; }

 private:
  std::vector<std::pair<std::string, std::string>> m_fields;
};

struct HttpSettings {
  // Loaded once, shared by all clients of a target; null: the system's CAs and no certificate of our own.
  std::shared_ptr<const net::TlsContext> tls;
  std::chrono::milliseconds connect_timeout{10'000};     // name, TCP and TLS together
  std::chrono::milliseconds first_byte_timeout{60'000};  // from the request's last byte to the answer's first
  std::chrono::milliseconds idle_timeout{60'000};        // no byte came or went for this long; there is no total limit
  bool expect_continue = false;                          // sends "Expect: 100-continue"
  std::string bearer_token;                              // "Authorization: Bearer ..."; never saved, never shown
  std::uint64_t body_limit = 0;                          // bytes of an answer's body; 0: none
  std::filesystem::path save_raw;                        // requests and answers as they went, files of mode 0600
};

struct HttpRequest {
  std::string method = "POST";  // or GET
  std::string url;
  HttpHeaders headers;  // Content-Type, Accept, ...
  std::string body;
  std::string label;  // in the names of saved files; empty: a number alone
};

struct HttpResponse {
  int status = 0;
  std::string reason;
  HttpHeaders headers;
  Peer peer;                // host, port, address, tls
  std::uint64_t bytes = 0;  // of the body, so far
  // Whether the end of the body can be told from a cut: false where only the end of the connection ends it.
  bool framed = true;
  std::optional<std::chrono::system_clock::time_point> date;  // the server's clock, by its Date header
  // date minus our clock when the header came; positive: the server is ahead. A second's precision, and the way's time.
  std::optional<std::chrono::seconds> clock_skew;
  std::chrono::milliseconds first_byte_after{0};  // since the request was begun
  std::chrono::milliseconds elapsed{0};

  std::string_view content_type() const;
};

// Where a body goes as it arrives.
class BodySink {
 public:
  virtual ~BodySink() = default;
  // Status and headers are here. True: the body goes to write(). False: it is no answer to the request, and becomes the
  // text of an error. This one takes bodies of 2xx.
  virtual bool begin(const HttpResponse& response);
  // What it throws ends the exchange and comes out of it.
  virtual void write(std::span<const std::byte> bytes) = 0;
};

// Keeps the body in memory. Errors: http.limit.
class StringSink : public BodySink {
 public:
  explicit StringSink(std::size_t limit = 64U << 20U) : m_limit(limit) {}
  void write(std::span<const std::byte> bytes) override;
  std::string take() { return std::exchange(m_text, {}); }

 private:
  std::size_t m_limit;
  std::string m_text;
};

// HTTP/1.1 over libcurl, one exchange at a time: one client a thread. Connections are kept and used again. No
// redirects, no cookies, no proxies, no Accept-Encoding, nothing from the environment. TLS as net::TlsContext says,
// with its explanations of what failed. Memory does not grow with the body.
class HttpClient {
 public:
  explicit HttpClient(HttpSettings settings);
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;
  ~HttpClient();

  // The answer's body has gone to the sink whole when this returns. Errors, with Peer:
  // resolve.*, connect.*, tls.*, connection.lost (cut), connection.timeout (first byte, idle); interrupted (stop);
  // http.unauthorised (401, 403), http.not-found (404, 410), http.unavailable (429, 502, 503, 504: temporary),
  // http.status (any other that the sink does not take), http.protocol, http.limit; what the sink throws.
  // Details: httpStatus, contentType, answerText (its first 500 characters), retryAfter and clockSkew (seconds).
  HttpResponse exchange(const HttpRequest& request, BodySink& sink, const std::stop_token& stop = {});

  const HttpSettings& settings() const;

 private:
  class Transfer;
  struct State;
  std::unique_ptr<State> m_state;
};

// The Error that an answer makes which is not what was asked for; `body_start` is its first bytes, HTML or text.
Error http_error(const HttpResponse& response, std::string_view body_start);
// The first `limit` characters of the text of an HTML page (or of text): no tags, no scripts, white space joined.
std::string text_of_html(std::string_view html, std::size_t limit = 500);

// "Sun, 06 Nov 1994 08:49:37 GMT" and the two older forms (RFC 9110 5.6.7).
std::optional<std::chrono::system_clock::time_point> parse_http_date(std::string_view text);

}  // namespace kuva::soap
