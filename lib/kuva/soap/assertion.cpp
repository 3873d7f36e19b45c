#include <kuva/core/patient_id.hpp>
#include <kuva/core/time.hpp>
#include <kuva/soap/assertion.hpp>
#include <kuva/soap/message.hpp>
#include <kuva/soap/xml_signature.hpp>
#include <kuva/xml/document.hpp>
#include <kuva/xml/namespaces.hpp>
#include <kuva/xml/writer.hpp>

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>

namespace kuva::soap {

namespace {

namespace ns = xml::ns;

constexpr std::string_view k_xs = "http://www.w3.org/2001/XMLSchema";
constexpr std::string_view k_saml_id = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLID";
constexpr std::string_view k_saml_token = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV2.0";
constexpr std::array<std::string_view, 3> k_methods{"urn:oasis:names:tc:SAML:2.0:cm:bearer",
                                                    "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches",
                                                    "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"};

Error user_error(std::string message) { return Error(kind("xua.user"), std::move(message)); }
Error assertion_error(std::string message) { return Error(kind("xua.assertion"), std::move(message)); }

// An xs:ID that nobody else has.
std::string fresh_id() {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
    throw Error(kind("internal"), "there are no random numbers");
  }
  std::string id = "_";
  for (const unsigned char byte : bytes) {
    id += fmt::format("{:02x}", byte);
  }
  return id;
}

// The values of a row: texts, or coded ones.
struct Values {
  std::vector<std::string> texts;
  std::vector<CodedValue> codes;
  std::optional<InstanceIdentifier> identifier;

