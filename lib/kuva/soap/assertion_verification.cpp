#include <kuva/core/base64.hpp>
#include <kuva/core/time.hpp>
#include <kuva/soap/assertion.hpp>
#include <kuva/soap/key_value.hpp>
#include <kuva/soap/xml_signature.hpp>
#include <kuva/xml/document.hpp>
#include <kuva/xml/namespaces.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::soap {

namespace {

namespace ns = xml::ns;

constexpr std::string_view k_bearer = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
constexpr std::string_view k_sender_vouches = "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches";
constexpr std::string_view k_holder_of_key = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key";

Error malformed_assertion(std::string message) { return Error(kind("soap.assertion.malformed"), std::move(message)); }

xml::Element demand(const xml::Element& parent, std::string_view name_space, std::string_view name) {
  const auto found = parent.children(name_space, name);
  if (found.size() != 1) {
    throw malformed_assertion(fmt::format("{} has {} {}", parent.name(), found.empty() ? "no" : "more than one", name));
  }
  return found.front();
}

TimePoint demand_time(const xml::Element& element, std::string_view name) {
  const auto time = from_rfc3339(element.attribute(name).value_or(""));
  if (!time) {
    throw malformed_assertion(fmt::format("{} has no {} in UTC", element.name(), name));
  }
  return *time;
}

void check_window(std::string_view what, TimePoint from, TimePoint to, const AssertionTrust& trust, TimePoint now) {
  const auto seconds = [](TimePoint::duration distance) {
    return std::chrono::duration_cast<std::chrono::seconds>(distance).count();
  };
  if (now + trust.skew < from) {
    throw Error(kind("soap.assertion.not-yet-valid"),
                fmt::format("{} is valid from {}, and here it is {}: {} seconds too early", what, to_rfc3339(from),
                            to_rfc3339(now), seconds(from - now)))
        .with("seconds", seconds(from - now));
  }
  if (now - trust.skew >= to) {
    throw Error(kind("soap.assertion.expired"),
                fmt::format("{} was valid until {}, and here it is {}: {} seconds too late", what, to_rfc3339(to),
                            to_rfc3339(now), seconds(now - to)))
        .with("seconds", seconds(now - to));
  }
}

Confirmation read_confirmation(std::string_view method) {
  if (method == k_bearer) {
    return Confirmation::bearer;
  }
  if (method == k_sender_vouches) {
    return Confirmation::sender_vouches;
  }
  if (method == k_holder_of_key) {
    return Confirmation::holder_of_key;
  }
  throw malformed_assertion("the subject is confirmed in a way that is not known");
}

// Values of one attribute: texts, or HL7 elements below the value - or, as some write them, the value itself.
void read_value(const xml::Element& value, VerifiedAttribute& attribute) {
  const auto child = value.first_child();
  const xml::Element holder = child ? *child : value;
  const auto of = [&](std::string_view name) { return std::string(holder.attribute(name).value_or("")); };
  if (holder.attribute("code")) {
    attribute.codes.push_back({of("code"), of("codeSystem"), of("codeSystemName"), of("displayName")});
  } else if (holder.attribute("root")) {
    attribute.identifiers.push_back({of("root"), of("extension"), of("assigningAuthorityName")});
  } else {
    attribute.texts.push_back(value.trimmed_text());
  }
}

void read_attributes(const xml::Element& assertion, VerifiedAssertion& result) {
  for (const xml::Element& statement : assertion.children(ns::saml, "AttributeStatement")) {
    for (const xml::Element& node : statement.children(ns::saml, "Attribute")) {
      const std::string name(node.attribute("Name").value_or(""));
      auto place = std::find_if(result.attributes.begin(), result.attributes.end(),
                                [&](const VerifiedAttribute& known) { return known.name == name; });
      if (place == result.attributes.end()) {
        place = result.attributes.insert(result.attributes.end(), VerifiedAttribute{name, {}, {}, {}});
      }
      for (const xml::Element& value : node.children(ns::saml, "AttributeValue")) {
        read_value(value, *place);
      }
    }
  }
}

bool has_value(const VerifiedAttribute* attribute) {
  if (attribute == nullptr) {
    return false;
  }
  return !attribute->codes.empty() || !attribute->identifiers.empty() ||
         std::any_of(attribute->texts.begin(), attribute->texts.end(),
                     [](const std::string& text) { return !text.empty(); });
}

// The holder's key, as the assertion names it: a certificate, or a SubjectPublicKeyInfo.
std::string holder_in(const xml::Element& confirmation) {
  const auto data = confirmation.child(ns::saml, "SubjectConfirmationData");
  const auto key_info = data ? data->child(ns::ds, "KeyInfo") : std::nullopt;
  if (const auto key_value = key_info ? key_info->child(ns::ds, "KeyValue") : std::nullopt) {
    if (auto key = public_key_of(*key_value)) {
      return *key;
    }
    throw Error(kind("soap.assertion.confirmation"),
                "the holder's key in the assertion cannot be read, or is too weak");
  }
  const auto x509 = key_info ? key_info->child(ns::ds, "X509Data") : std::nullopt;
  const auto certificate = x509 ? x509->child(ns::ds, "X509Certificate") : std::nullopt;
  const auto der = certificate ? base64_decode(without_space(certificate->text())) : std::nullopt;
  if (!der) {
    throw Error(kind("soap.assertion.confirmation"),
                "the assertion holds neither the certificate nor the key of its holder");
  }
  return *der;
}

void check_audience(const xml::Element& conditions, const AssertionTrust& trust, VerifiedAssertion& result) {
  // Several restrictions must all be met (SAML Core 2.5.1.4).
  const auto restrictions = conditions.children(ns::saml, "AudienceRestriction");
  if (restrictions.empty() && !trust.audiences.empty()) {
    throw Error(kind("soap.assertion.audience"), "the assertion does not say for whom it is");
  }
  for (const xml::Element& restriction : restrictions) {
    bool met = trust.audiences.empty();
    for (const xml::Element& audience : restriction.children(ns::saml, "Audience")) {
      result.audiences.push_back(audience.trimmed_text());
      met = met ||
            std::find(trust.audiences.begin(), trust.audiences.end(), result.audiences.back()) != trust.audiences.end();
    }
    if (!met) {
      throw Error(kind("soap.assertion.audience"), "the assertion is for another provider")
          .with("audiences", result.audiences);
    }
  }
}

}  // namespace

