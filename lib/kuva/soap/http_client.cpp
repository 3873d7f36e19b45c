#include <kuva/core/file.hpp>
#include <kuva/core/version.hpp>
#include <kuva/net/foreign_tls.hpp>
#include <kuva/net/resolver.hpp>
#include <kuva/net/socket.hpp>
#include <kuva/soap/ascii.hpp>
#include <kuva/soap/http_client.hpp>
#include <kuva/xml/document.hpp>

#include <fmt/format.h>

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <ctime>
#include <map>
#include <mutex>
#include <stdexcept>

namespace kuva::soap {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t k_page_text = 64U << 10U;      // of an answer that the sink does not take
constexpr std::size_t k_header_limit = 256U << 10U;  // of an answer
constexpr long k_read_buffer = 256L << 10L;
constexpr milliseconds k_longest_sleep{1'000};

struct EasyDelete {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct MultiDelete {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
struct ListDelete {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, ListDelete>;

void append(List& list, const std::string& line) {
  curl_slist* const longer = curl_slist_append(list.get(), line.c_str());
  if (longer == nullptr) {
    throw std::bad_alloc();
  }
  static_cast<void>(list.release());
  list.reset(longer);
}

void start_curl() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK) {
      throw Error(kind("internal"), "libcurl cannot start");
    }
  });
}

// What OpenSSL had to say, out of libcurl's text: "... error:0A000412:SSL routines::sslv3 alert bad certificate".
unsigned long openssl_error(std::string_view text) {
  constexpr std::string_view k_mark = "error:";
  const std::size_t found = text.find(k_mark);
  unsigned long code = 0;
  if (found != std::string_view::npos) {
    const std::string_view rest = text.substr(found + k_mark.size());
    std::from_chars(rest.data(), rest.data() + std::min<std::size_t>(rest.size(), 8), code, 16);
  }
  return code;
}

std::string utc_stamp() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
                     utc.tm_min, utc.tm_sec);
}

// A file of --save-raw.
class RawFile {
 public:
  RawFile() = default;
  // Nothing where there is one of this name. Errors: local.write.
  static std::optional<RawFile> create(std::filesystem::path path) {
    RawFile file;
    file.m_path = std::move(path);
    file.m_fd = FileDescriptor(::open(file.m_path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file.m_fd && errno == EEXIST) {
      return std::nullopt;
    }
    if (!file.m_fd) {
      throw write_error(file.m_path, errno);
    }
    return file;
  }

  void write(std::string_view text) {
    if (m_fd) {
      write_all(m_fd, std::as_bytes(std::span(text.data(), text.size())), m_path);
    }
  }

 private:
  std::filesystem::path m_path;
  FileDescriptor m_fd;
};

}  // namespace

struct HttpClient::State {
  explicit State(HttpSettings given) : settings(std::move(given)) {
    start_curl();
    multi.reset(curl_multi_init());
    easy.reset(curl_easy_init());
    if (multi == nullptr || easy == nullptr) {
      throw std::bad_alloc();
    }
  }

  HttpSettings settings;
  std::unique_ptr<CURLM, MultiDelete> multi;  // keeps the connections
  std::unique_ptr<CURL, EasyDelete> easy;
  std::map<std::string, std::shared_ptr<net::ForeignTls>> tls;  // of the newest connection with each host and port
  unsigned saved = 0;
};

// One exchange. libcurl calls back into it; nothing may be thrown through libcurl, so what is thrown waits in m_thrown.
class HttpClient::Transfer {
 public:
  Transfer(State& state, const HttpRequest& request, BodySink& sink)
      : m_state(state), m_request(request), m_sink(sink), m_url(parse_url(request.url)), m_begun(Clock::now()) {
    m_response.peer.host = m_url.host;
    m_response.peer.port = m_url.port;
    set_up();
  }
  Transfer(const Transfer&) = delete;
  ~Transfer() { curl_multi_remove_handle(m_state.multi.get(), m_state.easy.get()); }

  HttpResponse run(const std::stop_token& stop) {
    CURLM* const multi = m_state.multi.get();
    const std::stop_callback wake(stop, [multi] { curl_multi_wakeup(multi); });
    if (curl_multi_add_handle(multi, m_state.easy.get()) != CURLM_OK) {
      throw Error(kind("internal"), "libcurl does not take the request");
    }
    for (;;) {
      int running = 0;
      curl_multi_perform(multi, &running);
      if (m_thrown) {
        std::rethrow_exception(m_thrown);
      }
      int left = 0;
      if (const CURLMsg* const message = curl_multi_info_read(multi, &left); message != nullptr) {
        return finish(message->data.result);
      }
      if (stop.stop_requested()) {
        throw located(Error(kind("interrupted"), fmt::format("stopped while {}", what_happens())));
      }
      const auto left_over = std::chrono::duration_cast<milliseconds>(m_last_move + limit() - Clock::now());
      if (m_stage != Stage::connecting && left_over.count() <= 0) {
        throw located(stalled());
      }
      const auto sleep =
          m_stage == Stage::connecting ? k_longest_sleep : std::min(k_longest_sleep, left_over + milliseconds(1));
      curl_multi_poll(multi, nullptr, 0, static_cast<int>(sleep.count()), nullptr);
    }
  }