  bool empty() const { return texts.empty() && codes.empty() && !identifier; }
};

Values text_value(const std::string& text) {
  Values values;
  if (!text.empty()) {
    values.texts.push_back(text);
  }
  return values;
}

const std::string& first_of(const std::string& a, const std::string& b) { return a.empty() ? b : a; }

Values values_of(const AttributeRule& rule, const AssertionUser& user, const CallFacts& facts) {
  Values values;
  switch (rule.source) {
    case AttributeSource::fixed:
      if (rule.kind == AttributeKind::code) {
        values.codes.push_back(rule.code);
        return values;
      }
      return text_value(rule.value);
    case AttributeSource::subject_id:
      return text_value(user.id);
    case AttributeSource::subject_name:
      return text_value(user.name);
    case AttributeSource::role:
      values.codes = user.roles;
      return values;
    case AttributeSource::organization:
      return text_value(user.organization);
    case AttributeSource::organization_id:
      return text_value(user.organization_id);
    case AttributeSource::provider:
      values.identifier = user.provider;
      return values;
    case AttributeSource::purpose:
      if (facts.purpose) {
        values.codes.push_back(*facts.purpose);
      }
      return values;
    case AttributeSource::patient:
      return text_value(facts.patient);
    case AttributeSource::home_community:
      return text_value(facts.home_community);
    case AttributeSource::registry_specifier:
      return text_value(first_of(facts.registry_specifier, user.registry_specifier));
    case AttributeSource::service_event:
      return text_value(facts.service_event);
    case AttributeSource::acting_for:
      return text_value(first_of(facts.acting_for, user.acting_for));
    case AttributeSource::user:
      if (const auto found = user.attributes.find(rule.value); found != user.attributes.end()) {
        return text_value(found->second);
      }
      return values;
  }
  return values;
}

void write_coded(xml::Writer& out, std::string_view element, std::string_view type,
                 const std::vector<std::pair<std::string_view, std::string_view>>& attributes) {
  out.open(element).declare("", ns::hl7).attribute("xsi:type", type);
  for (const auto& [name, value] : attributes) {
    if (!value.empty()) {
      out.attribute(name, value);
    }
  }
  out.close();
}

void write_values(xml::Writer& out, const AttributeRule& rule, const Values& values) {
  for (const CodedValue& code : values.codes) {
    out.open("saml:AttributeValue");
    if (rule.kind == AttributeKind::code) {
      write_coded(out, rule.element, "CE",
                  {{"code", code.code},
                   {"codeSystem", code.code_system},
                   {"codeSystemName", code.code_system_name},
                   {"displayName", code.display_name}});
    } else {
      out.attribute("xsi:type", "xs:string").text(code.code);
    }
    out.close();
  }
  if (values.identifier) {
    out.open("saml:AttributeValue");
    if (rule.kind == AttributeKind::identifier) {
      write_coded(out, "id", "II",
                  {{"root", values.identifier->root},
                   {"extension", values.identifier->extension},
                   {"assigningAuthorityName", values.identifier->assigning_authority_name}});
    } else {
      out.attribute("xsi:type", "xs:string").text(first_of(values.identifier->extension, values.identifier->root));
    }
    out.close();
  }
  for (const std::string& text : values.texts) {
    const bool uri = rule.kind == AttributeKind::uri;
    out.open("saml:AttributeValue").attribute("xsi:type", uri ? "xs:anyURI" : "xs:string");
    out.text(uri && !oid_defect(text) ? "urn:oid:" + text : text).close();
  }
}

void write_attributes(xml::Writer& out, const AssertionSettings& settings, const AssertionUser& user,
                      const CallFacts& facts) {
  bool opened = false;
  for (const AttributeRule& rule : settings.attributes) {
    const Values values = values_of(rule, user, facts);
    if (values.empty()) {
      if (rule.required) {
        throw user_error(fmt::format("attribute {} must be there, and nothing says its value (from = \"{}\")",
                                     rule.name, to_string(rule.source)));
      }
      continue;
    }
    if (!opened) {
      out.open("saml:AttributeStatement");
      opened = true;
    }
    out.open("saml:Attribute").attribute("Name", rule.name);
    if (!rule.name_format.empty()) {
      out.attribute("NameFormat", rule.name_format);
    }
    write_values(out, rule, values);
    out.close();
  }
  if (opened) {
    out.close();
  }
}

// What was said and would be said to nobody.
void check_rows(const AssertionSettings& settings, const CallFacts& facts) {
  const auto demand = [&](bool given, AttributeSource source, std::string_view option) {
    const bool has_row = std::any_of(settings.attributes.begin(), settings.attributes.end(),
                                     [&](const AttributeRule& rule) { return rule.source == source; });
    if (given && !has_row) {
      throw user_error(
          fmt::format("{} is given, and the target has no attribute for it: the archive's name of it is not "
                      "public, so a row of [[target.NAME.xua.attribute]] with from = \"{}\" must say it",
                      option, to_string(source)));
    }
  };
  demand(!facts.registry_specifier.empty(), AttributeSource::registry_specifier, "a registry specifier");
  demand(!facts.service_event.empty(), AttributeSource::service_event, "a service event");
  demand(!facts.acting_for.empty(), AttributeSource::acting_for, "an organisation that is acted for");
  demand(facts.purpose.has_value(), AttributeSource::purpose, "a purpose of use");
}

void check_settings(const AssertionSettings& settings, const AssertionUser& user) {
  if (settings.issuer.empty()) {
    throw user_error("the target does not say who issues assertions: issuer of [target.NAME.xua]");
  }
  if (settings.audiences.empty()) {
    throw user_error(
        "the target does not say for whom assertions are: audiences of [target.NAME.xua] (ITI-40 demands it)");
  }
  if (user.id.empty()) {
    throw user_error("the user has no id: --user names a file that says who asks");
  }
}

std::string write_timestamp(std::string_view id, TimePoint from, TimePoint to) {
  xml::Writer out;
  out.open("wsu:Timestamp").declare("wsu", ns::wsu).attribute("wsu:Id", id);
  out.element("wsu:Created", to_rfc3339(from)).element("wsu:Expires", to_rfc3339(to)).close();
  return out.take();
}

// A reference to the assertion (WSS SAML Token Profile 1.1, 3.4).
std::string token_reference(std::string_view assertion_id, std::string_view id = {}) {
  xml::Writer out;
  out.open("wsse:SecurityTokenReference").declare("wsse", ns::wsse).declare("wsse11", ns::wsse11);
  if (!id.empty()) {
    out.declare("wsu", ns::wsu).attribute("wsu:Id", id);
  }
  out.attribute("wsse11:TokenType", k_saml_token);
  out.open("wsse:KeyIdentifier").attribute("ValueType", k_saml_id).text(assertion_id).close().close();
  return out.take();
}

Confirmation confirmation_of(std::string_view method) {
  const auto found = std::find(k_methods.begin(), k_methods.end(), method);
  if (found == k_methods.end()) {
    throw assertion_error("the assertion is confirmed in a way that is not known");
  }
  return static_cast<Confirmation>(found - k_methods.begin());
}

}  // namespace

