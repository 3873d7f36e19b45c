#include "support/associations.hpp"
#include "support/certificates.hpp"

#include <kuva/core/file.hpp>

#include <doctest/doctest.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <fstream>
#include <thread>

using namespace kuva;
using namespace kuva::test;
using namespace std::chrono_literals;

namespace {

const Authority& authority() {
  static const Authority made;
  return made;
}

std::unique_ptr<net::Stream> connect_tls(const net::Endpoint& endpoint, const net::TlsSettings& settings) {
  net::ConnectSettings connect;
  connect.endpoint = endpoint;
  connect.tls = net::TlsContext::client(settings);
  connect.tls_timeout = 5s;
  return net::connect(connect);
}

// What became of a connection: handshake, "ping" there, "pong" back.
struct Outcome {
  std::optional<Error> client;
  std::optional<Error> server;
  std::string tls;
};
Outcome try_tls(const net::TlsSettings& client, const net::TlsSettings& server, const std::string& host = "127.0.0.1") {
  const auto context = net::TlsContext::server(server);
  OneShotServer peer([&](net::Incoming& incoming) {
    const auto stream = incoming.open(context, Deadline::after(5s));
    const std::string question = read_bytes(*stream, 4);
    CHECK(question == "ping");
    write_bytes(*stream, "pong");
    const std::string rest = read_bytes(*stream, 1);
    CHECK(rest.empty());
    stream->close(Deadline::after(1s));
  });
  Outcome outcome;
  outcome.client = error_of([&] {
    const auto stream = connect_tls({.host = host, .port = peer.endpoint().port}, client);
    write_bytes(*stream, "ping");
    const std::string answer = read_bytes(*stream, 4);
    CHECK(answer == "pong");
    outcome.tls = stream->peer().tls;
    CHECK(net::peer_certificate_expiry(*stream).has_value());
    stream->close(Deadline::after(1s));
  });
  peer.join();
  outcome.server = peer.error();
  return outcome;
}

// A server that knows no protocol: accepts, says `answer`, and waits for the peer to go.
class DumbServer {
 public:
  explicit DumbServer(std::string answer) : m_fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(m_fd.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(m_fd.get(), 1) == 0);
    REQUIRE(::getsockname(m_fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    m_port = ntohs(address.sin_port);
    m_thread = std::thread([this, answer = std::move(answer)] {
      const FileDescriptor peer(::accept(m_fd.get(), nullptr, nullptr));
      static_cast<void>(::send(peer.get(), answer.data(), answer.size(), MSG_NOSIGNAL));
      std::array<char, 4096> scratch{};
      while (::recv(peer.get(), scratch.data(), scratch.size(), 0) > 0) {
      }
    });
  }
  DumbServer(const DumbServer&) = delete;
  ~DumbServer() { m_thread.join(); }
  net::Endpoint endpoint() const { return {.host = "127.0.0.1", .port = m_port}; }

 private:
  FileDescriptor m_fd;
  std::uint16_t m_port = 0;
  std::thread m_thread;
};

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

std::string write_file(const std::string& name, std::string_view text) {
  const auto path = authority().directory.path() / name;
  std::ofstream(path) << text;
  return path;
}

}  // namespace

TEST_CASE("mutual TLS") {
  const Outcome outcome = try_tls(authority().client, authority().server);
  CHECK(code_of(outcome.client) == "none");
  CHECK(code_of(outcome.server) == "none");
  CHECK(outcome.tls.starts_with("TLSv1.3 TLS_"));
  CHECK(code_of(try_tls(authority().client, authority().server, "localhost").client) == "none");
  CHECK(net::TlsContext::client(authority().client)->certificate_expiry().has_value());
}

TEST_CASE("PKCS#12 and encrypted keys") {
  const auto& directory = authority().directory.path();
  const Identity identity = authority().ca.issue({.common_name = "client 2", .alternative_names = {}, .purpose = {}});
  identity.write_pkcs12(directory / "client.p12", "s3cret", authority().ca);
  net::TlsSettings settings;
  settings.pkcs12_file = directory / "client.p12";
  settings.passphrase_file = write_file("pass", "s3cret\n");
  CHECK(code_of(try_tls(settings, authority().server).client) == "none");
  settings.passphrase_file = write_file("wrong-pass", "other\n");
  const auto wrong = error_of([&] { net::TlsContext::client(settings); });
  CHECK(code_of(wrong) == "tls.config");
  CHECK(contains(wrong->message(), "client.p12"));

  net::TlsSettings pem = authority().client;
  identity.write_certificate(directory / "encrypted.pem");
  identity.write_key(directory / "encrypted.key", "s3cret");
  pem.certificate_file = directory / "encrypted.pem";
  pem.key_file = directory / "encrypted.key";
  CHECK(contains(error_of([&] { net::TlsContext::client(pem); })->message(), "passphrase_file is not set"));
  pem.passphrase_file = write_file("pass", "s3cret\r\n");
  CHECK(code_of(try_tls(pem, authority().server).client) == "none");
  pem.passphrase_file = write_file("wrong-pass", "other\n");
  CHECK(contains(error_of([&] { net::TlsContext::client(pem); })->message(), "is the passphrase right?"));
}

TEST_CASE("files that cannot be used are named") {
  const auto fails_with = [](net::TlsSettings settings, std::string_view code, std::string_view part) {
    const auto error = error_of([&] { net::TlsContext::client(settings); });
    CHECK(code_of(error) == code);
    if (error) {
      INFO(error->message());
      CHECK(contains(error->message(), part));
    }
  };
  net::TlsSettings settings = authority().client;
  settings.key_file = authority().server.key_file;
  fails_with(settings, "tls.config", "does not belong to");
  settings = authority().client;
  settings.certificate_file = "/nonexistent/client.pem";
  fails_with(settings, "tls.config", "No such file");
  settings = authority().client;
  settings.ca_file = write_file("empty.pem", "");
  fails_with(settings, "tls.config", "empty.pem");
  settings = authority().client;
  settings.key_file.clear();
  fails_with(settings, "tls.config", "go together");
  settings = authority().client;
  settings.minimum_version = "1.1";
  fails_with(settings, "tls.config", "1.1");
  settings = authority().issue(
      "expired", {.common_name = "expired", .alternative_names = {}, .first_day = -10, .last_day = -2, .purpose = {}});
  fails_with(settings, "tls.own-certificate-expired", "expired.pem");
  CHECK(code_of(error_of([] { net::TlsContext::server({}); })) == "tls.config");
}

TEST_CASE("a server whose certificate does not pass") {
  SUBCASE("of another CA") {
    const Authority other("Another CA");
    net::TlsSettings client = authority().client;
    client.ca_file = other.server.ca_file;
    const Outcome outcome = try_tls(client, authority().server);
    CHECK(code_of(outcome.client) == "tls.untrusted");
    CHECK(contains(outcome.client->message(), "Test CA"));
    CHECK(code_of(outcome.server) == "tls.own-certificate-refused");
    CHECK(outcome.client->peer()->host == "127.0.0.1");
  }
  SUBCASE("for another name") {
    const auto server = authority().issue(
        "other-name", {.common_name = "x", .alternative_names = "DNS:pacs.example,IP:192.0.2.7", .purpose = {}});
    const Outcome outcome = try_tls(authority().client, server);
    CHECK(code_of(outcome.client) == "tls.wrong-name");
    CHECK(contains(outcome.client->message(), "pacs.example, 192.0.2.7"));
    CHECK(code_of(try_tls(authority().client, server, "localhost").client) == "tls.wrong-name");
    net::TlsSettings client = authority().client;
    client.server_name = "pacs.example";
    CHECK(code_of(try_tls(client, server).client) == "none");
    client = authority().client;
    client.verify_host = false;
    CHECK(code_of(try_tls(client, server).client) == "none");
  }
  SUBCASE("for clients only") {
    const auto server = authority().issue(
        "client-only", {.common_name = "x", .alternative_names = "IP:127.0.0.1", .purpose = "clientAuth"});
    CHECK(code_of(try_tls(authority().client, server).client) == "tls.untrusted");
  }
}

TEST_CASE("an expired certificate of the peer") {
  // Our own side refuses to load an expired one, so the server is OpenSSL's view of a CA that has expired.
  const Identity old_ca = Identity::self_signed({.common_name = "Old CA",
                                                 .alternative_names = {},
                                                 .is_ca = true,
                                                 .first_day = -10,
                                                 .last_day = -2,
                                                 .purpose = {}});
  const Identity leaf = old_ca.issue({.common_name = "server", .alternative_names = "IP:127.0.0.1", .purpose = {}});
  const auto& directory = authority().directory.path();
  old_ca.write_certificate(directory / "old-ca.pem");
  leaf.write_certificate(directory / "old-leaf.pem");
  leaf.write_key(directory / "old-leaf.key");
  net::TlsSettings server;
  server.certificate_file = directory / "old-leaf.pem";
  server.key_file = directory / "old-leaf.key";
  net::TlsSettings client;
  client.ca_file = directory / "old-ca.pem";
  const Outcome outcome = try_tls(client, server);
  CHECK(code_of(outcome.client) == "tls.peer-certificate-expired");
  CHECK(contains(outcome.client->message(), "Old CA"));
}

TEST_CASE("a client certificate that is missing or not trusted, in TLS 1.2 and 1.3") {
  net::TlsSettings bare;
  bare.ca_file = authority().client.ca_file;
  const Authority other("Another CA");
  net::TlsSettings stranger = other.client;
  stranger.ca_file = authority().client.ca_file;
  for (const std::string version : {"1.2", "1.3"}) {
    CAPTURE(version);
    net::TlsSettings server = authority().server;
    server.maximum_version = version;
    Outcome outcome = try_tls(bare, server);
    CHECK(code_of(outcome.client) == "tls.client-certificate-required");
    CHECK(code_of(outcome.server) == "tls.untrusted");
    outcome = try_tls(stranger, server);
    CHECK(code_of(outcome.client) == "tls.client-certificate-refused");
    CHECK(contains(outcome.client->message(), "unknown CA"));
    CHECK(code_of(outcome.server) == "tls.untrusted");
    server.require_client_certificate = false;
    CHECK(code_of(try_tls(bare, server).client) == "none");
  }
}

TEST_CASE("no common version, no common cipher") {
  net::TlsSettings server = authority().server;
  server.maximum_version = "1.2";
  net::TlsSettings client = authority().client;
  client.minimum_version = "1.3";
  Outcome outcome = try_tls(client, server);
  CHECK(code_of(outcome.client) == "tls.no-common-version");
  CHECK(code_of(outcome.server) == "tls.no-common-version");
  client = authority().client;
  client.cipher_suites = "ECDHE-ECDSA-AES128-GCM-SHA256";
  server.cipher_suites = "ECDHE-ECDSA-AES256-GCM-SHA384";
  outcome = try_tls(client, server);
  CHECK(code_of(outcome.client) == "tls.no-common-cipher");
  CHECK(code_of(outcome.server) == "tls.no-common-cipher");
}

TEST_CASE("plain against TLS") {
  SUBCASE("a TLS client and a server of plain DICOM") {
    OneShotServer server([](net::Incoming& incoming) { incoming.open(nullptr, Deadline::after(5s)); });
    CHECK(code_of(error_of([&] { connect_tls(server.endpoint(), authority().client); })) == "tls.peer-speaks-plain");
    server.join();
    CHECK(code_of(server.error()) == "tls.peer-wants-tls");
  }
  SUBCASE("a TLS client and a web server") {
    DumbServer server("HTTP/1.1 400 Bad Request\r\n\r\n");
    const auto error = error_of([&] { connect_tls(server.endpoint(), authority().client); });
    CHECK(code_of(error) == "tls.peer-speaks-plain");
    CHECK(contains(error->message(), "HTTP"));
  }
  SUBCASE("a plain association and a TLS port") {
    const auto context = net::TlsContext::server(authority().server);
    OneShotServer server([&](net::Incoming& incoming) { incoming.open(context, Deadline::after(5s)); });
    const auto error = error_of(
        [&] { ul::Association::request(connect_plain(server.endpoint()), sample_request(), short_timeouts()); });
    CHECK(code_of(error) == "tls.peer-wants-tls");
    server.join();
    CHECK(code_of(server.error()) == "tls.peer-speaks-plain");
    CHECK(contains(server.error()->message(), "DICOM association without TLS"));
  }
}

TEST_CASE("a peer that never answers the handshake") {
  DumbServer server("");
  net::ConnectSettings settings;
  settings.endpoint = server.endpoint();
  settings.tls = net::TlsContext::client(authority().client);
  settings.tls_timeout = 200ms;
  CHECK(code_of(error_of([&] { net::connect(settings); })) == "tls.timeout");
}

TEST_CASE("large messages, ends without close_notify, shutdown from another thread") {
  const auto context = net::TlsContext::server(authority().server);
  std::string bytes(3000001, 'x');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(i * 7 + i / 1000);
  }
  OneShotServer server([&](net::Incoming& incoming) {
    const auto stream = incoming.open(context, Deadline::after(5s));
    CHECK(read_bytes(*stream, bytes.size()) == bytes);
    const auto whole = std::as_bytes(std::span(bytes));
    const std::array<std::span<const std::byte>, 4> pieces{whole.first(3), whole.subspan(3, 0),
                                                           whole.subspan(3, 100000), whole.subspan(100003)};
    stream->write_all(pieces, 5s);
    CHECK(read_bytes(*stream, 4) == "done");
    stream->shutdown();
  });
  const auto stream = connect_tls(server.endpoint(), authority().client);
  CHECK_FALSE(stream->wait_readable(Deadline::after(1ms)));
  write_bytes(*stream, bytes);
  CHECK(stream->wait_readable(Deadline::after(5s)));
  CHECK(read_bytes(*stream, bytes.size()) == bytes);
  write_bytes(*stream, "done");
  CHECK(code_of(error_of([&] { read_bytes(*stream, 1); })) == "tls.truncated");

