#include "cli/temp_directory.hpp"
#include "support/shared_material.hpp"
#include "support/signing_files.hpp"

#include <kuva/core/command.hpp>
#include <kuva/core/time.hpp>
#include <kuva/soap/assertion.hpp>

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using namespace kuva::soap;
using kuva::Error;

namespace {

// One CA, one signer and a stranger for all cases: keys take time.
struct Fixture {
  TempDirectory directory;
  SigningIdentity ca{directory.path().string(), "ca"};
  SigningIdentity signer{directory.path().string(), "signer", SigningIdentity::Kind::rsa, &ca};
  SigningIdentity ec_signer{directory.path().string(), "ec-signer", SigningIdentity::Kind::ec, &ca};
  SigningIdentity stranger{directory.path().string(), "stranger"};
};

const Fixture& fixture() {
  static const Fixture made;
  return made;
}

std::shared_ptr<const SigningKey> load(const SigningIdentity& identity) {
  return SigningKey::load({identity.certificate_file, identity.key_file, {}, {}});
}

AssertionSettings settings() {
  AssertionSettings made;
  made.issuer = "urn:oid:1.2.246.10.2048198";
  made.audiences = {"urn:archive"};
  return made;
}

AssertionUser user() {
  AssertionUser made;
  made.id = "1.2.246.537.26.12345";
  made.name = "Testi <Testaaja> & Äijö \"x\"";
  made.organization = "Testisairaala";
  made.organization_id = "1.2.246.10.2048198.10.0";
  made.roles = {{"lk", "1.2.246.537.6.1", "Roolit", "Lääkäri"}};
  made.provider = InstanceIdentifier{"1.2.246.537.26", "12345", "Terhikki"};
  made.attributes = {{"unit", "Röntgen"}};
  return made;
}

CallFacts facts() {
  CallFacts made;
  made.patient = "010181-900C^^^&1.2.246.21&ISO";
  made.purpose = default_purposes().at("treatment");
  made.home_community = "urn:oid:1.2.246.10.2048198";
  return made;
}

AssertionTrust trust() {
  AssertionTrust made;
  made.ca_file = fixture().ca.certificate_file;
  made.audiences = {"urn:archive"};
  made.issuers = {"urn:oid:1.2.246.10.2048198"};
  return made;
}

TimePoint now() { return std::chrono::system_clock::now(); }

std::string assertion(const AssertionSettings& made = settings()) {
  return make_assertion(made, *load(fixture().signer), user(), facts(), now());
}

std::string envelope(const std::string& security, const std::string& more = {}) {
  return R"(<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope" xmlns:wsa="http://www.w3.org/2005/08/addressing">)"
         R"(<soap:Header><wsse:Security xmlns:wsse="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd" soap:mustUnderstand="true">)" +
         security + "</wsse:Security></soap:Header><soap:Body>" + more + "</soap:Body></soap:Envelope>";
}

// The code that the message is refused with; "" when it is taken.
std::string refusal(const std::string& message, const AssertionTrust& trusted = trust(), TimePoint at = now()) {
  try {
    const auto verified = verify_assertion(message, trusted, at);
    CHECK(verified.subject == "1.2.246.537.26.12345");
  } catch (const Error& error) {
    CHECK(error.message().find("12345") == std::string::npos);
    CHECK(error.message().find("010181") == std::string::npos);
    return std::string(error.kind().code);
  }
  return {};
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const auto place = text.find(what);
  REQUIRE_MESSAGE(place != std::string::npos, what);
  return text.replace(place, what.size(), with);
}

// The parts of a signed assertion, for putting them together wrongly.
struct Pieces {
  std::string whole, head, issuer, signature, rest;

  explicit Pieces(const std::string& text) : whole(text) {
    const auto issuer_at = text.find("<saml:Issuer");
    const auto signature_at = text.find("<ds:Signature");
    const auto rest_at = text.find("</ds:Signature>") + 15;
    head = text.substr(0, issuer_at);
    issuer = text.substr(issuer_at, signature_at - issuer_at);
    signature = text.substr(signature_at, rest_at - signature_at);
    rest = text.substr(rest_at);
  }
  std::string unsigned_form() const { return head + issuer + rest; }
  // What an attacker would like to be believed; with an ID of its own or the same.
  std::string forged(const std::string& in_signature_place, bool own_id) const {
    std::string forged_head = head;
    if (own_id) {
      forged_head = replaced(forged_head, "ID=\"_", "ID=\"_f");
    }
    return forged_head + issuer + in_signature_place + replaced(rest, "1.2.246.537.26.12345", "attacker");
  }
  std::string signature_with(const std::string& object) const {
    return replaced(signature, "</ds:Signature>", "<ds:Object>" + object + "</ds:Object></ds:Signature>");
  }
};

}  // namespace