bool CallFacts::operator==(const CallFacts& other) const {
  const auto code = [](const std::optional<CodedValue>& value) {
    return value ? value->code_system + "|" + value->code : "";
  };
  return patient == other.patient && code(purpose) == code(other.purpose) && home_community == other.home_community &&
         registry_specifier == other.registry_specifier && service_event == other.service_event &&
         acting_for == other.acting_for;
}

std::string make_assertion(const AssertionSettings& settings, const SigningKey& key, const AssertionUser& user,
                           const CallFacts& facts, TimePoint now) {
  check_settings(settings, user);
  check_rows(settings, facts);
  const std::string id = fresh_id();
  const std::string issued = to_rfc3339(now);
  xml::Writer out;
  out.open("saml:Assertion").declare("saml", ns::saml).declare("xs", k_xs).declare("xsi", ns::xsi);
  out.attribute("ID", id).attribute("Version", "2.0").attribute("IssueInstant", issued);
  out.open("saml:Issuer");
  if (!settings.issuer_format.empty()) {
    out.attribute("Format", settings.issuer_format);
  }
  out.text(settings.issuer).close();
  out.raw(signature_template(signature_algorithm_uri(settings.signature_algorithm, key),
                             digest_algorithm_uri(settings.digest_algorithm),
                             {{id, {algorithms::enveloped, algorithms::exclusive_c14n}, "xs"}}, x509_data(key)));
  out.open("saml:Subject").open("saml:NameID");
  if (!settings.name_id_format.empty()) {
    out.attribute("Format", settings.name_id_format);
  }
  out.text(user.id).close();
  out.open("saml:SubjectConfirmation")
      .attribute("Method", k_methods.at(static_cast<std::size_t>(settings.confirmation)));
  if (settings.confirmation == Confirmation::holder_of_key) {
    out.open("saml:SubjectConfirmationData").attribute("xsi:type", "saml:KeyInfoConfirmationDataType");
    out.open("ds:KeyInfo").declare("ds", ns::ds).raw(x509_data(key)).close().close();
  }
  out.close().close();
  out.open("saml:Conditions").attribute("NotBefore", to_rfc3339(now - settings.not_before_skew));
  out.attribute("NotOnOrAfter", to_rfc3339(now + settings.lifetime)).open("saml:AudienceRestriction");
  for (const std::string& audience : settings.audiences) {
    out.element("saml:Audience", audience);
  }
  out.close().close();
  out.open("saml:AuthnStatement").attribute("AuthnInstant", issued).open("saml:AuthnContext");
  out.element("saml:AuthnContextClassRef", settings.authn_context).close().close();
  write_attributes(out, settings, user, facts);
  out.close();
  return sign(out.take(), key);
}

std::string make_security_header(const AssertionSettings& settings, const SigningKey* key, std::string_view assertion,
                                 TimePoint now, std::string_view body) {
  const bool is_signed = settings.confirmation != Confirmation::bearer;
  const std::string time_id = "TS-" + fresh_id();
  const std::string time = settings.timestamp.value_or(false) || is_signed
                               ? write_timestamp(time_id, now - settings.not_before_skew, now + settings.lifetime)
                               : std::string();
  if (!is_signed) {
    return time + std::string(assertion);
  }
  if (key == nullptr) {
    throw Error(kind("xua.key"), "the message must be signed, and the target has no key for it");
  }
  const std::string id = read_assertion(assertion).id;
  std::vector<SignatureReference> references{{time_id, {algorithms::exclusive_c14n}, {}}};
  std::string content = time + std::string(assertion);
  std::string key_info;
  if (settings.confirmation == Confirmation::holder_of_key) {
    key_info = token_reference(id);
  } else {
    const std::string reference_id = "STR-" + fresh_id();
    references.push_back({std::string(k_body_id), {algorithms::exclusive_c14n}, {}});
    references.push_back({reference_id, {algorithms::str_transform}, {}});
    content += token_reference(id, reference_id);
    key_info = x509_data(*key);
    if (body.empty()) {
      throw Error(kind("xua.key"), "sender-vouches signs the body, and there is none");
    }
  }
  content += signature_template(signature_algorithm_uri(settings.signature_algorithm, *key),
                                digest_algorithm_uri(settings.digest_algorithm), references, key_info);
  const std::string head =
      fmt::format(R"(<soap:Envelope xmlns:soap="{}"><soap:Header><wsse:Security xmlns:wsse="{}">)", ns::soap, ns::wsse);
  const std::string tail = fmt::format("</wsse:Security></soap:Header>{}</soap:Envelope>", body);
  std::string text = sign(head + content + tail, *key);
  return text.substr(head.size(), text.size() - head.size() - tail.size());
}

