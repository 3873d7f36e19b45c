#include <kuva/soap/assertion.hpp>

#include <array>

namespace kuva::soap {

namespace {

constexpr std::string_view k_uri_format = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri";
constexpr std::string_view k_act_reason = "2.16.840.1.113883.5.8";

AttributeRule rule(std::string_view name, AttributeSource source, AttributeKind kind, std::string_view origin,
                   std::string_view element = {}) {
  AttributeRule row;
  row.name = name;
  row.name_format = k_uri_format;
  row.source = source;
  row.kind = kind;
  row.element = element;
  row.origin = origin;
  return row;
}

}  // namespace

std::string_view to_string(AttributeSource source) {
  constexpr std::array<std::string_view, k_attribute_sources> k_words{
      "fixed",      "subject-id", "subject-name", "role",           "organization",       "organization-id",
      "provider",   "purpose",    "patient",      "home-community", "registry-specifier", "service-event",
      "acting-for", "user"};
  return k_words.at(static_cast<std::size_t>(source));
}

std::string_view to_string(AttributeKind kind) {
  constexpr std::array<std::string_view, k_attribute_kinds> k_words{"text", "uri", "code", "identifier", "patient"};
  return k_words.at(static_cast<std::size_t>(kind));
}

std::vector<AttributeRule> default_attributes() {
  using Source = AttributeSource;
  using Kind = AttributeKind;
  constexpr std::string_view k_iti40 = "IHE ITI-40";
  return {
      rule("urn:oasis:names:tc:xspa:1.0:subject:subject-id", Source::subject_name, Kind::text, k_iti40),
      rule("urn:oasis:names:tc:xspa:1.0:subject:organization", Source::organization, Kind::text, k_iti40),
      rule("urn:oasis:names:tc:xspa:1.0:subject:organization-id", Source::organization_id, Kind::uri, k_iti40),
      rule("urn:ihe:iti:xca:2010:homeCommunityId", Source::home_community, Kind::uri, k_iti40),
      rule("urn:oasis:names:tc:xacml:2.0:subject:role", Source::role, Kind::code, k_iti40, "Role"),
      rule("urn:ihe:iti:xua:2017:subject:provider-identifier", Source::provider, Kind::identifier, k_iti40),
      // Also what the archive's change log names as the switch of an emergency search; its values are not public.
      rule("urn:oasis:names:tc:xspa:1.0:subject:purposeofuse", Source::purpose, Kind::code,
           "IHE ITI-40, Kvarkki specification 2.3 (change log)", "PurposeOfUse"),
      rule("urn:oasis:names:tc:xacml:2.0:resource:resource-id", Source::patient, Kind::patient, k_iti40),
  };
}

std::map<std::string, CodedValue> default_purposes() {
  const auto act_reason = [](std::string_view code, std::string_view name) {
    return CodedValue{std::string(code), std::string(k_act_reason), "ActReason", std::string(name)};
  };
  return {{"treatment", act_reason("TREAT", "treatment")}, {"emergency", act_reason("ETREAT", "Emergency Treatment")}};
}

}  // namespace kuva::soap