 private:
  // libcurl itself watches over connecting.
  enum class Stage { connecting, sending, receiving };

  milliseconds limit() const {
    return m_stage == Stage::sending ? m_state.settings.first_byte_timeout : m_state.settings.idle_timeout;
  }

  std::string_view what_happens() const {
    return m_stage == Stage::connecting ? "connecting"
           : m_stage == Stage::sending  ? "waiting for the answer"
                                        : "receiving the answer";
  }

  std::string name() const { return net::name_of(m_response.peer); }

  std::string place() const { return fmt::format("{}:{}", m_url.host, m_url.port); }

  Error located(Error error) {
    note_peer();
    return std::move(error.with_peer(m_response.peer));
  }

  Error stalled() const {
    if (m_stage == Stage::sending) {
      Error error(kind("connection.timeout"),
                  fmt::format("{} has not begun to answer within {}", name(), format_duration(limit())));
      return std::move(error.in_phase(Phase::wait));
    }
    Error error(kind("connection.timeout"), fmt::format("{} sent nothing for {}, after {} bytes of its answer", name(),
                                                        format_duration(limit()), m_response.bytes));
    return std::move(error.in_phase(Phase::wait));
  }

  template <typename Value>
  void set(CURLoption option, Value value) {
    if (curl_easy_setopt(m_state.easy.get(), option, value) != CURLE_OK) {
      throw Error(kind("internal"), fmt::format("libcurl does not know option {}", static_cast<int>(option)));
    }
  }

