#include "sandbox/fixture.hpp"
#include "support/associations.hpp"

#include <kuva/sandbox/tls_faults.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::test;
using namespace std::chrono_literals;

namespace {

// A sandbox's certificates.
struct Material {
  Material() { sandbox::make_certificates(directory.path); }
  net::TlsSettings settings(const std::string& who) const {
    const fs::path tls = directory.path / "tls";
    net::TlsSettings settings;
    settings.ca_file = tls / "ca.pem";
    settings.certificate_file = tls / (who + ".pem");
    settings.key_file = tls / (who + ".key");
    return settings;
  }
  FixtureDirectory directory;
};

const Material& material() {
  static const Material made;
  return made;
}

struct Outcome {
  std::optional<Error> client;
  std::optional<Error> server;
};

// Our client against a server with the fault: an association is asked for, over TLS unless the fault is TLS itself.
Outcome meet(sandbox::TlsFault fault) {
  sandbox::TlsFaults faults(material().settings("server"));
  const auto context = faults.context(fault);
  OneShotServer server([&](net::Incoming& incoming) {
    const auto stream = incoming.open(context, Deadline::after(5s));
    static_cast<void>(stream->wait_readable(Deadline::after(5s)));
  });
  Outcome outcome;
  outcome.client = error_of([&] {
    net::ConnectSettings connect;
    connect.endpoint = server.endpoint();
    connect.tls =
        fault == sandbox::TlsFault::tls_on_plain ? nullptr : net::TlsContext::client(material().settings("client"));
    connect.tls_timeout = 5s;
    ul::Association::request(net::connect(connect), sample_request(), short_timeouts());
  });
  server.join();
  outcome.server = server.error();
  return outcome;
}

}  // namespace

TEST_CASE("each fault of TLS is named for what it is, on both sides") {
  using Fault = sandbox::TlsFault;
  struct Case {
    Fault fault;
    std::string_view client;
    std::string_view server;
    std::vector<std::string> words;  // in the client's message
  };
  const std::vector<Case> cases{
      {Fault::expired,
       "tls.peer-certificate-expired",
       "tls.own-certificate-refused",
       {"has expired", "valid from", "clock"}},
      {Fault::not_yet_valid, "tls.peer-certificate-not-yet-valid", "", {"is not valid yet", "clock"}},
      {Fault::self_signed,
       "tls.self-signed",
       "tls.own-certificate-refused",
       {"signed by itself", "kuva sandbox server"}},
      {Fault::wrong_name, "tls.wrong-name", "", {"\"127.0.0.1\"", "archive.example, 192.0.2.1"}},
      {Fault::missing_intermediate,
       "tls.untrusted",
       "tls.own-certificate-refused",
       {"CN=kuva sandbox intermediate CA", "one certificate"}},
      {Fault::old_version,
       "tls.no-common-version",
       "tls.no-common-version",
       {"protocol version", "TLS 1.2 and TLS 1.3"}},
      {Fault::weak_suites,
       "tls.no-common-cipher",
       "tls.no-common-cipher",
       {"handshake failure", "ECDHE-ECDSA-AES256-GCM-SHA384"}},
      {Fault::client_refused,
       "tls.client-certificate-refused",
       "tls.untrusted",
       {"unknown CA", "CN=kuva sandbox client"}},
      {Fault::client_refused_late, "tls.client-certificate-refused", "tls.untrusted", {"unknown CA"}},
      {Fault::plain, "tls.peer-speaks-plain", "tls.peer-wants-tls", {"DICOM without TLS"}},
      {Fault::tls_on_plain, "tls.peer-wants-tls", "tls.peer-speaks-plain", {}},
  };
  for (const Case& wanted : cases) {
    CAPTURE(static_cast<int>(wanted.fault));
    const Outcome outcome = meet(wanted.fault);
    REQUIRE(outcome.client.has_value());
    CHECK(outcome.client->kind().code == wanted.client);
    CHECK(outcome.client->kind().side == Side::peer);
    for (const std::string& word : wanted.words) {
      INFO(outcome.client->message());
      CHECK(outcome.client->message().find(word) != std::string::npos);
    }
    REQUIRE(outcome.server.has_value());
    INFO(outcome.server->message());
    CHECK((wanted.server.empty() || outcome.server->kind().code == wanted.server));
  }
}

TEST_CASE("a fault that needs the CA's key says so when it is not there") {
  net::TlsSettings settings = material().settings("server");
  settings.ca_file = material().directory.path / "tls" / "other.pem";
  fs::copy_file(material().directory.path / "tls" / "ca.pem", settings.ca_file, fs::copy_options::overwrite_existing);
  sandbox::TlsFaults faults(settings);
  CHECK(code_of(error_of([&] { faults.context(sandbox::TlsFault::expired); })) == "local.read");
  CHECK(faults.context(sandbox::TlsFault::self_signed) != nullptr);
  CHECK(faults.context(sandbox::TlsFault::plain) == nullptr);
}