TEST_CASE("an assertion says what was asked, and verifies") {
  const std::string text = assertion();
  const auto verified = verify_assertion(envelope(text), trust(), now());
  CHECK(verified.subject == "1.2.246.537.26.12345");
  CHECK(verified.issuer == "urn:oid:1.2.246.10.2048198");
  CHECK(verified.audiences == std::vector<std::string>{"urn:archive"});
  CHECK(verified.signer == "CN=signer");
  CHECK(verified.not_on_or_after - verified.not_before == 5min);
  REQUIRE(verified.attribute("urn:oasis:names:tc:xspa:1.0:subject:subject-id"));
  CHECK(verified.attribute("urn:oasis:names:tc:xspa:1.0:subject:subject-id")->texts.front() == user().name);
  CHECK(verified.attribute("urn:oasis:names:tc:xspa:1.0:subject:organization-id")->texts.front() ==
        "urn:oid:1.2.246.10.2048198.10.0");
  CHECK(verified.attribute("urn:oasis:names:tc:xacml:2.0:resource:resource-id")->texts.front() ==
        "010181-900C^^^&1.2.246.21&ISO");
  CHECK(verified.attribute("urn:oasis:names:tc:xspa:1.0:subject:purposeofuse")->codes.front().code == "TREAT");
  CHECK(verified.attribute("urn:oasis:names:tc:xacml:2.0:subject:role")->codes.front().display_name == "Lääkäri");
  CHECK(verified.attribute("urn:ihe:iti:xua:2017:subject:provider-identifier")->identifiers.front().extension ==
        "12345");
  CHECK(read_assertion(text).id == verified.id);
  CHECK(refusal(text).empty());  // by itself too
}

TEST_CASE("RSA signs with every digest") {
  for (const char* algorithm : {"", "rsa-sha256", "rsa-sha384", "rsa-sha512"}) {
    auto made = settings();
    made.signature_algorithm = algorithm;
    made.digest_algorithm = made.signature_algorithm == "rsa-sha512" ? "sha512" : "sha384";
    CAPTURE(algorithm);
    CHECK(refusal(envelope(assertion(made))).empty());
  }
}

TEST_CASE("an elliptic curve signs with ECDSA") {
  for (const char* algorithm : {"", "ecdsa-sha256", "ecdsa-sha384", "ecdsa-sha512"}) {
    auto made = settings();
    made.signature_algorithm = algorithm;
    CAPTURE(algorithm);
    const auto text = make_assertion(made, *load(fixture().ec_signer), user(), facts(), now());
    CHECK(text.find("#ecdsa-sha") != std::string::npos);
    CHECK(refusal(envelope(text)).empty());
  }
  auto made = settings();
  made.signature_algorithm = "ecdsa-sha256";
  CHECK_THROWS_AS(assertion(made), Error);
}

TEST_CASE("the table of attributes decides") {
  auto made = settings();
  made.attributes.clear();
  AttributeRule row;
  row.name = "urn:example:unit";
  row.source = AttributeSource::user;
  row.value = "unit";
  made.attributes.push_back(row);
  row = AttributeRule{};
  row.name = "urn:example:registry";
  row.source = AttributeSource::registry_specifier;
  row.required = true;
  made.attributes.push_back(row);
  CallFacts call;
  CHECK_THROWS_AS(make_assertion(made, *load(fixture().signer), user(), call, now()), Error);
  call.registry_specifier = "10";
  const auto verified =
      verify_assertion(make_assertion(made, *load(fixture().signer), user(), call, now()), trust(), now());
  REQUIRE(verified.attributes.size() == 2);
  CHECK(verified.attributes[0].texts.front() == "Röntgen");
  CHECK(verified.attributes[1].texts.front() == "10");
  // What has no row is not left out in silence.
  call.service_event = "1.2.3";
  CHECK_THROWS_AS(make_assertion(made, *load(fixture().signer), user(), call, now()), Error);
}

