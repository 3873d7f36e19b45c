#pragma once

#include <kuva/xml/document.hpp>

#include <optional>
#include <string>

namespace kuva::soap {

// Shorter RSA keys prove nothing any more.
inline constexpr int k_least_rsa_bits = 2048;

// Base64 in XML may be broken into lines.
std::string without_space(std::string text);

// The public key of a ds:KeyValue as SubjectPublicKeyInfo (DER): RSAKeyValue (XML Signature 4.5.2.2) or a named curve
// of ECKeyValue (XML Signature 1.1, 4.5.2.3). Nothing where it is another sort, is malformed, or is too weak to be
// trusted: RSA below 2048 bits, above 16384, or with an exponent that is even or too long.
std::optional<std::string> public_key_of(const xml::Element& key_value);

}  // namespace kuva::soap