  OneShotServer silent([&](net::Incoming& incoming) {
    const auto quiet = incoming.open(context, Deadline::after(5s));
    static_cast<void>(quiet->wait_readable(Deadline::after(5s)));
  });
  const auto waiting = connect_tls(silent.endpoint(), authority().client);
  std::thread stopper([&] {
    std::this_thread::sleep_for(50ms);
    waiting->shutdown();
  });
  CHECK(code_of(error_of([&] { read_bytes(*waiting, 1); })) == "connection.lost");
  CHECK(code_of(error_of([&] { write_bytes(*waiting, "x"); })) == "connection.lost");
  stopper.join();
}

TEST_CASE("a TLS peer that stops reading is a time-out") {
  const auto context = net::TlsContext::server(authority().server);
  std::atomic<bool> done{false};
  OneShotServer server([&](net::Incoming& incoming) {
    const auto stream = incoming.open(context, Deadline::after(5s));
    while (!done) {
      std::this_thread::sleep_for(5ms);
    }
  });
  const auto stream = connect_tls(server.endpoint(), authority().client);
  const std::string block(1U << 20U, 'x');
  const auto piece = std::as_bytes(std::span(block));
  const auto error = error_of([&] {
    for (int i = 0; i < 100; ++i) {
      stream->write_all({&piece, 1}, 100ms);
    }
  });
  done = true;
  CHECK(code_of(error) == "connection.timeout");
}