  void set_up() {
    const HttpSettings& settings = m_state.settings;
    curl_easy_reset(m_state.easy.get());
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_ERRORBUFFER, m_error_text.data());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_PROXY, "");
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(settings.connect_timeout.count()));
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_BUFFERSIZE, k_read_buffer);
    set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_WRITEFUNCTION, &Transfer::on_body);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
    set(CURLOPT_XFERINFODATA, this);
    set(CURLOPT_PREREQFUNCTION, &Transfer::on_connected);
    set(CURLOPT_PREREQDATA, this);

    std::string host_header;
    Url url = m_url;
    if (url.tls) {
      if (const auto known = m_state.tls.find(place()); known != m_state.tls.end()) {
        m_tls = known->second;
      }
      const auto& context = settings.tls;
      m_state.settings.tls = context == nullptr ? net::TlsContext::client({}) : context;
      const net::ForeignTls names(m_state.settings.tls, url.host);
      if (names.expected_name() != url.host) {
        // The name goes into SNI, the connection to the host.
        host_header = Url{true, url.host, url.port, ""}.to_string().substr(8);
        append(m_connect_to,
               fmt::format("{}:{}:{}:{}", names.expected_name(), url.port,
                           url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]", url.port));
        url.host = names.expected_name();
        set(CURLOPT_CONNECT_TO, m_connect_to.get());
      }
      // The SSL_CTX callback sets up all that checks the peer; without it no connection goes through (on_connected).
      set(CURLOPT_SSL_VERIFYPEER, 0L);
      set(CURLOPT_SSL_VERIFYHOST, 0L);
      set(CURLOPT_SSL_SESSIONID_CACHE, 0L);
      set(CURLOPT_SSL_CTX_FUNCTION, &Transfer::on_ssl_context);
      set(CURLOPT_SSL_CTX_DATA, this);
    }
    set(CURLOPT_URL, url.to_string().c_str());

    if (m_request.method == "POST") {
      set(CURLOPT_POST, 1L);
      set(CURLOPT_POSTFIELDS, m_request.body.data());
      set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(m_request.body.size()));
    } else if (m_request.method == "GET") {
      set(CURLOPT_HTTPGET, 1L);
    } else {
      throw Error(kind("internal"), fmt::format("the HTTP method {} is not used here", m_request.method));
    }

    const auto field = [this](std::string_view key, std::string_view value) {
      append(m_headers, fmt::format("{}: {}", key, value));
    };
    if (!host_header.empty()) {
      field("Host", host_header);
    }
    field("User-Agent", fmt::format("kuva/{}", version()));
    for (const auto& [key, value] : m_request.headers.fields()) {
      field(key, value);
    }
    // An empty field keeps libcurl from adding its own.
    append(m_headers, settings.expect_continue && m_request.method == "POST" ? "Expect: 100-continue" : "Expect:");
    if (settings.expect_continue) {
      set(CURLOPT_EXPECT_100_TIMEOUT_MS, 2'000L);
    }
    if (!settings.bearer_token.empty()) {
      field("Authorization", fmt::format("Bearer {}", settings.bearer_token));
    }
    set(CURLOPT_HTTPHEADER, m_headers.get());
    save_request();
  }

  void save_request() {
    const auto& directory = m_state.settings.save_raw;
    if (directory.empty()) {
      return;
    }
    std::error_code ignored;  // opening the file says what is wrong
    std::filesystem::create_directories(directory, ignored);
    std::string stem;
    std::optional<RawFile> file;
    while (!file) {  // clients of other threads count as well
      stem = fmt::format("{}-{}-{:04}{}{}", utc_stamp(), ::getpid(), ++m_state.saved,
                         m_request.label.empty() ? "" : "-", m_request.label);
      file = RawFile::create(directory / (stem + "-request.http"));
    }
    std::string head =
        fmt::format("{} {} HTTP/1.1\r\nHost: {}:{}\r\n", m_request.method, m_url.path, m_url.host, m_url.port);
    for (const auto& [key, value] : m_request.headers.fields()) {
      head += fmt::format("{}: {}\r\n", key, value);
    }
    file->write(head + "\r\n");
    file->write(m_request.body);
    m_raw_answer = RawFile::create(directory / (stem + "-answer.http")).value_or(RawFile());
  }

  // --- what libcurl calls

  template <typename Action>
  bool guarded(Action&& action) noexcept {
    try {
      action();
      return true;
    } catch (...) {
      m_thrown = std::current_exception();
      return false;
    }
  }

  static CURLcode on_ssl_context(CURL*, void* context, void* user) {
    auto* const self = static_cast<Transfer*>(user);
    return self->guarded([self, context] {
      self->m_tls = std::make_shared<net::ForeignTls>(self->m_state.settings.tls, self->m_url.host);
      net::ForeignTls::apply(self->m_tls, static_cast<SSL_CTX*>(context));
      self->m_is_set_up = true;
    })
               ? CURLE_OK
               : CURLE_ABORTED_BY_CALLBACK;
  }

  static int on_connected(void* user, char*, char*, int, int) {
    auto* const self = static_cast<Transfer*>(user);
    if (self->m_url.tls) {
      // A connection that is used again was checked when it was made.
      long made = 0;
      curl_easy_getinfo(self->m_state.easy.get(), CURLINFO_NUM_CONNECTS, &made);
      if (self->m_tls == nullptr || (made > 0 && !(self->m_is_set_up && self->m_tls->handshake_done()))) {
        return CURL_PREREQFUNC_ABORT;
      }
      self->guarded([self] { self->m_state.tls[self->place()] = self->m_tls; });
    }
    self->m_stage = Stage::sending;
    self->m_last_move = Clock::now();
    return CURL_PREREQFUNC_OK;
  }

  static int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t sent) {
    auto* const self = static_cast<Transfer*>(user);
    if (sent != self->m_sent) {
      self->m_sent = sent;
      self->m_last_move = Clock::now();
    }
    return 0;
  }

  static std::size_t on_header(char* bytes, std::size_t, std::size_t size, void* user) {
    auto* const self = static_cast<Transfer*>(user);
    return self->guarded([self, bytes, size] { self->header(std::string_view(bytes, size)); }) ? size : 0;
  }

  static std::size_t on_body(char* bytes, std::size_t, std::size_t size, void* user) {
    auto* const self = static_cast<Transfer*>(user);
    return self->guarded([self, bytes, size] { self->body(std::string_view(bytes, size)); }) ? size : 0;
  }

  void header(std::string_view line) {
    m_stage = Stage::receiving;
    m_last_move = Clock::now();
    m_raw_answer.write(line);
    m_header_bytes += line.size();
    if (m_header_bytes > k_header_limit) {
      throw located(
          Error(kind("http.limit"), fmt::format("the header of the answer has more than {} bytes", k_header_limit)));
    }
    if (m_has_begun) {
      return;  // a trailer
    }
    const std::string_view text = xml::trim(line);
    if (text.starts_with("HTTP/")) {
      m_response.headers = {};
      const std::size_t blank = text.find(' ');
      const std::string_view rest =
          blank == std::string_view::npos ? std::string_view() : xml::trim(text.substr(blank));
      m_response.status = 0;
      std::from_chars(rest.data(), rest.data() + std::min<std::size_t>(rest.size(), 3), m_response.status);
      m_response.reason = xml::trim(rest.substr(std::min<std::size_t>(rest.size(), 3)));
    } else if (text.empty()) {
      if (m_response.status >= 200) {
        begin();
      }
    } else if (line.front() != ' ' && line.front() != '\t') {
      const std::size_t colon = text.find(':');
      if (colon != std::string_view::npos) {
        m_response.headers.add(std::string(text.substr(0, colon)), std::string(xml::trim(text.substr(colon + 1))));
      }
    }
  }

  void begin() {
    m_has_begun = true;
    const auto now = std::chrono::system_clock::now();
    m_response.first_byte_after = std::chrono::duration_cast<milliseconds>(Clock::now() - m_begun);
    if (const auto date = m_response.headers.get("Date")) {
      m_response.date = parse_http_date(*date);
      if (m_response.date) {
        m_response.clock_skew = std::chrono::duration_cast<std::chrono::seconds>(*m_response.date - now);
      }
    }
    const auto encoding = m_response.headers.get("Transfer-Encoding");
    m_response.framed = m_response.status == 204 || m_response.status == 304 ||
                        m_response.headers.get("Content-Length").has_value() ||
                        (encoding && to_lower(*encoding).find("chunked") != std::string::npos);
    note_peer();
    const auto coding = m_response.headers.get("Content-Encoding");
    if (coding && !coding->empty() && !equals_ignoring_case(*coding, "identity")) {
      throw located(Error(
          kind("http.protocol"),
          fmt::format("the answer has the Content-Encoding \"{}\", which was not asked for", printable(*coding, 40))));
    }
    m_takes_body = m_sink.begin(m_response);
  }

  void body(std::string_view bytes) {
    m_last_move = Clock::now();
    m_raw_answer.write(bytes);
    m_response.bytes += bytes.size();
    const std::uint64_t most = m_state.settings.body_limit;
    if (most != 0 && m_response.bytes > most) {
      throw located(Error(kind("http.limit"), fmt::format("the answer has more than {} bytes", most)));
    }
    if (m_takes_body) {
      m_sink.write(std::as_bytes(std::span(bytes)));
      return;
    }
    m_page.append(bytes.substr(0, k_page_text - std::min(k_page_text, m_page.size())));
    if (m_page.size() >= k_page_text) {
      throw http_error(m_response, m_page);
    }
  }

  void note_peer() {
    char* address = nullptr;
    if (curl_easy_getinfo(m_state.easy.get(), CURLINFO_PRIMARY_IP, &address) == CURLE_OK && address != nullptr) {
      m_response.peer.address = address;
    }
    if (m_url.tls && m_tls != nullptr) {
      m_response.peer.tls = m_tls->description();
    }
  }

  // --- the end

  HttpResponse finish(CURLcode code) {
    m_response.elapsed = std::chrono::duration_cast<milliseconds>(Clock::now() - m_begun);
    if (code != CURLE_OK) {
      throw located(failure(code));
    }
    if (!m_has_begun) {
      throw located(Error(kind("http.protocol"), fmt::format("{} sent no HTTP answer", name())));
    }
    if (!m_takes_body) {
      throw http_error(m_response, m_page);
    }
    return std::move(m_response);
  }

  bool tcp_is_up() const {
    curl_off_t microseconds = 0;
    return curl_easy_getinfo(m_state.easy.get(), CURLINFO_CONNECT_TIME_T, &microseconds) == CURLE_OK &&
           microseconds > 0;
  }

  int error_number() const {
    long number = 0;
    curl_easy_getinfo(m_state.easy.get(), CURLINFO_OS_ERRNO, &number);
    return static_cast<int>(number);
  }

  Error failure(CURLcode code) {
    note_peer();
    const std::string_view text = m_error_text.data();
    const std::string_view said = text.empty() ? std::string_view(curl_easy_strerror(code)) : text;
    switch (code) {
      case CURLE_COULDNT_RESOLVE_HOST:
        return resolve_failure();
      case CURLE_COULDNT_CONNECT:
        return connect_failure();
      case CURLE_OPERATION_TIMEDOUT:
        return timeout();
      case CURLE_SSL_CONNECT_ERROR:
      case CURLE_PEER_FAILED_VERIFICATION:
        return tls_failure(text);
      case CURLE_GOT_NOTHING:
      case CURLE_SEND_ERROR:
      case CURLE_RECV_ERROR:
        return lost(text);
      case CURLE_PARTIAL_FILE: {
        Error error(kind("connection.lost"), fmt::format("connection with {} closed within the answer, after {} bytes",
                                                         name(), m_response.bytes));
        return std::move(error.in_phase(Phase::wait));
      }
      case CURLE_UNSUPPORTED_PROTOCOL:
      case CURLE_WEIRD_SERVER_REPLY:
      case CURLE_BAD_CONTENT_ENCODING:
        return Error(kind("http.protocol"), fmt::format("{} does not answer with HTTP: {}", name(), said));
      case CURLE_OUT_OF_MEMORY:
        return Error(kind("local.resource"), "libcurl is out of memory");
      default:
        return Error(m_has_begun ? kind("http.protocol") : kind("connect.failed"),
                     fmt::format("exchange with {} failed: {}", name(), said));
    }
  }

  // libcurl does not tell a name that does not exist from a name server that does not answer.
  Error resolve_failure() const {
    try {
      net::resolve({.host = m_url.host, .port = m_url.port}, net::ResolveFor::connecting,
                   Deadline::after(m_state.settings.connect_timeout));
    } catch (const Error& error) {
      return error;
    }
    return Error(kind("resolve.failed"), fmt::format("the address of {} was not found at the first try", m_url.host));
  }

  Error connect_failure() const {
    const int number = error_number();
    if (number == ECONNREFUSED) {
      return Error(kind("connect.refused"), fmt::format("{} refuses the connection: nothing listens there", name()));
    }
    if (number == ETIMEDOUT) {
      return Error(kind("connect.timeout"), fmt::format("no connection with {}: {}", name(), ::strerror(number)));
    }
    return Error(kind("connect.failed"), fmt::format("no connection with {}: {}", name(),
                                                     number == 0 ? m_error_text.data() : ::strerror(number)));
  }

  Error timeout() const {
    const std::string limit = format_duration(m_state.settings.connect_timeout);
    if (tcp_is_up() && m_url.tls) {
      return Error(kind("tls.timeout"), fmt::format("TLS handshake with {} not finished within {}", name(), limit));
    }
    return Error(kind("connect.timeout"), fmt::format("no connection with {} within {}", name(), limit));
  }

  Error tls_failure(std::string_view text) {
    if (m_tls == nullptr) {
      return Error(kind("tls.handshake"), fmt::format("TLS with {} failed: {}", name(), text));
    }
    return m_tls->failure(m_response.peer, openssl_error(text), error_number(), m_has_begun);
  }

  Error lost(std::string_view text) {
    const unsigned long code = openssl_error(text);
    if (m_url.tls && m_tls != nullptr && (code != 0 || (m_stage != Stage::receiving))) {
      return m_tls->failure(m_response.peer, code, error_number(), m_stage == Stage::receiving);
    }
    const int number = error_number();
    Error error(
        kind("connection.lost"),
        fmt::format("connection with {} lost while {}{}: {}", name(), what_happens(),
                    m_response.bytes == 0 ? std::string() : fmt::format(", after {} bytes", m_response.bytes),
                    number == 0 ? std::string_view("closed by the peer") : std::string_view(::strerror(number))));
    if (number != 0) {
      error.with("errno", net::errno_name(number));
    }
    return std::move(error.in_phase(Phase::wait));
  }

  State& m_state;
  const HttpRequest& m_request;
  BodySink& m_sink;
  Url m_url;
  Clock::time_point m_begun;
  HttpResponse m_response;
  std::shared_ptr<net::ForeignTls> m_tls;
  bool m_is_set_up = false;  // a new connection's TLS, by us

  List m_headers;
  List m_connect_to;
  std::array<char, CURL_ERROR_SIZE> m_error_text{};
  RawFile m_raw_answer;
  std::exception_ptr m_thrown;
  Stage m_stage = Stage::connecting;
  Clock::time_point m_last_move = Clock::now();
  curl_off_t m_sent = 0;
  std::size_t m_header_bytes = 0;
  bool m_has_begun = false;
  bool m_takes_body = false;
  std::string m_page;
};

HttpClient::HttpClient(HttpSettings settings) : m_state(std::make_unique<State>(std::move(settings))) {}
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;
HttpClient::~HttpClient() = default;

const HttpSettings& HttpClient::settings() const { return m_state->settings; }

HttpResponse HttpClient::exchange(const HttpRequest& request, BodySink& sink, const std::stop_token& stop) {
  net::block_sigpipe();
  Transfer transfer(*m_state, request, sink);
  return transfer.run(stop);
}

}  // namespace kuva::soap
