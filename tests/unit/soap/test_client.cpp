#include "support/associations.hpp"
#include "support/certificates.hpp"

#include <kuva/core/file.hpp>
#include <kuva/soap/client.hpp>
#include <kuva/xml/namespaces.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <atomic>
#include <mutex>

using namespace kuva;
using namespace kuva::soap;
using std::chrono::milliseconds;
using test::code_of;
using test::error_of;

namespace {

// Serves one connection after the other, each by its own script; keeps the requests as they came.
class ScriptedServer {
 public:
  using Script = std::function<void(net::Stream&, const std::string& request)>;

  explicit ScriptedServer(std::vector<Script> scripts, std::shared_ptr<const net::TlsContext> tls = nullptr)
      : m_listener(net::Listener::open({.host = "127.0.0.1", .port = 0})), m_tls(std::move(tls)) {
    m_thread = std::thread([this, all = std::move(scripts)] {
      for (const auto& script : all) {
        const auto incoming = m_listener->accept(Deadline::after(std::chrono::seconds(10)));
        if (incoming == nullptr) {
          return;
        }
        try {
          const auto stream = incoming->open(m_tls, Deadline::after(std::chrono::seconds(5)));
          const std::string request = read_request_of(*stream);
          {
            const std::lock_guard lock(m_mutex);
            m_requests.push_back(request);
          }
          script(*stream, request);
          stream->close(Deadline::after(std::chrono::seconds(1)));
        } catch (const Error&) {
          // The client went away, as some of the tests want it to.
        }
      }
    });
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ~ScriptedServer() {
    m_listener->close();
    m_thread.join();
  }

  std::string url(std::string_view path = "/service", std::string_view host = "127.0.0.1") const {
    return fmt::format("{}://{}:{}{}", m_tls == nullptr ? "http" : "https", host, m_listener->port(), path);
  }
  std::vector<std::string> requests() {
    const std::lock_guard lock(m_mutex);
    return m_requests;
  }

  static std::string read_request_of(net::Stream& stream) {
    std::string text;
    std::array<char, 4096> buffer{};
    const auto deadline = Deadline::after(std::chrono::seconds(5));
    for (;;) {
      const std::size_t head = text.find("\r\n\r\n");
      if (head != std::string::npos) {
        const std::size_t field = text.find("Content-Length: ");
        const std::size_t length = field == std::string::npos ? 0 : std::stoul(text.substr(field + 16));
        if (text.size() >= head + 4 + length) {
          return text;
        }
      }
      const std::size_t got = stream.read_some(std::as_writable_bytes(std::span(buffer)), deadline);
      if (got == 0) {
        return text;
      }
      text.append(buffer.data(), got);
    }
  }

 private:
  std::unique_ptr<net::Listener> m_listener;
  std::shared_ptr<const net::TlsContext> m_tls;
  std::mutex m_mutex;
  std::vector<std::string> m_requests;
  std::thread m_thread;
};

std::string http(int status, std::string_view type, std::string_view body, std::string_view more = {}) {
  return fmt::format("HTTP/1.1 {} Words\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}\r\n{}", status, type,
                     body.size(), more, body);
}

ScriptedServer::Script answer(std::string bytes, std::size_t piece = 0) {
  return [bytes = std::move(bytes), piece](net::Stream& stream, const std::string&) {
    if (piece == 0) {
      test::write_bytes(stream, bytes);
      return;
    }
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      test::write_bytes(stream, std::string_view(bytes).substr(at, piece));
    }
  };
}

std::string id_of(const std::string& request) {
  const std::size_t at = request.find("<wsa:MessageID>") + 15;
  return request.substr(at, request.find('<', at) - at);
}

constexpr const char* k_soap_type = "application/soap+xml; charset=UTF-8";

ScriptedServer::Script soap_answer(int status, std::string body, std::string action = "urn:aResponse",
                                   std::string relates_to = "ID") {
  return [=](net::Stream& stream, const std::string& request) {
    Addressing addressing;
    addressing.message_id = relates_to == "ID" ? id_of(request) : relates_to;
    test::write_bytes(stream, http(status, k_soap_type, reply_envelope(addressing, action, body)));
  };
}

ScriptedServer::Script silence(milliseconds duration) {
  return [duration](net::Stream& stream, const std::string&) {
    static_cast<void>(stream.wait_readable(Deadline::after(duration)));
  };
}

HttpSettings quick() {
  HttpSettings settings;
  settings.connect_timeout = milliseconds(2'000);
  settings.first_byte_timeout = milliseconds(300);
  settings.idle_timeout = milliseconds(300);
  return settings;
}

HttpRequest get(const ScriptedServer& server, std::string_view path = "/x") {
  HttpRequest request;
  request.method = "GET";
  request.url = server.url(path);
  return request;
}

std::optional<Error> error_from(std::vector<ScriptedServer::Script> scripts, HttpSettings settings = quick()) {
  ScriptedServer server(std::move(scripts));
  return error_of([&] {
    HttpClient client(settings);
    StringSink sink;
    client.exchange(get(server), sink);
  });
}

Call call_of(std::string action = "urn:a") {
  Call call;
  call.action = std::move(action);
  call.body_xml = "<r xmlns=\"urn:r\"/>";
  return call;
}

RetryPolicy fast(unsigned attempts) {
  return {.attempts = attempts, .first_pause = milliseconds(5), .longest_pause = milliseconds(20)};
}

std::optional<Error> call_error(std::vector<ScriptedServer::Script> scripts, unsigned attempts = 1) {
  ScriptedServer server(std::move(scripts));
  return error_of([&] {
    Client client(server.url(), quick(), fast(attempts));
    client.call(call_of());
  });
}

}  // namespace

TEST_CASE("URLs") {
  const Url url = parse_url("https://Host.example:8443/a/b?c=d");
  CHECK(url.tls);
  CHECK(url.port == 8443);
  CHECK(url.path == "/a/b?c=d");
  CHECK(parse_url("http://h").to_string() == "http://h/");
  CHECK(parse_url("https://[::1]:1/").host == "::1");
  CHECK(parse_url("https://[::1]:1/x").to_string() == "https://[::1]:1/x");
  for (const char* bad : {"", "host", "ftp://h/", "file:///etc/passwd", "https://u:secret@h/", "https://h/#f",
                          "https://h:0/", "https://h:99999/", "https:// h/", "https://"}) {
    CAPTURE(bad);
    const auto error = error_of([&] { parse_url(bad); });
    CHECK(code_of(error) == "http.url");
    CHECK(error->message().find("secret@") == std::string::npos);
  }
}

TEST_CASE("an answer goes to the sink as it comes, however it is framed") {
  const std::string chunked =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: Sun, 06 Nov 1994 08:49:37 "
      "GMT\r\n"
      "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n";
  for (const std::size_t piece : {0U, 1U}) {
    ScriptedServer server({answer(chunked, piece)});
    HttpClient client(quick());
    StringSink sink;
    const auto response = client.exchange(get(server), sink);
    CHECK(sink.take() == "abcde");
    CHECK(response.status == 200);
    CHECK(response.reason == "OK");
    CHECK(response.framed);
    CHECK(response.bytes == 5);
    CHECK(response.content_type() == "text/plain");
    CHECK(response.peer.address == "127.0.0.1");
    REQUIRE(response.date);
    CHECK(to_rfc3339(*response.date).starts_with("1994-11-06T08:49:37"));
    CHECK(response.clock_skew->count() < -900'000'000);
    const std::string request = server.requests().at(0);
    CHECK(request.starts_with("GET /x HTTP/1.1\r\n"));
    for (const char* absent : {"Expect", "Accept-Encoding", "Authorization"}) {
      CHECK(request.find(absent) == std::string::npos);
    }
  }
  ScriptedServer server({answer("HTTP/1.0 200 OK\r\n\r\nrest")});
  HttpClient client(quick());
  StringSink sink;
  CHECK_FALSE(client.exchange(get(server), sink).framed);
  CHECK(sink.take() == "rest");
}

TEST_CASE("a connection is used again, and a request body goes out whole") {
  std::string large(300'000, 'x');
  ScriptedServer server({[&](net::Stream& stream, const std::string& first) {
    CHECK(first.ends_with(large));
    test::write_bytes(stream, http(200, "text/plain", "1"));
    const std::string second = ScriptedServer::read_request_of(stream);
    CHECK(second.find("Authorization: Bearer t0ken\r\n") != std::string::npos);
    test::write_bytes(stream, http(200, "text/plain", "2"));
  }});
  HttpSettings settings = quick();
  settings.bearer_token = "t0ken";
  const test::TemporaryDirectory raw;
  settings.save_raw = raw.path();
  HttpClient client(settings);
  StringSink sink;
  HttpRequest request;
  request.url = server.url();
  request.body = large;
  request.label = "label";
  request.headers.add("Content-Type", "text/plain");
  client.exchange(request, sink);
  client.exchange(get(server), sink);
  CHECK(sink.take() == "12");
  CHECK(server.requests().size() == 1);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(raw.path())) {
    const std::string text = read_small_file(entry.path(), 1U << 20U);
    CHECK(text.find("t0ken") == std::string::npos);
    CHECK((entry.status().permissions() & std::filesystem::perms::all) ==
          (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
    CHECK((text.find("HTTP/1.1") != std::string::npos));
    ++files;
  }
  CHECK(files == 4);
}

TEST_CASE("each way in which an exchange fails has its code") {
  CHECK(code_of(error_from({answer(http(404, "text/html", "<html>Not <b>here</b></html>"))})) == "http.not-found");
  CHECK(code_of(error_from({answer(http(403, "text/html", ""))})) == "http.unauthorised");
  CHECK(code_of(error_from({answer(http(500, "text/html", ""))})) == "http.status");
  CHECK(code_of(error_from({answer(http(302, "text/html", "", "Location: http://127.0.0.1:1/\r\n"))})) ==
        "http.status");
  const auto busy =
      error_from({answer(http(503, "text/html", "<style>a{}</style><h1>Sorry &amp; so</h1>", "Retry-After: 7\r\n"))});
  CHECK(code_of(busy) == "http.unavailable");
  CHECK(busy->message().find("503") != std::string::npos);
  CHECK(busy->message().find(": Sorry & so") != std::string::npos);
  CHECK(busy->details()["retryAfter"] == 7);
  CHECK(busy->details()["httpStatus"] == 503);
  CHECK(busy->peer()->host == "127.0.0.1");
  CHECK(code_of(error_from({answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")})) == "connection.lost");
  CHECK(code_of(error_from({answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc")})) ==
        "connection.lost");
  CHECK(code_of(error_from({answer("")})) == "connection.lost");
  CHECK(code_of(error_from({answer("SSH-2.0-x\r\n\r\n")})) == "http.protocol");
  CHECK(code_of(error_from({answer("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx")})) ==
        "http.protocol");
  const auto silent = error_from({silence(milliseconds(2'000))});
  CHECK(code_of(silent) == "connection.timeout");
  CHECK(silent->message().find("begun") != std::string::npos);
  CHECK(code_of(error_from({[](net::Stream& stream, const std::string&) {
          test::write_bytes(stream, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
          static_cast<void>(stream.wait_readable(Deadline::after(milliseconds(2'000))));
        }})) == "connection.timeout");
  HttpSettings small = quick();
  small.body_limit = 3;
  CHECK(code_of(error_from({answer(http(200, "text/plain", "1234"))}, small)) == "http.limit");
  CHECK(code_of(error_of([] {
          HttpClient client(quick());
          StringSink sink;
          HttpRequest request;
          request.url = "http://127.0.0.1:1/";
          client.exchange(request, sink);
        })) == "connect.refused");
  CHECK(code_of(error_of([] {
          HttpClient client(quick());
          StringSink sink;
          HttpRequest request;
          request.url = "http://no-such-host.invalid/";
          client.exchange(request, sink);
        })) == "resolve.unknown-host");
}

TEST_CASE("what the sink throws ends the exchange, and a stop does at once") {
  struct Throwing final : BodySink {
    void write(std::span<const std::byte>) override { throw Error(kind("local.write"), "full"); }
  } throwing;
  ScriptedServer server({answer(http(200, "text/plain", "abc"))});
  HttpClient client(quick());
  CHECK(code_of(error_of([&] { client.exchange(get(server), throwing); })) == "local.write");

  ScriptedServer slow({silence(milliseconds(3'000))});
  HttpSettings patient = quick();
  patient.first_byte_timeout = std::chrono::seconds(20);
  HttpClient stopped(patient);
  std::stop_source stop;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(milliseconds(50));
    stop.request_stop();
  });
  StringSink sink;
  const auto begin = std::chrono::steady_clock::now();
  CHECK(code_of(error_of([&] { stopped.exchange(get(slow), sink, stop.get_token()); })) == "interrupted");
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(2));
}

TEST_CASE("a body that drips byte by byte is no stall") {
  const std::string bytes = http(200, "text/plain", "0123456789");
  ScriptedServer server({[&](net::Stream& stream, const std::string&) {
    test::write_bytes(stream, bytes.substr(0, bytes.size() - 10));
    for (std::size_t i = bytes.size() - 10; i < bytes.size(); ++i) {
      std::this_thread::sleep_for(milliseconds(50));
      test::write_bytes(stream, bytes.substr(i, 1));
    }
  }});
  HttpClient client(quick());
  StringSink sink;
  client.exchange(get(server), sink);
  CHECK(sink.take() == "0123456789");
}

TEST_CASE("mutual TLS, and failures explained as for other connections") {
  const test::Authority authority;
  const auto code = [&](const net::TlsSettings& server_settings, const net::TlsSettings& client_settings,
                        std::string_view host = "127.0.0.1") {
    ScriptedServer server({answer(http(200, "text/plain", "ok"))}, net::TlsContext::server(server_settings));
    return code_of(error_of([&] {
      HttpSettings settings = quick();
      settings.first_byte_timeout = settings.idle_timeout = std::chrono::seconds(5);
      settings.tls = net::TlsContext::client(client_settings);
      HttpClient client(settings);
      StringSink sink;
      HttpRequest request = get(server);
      request.url = server.url("/x", host);
      const auto response = client.exchange(request, sink);
      CHECK(sink.take() == "ok");
      CHECK(response.peer.tls.starts_with("TLSv1."));
    }));
  };
  CHECK(code(authority.server, authority.client) == "none");
  CHECK(code(authority.server, authority.client, "localhost") == "none");
  net::TlsSettings old = authority.client;
  old.maximum_version = "1.2";
  CHECK(code(authority.server, old) == "none");

  net::TlsSettings none = authority.client;
  none.certificate_file.clear();
  none.key_file.clear();
  CHECK(code(authority.server, none) == "tls.client-certificate-required");
  net::TlsSettings none_old = none;
  none_old.maximum_version = "1.2";
  CHECK(code(authority.server, none_old) == "tls.client-certificate-required");

  const test::Authority other("Other CA");
  net::TlsSettings distrusting = authority.client;
  distrusting.ca_file = other.client.ca_file;
  CHECK(code(authority.server, distrusting) == "tls.untrusted");
  net::TlsSettings stranger = other.client;
  stranger.ca_file = authority.client.ca_file;
  CHECK(code(authority.server, stranger) == "tls.client-certificate-refused");

  net::TlsSettings named = authority.client;
  named.server_name = "archive.example";
  CHECK(code(authority.server, named) == "tls.wrong-name");
  test::CertificateSpec spec;
  spec.alternative_names = "DNS:archive.example";
  const net::TlsSettings renamed = authority.issue("renamed", spec);
  CHECK(code(renamed, named) == "none");
  CHECK(code(renamed, authority.client) == "tls.wrong-name");
  net::TlsSettings lenient = authority.client;
  lenient.verify_host = false;
  CHECK(code(renamed, lenient) == "none");

  net::TlsSettings newest = authority.server;
  newest.minimum_version = "1.3";
  CHECK(code(newest, old) == "tls.no-common-version");

  ScriptedServer plain({answer("HTTP/1.1 400 Bad Request\r\n\r\n")});
  HttpSettings settings = quick();
  settings.tls = net::TlsContext::client(authority.client);
  CHECK(code_of(error_of([&] {
          HttpClient client(settings);
          StringSink sink;
          HttpRequest request = get(plain);
          request.url.replace(0, 4, "https");
          client.exchange(request, sink);
        })) != "none");
}

TEST_CASE("pages of web servers become their text") {
  CHECK(text_of_html("<!DOCTYPE html><html><head><title>A</title><script>var x = '<b>';</script></head>\n<body>B<br>c "
                     "&lt;&nbsp;d & e</body>") == "A B c < d & e");
  CHECK(text_of_html(std::string(600, 'x')) == std::string(500, 'x') + "...");
  CHECK(text_of_html("") == "");
  CHECK(text_of_html("plain\ntext") == "plain text");
  CHECK(text_of_html("a\xFF") == "a?");
  CHECK(text_of_html("1 < 2") == "1 < 2");
  CHECK(text_of_html("<scr") == "");
}

TEST_CASE("a call has all that WS-Addressing asks for, and its answer is checked") {
  ScriptedServer server({soap_answer(200, "<ok xmlns='urn:r'/>"), soap_answer(200, "<ok xmlns='urn:r'/>")});
  Client client(server.url(), quick());
  Call call = call_of();
  call.security.header = [](std::string_view) { return std::string("<a  xmlns='urn:s'/>"); };
  const Reply reply = client.call(call);
  CHECK(reply.body().is("urn:r", "ok"));
  CHECK(reply.attempts == 1);
  CHECK(reply.message.warnings.empty());
  const std::string request = server.requests().at(0);
  CHECK(request.find("Content-Type: application/soap+xml; charset=UTF-8; action=\"urn:a\"\r\n") != std::string::npos);
  CHECK(request.find("<a  xmlns='urn:s'/>") != std::string::npos);
  CHECK(request.find("SOAPAction") == std::string::npos);
  CHECK(id_of(request) == reply.request_id);
  Client second(server.url(), quick());
  CHECK(second.call(call_of()).request_id != reply.request_id);
}

TEST_CASE("an MTOM call, its answer a byte at a time with a part") {
  ScriptedServer server({[](net::Stream& stream, const std::string& request) {
    CHECK(request.find("start-info=\"application/soap+xml\"; action=\"urn:a\"") != std::string::npos);
    Addressing addressing;
    addressing.message_id = id_of(request);
    const auto frame = MultipartWriter::mtom("urn:other");
    const std::string id = make_content_id(1);
    const std::string body =
        frame.root(reply_envelope(addressing, "urn:other", "<i xmlns='urn:r' href='" + to_cid_url(id) + "'/>")) +
        frame.part_head("application/dicom", id) + "data" + std::string(frame.part_tail()) + frame.tail();
    answer(http(200, frame.content_type(), body), 1)(stream, request);
  }});
  Client client(server.url(), quick());
  Call call = call_of();
  call.mtom = true;
  call.response_action = "urn:other";
  MemoryParts store;
  const Reply reply = client.call(call, store);
  REQUIRE(reply.message.parts.size() == 1);
  CHECK(reply.message.part(*reply.body().attribute("href")) == &reply.message.parts[0]);
  CHECK(store.bytes().at(0) == "data");
}

TEST_CASE("answers that are none are refused with what they are") {
  const auto fault = [](const Fault& value, int status) -> ScriptedServer::Script {
    return [=](net::Stream& stream, const std::string& request) {
      Addressing addressing;
      addressing.message_id = id_of(request);
      test::write_bytes(stream, http(status, k_soap_type, fault_envelope(addressing, value)));
    };
  };
  const auto failed = call_error({fault(receiver_fault("broken inside"), 500)});
  CHECK(code_of(failed) == "soap.fault");
  CHECK(failed->message().find("broken inside") != std::string::npos);
  CHECK(failed->details()["faultCode"] == "Receiver");
  CHECK(failed->details()["httpStatus"] == 500);
  CHECK(failed->details()["attempts"] == 1);
  CHECK(failed->details()["messageId"].get<std::string>().starts_with("urn:uuid:"));
  CHECK(failed->peer());
  CHECK(code_of(call_error({fault(sender_fault("x"), 200)})) == "soap.fault");
  CHECK(code_of(call_error({fault(security_fault("FailedCheck", "x"), 400)})) == "soap.fault.security");
  CHECK(code_of(call_error({fault(sender_fault("x"), 403)})) == "soap.fault.security");
  // The commonest reason for the refusal of an assertion.
  const auto late = [](net::Stream& stream, const std::string& request) {
    Addressing addressing;
    addressing.message_id = id_of(request);
    std::string answer = http(400, k_soap_type, fault_envelope(addressing, security_fault("MessageExpired", "x")));
    test::write_bytes(stream, answer.insert(answer.find("\r\n") + 2, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
  };
  CHECK(call_error({late})->message().find("; this machine's clock is ") != std::string::npos);
  CHECK(*clock_remark(std::chrono::minutes(10)) == "this machine's clock is 10m behind the server's");
  CHECK(*clock_remark(std::chrono::seconds(-90)) == "this machine's clock is 90s ahead of the server's");
  CHECK_FALSE(clock_remark(std::chrono::seconds(-2)));
  CHECK(code_of(call_error({[](net::Stream& stream, const std::string& request) {
          Addressing addressing;
          addressing.message_id = id_of(request);
          const auto frame = MultipartWriter::mtom("urn:fault");
          test::write_bytes(stream, http(200, frame.content_type(),
                                         frame.root(fault_envelope(addressing, receiver_fault("x"))) + frame.tail()));
        }})) == "soap.fault");
  Fault unknown_action = sender_fault("x");
  unknown_action.subcodes = {"ActionNotSupported"};
  unknown_action.subcode_ns = xml::ns::wsa;
  CHECK(code_of(call_error({fault(unknown_action, 400)})) == "soap.fault.addressing");

  CHECK(code_of(call_error({soap_answer(200, "<a/>", "urn:aResponse", "urn:uuid:other")})) == "soap.relates-to");
  CHECK(code_of(call_error({soap_answer(200, "<a/>", "urn:b")})) == "soap.action");
  CHECK(code_of(call_error({soap_answer(200, "")})) == "soap.empty-body");
  CHECK(code_of(call_error({answer(http(202, "text/plain", ""))})) == "soap.empty-body");
  CHECK(code_of(call_error({answer(http(200, "text/html", "<html>Welcome</html>"))})) == "soap.not-soap");
  CHECK(code_of(call_error({answer(http(200, "text/xml", "<html>Welcome</html>"))})) == "soap.envelope");
  CHECK(code_of(call_error({answer(http(200, "text/xml", "<!DOCTYPE html><html/>"))})) == "xml.doctype");
  CHECK(code_of(call_error({answer(http(500, "text/xml", "<html>Oops</html>"))})) == "http.status");
  CHECK(code_of(call_error({answer(http(503, "text/html", "<html>Down</html>"))})) == "http.unavailable");
  CHECK(code_of(call_error({answer(http(200, "multipart/related; boundary=B", "--B\r\n\r\n<a"))})) == "xml.malformed");
  CHECK(code_of(call_error(
            {answer("HTTP/1.1 200 OK\r\nContent-Type: multipart/related; boundary=B\r\n\r\n--B\r\n\r\n<a")})) ==
        "mime.truncated");

  ScriptedServer server({soap_answer(200, "<a/>", "urn:aResponse", "")});
  Client client(server.url(), quick());
  CHECK(client.call(call_of()).message.warnings.size() == 1);
}

TEST_CASE("reads are tried again after temporary failures, with a fresh MessageID, and nothing else is") {
  {
    ScriptedServer server({answer(http(503, "text/html", "")), answer(""),
                           answer("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 9\r\n\r\n<"),
                           soap_answer(200, "<a/>")});
    Client client(server.url(), quick(), fast(4));
    const Reply reply = client.call(call_of());
    CHECK(reply.attempts == 4);
    const auto requests = server.requests();
    REQUIRE(requests.size() == 4);
    CHECK(id_of(requests[0]) != id_of(requests[1]));
    CHECK(id_of(requests[3]) == reply.request_id);
  }
  {
    ScriptedServer server(
        {answer(http(503, "text/html", "")), answer(http(504, "text/html", "")), soap_answer(200, "<a/>")});
    Client client(server.url(), quick(), fast(2));
    const auto error = error_of([&] { client.call(call_of()); });
    CHECK(code_of(error) == "http.unavailable");
    CHECK(error->details()["attempts"] == 2);
    CHECK(server.requests().size() == 2);
  }
  {
    ScriptedServer server({answer(http(500, "text/html", "")), soap_answer(200, "<a/>")});
    Client client(server.url(), quick(), fast(3));
    CHECK(code_of(error_of([&] { client.call(call_of()); })) == "http.status");
    CHECK(server.requests().size() == 1);
  }
}
