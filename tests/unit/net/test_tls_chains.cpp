#include "support/associations.hpp"
#include "support/certificates.hpp"

#include <kuva/core/file.hpp>
#include <kuva/net/tls_context.hpp>

#include <doctest/doctest.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include <fstream>
#include <thread>

using namespace kuva;
using namespace kuva::test;
using namespace std::chrono_literals;

namespace {

std::string append(const std::filesystem::path& target, const std::vector<std::filesystem::path>& parts) {
  std::ofstream out(target);
  for (const auto& part : parts) {
    out << read_small_file(part, 1U << 20U);
  }
  return target;
}

// A CA, an intermediate CA, and a server and a client of the latter. Files NAME-leaf.pem and NAME-chain.pem.
struct Chains {
  Chains() {
    const auto& path = authority.directory.path();
    const Identity intermediate =
        authority.ca.issue({.common_name = "Middle CA", .alternative_names = {}, .is_ca = true, .purpose = {}});
    intermediate.write_certificate(path / "middle.pem");
    for (const std::string name : {"server", "client"}) {
      const Identity leaf = intermediate.issue(
          {.common_name = name, .alternative_names = "DNS:localhost,IP:127.0.0.1,IP:::1", .purpose = {}});
      leaf.write_certificate(path / (name + "-leaf.pem"));
      leaf.write_key(path / (name + "-leaf.key"));
      append(path / (name + "-chain.pem"), {path / (name + "-leaf.pem"), path / "middle.pem"});
    }
  }
  net::TlsSettings settings(const std::string& name, bool whole) const {
    const auto& path = authority.directory.path();
    net::TlsSettings settings;
    settings.ca_file = path / "ca.pem";
    settings.certificate_file = path / (name + (whole ? "-chain.pem" : "-leaf.pem"));
    settings.key_file = path / (name + "-leaf.key");
    return settings;
  }
  Authority authority;
};

// The client's error and the server's, of a handshake and four bytes there and back.
std::pair<std::optional<Error>, std::optional<Error>> meet(const net::TlsSettings& client,
                                                           const net::TlsSettings& server) {
  const auto context = net::TlsContext::server(server);
  OneShotServer peer([&](net::Incoming& incoming) {
    const auto stream = incoming.open(context, Deadline::after(5s));
    write_bytes(*stream, read_bytes(*stream, 4));
    stream->close(Deadline::after(1s));
  });
  const auto error = error_of([&] {
    net::ConnectSettings connect;
    connect.endpoint = peer.endpoint();
    connect.tls = net::TlsContext::client(client);
    const auto stream = net::connect(connect);
    write_bytes(*stream, "ping");
    const std::string answer = read_bytes(*stream, 4);
    CHECK(answer == "ping");
  });
  peer.join();
  return {error, peer.error()};
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a chain with an intermediate CA passes where it is sent whole, and is explained where it is not") {
  const Chains chains;
  auto [client, server] = meet(chains.settings("client", true), chains.settings("server", true));
  CHECK(code_of(client) == "none");
  CHECK(code_of(server) == "none");

  std::tie(client, server) = meet(chains.settings("client", true), chains.settings("server", false));
  REQUIRE(code_of(client) == "tls.untrusted");
  CHECK(contains(client->message(), "issued by \"CN=Middle CA\""));
  CHECK(contains(client->message(), "one certificate"));
  REQUIRE(code_of(server) == "tls.own-certificate-refused");
  CHECK(contains(server->message(), "issued by \"CN=Middle CA\""));

  std::tie(client, server) = meet(chains.settings("client", false), chains.settings("server", true));
  REQUIRE(code_of(client) == "tls.client-certificate-refused");
  CHECK(contains(client->message(), "issued by \"CN=Middle CA\""));
  REQUIRE(code_of(server) == "tls.untrusted");
  CHECK(contains(server->message(), "Middle CA"));
}

TEST_CASE("TLS over IPv6, by address") {
  const Chains chains;
  std::unique_ptr<net::Listener> listener;
  try {
    listener = net::Listener::open({.host = "::1", .port = 0});
  } catch (const Error& error) {
    MESSAGE("skipped: no IPv6 here: " << error.message());
    return;
  }
  const auto context = net::TlsContext::server(chains.settings("server", true));
  std::thread server([&] {
    for (int i = 0; i < 2; ++i) {
      try {
        const auto stream = listener->accept(Deadline::after(5s))->open(context, Deadline::after(5s));
        write_bytes(*stream, read_bytes(*stream, 4));
      } catch (const Error&) {
        continue;  // the second one
      }
    }
  });
  net::ConnectSettings connect;
  connect.endpoint = {.host = "::1", .port = listener->port()};
  connect.tls = net::TlsContext::client(chains.settings("client", true));
  const auto stream = net::connect(connect);
  write_bytes(*stream, "ping");
  CHECK(read_bytes(*stream, 4) == "ping");
  CHECK(stream->peer().address == "::1");
  net::TlsSettings other = chains.settings("client", true);
  other.server_name = "fe80::1";
  connect.tls = net::TlsContext::client(other);
  const auto error = error_of([&] { net::connect(connect); });
  server.join();
  REQUIRE(code_of(error) == "tls.wrong-name");
  CHECK(contains(error->message(), "[::1]:"));
  CHECK(contains(error->message(), "localhost, 127.0.0.1, ::1"));
}

TEST_CASE("a PKCS#12 file of an old encryption is named, with the way out") {
  const std::unique_ptr<OSSL_LIB_CTX, decltype(&OSSL_LIB_CTX_free)> library(OSSL_LIB_CTX_new(), &OSSL_LIB_CTX_free);
  const std::unique_ptr<OSSL_PROVIDER, decltype(&OSSL_PROVIDER_unload)> legacy(
      OSSL_PROVIDER_load(library.get(), "legacy"), &OSSL_PROVIDER_unload);
  const std::unique_ptr<OSSL_PROVIDER, decltype(&OSSL_PROVIDER_unload)> standard(
      OSSL_PROVIDER_load(library.get(), "default"), &OSSL_PROVIDER_unload);
  if (legacy == nullptr) {
    MESSAGE("skipped: OpenSSL's legacy provider is not installed");
    return;
  }
  const Chains chains;
  const auto& path = chains.authority.directory.path();
  const net::OpensslContext loaded(chains.settings("client", false), net::OpensslContext::Side::client);
  const std::unique_ptr<PKCS12, decltype(&PKCS12_free)> container(
      PKCS12_create_ex("old", "test", SSL_CTX_get0_privatekey(loaded.get()), SSL_CTX_get0_certificate(loaded.get()),
                       nullptr, NID_pbe_WithSHA1And3_Key_TripleDES_CBC, NID_pbe_WithSHA1And40BitRC2_CBC, 0, 0, 0,
                       library.get(), nullptr),
      &PKCS12_free);
  REQUIRE(container != nullptr);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen((path / "old.p12").c_str(), "wb"),
                                                             &std::fclose);
  REQUIRE(i2d_PKCS12_fp(file.get(), container.get()) == 1);
  std::fflush(file.get());
  net::TlsSettings settings;
  settings.pkcs12_file = path / "old.p12";
  settings.passphrase_file = path / "pass";
  std::ofstream(settings.passphrase_file) << "old\n";
  const auto error = error_of([&] { net::TlsContext::client(settings); });
  REQUIRE(code_of(error) == "tls.config");
  CHECK(contains(error->message(), "old.p12"));
  CHECK(contains(error->message(), "-legacy"));
}

