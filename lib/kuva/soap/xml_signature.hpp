#pragma once

#include <kuva/soap/signing_key.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// XML signatures by xmlsec1 (xmldsig-core 1.1), for the parts of this room; libxml2 stays inside.
namespace kuva::soap {

namespace algorithms {
inline constexpr std::string_view exclusive_c14n = "http://www.w3.org/2001/10/xml-exc-c14n#";
inline constexpr std::string_view enveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
// WSS SOAP Message Security 1.1, 8.3.
inline constexpr std::string_view str_transform =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#STR-Transform";
}  // namespace algorithms

// "rsa-sha256" and the like as a URI; empty: the one with SHA-256 for the key. Errors: xua.key where it does not fit.
std::string signature_algorithm_uri(std::string_view name, const SigningKey& key);
std::string digest_algorithm_uri(std::string_view name);

// A reference of a signature to an element by its ID.
struct SignatureReference {
  std::string id;
  std::vector<std::string_view> transforms;
  std::string_view inclusive_prefixes;  // of exclusive canonicalization; empty: none
};

// A ds:Signature without its values. `key_info`: the content of ds:KeyInfo.
std::string signature_template(std::string_view signature_algorithm, std::string_view digest_algorithm,
                               const std::vector<SignatureReference>& references, std::string_view key_info);
// <ds:X509Data> with the key's certificate.
std::string x509_data(const SigningKey& key);

// Fills in the values of the one template in the text; all other bytes stay as they are. IDs are the attributes ID and
// wsu:Id. Errors: xua.key.
std::string sign(std::string text, const SigningKey& key);

// A message whose signatures are to be verified.
class SignedMessage {
 public:
  // Errors: soap.assertion.malformed where it is not well-formed, has a document type or is too large.
  explicit SignedMessage(std::string_view bytes);
  SignedMessage(const SignedMessage&) = delete;
  ~SignedMessage();

  // Finds the assertion, verifies the enveloped signature and returns the canonical bytes that it covers.
  // Errors: soap.assertion.missing, .malformed, .signature, .wrapped, .algorithm, .untrusted.
  struct Covered {
    std::string bytes;
    std::string signer;
  };
  Covered verify_assertion(const AssertionTrust& trust, TimePoint now);

  // The message's own signature, over the Timestamp and, for sender-vouches, the Body and the assertion.
  // `holder`: the certificate (DER) or the public key (SubjectPublicKeyInfo) of the holder; none: a trusted key.
  // Returns the Timestamp's canonical bytes. Errors: soap.assertion.confirmation, .algorithm, .untrusted.
  std::string verify_message(const AssertionTrust& trust, Confirmation confirmation, const std::string& holder,
                             TimePoint now);

 private:
  struct Tree;
  std::unique_ptr<Tree> m_tree;
};

}  // namespace kuva::soap
