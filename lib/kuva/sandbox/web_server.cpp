#include <kuva/core/error.hpp>
#include <kuva/core/version.hpp>
#include <kuva/sandbox/web_server.hpp>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <httplib.h>
#include <strings.h>

#include <algorithm>
#include <array>
#include <exception>
#include <thread>

namespace kuva::sandbox {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t k_head_limit = 64U << 10U;
// Chunk headers and the like, beside the body itself.
constexpr std::size_t k_framing_limit = 1U << 20U;
constexpr std::size_t k_buffer = 64U << 10U;
constexpr milliseconds k_stop_check{200};
constexpr std::size_t k_drip_piece = 1024;

bool is_name(std::string_view one, std::string_view other) {
  return one.size() == other.size() && ::strncasecmp(one.data(), other.data(), one.size()) == 0;
}

// A fault ends the connection in the middle of an answer.
struct Cut {};

// The sandbox's stream as cpp-httplib wants it. It keeps the first error for the one who called.
class HttpStream final : public httplib::Stream {
 public:
  HttpStream(net::Stream& stream, const WebLimits& limits) : m_stream(stream), m_limits(limits) {}

  bool is_readable() const override { return !m_error; }
  bool is_writable() const override { return !m_error; }
  ssize_t read(char* bytes, std::size_t size) override {
    if (m_error || size == 0 || m_budget == 0) {
      return -1;
    }
    try {
      if (m_at == m_end) {
        m_at = 0;
        m_end = m_stream.read_some(std::as_writable_bytes(std::span(m_buffer)), Deadline::after(m_limits.stall));
      }
    } catch (const Error&) {
      m_error = std::current_exception();
      return -1;
    }
    const std::size_t count = std::min({size, m_end - m_at, m_budget});
    std::copy_n(m_buffer.data() + m_at, count, bytes);
    m_at += count;
    m_budget -= count;
    m_has_begun = m_has_begun || count > 0;
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char* bytes, std::size_t size) override {
    if (m_error) {
      return -1;
    }
    try {
      const std::array<std::span<const std::byte>, 1> pieces{std::as_bytes(std::span(bytes, size))};
      m_stream.write_all(pieces, m_limits.stall);
    } catch (const Error&) {
      m_error = std::current_exception();
      return -1;
    }
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string& ip, int& port) const override {
    ip.clear();
    port = 0;
  }
  void get_local_ip_and_port(std::string& ip, int& port) const override {
    ip.clear();
    port = 0;
  }
  socket_t socket() const override { return 0; }  // never used as one: the bytes go through the stream

  // How many bytes may come until it is said anew.
  void allow(std::size_t bytes) { m_budget = bytes; }
  // Whether anything of a request has come since.
  void begin() { m_has_begun = false; }
  bool has_begun() const { return m_has_begun; }
  bool has_buffered() const { return m_at != m_end; }
  net::Stream& stream() { return m_stream; }
  void fail(std::exception_ptr error) { m_error = std::move(error); }
  const std::exception_ptr& error() const { return m_error; }

 private:
  net::Stream& m_stream;
  const WebLimits& m_limits;
  std::vector<char> m_buffer = std::vector<char>(k_buffer);
  std::size_t m_at = 0;
  std::size_t m_end = 0;
  std::size_t m_budget = 0;
  bool m_has_begun = false;
  std::exception_ptr m_error;
};

// Waits that end when the sandbox stops or the peer has gone.
void pause(milliseconds duration, const std::stop_token& stop) {
  const Deadline deadline = Deadline::after(duration);
  while (!deadline.expired() && !stop.stop_requested()) {
    std::this_thread::sleep_for(std::min(deadline.remaining(), k_stop_check));
  }
}

class HttpConnection final : private httplib::Server {
 public:
  HttpConnection(net::Stream& stream, const WebHandler& handler, const WebLimits& limits, std::stop_token stop)
      : m_http(stream, limits), m_handler(handler), m_limits(limits), m_stop(std::move(stop)) {
    svr_sock_ = 0;  // otherwise cpp-httplib takes the server for one that is shutting down
    set_keep_alive_timeout(std::chrono::duration_cast<std::chrono::seconds>(limits.idle).count());
    set_keep_alive_max_count(k_most_requests);
    const auto without_body = [this](const httplib::Request& request, httplib::Response& response) {
      answer(request, {}, response);
    };
    const auto with_body = [this](const httplib::Request& request, httplib::Response& response,
                                  const httplib::ContentReader& reader) {
      std::string body;
      if (!read_body(request, reader, body)) {
        response.status = 413;
        response.set_content("The request is too large, or not one that this server takes.\n", "text/plain");
        m_must_close = true;
        return;
      }
      answer(request, std::move(body), response);
    };
    Get(".*", without_body);
    Post(".*", with_body);
    Put(".*", with_body);
    Delete(".*", without_body);
    set_exception_handler([this](const httplib::Request&, httplib::Response& response, std::exception_ptr error) {
      m_failure = std::move(error);
      response.status = 500;
      m_must_close = true;
    });
  }

