#pragma once

#include <kuva/net/stream.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kuva::sandbox {

// A request of HTTP/1.1, whole in memory (its size is limited).
struct WebRequest {
  std::string method;
  std::string path;  // decoded, without the query
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  // The first value under the name, letter case aside; empty when there is none.
  std::string header(std::string_view name) const;
};

// Takes the next bytes of a body; throws what the connection throws when the peer has gone.
using WebSink = std::function<void(std::span<const std::byte>)>;

// What is answered. The body is the text, or what `stream` writes, chunked: then its size need not be known.
struct WebResponse {
  int status = 200;
  std::string content_type;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::function<void(const WebSink&)> stream;

  // What a fault does to it.
  bool is_withheld = false;                       // nothing is answered for `delay`, or the idle limit
  bool is_refused = false;                        // the connection is closed instead of an answer
  std::optional<std::uint64_t> cut_after;         // so many bytes of the body, and the connection is closed
  std::chrono::milliseconds delay{0};             // before the answer
  std::optional<std::chrono::milliseconds> drip;  // between pieces of the body
  std::chrono::seconds clock{0};                  // how far the Date header is off
};

struct WebLimits {
  std::size_t body = 16U << 20U;  // of a request; larger: 413
  std::chrono::milliseconds idle{300'000};
  std::chrono::milliseconds stall{60'000};
};

using WebHandler = std::function<WebResponse(const WebRequest&)>;

// Serves the requests of one connection, one after the other, until it ends, is idle or `stop` is asked for.
// cpp-httplib reads the requests and frames the answers; bytes, deadlines and TLS are those of the stream.
// Errors: what ended the connection otherwise than in good order between two requests.
void serve_http(net::Stream& stream, const WebHandler& handler, const WebLimits& limits, const std::stop_token& stop);

// "Sun, 22 Nov 2026 08:00:00 GMT" (RFC 9110 5.6.7).
std::string to_http_date(std::chrono::system_clock::time_point time);

}  // namespace kuva::sandbox
