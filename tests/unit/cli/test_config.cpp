#include "cli/temp_directory.hpp"

#include <kuva/cli/config.hpp>

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using kuva::Error;
using kuva::cli::load_config;

namespace {

std::string failure(const std::string& text) {
  const TempDirectory directory;
  const std::string file = directory.write("kuva.toml", text);
  try {
    load_config(file);
  } catch (const Error& error) {
    CHECK(error.kind().code == "usage.config");
    std::string message = error.message();
    return message.starts_with(directory.path().string() + "/") ? message.substr(directory.path().string().size() + 1)
                                                                : message;
  }
  return {};
}

}  // namespace

TEST_CASE("a target with everything") {
  const TempDirectory directory;
  directory.write("token", "abc.def\n");
  const std::string file = directory.write("kuva.toml", R"([target.archive]
host = "archive.example"
port = 2762
called_ae = "ARCHIVE"
calling_ae = "MODALITY 1"
associations = 4
async_window = 8
max_pdu = 65536
instances_per_association = 1000
commit_chunk = 250
settle = "commit"
failures_in_a_row = 3
[target.archive.tls]
ca_file = "tls/ca.pem"
certificate_file = "/etc/ssl/own.pem"
key_file = "own.key"
passphrase_file = "secret"
verify_host = false
server_name = "archive"
minimum_version = "1.3"
[target.archive.listener]
port = 11113
[target.archive.timeouts]
connect = "5s"
response = 600
stall = "250ms"
[target.archive.user_identity]
type = "jwt"
token_file = "token"
[[target.archive.extended_negotiation]]
sop_class = "1.2.840.10008.5.1.4.1.1.2"
information = "01aF"
[target.other]
host = "127.0.0.1"
security = "plain"
)");
  auto config = load_config(file);
  REQUIRE(config.targets.size() == 2);
  auto& configured = config.targets.at("archive");
  kuva::cli::load_secrets(configured);
  const auto& target = configured.target;
  CHECK(target.endpoint.host == "archive.example");
  CHECK(target.endpoint.port == 2762);
  CHECK(target.calling_ae == "MODALITY 1");
  CHECK(target.tls);
  CHECK(target.associations == 4);
  CHECK(target.async_window == 8);
  CHECK(target.max_pdu == 65536);
  CHECK(target.instances_per_association == 1000);
  CHECK(target.commit_chunk == 250);
  CHECK(target.settle == kuva::workflow::Target::Settle::commit);
  CHECK(target.failures_in_a_row == 3);
  CHECK(target.tls_settings.ca_file == (directory.path() / "tls/ca.pem").string());
  CHECK(target.tls_settings.certificate_file == "/etc/ssl/own.pem");
  CHECK_FALSE(target.tls_settings.verify_host);
  CHECK(target.tls_settings.minimum_version == "1.3");
  REQUIRE(target.listener);
  CHECK(target.listener->bind.host == "0.0.0.0");
  CHECK(target.listener->bind.port == 11113);
  CHECK(target.listener->tls);
  CHECK(target.listener->tls_settings.key_file == (directory.path() / "own.key").string());
  CHECK(target.connect_timeout == 5s);
  CHECK(target.response_timeout == 600s);
  CHECK(target.association_timeouts.stall == 250ms);
  REQUIRE(target.user_identity);
  CHECK(target.user_identity->type == kuva::ul::UserIdentity::Type::jwt);
  CHECK(target.user_identity->primary == "abc.def");
  REQUIRE(target.extended_negotiations.size() == 1);
  CHECK(target.extended_negotiations[0].application_information == "\x01\xAF");
  CHECK_FALSE(config.targets.at("other").target.tls);
}

TEST_CASE("what is wrong is named with its place") {
  CHECK(failure("[target.a]\nhsot = \"x\"\n") == "kuva.toml:2: unknown key 'hsot' in [target.a]; did you mean 'host'?");
  CHECK(failure("[targets.a]\nhost = \"x\"\n") == "kuva.toml:1: unknown key 'targets'; did you mean 'target'?");
  CHECK(
      failure("[target.a]\n[target.a.tls]\nca = 'x'\n").starts_with("kuva.toml:3: unknown key 'ca' in [target.a.tls]"));
  CHECK(failure("[target.a]\nport = 70000\n") == "kuva.toml:2: target.a.port: must be a whole number from 1 to 65535");
  CHECK(failure("[target.a]\nport = \"104\"\n") ==
        "kuva.toml:2: target.a.port: must be a whole number from 1 to 65535");
  CHECK(failure("[target.a]\ncalled_ae = 'ARCHIVE\\A'\n").find("no backslash") != std::string::npos);
  CHECK(failure("[target.a]\ncalled_ae = 'SEVENTEEN LETTERS'\n").find("has 17") != std::string::npos);
  CHECK(failure("[target.a]\ncalled_ae = ''\n").find("has 0") != std::string::npos);
  CHECK(failure("[target.a]\nsecurity = \"none\"\n") == "kuva.toml:2: target.a.security: must be one of plain, tls");
  CHECK(failure("[target.a.timeouts]\nconnect = \"soon\"\n").find("must be a duration") != std::string::npos);
  CHECK(failure("[target.a.listener]\nhost = \"x\"\n").find("target.a.listener.port: is missing") != std::string::npos);
  CHECK(
      failure("[target.a.user_identity]\ntype = \"passcode\"\nusername = \"u\"\n").find("passcode_file: is missing") !=
      std::string::npos);
  CHECK(failure("[target.a]\nhost = \n").starts_with("kuva.toml:2: "));
  CHECK(failure("target = 3\n") == "kuva.toml:1: target: must be a table");
}