const VerifiedAttribute* VerifiedAssertion::attribute(std::string_view name) const {
  const auto found = std::find_if(attributes.begin(), attributes.end(),
                                  [&](const VerifiedAttribute& known) { return known.name == name; });
  return found == attributes.end() ? nullptr : &*found;
}

std::string_view fault_subcode(const Error& error) {
  const std::string_view code = error.kind().code;
  if (code == "soap.assertion.missing") {
    return "InvalidSecurity";
  }
  if (code == "soap.assertion.malformed") {
    return "InvalidSecurityToken";
  }
  if (code == "soap.assertion.signature" || code == "soap.assertion.wrapped") {
    return "FailedCheck";
  }
  if (code == "soap.assertion.algorithm") {
    return "UnsupportedAlgorithm";
  }
  if (code == "soap.assertion.expired" || code == "soap.assertion.not-yet-valid") {
    return "MessageExpired";
  }
  return "FailedAuthentication";
}

VerifiedAssertion verify_assertion(std::string_view envelope, const AssertionTrust& trust, TimePoint now) {
  SignedMessage message(envelope);
  const SignedMessage::Covered covered = message.verify_assertion(trust, now);
  const auto document = [&] {
    try {
      return xml::Document::parse(covered.bytes);
    } catch (const Error& error) {
      throw malformed_assertion(fmt::format("what was signed cannot be read: {}", error.message()));
    }
  }();
  const xml::Element root = document.root();
  VerifiedAssertion result;
  result.signer = covered.signer;
  result.id = root.attribute("ID").value_or("");
  if (!root.is(ns::saml, "Assertion") || root.attribute("Version") != "2.0") {
    throw malformed_assertion("what was signed is not an assertion of SAML 2.0");
  }
  result.issuer = demand(root, ns::saml, "Issuer").trimmed_text();
  const xml::Element subject = demand(root, ns::saml, "Subject");
  result.subject = demand(subject, ns::saml, "NameID").trimmed_text();
  const xml::Element confirmation = demand(subject, ns::saml, "SubjectConfirmation");
  result.confirmation = read_confirmation(confirmation.attribute("Method").value_or(""));
  const xml::Element conditions = demand(root, ns::saml, "Conditions");
  result.not_before = demand_time(conditions, "NotBefore");
  result.not_on_or_after = demand_time(conditions, "NotOnOrAfter");
  check_window("the assertion", result.not_before, result.not_on_or_after, trust, now);
  if (const auto data = confirmation.child(ns::saml, "SubjectConfirmationData");
      data && data->attribute("NotOnOrAfter")) {
    check_window("the subject confirmation", result.not_before, demand_time(*data, "NotOnOrAfter"), trust, now);
  }
  if (root.children(ns::saml, "AuthnStatement").empty()) {
    throw malformed_assertion("Assertion has no AuthnStatement (ITI TF-2 3.40.4.1.2)");
  }
  check_audience(conditions, trust, result);
  if (!trust.issuers.empty() &&
      std::find(trust.issuers.begin(), trust.issuers.end(), result.issuer) == trust.issuers.end()) {
    throw Error(kind("soap.assertion.issuer"), "the issuer of the assertion is not known")
        .with("issuer", result.issuer);
  }
  if (std::find(trust.confirmations.begin(), trust.confirmations.end(), result.confirmation) ==
      trust.confirmations.end()) {
    throw Error(kind("soap.assertion.confirmation"), "assertions that are confirmed in this way are not accepted");
  }
  if (result.confirmation != Confirmation::bearer) {
    const bool holder = result.confirmation == Confirmation::holder_of_key;
    const std::string time =
        message.verify_message(trust, result.confirmation, holder ? holder_in(confirmation) : std::string(), now);
    const auto timestamp = xml::Document::parse(time);
    const auto child_time = [&](std::string_view name) {
      const auto value = from_rfc3339(demand(timestamp.root(), ns::wsu, name).trimmed_text());
      if (!value) {
        throw malformed_assertion(fmt::format("the timestamp's {} is not a time in UTC", name));
      }
      return *value;
    };
    check_window("the message's timestamp", child_time("Created"), child_time("Expires"), trust, now);
  }
  read_attributes(root, result);
  for (const std::string& name : trust.required_attributes) {
    if (!has_value(result.attribute(name))) {
      throw Error(kind("soap.assertion.attribute"), fmt::format("the assertion has no attribute {}", name))
          .with("attribute", name);
    }
  }
  return result;
}

}  // namespace kuva::soap