TEST_CASE("what must be known") {
  auto without = settings();
  without.issuer.clear();
  CHECK_THROWS_AS(assertion(without), Error);
  without = settings();
  without.audiences.clear();
  CHECK_THROWS_AS(assertion(without), Error);
  CHECK_THROWS_AS(make_assertion(settings(), *load(fixture().signer), AssertionUser{}, facts(), now()), Error);
}

TEST_CASE("keys from files") {
  const Fixture& files = fixture();
  const TempDirectory directory;
  const std::string base = directory.path().string();
  files.signer.write_encrypted_key(base + "/encrypted.key", "sala sana");
  files.signer.write_pkcs12(base + "/signer.p12", "sala sana");
  const auto passphrase = directory.write("pass", "sala sana\nnot this\n");
  const auto wrong = directory.write("wrong", "x\n");
  CHECK(SigningKey::load({files.signer.certificate_file, base + "/encrypted.key", {}, passphrase})->subject() ==
        "CN=signer");
  CHECK(SigningKey::load({{}, {}, base + "/signer.p12", passphrase})->subject() == "CN=signer");
  CHECK_FALSE(load(files.signer)->is_ec());
  CHECK(load(files.ec_signer)->is_ec());
  const auto failure = [](const SigningFiles& signing) -> std::string {
    try {
      SigningKey::load(signing);
    } catch (const Error& error) {
      CHECK(error.message().find("sala") == std::string::npos);
      return std::string(error.kind().code) + ": " + error.message();
    }
    return {};
  };
  CHECK(failure({}).find("there is no key") != std::string::npos);
  CHECK(failure({files.signer.certificate_file, base + "/encrypted.key", {}, {}}).find("passphrase_file is not set") !=
        std::string::npos);
  CHECK(failure({files.signer.certificate_file, base + "/encrypted.key", {}, wrong}).starts_with("xua.key: "));
  CHECK(failure({{}, {}, base + "/signer.p12", wrong}).find("passphrase right") != std::string::npos);
  CHECK(failure({{}, {}, base + "/nowhere.p12", {}}).starts_with("xua.key: "));
  CHECK(failure({{}, {}, passphrase, {}}).starts_with("xua.key: "));
  CHECK(failure({files.signer.certificate_file, files.ec_signer.key_file, {}, {}}).find("does not belong") !=
        std::string::npos);
  const SigningIdentity old(base, "old", SigningIdentity::Kind::ec, nullptr, 0, {-7200, -3600});
  CHECK(failure({old.certificate_file, old.key_file, {}, {}}).starts_with("xua.certificate-expired: "));
  const SigningIdentity weak(base, "weak", SigningIdentity::Kind::rsa, nullptr, 1024);
  CHECK(failure({weak.certificate_file, weak.key_file, {}, {}}).find("2048 are the least") != std::string::npos);
}

TEST_CASE("signature wrapping") {
  const Pieces pieces(assertion());
  REQUIRE(refusal(envelope(pieces.whole)).empty());
  const std::string extensions = "<x:Extensions xmlns:x=\"urn:x\">";
  const std::vector<std::pair<const char*, std::string>> attacks{
      // The eight classic arrangements: whose copy is where, and where the signature lies.
      {"1: forged around the original in its signature",
       envelope(pieces.forged(pieces.signature_with(pieces.whole), true))},
      {"2: forged, with the signature of the original beside it",
       envelope(pieces.forged(pieces.signature, true) + pieces.unsigned_form())},
      {"3: forged before the original", envelope(pieces.forged("", true) + pieces.whole)},
      {"4: the original inside the forged one",
       envelope(replaced(pieces.forged("", true), "</saml:Assertion>", pieces.whole + "</saml:Assertion>"))},
      {"5: changed, with the original at the end of the message",
       envelope(pieces.forged(pieces.signature, true), pieces.unsigned_form())},
      {"6: changed, with the original inside the signature",
       envelope(pieces.forged(pieces.signature_with(pieces.unsigned_form()), true))},
      {"7: forged, with the original in an extension",
       envelope(extensions + pieces.whole + "</x:Extensions>" + pieces.forged("", true))},
      {"8: forged, with the original in an object of the signature",
       envelope(pieces.forged(pieces.signature_with(pieces.whole), false))},
      // And some more.
      {"the same ID twice", envelope(pieces.forged(pieces.signature, false), pieces.unsigned_form())},
      {"the original in the body, a forged one in the header", envelope(pieces.forged("", true), pieces.whole)},
      {"only in the body", envelope("", pieces.whole)},
      {"no signature", envelope(pieces.unsigned_form())},
      {"two signatures", envelope(replaced(pieces.whole, pieces.signature, pieces.signature + pieces.signature))},
      {"the signature at the end",
       envelope(replaced(pieces.unsigned_form(), "</saml:Assertion>", pieces.signature + "</saml:Assertion>"))},
      {"another element with the ID", envelope(pieces.whole, "<x ID=\"" + read_assertion(pieces.whole).id + "\"/>")},
      {"another element with it as xml:id",
       envelope(pieces.whole, "<x xml:id=\"" + read_assertion(pieces.whole).id + "\"/>")},
  };
  for (const auto& [attack, message] : attacks) {
    const auto& name = attack;  // doctest captures by a lambda
    CAPTURE(name);
    const std::string code = refusal(message);
    CHECK_MESSAGE(code.starts_with("soap.assertion."), code);
  }
}

