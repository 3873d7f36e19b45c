#include "cli/temp_directory.hpp"
#include "support/signing_files.hpp"

#include <kuva/cli/assertion_options.hpp>
#include <kuva/core/time.hpp>

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using namespace kuva;
using kuva::cli::AssertionOptions;

namespace {

class Messages : public workflow::Observer {
 public:
  void message(Level level, std::string_view text) override {
    if (level == Level::warning) {
      warnings.emplace_back(text);
    }
  }
  void progress(const Progress&) override {}

  std::vector<std::string> warnings;
};

struct Fixture {
  TempDirectory directory;
  SigningIdentity identity{directory.path().string(), "signer"};
  workflow::Target target;
  AssertionOptions options;
  Messages messages;

  Fixture() {
    target.name = "archive";
    target.xua.emplace();
    target.xua->issuer = "urn:issuer";
    target.xua->audiences = {"urn:archive"};
    target.xua->signing = {identity.certificate_file, identity.key_file, {}, {}};
    target.xua->home_community = "urn:oid:1.2.3";
    options.user = directory.write("user.toml", "id = \"me\"\nname = \"Me\"\npurpose = \"treatment\"\n");
  }
  soap::VerifiedAssertion sent(const soap::CallFacts& call = {}) {
    soap::AssertionTrust trust;
    trust.certificate_files = {identity.certificate_file};
    const auto header = cli::make_assertions(options, target, messages)->header(call);
    return soap::verify_assertion(header, trust, std::chrono::system_clock::now());
  }
  std::string failure() {
    try {
      sent();
    } catch (const Error& error) {
      return std::string(error.kind().code) + ": " + error.message();
    }
    return {};
  }
  std::string made_elsewhere(std::chrono::minutes age = 0min) {
    soap::AssertionUser user;
    user.id = "service";
    return soap::make_assertion(*target.xua, *soap::SigningKey::load(target.xua->signing), user, {},
                                std::chrono::system_clock::now() - age);
  }
};

constexpr const char* k_purpose = "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse";

}  // namespace

TEST_CASE("options of the user") {
  Fixture fixture;
  const auto usual = fixture.sent();
  CHECK(usual.subject == "me");
  REQUIRE(usual.attribute(k_purpose));
  CHECK(usual.attribute(k_purpose)->codes.front().code == "TREAT");
  CHECK(usual.attribute("urn:ihe:iti:xca:2010:homeCommunityId")->texts.front() == "urn:oid:1.2.3");
  CHECK(fixture.messages.warnings.empty());
  fixture.options.emergency = true;
  CHECK(fixture.sent().attribute(k_purpose)->codes.front().code == "ETREAT");
  fixture.options.emergency = false;
  fixture.options.purpose = "curiosity";
  CHECK(fixture.failure() == "xua.user: there is no purpose of use 'curiosity'; the target has emergency, treatment");
  fixture.options.purpose.clear();
  soap::CallFacts call;
  call.patient = "x^^^&1.2&ISO";
  CHECK(fixture.sent(call).attribute("urn:oasis:names:tc:xacml:2.0:resource:resource-id")->texts.front() ==
        call.patient);
}

TEST_CASE("what has no attribute, and what is no OID") {
  Fixture fixture;
  fixture.options.registry_specifier = "10";
  CHECK(fixture.failure().find("a registry specifier is given, and the target has no attribute") != std::string::npos);
  fixture.target.xua->attributes.push_back(
      {"urn:registry", {}, soap::AttributeSource::registry_specifier, soap::AttributeKind::text, {}, {}, {}, true, {}});
  CHECK(fixture.sent().attribute("urn:registry")->texts.front() == "10");
  fixture.options.registry_specifier.clear();
  CHECK(fixture.failure().starts_with("xua.user: attribute urn:registry must be there"));
  fixture.options.service_event = "x";
  CHECK(fixture.failure().starts_with("usage.argument: --service-event: "));
}

TEST_CASE("who asks must be said, and how") {
  Fixture fixture;
  fixture.options.user.clear();
  CHECK(fixture.failure() == "xua.user: who asks? Name a user file with --user");
  fixture.target.xua.reset();
  CHECK(cli::make_assertions(fixture.options, fixture.target, fixture.messages) == nullptr);
  fixture.options.emergency = true;
  CHECK(fixture.failure().starts_with("usage.target: target 'archive' has no [target.archive.xua]"));
}

