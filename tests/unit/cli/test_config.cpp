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

TEST_CASE("a target with an XDS side") {
  const TempDirectory directory;
  const std::string file = directory.write("kuva.toml", R"([target.archive]
calling_ae = "HOSPITAL1"
viewer_url = "https://viewer.example/?study={StudyInstanceUID}#top"
[target.archive.tls]
ca_file = "ca.pem"
[target.archive.move]
destination = "HOSPITAL1MOVE"
listener = { port = 11114, security = "plain" }
[target.archive.xds]
query_url = "https://archive.example/registry"
query_transaction = "iti-38"
document_transaction = "iti-39"
imaging_transaction = "rad-75"
home_community = "1.2.3"
repository_url = "https://archive.example/repository"
repositories = { "1.2.3.1" = "https://one.example:8443/repository", "urn:oid:1.2.3.2" = "https://two.example/" }
imaging_sources = { "1.2.3.3" = "https://one.example/images" }
timeouts = { connect = "1s", tls = 2, first_byte = "3s", idle = "4s" }
retries = 5
time_zone = "Europe/Stockholm"
temporary_id_authority = "urn:oid:1.2.246.10.1234567.22.2026"
transfer_rate = 12500000
[target.archive.xua]
issuer = "urn:oid:1.2.246.10.1234567"
audiences = ["urn:archive"]
pkcs12_file = "signature.p12"
passphrase_file = "signature.pass"
confirmation = "holder-of-key"
signature_algorithm = "rsa-sha512"
lifetime = "10m"
not_before_skew = "30s"
without_attributes = ["urn:ihe:iti:xca:2010:homeCommunityId"]
[[target.archive.xua.attribute]]
name = "urn:example:registry"
from = "registry-specifier"
required = true
[[target.archive.xua.attribute]]
name = "urn:oasis:names:tc:xacml:2.0:subject:role"
from = "role"
element = "Rooli"
[target.archive.xua.purposes]
emergency = { code = "5", code_system = "urn:oid:1.2.246.537.5.1" }
[target.archive.wado]
base_url = "http://archive.example/dicomweb/"
security = "plain"
token_file = "token"
)");
  const auto config = load_config(file);
  const auto& target = config.targets.at("archive").target;
  REQUIRE(target.xds);
  const auto& xds = *target.xds;
  using Xds = kuva::workflow::XdsSettings;
  CHECK(xds.query_url == "https://archive.example/registry");
  CHECK(xds.query_transaction == Xds::QueryTransaction::iti38);
  CHECK(xds.document_transaction == Xds::DocumentTransaction::iti39);
  CHECK(xds.imaging_transaction == Xds::ImagingTransaction::rad75);
  CHECK(xds.home_community == "urn:oid:1.2.3");
  CHECK(xds.repository("1.2.3.1") == "https://one.example:8443/repository");
  CHECK(xds.repository("1.2.3.2") == "https://two.example/");
  CHECK(xds.repository("1.2.3.9") == "https://archive.example/repository");
  CHECK(xds.imaging_source("1.2.3.3") == "https://one.example/images");
  CHECK(xds.imaging_source("1.2.3.9").empty());
  CHECK(xds.tls.ca_file == (directory.path() / "ca.pem").string());
  CHECK(xds.connect_timeout == 1s);
  CHECK(xds.tls_timeout == 2s);
  CHECK(xds.first_byte_timeout == 3s);
  CHECK(xds.idle_timeout == 4s);
  CHECK(xds.retries == 5);
  CHECK(xds.time_zone == "Europe/Stockholm");
  CHECK(xds.hetu_authority == "1.2.246.21");
  CHECK(xds.temporary_id_authority == "1.2.246.10.1234567.22.2026");
  CHECK(xds.transfer_rate == 12'500'000);
  REQUIRE(target.xua);
  const auto& xua = *target.xua;
  CHECK(xua.confirmation == kuva::soap::Confirmation::holder_of_key);
  CHECK(xua.signing.pkcs12_file == (directory.path() / "signature.p12").string());
  CHECK(xua.signature_algorithm == "rsa-sha512");
  CHECK(xua.lifetime == 600s);
  CHECK(xua.not_before_skew == 30s);
  REQUIRE(xua.attributes.size() == kuva::soap::default_attributes().size());
  CHECK(xua.attributes[xua.attributes.size() - 2].source == kuva::soap::AttributeSource::registry_specifier);
  CHECK(xua.attributes.back().element == "Rooli");
  CHECK(xua.attributes.back().origin == "kuva.toml");
  CHECK(xua.purposes.at("emergency").code_system == "1.2.246.537.5.1");
  CHECK(xua.purposes.at("treatment").code == "TREAT");
  REQUIRE(target.wado);
  CHECK(target.wado->base_url == "http://archive.example/dicomweb");
  CHECK(target.wado->tls.ca_file == (directory.path() / "ca.pem").string());
  REQUIRE(target.move);
  CHECK(target.move->destination == "HOSPITAL1MOVE");
  REQUIRE(target.move->listener);
  CHECK(target.move->listener->bind.port == 11114);
  CHECK_FALSE(target.move->listener->tls);
  CHECK(target.viewer_url == "https://viewer.example/?study={StudyInstanceUID}#top");
}

TEST_CASE("what is wrong on the XDS side is named with its place") {
  CHECK(failure("[target.a.xds]\nquery_url = \"http://x/\"\n") ==
        "kuva.toml:2: target.a.xds.query_url: is plain text: set security = \"plain\" beside it if that is meant");
  CHECK(failure("[target.a.xds]\nquery_url = \"x/y\"\n") ==
        "kuva.toml:2: target.a.xds.query_url: must be a URL: https://host/path");
  CHECK(failure("[target.a.xds]\nquery_url = \"https://me:secret@x/\"\n")
            .starts_with("kuva.toml:2: target.a.xds.query_url: must not hold a user name"));
  CHECK(failure("[target.a.xds]\nquery_ur = \"https://x/\"\n") ==
        "kuva.toml:2: unknown key 'query_ur' in [target.a.xds]; did you mean 'query_url'?");
  CHECK(failure("[target.a.xds]\nhome_community = \"1.02.3\"\n")
            .starts_with("kuva.toml:2: target.a.xds.home_community: is not an OID: "));
  CHECK(failure("[target.a.xds.repositories]\n\"x\" = \"https://x/\"\n")
            .starts_with("kuva.toml:2: target.a.xds.repositories.x: is not a UID: "));
  CHECK(failure("[target.a.wado]\ntoken_file = \"x\"\n").ends_with("target.a.wado.base_url: is missing"));
  CHECK(failure("[target.a.xua]\nkey_file = \"x\"\n").ends_with("target.a.xua.key_file: needs certificate_file too"));
  CHECK(failure("[target.a.xua]\nsignature_algorithm = \"rsa-sha1\"\n")
            .starts_with("kuva.toml:2: target.a.xua.signature_algorithm: must be one of rsa-sha256, "));
  CHECK(failure("[[target.a.xua.attribute]]\nname = \"x\"\n")
            .ends_with("target.a.xua.attribute.from: is missing: where the value comes from"));
  CHECK(failure("[[target.a.xua.attribute]]\nname = \"x\"\nfrom = \"user\"\n")
            .ends_with("target.a.xua.attribute.value: is missing: the key in the user's [attributes]"));
  CHECK(failure("[[target.a.xua.attribute]]\nname = \"x\"\nfrom = \"patient\"\nkind = \"code\"\nelement = \"P\"\n")
            .ends_with("\"code\" goes with from = \"role\", \"purpose\" and \"fixed\" alone"));
}