TEST_CASE(
    "TLS 1.3: the alert of a server that refuses our certificate and resets the connection is told, not the reset") {
  bool sends = false;
  SUBCASE("while we wait for its answer") {}
  SUBCASE("while we send") { sends = true; }
  const Authority authority;
  const Authority other("Another CA");
  net::TlsSettings refusing = authority.server;
  refusing.ca_file = other.server.ca_file;
  refusing.minimum_version = "1.3";
  const net::OpensslContext context(refusing, net::OpensslContext::Side::server);
  const FileDescriptor listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(listening.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(listening.get(), 1) == 0);
  REQUIRE(::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  std::thread server([&] {
    FileDescriptor peer(::accept(listening.get(), nullptr, nullptr));
    const std::unique_ptr<SSL, net::OpensslDelete> ssl(SSL_new(context.get()));
    SSL_set_fd(ssl.get(), peer.get());
    CHECK(SSL_accept(ssl.get()) != 1);
    std::this_thread::sleep_for(30ms);  // what the client has said by now stays unread: a reset
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(peer.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    peer.reset();
  });
  const auto error = error_of([&] {
    net::ConnectSettings connect;
    connect.endpoint = {.host = "127.0.0.1", .port = ntohs(address.sin_port)};
    connect.tls = net::TlsContext::client(authority.client);
    const auto stream = net::connect(connect);
    for (int i = 0; sends && i < 100; ++i) {
      write_bytes(*stream, std::string(1000, 'x'));
      std::this_thread::sleep_for(1ms);
    }
    write_bytes(*stream, "ping");
    read_bytes(*stream, 4);
  });
  server.join();
  REQUIRE(error.has_value());
  INFO(error->message());
  CHECK(code_of(error) == "tls.client-certificate-refused");
  CHECK(contains(error->message(), "unknown CA"));
}
