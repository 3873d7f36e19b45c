#pragma once

#include <kuva/core/error.hpp>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// SAML 2.0 assertions of cross-enterprise user assertion (XUA, ITI TF-2 3.40) in a WS-Security header: made, signed and
// verified. Signatures are xmlsec1's. All of it may be called from any thread.
namespace kuva::soap {

using TimePoint = std::chrono::system_clock::time_point;

// A coded value, as an HL7 v3 CE writes it. Empty members are not written.
struct CodedValue {
  std::string code;
  std::string code_system;  // OID without "urn:oid:"
  std::string code_system_name;
  std::string display_name;
};

// An HL7 v3 II.
struct InstanceIdentifier {
  std::string root;
  std::string extension;
  std::string assigning_authority_name;
};

// How the subject of an assertion is confirmed to be the sender (SAML 2.0 Profiles 3).
enum class Confirmation { bearer, sender_vouches, holder_of_key };

// Where an attribute's value comes from.
enum class AttributeSource {
  fixed,  // AttributeRule::value, or AttributeRule::code
  subject_id,
  subject_name,
  role,
  organization,
  organization_id,
  provider,            // identifier of the person or device
  purpose,             // of use, emergency included
  patient,             // CX
  home_community,      // urn:oid:...
  registry_specifier,  // of the registers that a search is for
  service_event,       // OID of the service event (palvelutapahtuma)
  acting_for,          // OID of the organisation under whose power of attorney (purchase of services) is acted
  user,                // `attributes` of the user, under the key AttributeRule::value
};
inline constexpr std::size_t k_attribute_sources = 14;
std::string_view to_string(AttributeSource source);  // "fixed", "subject-id", ... as in kuva.toml

// How it is written.
enum class AttributeKind {
  text,        // xs:string
  uri,         // xs:anyURI; an OID gets "urn:oid:"
  code,        // an element of type hl7:CE; the source must be coded
  identifier,  // <id xsi:type="II">
  patient,     // CX, the patient's id
};
inline constexpr std::size_t k_attribute_kinds = 5;
std::string_view to_string(AttributeKind kind);

// A row of the table of attributes.
struct AttributeRule {
  std::string name;
  std::string name_format;  // empty: not written
  AttributeSource source = AttributeSource::fixed;
  AttributeKind kind = AttributeKind::text;
  std::string value;      // of `fixed` and `user`
  CodedValue code;        // of `fixed`, kind code
  std::string element;    // of kind code: the element's name, e.g. "Role"
  bool required = false;  // an assertion without a value for it is not made
  std::string origin;     // who says so: "IHE ITI-40", "XSPA", "kuva.toml"
};

// What is publicly known: the attributes of ITI-40 and XSPA (ITI TF-2 3.40.4.1.2), and purposeofuse as the switch of an
// emergency search. The archive's own names and values are not public: kuva.toml adds or replaces rows by name.
std::vector<AttributeRule> default_attributes();
// Purposes of use by the word that --purpose takes; HL7 v3 ActReason. The archive's own are not public.
std::map<std::string, CodedValue> default_purposes();

// Files of a key pair: PEM, or one PKCS#12 file.
struct SigningFiles {
  std::string certificate_file;  // the leaf first
  std::string key_file;
  std::string pkcs12_file;
  std::string passphrase_file;  // first line
};

// How a target wants its assertions.
struct AssertionSettings {
  std::string issuer;
  std::string issuer_format;  // empty: not written
  std::vector<std::string> audiences;
  std::string home_community;  // urn:oid:... of our own community, the initiating one
  Confirmation confirmation = Confirmation::bearer;
  SigningFiles signing;
  std::string
      signature_algorithm;  // "rsa-sha256", "rsa-sha384", "rsa-sha512", "ecdsa-sha256", ...; empty: by the key, SHA-256
  std::string digest_algorithm = "sha256";  // "sha256", "sha384", "sha512"
  std::chrono::milliseconds lifetime{300'000};
  std::chrono::milliseconds not_before_skew{0};  // how far NotBefore lies before IssueInstant; ITI-40: not at all
  std::string name_id_format = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";
  std::string authn_context = "urn:oasis:names:tc:SAML:2.0:ac:classes:X509";
  std::optional<bool> timestamp;  // wsu:Timestamp in the header; unless said, where the message is signed
  std::vector<AttributeRule> attributes = default_attributes();
  std::map<std::string, CodedValue> purposes = default_purposes();

  // In place of making one: a file, or a command whose output is the assertion.
  std::string assertion_file;
  std::vector<std::string> assertion_command;
  std::chrono::milliseconds command_timeout{30'000};
};

// The person for whom is asked: a user file (kuva-user.toml(5)).
struct AssertionUser {
  std::string id;  // NameID
  std::string name;
  std::vector<CodedValue> roles;
  std::string organization;
  std::string organization_id;  // OID
  std::optional<InstanceIdentifier> provider;
  std::string purpose;  // a word of AssertionSettings::purposes
  std::string registry_specifier;
  std::string acting_for;
  std::map<std::string, std::string> attributes;  // of the site's own
};

// What differs from call to call.
struct CallFacts {
  std::string patient;  // CX; empty where the call is not about one
  std::optional<CodedValue> purpose;
  std::string home_community;  // urn:oid:...
  std::string registry_specifier;
  std::string service_event;
  std::string acting_for;

  bool operator==(const CallFacts& other) const;
};

// A private key with its certificate; immutable.
class SigningKey {
 public:
  // Errors: xua.key naming the file; xua.certificate-expired where the certificate is not valid now.
  static std::shared_ptr<const SigningKey> load(const SigningFiles& files);
  virtual ~SigningKey() = default;
  virtual TimePoint not_after() const = 0;
  virtual const std::string& subject() const = 0;  // RFC 2253
  virtual const std::string& certificate_der() const = 0;
  virtual bool is_ec() const = 0;
};

// A fresh signed assertion: <saml:Assertion>...</saml:Assertion>, to be spliced unchanged into an envelope.
// Errors: xua.user where an attribute that is required has no value, xua.key.
std::string make_assertion(const AssertionSettings& settings, const SigningKey& key, const AssertionUser& user,
                           const CallFacts& facts, TimePoint now);

// What an assertion that others made says of itself, without verifying it.
struct AssertionFacts {
  std::string id;
  std::string issuer;
  std::optional<TimePoint> not_before;
  std::optional<TimePoint> not_on_or_after;
  Confirmation confirmation = Confirmation::bearer;
};
// The bytes of the one assertion in a text (an assertion, or a message of a security token service that holds one),
// from its first tag to its last. An assertion that takes prefixes from what is around it cannot stand alone. Errors:
// xua.assertion.
std::string extract_assertion(std::string_view text);
// Errors: xua.assertion.
AssertionFacts read_assertion(std::string_view assertion);

// The content of wsse:Security for a call: the assertion by itself (bearer); or after a Timestamp that `key` signs,
// with a reference to the assertion (holder-of-key; WSS SAML Token Profile 1.1, 3.5.1); or with a signature over
// Timestamp, `body` and assertion (sender-vouches, 3.5.2). `body` is the soap:Body element as it will stand in the
// envelope, with wsu:Id="body" (k_body_id) and all its prefixes but soap declared in it. Self-contained: to be spliced
// in unchanged. Errors: xua.key, xua.assertion.
std::string make_security_header(const AssertionSettings& settings, const SigningKey* key, std::string_view assertion,
                                 TimePoint now, std::string_view body = {});

// --- verification, for a provider

struct AssertionTrust {
  std::string ca_file;                           // PEM: the signer's certificate leads to one of these
  std::vector<std::string> certificate_files;    // or is one of these
  bool accept_sha1 = false;                      // RSA-SHA1 and SHA-1, as old senders use
  std::vector<std::string> issuers;              // empty: any
  std::vector<std::string> audiences;            // one of them must be in the assertion; empty: not looked at
  std::vector<std::string> required_attributes;  // names
  std::chrono::milliseconds skew{300'000};
  std::vector<Confirmation> confirmations{Confirmation::bearer, Confirmation::sender_vouches,
                                          Confirmation::holder_of_key};
};

struct VerifiedAttribute {
  std::string name;
  std::vector<std::string> texts;
  std::vector<CodedValue> codes;
  std::vector<InstanceIdentifier> identifiers;
};

struct VerifiedAssertion {
  std::string id;
  std::string issuer;
  std::string subject;  // NameID
  Confirmation confirmation = Confirmation::bearer;
  TimePoint not_before;
  TimePoint not_on_or_after;
  std::vector<std::string> audiences;
  std::vector<VerifiedAttribute> attributes;
  std::string signer;  // subject of the certificate, RFC 2253

  const VerifiedAttribute* attribute(std::string_view name) const;
};

// Verifies the one assertion in the WS-Security header of an envelope (or an assertion that stands alone): its
// signature covers it and nothing else, by a key that is trusted, and it is for us and for now. What is returned is
// read from the bytes that the signature covers. For holder-of-key and sender-vouches the message's own signature too.
// Errors: soap.assertion.missing, .malformed, .signature, .wrapped, .algorithm, .untrusted, .expired, .not-yet-valid,
// .audience, .issuer, .confirmation, .attribute.
VerifiedAssertion verify_assertion(std::string_view envelope, const AssertionTrust& trust, TimePoint now);

// The local name of the fault subcode (in the namespace of WSS SOAP Message Security 1.1, 12) that a provider answers
// to an error of verify_assertion.
std::string_view fault_subcode(const Error& error);

}  // namespace kuva::soap