std::string extract_assertion(std::string_view text) {
  const auto document = [&] {
    try {
      return xml::Document::parse(text);
    } catch (const Error& error) {
      throw assertion_error(fmt::format("it is not XML: {}", error.message()));
    }
  }();
  int count = 0;
  const auto visit = [&](const auto& self, const xml::Element& element) -> void {
    if (element.is(ns::saml, "Assertion")) {
      ++count;
      return;
    }
    for (const xml::Element& child : element.children()) {
      self(self, child);
    }
  };
  visit(visit, document.root());
  if (count != 1) {
    throw assertion_error(count == 0 ? "there is no SAML 2.0 assertion in it"
                                     : "there is more than one assertion in it");
  }
  // The bytes, unchanged: from the first tag of that name to its last.
  const auto name_at = [&](std::size_t from) {
    for (auto place = text.find("Assertion", from); place != std::string_view::npos;
         place = text.find("Assertion", place + 1)) {
      const auto open = text.find_last_of("<>", place);
      const std::string_view before = open == std::string_view::npos || text[open] != '<'
                                          ? std::string_view(" ")
                                          : text.substr(open + 1, place - open - 1);
      const char after = place + 9 < text.size() ? text[place + 9] : ' ';
      const bool whole = before.find_first_of(" \t\r\n=\"'/!?") == std::string_view::npos &&
                         (before.empty() || before.back() == ':') &&
                         (after == ' ' || after == '>' || after == '\t' || after == '\n' || after == '\r');
      if (whole) {
        return open;
      }
    }
    return std::string_view::npos;
  };
  const auto begin = name_at(0);
  const auto end = begin == std::string_view::npos ? begin : text.rfind("Assertion");
  const auto close = end == std::string_view::npos ? end : text.find('>', end);
  if (close == std::string_view::npos || close < begin) {
    throw assertion_error("the assertion in it cannot be cut out");
  }
  std::string assertion(text.substr(begin, close - begin + 1));
  read_assertion(assertion);
  return assertion;
}

AssertionFacts read_assertion(std::string_view assertion) {
  AssertionFacts facts;
  try {
    const auto document = xml::Document::parse(assertion);
    const xml::Element root = document.root();
    if (!root.is(ns::saml, "Assertion")) {
      throw assertion_error("it is not a SAML 2.0 assertion");
    }
    facts.id = root.attribute("ID").value_or("");
    if (const auto issuer = root.child(ns::saml, "Issuer")) {
      facts.issuer = issuer->trimmed_text();
    }
    if (const auto conditions = root.child(ns::saml, "Conditions")) {
      facts.not_before = from_rfc3339(conditions->attribute("NotBefore").value_or(""));
      facts.not_on_or_after = from_rfc3339(conditions->attribute("NotOnOrAfter").value_or(""));
    }
    const auto subject = root.child(ns::saml, "Subject");
    const auto confirmation = subject ? subject->child(ns::saml, "SubjectConfirmation") : std::nullopt;
    if (facts.id.empty() || !confirmation) {
      throw assertion_error("the assertion has no ID or no subject confirmation");
    }
    facts.confirmation = confirmation_of(confirmation->attribute("Method").value_or(""));
  } catch (const Error& error) {
    if (error.kind().code == "xua.assertion") {
      throw;
    }
    throw assertion_error(fmt::format("the assertion by itself is not XML: {}", error.message()));
  }
  return facts;
}

}  // namespace kuva::soap