  void run() {
    for (std::size_t count = 1; count <= k_most_requests; ++count) {
      if (!await_request()) {
        return;
      }
      m_http.allow(k_head_limit);
      m_http.begin();
      bool is_closed = false;
      const auto head_is_read = [this](httplib::Request& request) {
        m_http.allow(m_limits.body + k_framing_limit);
        request.ranges.clear();  // whole answers only
      };
      const bool is_sound = process_request(m_http, count == k_most_requests, is_closed, head_is_read);
      if (m_failure) {
        std::rethrow_exception(m_failure);
      }
      if (m_http.error() && m_http.has_begun()) {
        std::rethrow_exception(m_http.error());
      }
      if (!is_sound || is_closed || m_must_close || m_stop.stop_requested()) {
        return;
      }
    }
  }

 private:
  static constexpr std::size_t k_most_requests = 100'000;

  // False: there is none to come.
  bool await_request() {
    const Deadline deadline = Deadline::after(m_limits.idle);
    while (!m_http.has_buffered()) {
      if (m_stop.stop_requested() || deadline.expired()) {
        return false;
      }
      if (m_http.stream().wait_readable(earlier(deadline, Deadline::after(k_stop_check)))) {
        return true;
      }
    }
    return true;
  }

  bool read_body(const httplib::Request& request, const httplib::ContentReader& reader, std::string& body) const {
    if (request.is_multipart_form_data()) {
      return false;
    }
    return reader([&](const char* bytes, std::size_t size) {
      if (size > m_limits.body - body.size()) {
        return false;
      }
      body.append(bytes, size);
      return true;
    });
  }

  void answer(const httplib::Request& request, std::string body, httplib::Response& response) {
    WebRequest asked{request.method, request.path, {}, std::move(body)};
    for (const auto& [name, value] : request.headers) {
      asked.headers.emplace_back(name, value);
    }
    give(m_handler(asked), response);
  }

  void give(WebResponse given, httplib::Response& response) {
    if (given.is_withheld) {
      pause(given.delay.count() > 0 ? given.delay : m_limits.idle, m_stop);
      given.is_refused = true;
    }
    if (given.is_refused) {
      m_must_close = true;
      m_http.fail(std::make_exception_ptr(Cut{}));  // nothing more goes out
      return;
    }
    pause(given.delay, m_stop);
    response.status = given.status;
    response.set_header("Date", to_http_date(std::chrono::system_clock::now() + given.clock));
    response.set_header("Server", fmt::format("kuva-sandbox/{}", version()));
    for (const auto& [name, value] : given.headers) {
      response.set_header(name, value);
    }
    if (!given.stream && !given.cut_after && !given.drip) {
      response.set_content(std::move(given.body), given.content_type);
      return;
    }
    if (!given.stream) {
      given.stream = [body = std::move(given.body)](const WebSink& sink) {
        sink(std::as_bytes(std::span(body.data(), body.size())));
      };
    }
    const std::string content_type = given.content_type;
    response.set_chunked_content_provider(
        content_type,
        [this, given = std::move(given)](std::size_t, httplib::DataSink& sink) { return write(given, sink); });
  }

  // False: the connection ends without the end of the body.
  bool write(const WebResponse& given, httplib::DataSink& sink) {
    std::uint64_t written = 0;
    const auto put = [&](std::span<const std::byte> bytes) {
      if (!sink.write(reinterpret_cast<const char*>(bytes.data()), bytes.size())) {
        throw Cut{};
      }
      written += bytes.size();
    };
    try {
      given.stream([&](std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
          std::size_t size = given.drip ? std::min(bytes.size(), k_drip_piece) : bytes.size();
          if (given.cut_after) {
            size = static_cast<std::size_t>(std::min<std::uint64_t>(size, *given.cut_after - written));
          }
          if (size == 0) {
            throw Cut{};
          }
          put(bytes.first(size));
          bytes = bytes.subspan(size);
          if (given.drip) {
            pause(*given.drip, m_stop);
          }
        }
      });
    } catch (const Cut&) {
      m_must_close = true;
      return false;
    } catch (const std::exception&) {
      // The head is out: that the body is not whole is all that can still be said.
      m_failure = std::current_exception();
      m_must_close = true;
      return false;
    }
    sink.done();
    return true;
  }

  HttpStream m_http;
  const WebHandler& m_handler;
  const WebLimits& m_limits;
  std::stop_token m_stop;
  std::exception_ptr m_failure;
  bool m_must_close = false;
};

}  // namespace

std::string WebRequest::header(std::string_view name) const {
  const auto found =
      std::find_if(headers.begin(), headers.end(), [name](const auto& header) { return is_name(header.first, name); });
  return found == headers.end() ? std::string() : found->second;
}

void serve_http(net::Stream& stream, const WebHandler& handler, const WebLimits& limits, const std::stop_token& stop) {
  try {
    HttpConnection(stream, handler, limits, stop).run();
  } catch (const Cut&) {
    // A fault wanted it so.
  }
}

std::string to_http_date(std::chrono::system_clock::time_point time) {
  return fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

}  // namespace kuva::sandbox