TEST_CASE("ways of confirmation that the tools send") {
  Fixture fixture;
  fixture.target.xua->confirmation = soap::Confirmation::sender_vouches;
  const auto vouched =
      workflow::UserAssertions::provider(cli::make_assertions(fixture.options, fixture.target, fixture.messages), {});
  CHECK(vouched.signs_body);
  soap::EnvelopeContent content;
  content.body_xml = "<q:Query xmlns:q=\"urn:q\"/>";
  content.body_is_signed = vouched.signs_body;
  CHECK(vouched.header(write_body(content)).find("URI=\"#body\"") != std::string::npos);
  fixture.target.xua->confirmation = soap::Confirmation::holder_of_key;
  const auto held =
      workflow::UserAssertions::provider(cli::make_assertions(fixture.options, fixture.target, fixture.messages), {});
  CHECK_FALSE(held.signs_body);
  const auto header = held.header({});
  CHECK(header.find("<ds:Signature", header.find("</saml:Assertion>")) != std::string::npos);
}

TEST_CASE("an assertion from a file") {
  Fixture fixture;
  fixture.options.user.clear();
  fixture.options.assertion = fixture.directory.write("token.xml", "<t>" + fixture.made_elsewhere() + "</t>");
  CHECK(fixture.sent().subject == "service");
  fixture.options.emergency = true;
  CHECK(fixture.failure().starts_with("usage.argument: the assertion is taken from a file"));
  fixture.options.emergency = false;
  fixture.options.assertion = fixture.directory.write("token.xml", fixture.made_elsewhere(6min));
  CHECK(fixture.failure().starts_with("xua.assertion-expired: "));
  fixture.options.assertion = fixture.directory.write("token.xml", fixture.made_elsewhere(-2min));
  CHECK(fixture.failure().starts_with("xua.assertion-expired: "));
  fixture.options.assertion = fixture.directory.write("token.xml", "Unauthorized");
  CHECK(fixture.failure().starts_with("xua.assertion: "));
  fixture.options.assertion += ".not";
  CHECK(fixture.failure().starts_with("xua.assertion: "));
}

TEST_CASE("an assertion from a command") {
  Fixture fixture;
  const TempDirectory& directory = fixture.directory;
  const std::string token = directory.write("token.xml", fixture.made_elsewhere());
  const auto script = [&](const std::string& text) {
    const std::string file = directory.write("sts", "#!/bin/sh\n" + text + "\n");
    fixture.options.assertion_command = "sh " + file;
  };
  const std::string asked = (directory.path() / "asked").string();
  script("cat >> " + asked + "; cat " + token);
  CHECK(fixture.sent().subject == "service");
  CHECK(directory.read("asked") ==
        "{\"purpose\":{\"code\":\"TREAT\",\"codeSystem\":\"2.16.840.1.113883.5.8\"},"
        "\"homeCommunityId\":\"urn:oid:1.2.3\"}\n");
  // Asked again for other facts alone.
  const auto assertions = cli::make_assertions(fixture.options, fixture.target, fixture.messages);
  soap::CallFacts call;
  for (const char* patient : {"a^^^&1.2&ISO", "a^^^&1.2&ISO", "b^^^&1.2&ISO"}) {
    call.patient = patient;
    assertions->header(call);
  }
  const std::string log = directory.read("asked");
  CHECK(std::count(log.begin(), log.end(), '\n') == 3);
  script("echo refused >&2; exit 4");
  CHECK(fixture.failure() == "xua.command: sh ended with exit status 4: refused");
  script("sleep 30");
  fixture.target.xua->command_timeout = 200ms;
  CHECK(fixture.failure() == "xua.command: sh did not end within 200ms");
  fixture.target.xua->command_timeout = 10s;
  script("yes");
  CHECK(fixture.failure() == "xua.command: sh printed more than an assertion is long");
  script("echo nothing");
  CHECK(fixture.failure().starts_with("xua.assertion: "));
  fixture.options.assertion_command = "/nowhere/at-all";
  CHECK(fixture.failure().starts_with("xua.command: "));
}

TEST_CASE("a certificate that ends soon") {
  Fixture fixture;
  const SigningIdentity old(fixture.directory.path().string(), "old", SigningIdentity::Kind::ec, nullptr, 0,
                            {-3600, 5L * 86400});
  fixture.target.xua->signing = {old.certificate_file, old.key_file, {}, {}};
  cli::make_assertions(fixture.options, fixture.target, fixture.messages);
  REQUIRE(fixture.messages.warnings.size() == 1);
  CHECK(fixture.messages.warnings[0].find("signs assertions ends in 4 days") != std::string::npos);
}
