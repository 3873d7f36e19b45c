#include "sandbox/fixture.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>

using namespace kuva;
using namespace kuva::test;

TEST_CASE("certificates are made once, with keys that only their owner reads") {
  const FixtureDirectory directory;
  sandbox::make_certificates(directory.path);
  const fs::path tls = directory.path / "tls";
  for (const char* name : {"ca", "server", "client", "signing"}) {
    const fs::path key = tls / (std::string(name) + ".key");
    struct stat status {};
    REQUIRE(::stat(key.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    CHECK(slurp(key).starts_with("-----BEGIN PRIVATE KEY-----"));
    CHECK(slurp(tls / (std::string(name) + ".pem")).starts_with("-----BEGIN CERTIFICATE-----"));
  }
  const std::string ca = slurp(tls / "ca.pem");
  const std::string server = slurp(tls / "server.pem");
  fs::remove(tls / "client.pem");
  CHECK_THROWS_AS(sandbox::make_certificates(directory.path),
                  Error);  // a key without its certificate is not thrown away
  fs::remove(tls / "client.key");
  sandbox::make_certificates(directory.path);
  CHECK(fs::exists(tls / "client.pem"));
  CHECK(slurp(tls / "ca.pem") == ca);
  CHECK(slurp(tls / "server.pem") == server);
}
