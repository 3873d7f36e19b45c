#include <kuva/core/base64.hpp>
#include <kuva/soap/key_value.hpp>
#include <kuva/xml/document.hpp>

#include <doctest/doctest.h>

#include <string>

namespace {

using namespace kuva;

std::optional<std::string> key_of(const std::string& inner) {
  const std::string text =
      "<ds:KeyValue xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" "
      "xmlns:e=\"http://www.w3.org/2009/xmldsig11#\">" +
      inner + "</ds:KeyValue>";
  const auto document = xml::Document::parse(text);
  return soap::public_key_of(document.root());
}

std::string rsa(const std::string& modulus, const std::string& exponent) {
  return "<ds:RSAKeyValue><ds:Modulus>" + base64_encode(modulus) + "</ds:Modulus><ds:Exponent>" +
         base64_encode(exponent) + "</ds:Exponent></ds:RSAKeyValue>";
}

TEST_CASE("keys that are given by value") {
  const std::string modulus(256, '\xb7');
  const auto key = key_of(rsa(modulus, std::string("\x01\x00\x01", 3)));
  REQUIRE(key);
  CHECK(key->find(modulus) != std::string::npos);
  // P-256: its base point is on the curve.
  const auto point =
      base64_decode("BGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU=");
  REQUIRE(point);
  const auto ec = [](const std::string& curve, const std::string& bytes) {
    return "<e:ECKeyValue><e:NamedCurve URI=\"" + curve + "\"/><e:PublicKey>" + base64_encode(bytes) +
           "</e:PublicKey></e:ECKeyValue>";
  };
  CHECK(key_of(ec("urn:oid:1.2.840.10045.3.1.7", *point)));
  std::string off = *point;
  off.back() = static_cast<char>(off.back() ^ 1);
  CHECK_FALSE(key_of(ec("urn:oid:1.2.840.10045.3.1.7", off)));
  CHECK_FALSE(key_of(ec("urn:oid:1.3.132.0.34", *point)));
  CHECK_FALSE(key_of(ec("urn:oid:1.2.3", *point)));
}

TEST_CASE("keys that cannot be trusted") {
  const std::string modulus(256, '\xb7');
  const std::string exponent("\x01\x00\x01", 3);
  CHECK_FALSE(key_of(rsa(modulus.substr(0, 128), exponent)));
  CHECK_FALSE(key_of(rsa(std::string(4000, '\xb7'), exponent)));
  CHECK_FALSE(key_of(rsa(modulus, std::string("\x01"))));
  CHECK_FALSE(key_of(rsa(modulus, std::string("\x04"))));
  CHECK_FALSE(key_of(rsa(modulus, std::string(9, '\x03'))));
  CHECK_FALSE(key_of(rsa("", exponent)));
  CHECK_FALSE(key_of("<ds:RSAKeyValue><ds:Modulus>AQAB</ds:Modulus></ds:RSAKeyValue>"));
  CHECK_FALSE(key_of("<ds:DSAKeyValue/>"));
}

}  // namespace