TEST_CASE("what is referred to, and how") {
  const std::string text = assertion();
  const std::string id = read_assertion(text).id;
  const auto changed = [&](const std::string& what, const std::string& with) {
    return refusal(envelope(replaced(text, what, with)));
  };
  CHECK(changed("URI=\"#" + id + "\"", "URI=\"\"") == "soap.assertion.wrapped");
  CHECK(changed("URI=\"#" + id + "\"", "URI=\"#_other\"") == "soap.assertion.wrapped");
  CHECK(changed("URI=\"#" + id + "\"", "URI=\"#xpointer(/)\"") == "soap.assertion.wrapped");
  CHECK(changed("URI=\"#" + id + "\"", "URI=\"file:///etc/passwd\"") == "soap.assertion.wrapped");
  CHECK(changed("URI=\"#" + id + "\"", "URI=\"http://127.0.0.1:1/\"") == "soap.assertion.wrapped");
  CHECK(changed(" ID=\"" + id + "\"", " ID=\"1\"") == "soap.assertion.malformed");
  const std::string enveloped = "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>";
  CHECK(changed(enveloped, "") == "soap.assertion.algorithm");
  CHECK(changed(enveloped, enveloped + enveloped) == "soap.assertion.algorithm");
  CHECK(changed(enveloped, enveloped + "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\">"
                                       "<ds:XPath>false()</ds:XPath></ds:Transform>") == "soap.assertion.algorithm");
  CHECK(changed(enveloped, enveloped + "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"/>") ==
        "soap.assertion.algorithm");
  CHECK(changed("<ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>",
                "<ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#WithComments\"/>") ==
        "soap.assertion.algorithm");
  const std::string rsa = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
  CHECK(changed(rsa, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256") == "soap.assertion.algorithm");
  CHECK(changed(rsa, "http://www.w3.org/2000/09/xmldsig#rsa-sha1") == "soap.assertion.algorithm");
  CHECK(changed(rsa, "none") == "soap.assertion.algorithm");
  CHECK(changed(rsa, "") == "soap.assertion.algorithm");
  CHECK(changed(rsa, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512") == "soap.assertion.signature");
  CHECK(changed("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1") ==
        "soap.assertion.algorithm");
  auto tolerant = trust();
  tolerant.accept_sha1 = true;
  CHECK(refusal(envelope(replaced(text, rsa, "http://www.w3.org/2000/09/xmldsig#rsa-sha1")), tolerant) ==
        "soap.assertion.signature");
}

TEST_CASE("bytes that were changed") {
  const std::string text = assertion();
  CHECK(refusal(envelope(replaced(text, "Testisairaala", "Testisairaalb"))) == "soap.assertion.signature");
  CHECK(refusal(envelope(replaced(text, "<saml:Subject>", "<saml:Subject> "))) == "soap.assertion.signature");
  CHECK(refusal(envelope(replaced(text, "code=\"TREAT\"", "code=\"ETREAT\""))) == "soap.assertion.signature");
  const auto value = text.find("<ds:SignatureValue>") + 19;
  std::string broken = text;
  broken[value + 5] = broken[value + 5] == 'A' ? 'B' : 'A';
  CHECK(refusal(envelope(broken)) == "soap.assertion.signature");
  CHECK(refusal(envelope(replaced(text, "<ds:SignatureValue>", "<ds:SignatureValue>****"))) ==
        "soap.assertion.signature");
  // A comment does not change what was signed, and does not cut what is read.
  const auto commented = verify_assertion(
      envelope(replaced(text, "1.2.246.537.26.12345", "1.2.246.537.26<!-- x -->.12345")), trust(), now());
  CHECK(commented.subject == "1.2.246.537.26.12345");
  // Attributes in another order and white space in tags are the same XML.
  CHECK(refusal(envelope(replaced(text, "Version=\"2.0\"", " Version='2.0' "))).empty());
}

TEST_CASE("who signed") {
  const Fixture& files = fixture();
  const auto by_stranger = make_assertion(settings(), *load(files.stranger), user(), facts(), now());
  CHECK(refusal(envelope(by_stranger)) == "soap.assertion.untrusted");
  auto pinned = trust();
  pinned.ca_file.clear();
  CHECK(refusal(envelope(by_stranger), pinned) == "soap.assertion.untrusted");
  pinned.certificate_files = {files.stranger.certificate_file};
  CHECK(refusal(envelope(by_stranger), pinned).empty());
  CHECK(refusal(envelope(assertion()), pinned) == "soap.assertion.untrusted");
  // The trusted certificate beside a signature of somebody else's.
  const std::string mine = assertion();
  const auto certificate = [](const std::string& text) {
    const auto begin = text.find("<ds:X509Certificate>");
    return text.substr(begin, text.find("</ds:X509Certificate>") - begin);
  };
  CHECK(refusal(envelope(replaced(by_stranger, certificate(by_stranger), certificate(mine)))) ==
        "soap.assertion.signature");
  // No certificate: the one that is pinned is tried, and nothing is believed otherwise.
  const auto begin = mine.find("<ds:KeyInfo>");
  const std::string key_info = mine.substr(begin, mine.find("</ds:KeyInfo>") + 13 - begin);
  CHECK(refusal(envelope(replaced(mine, key_info, ""))) == "soap.assertion.untrusted");
  pinned.certificate_files = {files.signer.certificate_file};
  CHECK(refusal(envelope(replaced(mine, key_info, "")), pinned).empty());
  // The certificate has expired since.
  CHECK(refusal(envelope(mine), trust(), now() + 24h * 60) == "soap.assertion.untrusted");
}

TEST_CASE("for whom and for when") {
  const std::string text = envelope(assertion());
  CHECK(refusal(text, trust(), now() + 9min).empty());  // 5 minutes, and 5 of skew
  CHECK(refusal(text, trust(), now() + 11min) == "soap.assertion.expired");
  CHECK(refusal(text, trust(), now() - 4min).empty());
  CHECK(refusal(text, trust(), now() - 6min) == "soap.assertion.not-yet-valid");
  auto other = trust();
  other.audiences = {"urn:somebody-else"};
  CHECK(refusal(text, other) == "soap.assertion.audience");
  other = trust();
  other.issuers = {"urn:somebody-else"};
  CHECK(refusal(text, other) == "soap.assertion.issuer");
  other = trust();
  other.required_attributes = {"urn:oasis:names:tc:xspa:1.0:subject:purposeofuse"};
  CHECK(refusal(text, other).empty());
  other.required_attributes.push_back("urn:example:registry");
  CHECK(refusal(text, other) == "soap.assertion.attribute");
  other = trust();
  other.confirmations = {Confirmation::holder_of_key};
  CHECK(refusal(text, other) == "soap.assertion.confirmation");
}

TEST_CASE("what is no message with an assertion") {
  const std::string text = assertion();
  CHECK(refusal("") == "soap.assertion.malformed");
  CHECK(refusal("<a>") == "soap.assertion.malformed");
  CHECK(refusal("<a/>") == "soap.assertion.missing");
  CHECK(refusal(envelope("")) == "soap.assertion.missing");
  CHECK(refusal(envelope(text + text)) == "soap.assertion.missing");
  CHECK(refusal("<!DOCTYPE a [<!ENTITY x \"y\">]>" + envelope(text)) == "soap.assertion.malformed");
  CHECK(refusal(std::string(9U << 20U, ' ')) == "soap.assertion.malformed");
}

TEST_CASE("holder of key") {
  auto made = settings();
  made.confirmation = Confirmation::holder_of_key;
  const auto key = load(fixture().signer);
  const std::string text = make_assertion(made, *key, user(), facts(), now());
  const std::string header = make_security_header(made, key.get(), text, now());
  CHECK(header.find(text) != std::string::npos);
  CHECK(refusal(envelope(header)).empty());
  CHECK(refusal(envelope(text)) == "soap.assertion.confirmation");
  CHECK(refusal(text) == "soap.assertion.confirmation");
  // The timestamp of another message, another key, another time.
  const auto created = header.find("<wsu:Created>");
  CHECK(refusal(envelope(replaced(header, header.substr(created, 17), "<wsu:Created>1999"))) ==
        "soap.assertion.signature");
  const auto other_key = load(fixture().ec_signer);
  CHECK(refusal(envelope(make_security_header(made, other_key.get(), text, now()))) == "soap.assertion.signature");
  CHECK(refusal(envelope(make_security_header(made, key.get(), text, now() - 30min))) == "soap.assertion.expired");
  CHECK_THROWS_AS(make_security_header(made, nullptr, text, now()), Error);
}

TEST_CASE("sender vouches") {
  auto made = settings();
  made.confirmation = Confirmation::sender_vouches;
  const auto key = load(fixture().signer);
  const std::string text = make_assertion(made, *key, user(), facts(), now());
  const std::string body =
      R"(<soap:Body xmlns:wsu="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd" wsu:Id="body"><q:Query xmlns:q="urn:q">x</q:Query></soap:Body>)";
  const std::string header = make_security_header(made, key.get(), text, now(), body);
  const std::string message = replaced(envelope(header), "<soap:Body></soap:Body>", body);
  CHECK(refusal(message).empty());
  CHECK(refusal(replaced(message, ">x</q:Query>", ">y</q:Query>")) == "soap.assertion.signature");
  CHECK(refusal(envelope(header)) == "soap.assertion.wrapped");
  CHECK(refusal(envelope(text)) == "soap.assertion.confirmation");
  CHECK(refusal(replaced(message, " wsu:Id=\"body\"", " wsu:Id=\"other\"")) == "soap.assertion.wrapped");
  CHECK(refusal(replaced(message, "<q:Query xmlns:q=\"urn:q\"", "<q:Query xmlns:q=\"urn:q\" Id=\"body\"")) ==
        "soap.assertion.wrapped");
  CHECK_THROWS_AS(make_security_header(made, key.get(), text, now()), Error);
}

TEST_CASE("an assertion in another text") {
  const std::string text = assertion();
  CHECK(extract_assertion(text) == text);
  CHECK(extract_assertion("<?xml version='1.0'?>\n<t:Token xmlns:t='urn:t'>\n" + text + "\n</t:Token>\n") == text);
  CHECK(refusal(extract_assertion(envelope(text))).empty());
  for (const std::string& wrong : {std::string("Unauthorized"), std::string("<a/>"), "<a>" + text + text + "</a>"}) {
    CHECK_THROWS_AS(extract_assertion(wrong), Error);
  }
}

TEST_CASE("other programs agree") {
  const TempDirectory directory;
  const auto made = settings();
  auto holder = made;
  holder.confirmation = Confirmation::holder_of_key;
  const auto key = load(fixture().signer);
  const auto run = [](const std::vector<std::string>& command) -> std::optional<kuva::CommandResult> {
    try {
      return kuva::run_command(command, {});
    } catch (const Error&) {
      MESSAGE("skipped: " << command.front() << " is not installed");
      return std::nullopt;
    }
  };
  const std::vector<std::pair<std::string, std::string>> messages{
      {"rsa.xml", assertion()},
      {"ec.xml", make_assertion(made, *load(fixture().ec_signer), user(), facts(), now())},
      {"envelope.xml", envelope(assertion())},
      {"holder.xml",
       envelope(make_security_header(holder, key.get(), make_assertion(holder, *key, user(), facts(), now()), now()))}};
  for (const auto& [file_name, text] : messages) {
    const auto& name = file_name;
    CAPTURE(name);
    const std::string file = directory.write(name, text);
    const auto verified =
        run({"xmlsec1", "--verify", "--trusted-pem", fixture().ca.certificate_file, "--enabled-key-data", "x509",
             "--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion", "--node-xpath",
             "//*[local-name()='Assertion']/*[local-name()='Signature']", file});
    if (verified) {
      CHECK_MESSAGE(verified->exit_status == 0, verified->messages);
    }
    const auto xsd = kuva::test::shared_material("xsd");
    if (!xsd) {
      MESSAGE("skipped: no schemas (KUVA_SHARED)");
      continue;
    }
    const auto schema = (*xsd / "wire/all.xsd").string();
    const auto valid = run({"xmllint", "--nonet", "--noout", "--schema", schema, file});
    if (valid) {
      CHECK_MESSAGE(valid->exit_status == 0, valid->messages);
    }
  }
}
