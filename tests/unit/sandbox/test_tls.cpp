#include "sandbox/fixture.hpp"

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::test;

TEST_CASE("over mutual TLS an object is stored, committed and reported") {
  Bench bench;
  bench.with_tls();
  const net::TlsSettings tls = bench.tls("client");
  ReportListener listener(&tls);
  bench.settings.known_aes[0].endpoint = net::Endpoint{"127.0.0.1", listener.port()};
  bench.settings.known_aes[0].tls = true;
  bench.start();
  Client client(*bench.server->tls_port(), Client::request(), &tls);
  const Object object = Object::make("1");
  store_and_compare(client, bench.settings.storage, object, k_implicit);
  CHECK(client.ask({"2.25.1", {{k_ct, object.uid}}}).status == 0x0000);
  const auto report = listener.wait("2.25.1");
  REQUIRE(report.has_value());
  CHECK(report->committed.size() == 1);
  client.association->release();
  REQUIRE(bench.saw("association-released"));
  const std::string transcript = slurp(bench.settings.transcript);
  CHECK(transcript.find("TLSv1.3") != std::string::npos);
}

TEST_CASE(
    "plain bytes on the TLS port, TLS on the plain one, and no client "
    "certificate") {
  Bench bench;
  bench.with_tls();
  bench.start();
  CHECK_THROWS_AS(Client(*bench.server->tls_port()), Error);
  const net::TlsSettings tls = bench.tls("client");
  CHECK_THROWS_AS(Client(bench.port(), Client::request(), &tls), Error);
  net::TlsSettings anonymous = tls;
  anonymous.certificate_file.clear();
  anonymous.key_file.clear();
  CHECK_THROWS_AS(Client(*bench.server->tls_port(), Client::request(), &anonymous), Error);
  CHECK(bench.saw("tls-failed"));
  CHECK(bench.saw("connection-failed"));
  // It goes on serving.
  Client client(*bench.server->tls_port(), Client::request(), &tls);
  dimse::echo(client.messenger, k_patience);
}
