#include "cli/temp_directory.hpp"
#include "support/shared_material.hpp"

#include <kuva/core/file.hpp>
#include <kuva/core/time.hpp>
#include <kuva/soap/assertion.hpp>

#include <doctest/doctest.h>

#include <map>
#include <regex>

using namespace kuva::soap;

namespace {

// The certificate in the first signature, as a file that is trusted: the samples' own CAs are not at hand.
std::string certificate_file(const std::string& text, const TempDirectory& directory) {
  std::smatch match;
  if (!std::regex_search(text, match, std::regex("X509Certificate>([^<]*)<"))) {
    return {};
  }
  std::string pem = "-----BEGIN CERTIFICATE-----\n";
  int column = 0;
  for (const char c : match[1].str()) {
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
      continue;
    }
    pem += c;
    if (++column % 64 == 0) {
      pem += '\n';
    }
  }
  return directory.write("signer.pem", pem + "\n-----END CERTIFICATE-----\n");
}

TimePoint issued(const std::string& text) {
  std::smatch match;
  std::regex_search(text, match, std::regex("NotBefore=[\"']([^\"']*)[\"']"));
  return kuva::from_rfc3339(match[1].str()).value_or(TimePoint());
}

std::string outcome(const std::string& text) {
  const TempDirectory directory;
  AssertionTrust trust;
  trust.accept_sha1 = true;
  trust.certificate_files = {certificate_file(text, directory)};
  if (trust.certificate_files.front().empty()) {
    trust.certificate_files.clear();
  }
  try {
    const auto verified = verify_assertion(text, trust, issued(text));
    return "verified, " + std::to_string(verified.attributes.size()) + " attributes";
  } catch (const kuva::Error& error) {
    return std::string(error.kind().code) + ": " + error.message();
  }
}

}  // namespace

TEST_CASE("assertions that others made") {
  const auto samples = kuva::test::shared_material("samples/xds");
  if (!samples) {
    MESSAGE("skipped: no samples (KUVA_SHARED)");
    return;
  }
  // All of the public messages with a signed assertion, and why those that are refused are.
  // They were indented after they were signed (xmlsec1 says the same).
  constexpr const char* k_changed =
      "soap.assertion.signature: the signature does not fit the bytes that it covers, or not the certificate";
  // Answers of a token service, and a header without its message.
  constexpr const char* k_elsewhere = "soap.assertion.missing: the message has no assertion in its security header";
  constexpr const char* k_sound = "verified, 25 attributes";
  const std::map<std::string, std::string> expected{
      {"iti18/epr-getall-xua-request.xml", k_changed},
      {"iti18/nhn-finddocuments-xua-request.stripped.xml", k_sound},
      {"iti18/nhn-finddocuments-xua-request.xml", k_changed},
      {"iti38/nhn-request-xua-kj.xml", k_changed},
      {"iti39/nhn-request-xua-async.stripped.xml", k_sound},
      {"iti39/nhn-request-xua-kj.stripped.xml", k_sound},
      {"iti43/epr-request-xua.xml", "soap.assertion.malformed: a certificate in the signature is not base64"},
      {"iti43/nhn-request-xua.stripped.xml", k_sound},
      {"xua/connect-holder-of-key-envelope.xml",
       "soap.assertion.wrapped: the message has another assertion than the one in its security header"},
      {"xua/epr-assertion-in-rstr.xml", k_elsewhere},
      {"xua/epr-hcp-rstr.xml", k_elsewhere},
      {"xua/ipf-xua-edge-cases.xml", k_elsewhere},
      {"xua/nhn-assertion-02.xml", k_changed},
      {"xua/nhn-assertion-kj.stripped.xml", k_sound},
      {"xua/nhn-assertion-kj.xml", k_changed},
  };
  for (const auto& [sample, result] : expected) {
    const auto& name = sample;  // doctest captures by a lambda
    CAPTURE(name);
    CHECK(outcome(kuva::read_small_file(*samples / name, 1U << 20U)) == result);
  }
}
