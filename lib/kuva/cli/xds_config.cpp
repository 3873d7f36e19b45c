#include <kuva/cli/tls_config.hpp>
#include <kuva/cli/xds_config.hpp>
#include <kuva/core/time_zone.hpp>
#include <kuva/dicom/uid.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kuva::cli {

namespace {

constexpr std::string_view k_oid_prefix = "urn:oid:";
constexpr std::int64_t k_largest_rate = 1'000'000'000'000;

bool begins_with(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

// Why the text is not a URL that we call; nothing when it is one.
std::optional<std::string> url_defect(std::string_view url, bool plain) {
  std::string_view rest;
  if (begins_with(url, "https://")) {
    rest = url.substr(8);
  } else if (begins_with(url, "http://")) {
    if (!plain) {
      return "is plain text: set security = \"plain\" beside it if that is meant";
    }
    rest = url.substr(7);
  } else {
    return "must be a URL: https://host/path";
  }
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  if (authority.empty() || authority.front() == ':') {
    return "must be a URL with a host";
  }
  if (authority.find('@') != std::string_view::npos) {
    return "must not hold a user name: secrets are in files of their own";
  }
  for (const char c : url) {
    if (c <= 0x20 || c > 0x7E || c == '"' || c == '<' || c == '>' || c == '#') {
      return "has a character that a URL does not have";
    }
  }
  return std::nullopt;
}

std::optional<std::string> read_url(TomlReader& reader, std::string_view key, bool plain) {
  auto url = reader.text(key);
  if (url) {
    if (const auto defect = url_defect(*url, plain)) {
      reader.fail(key, *defect);
    }
  }
  return url;
}

// UID -> URL.
std::map<std::string, std::string> read_places(TomlReader& reader, bool plain) {
  std::map<std::string, std::string> places;
  for (const std::string& key : reader.keys()) {
    const std::string_view uid = begins_with(key, k_oid_prefix) ? std::string_view(key).substr(8) : key;
    if (const auto defect = dicom::uid_defect(uid)) {
      reader.fail(key, fmt::format("is not a UID: {}", *defect));
    }
    places.emplace(uid, *read_url(reader, key, plain));
  }
  reader.finish();
  return places;
}

void read_service_timeouts(TomlReader& reader, workflow::XdsSettings& xds) {
  assign(xds.connect_timeout, reader.duration("connect"));
  assign(xds.tls_timeout, reader.duration("tls"));
  assign(xds.first_byte_timeout, reader.duration("first_byte"));
  assign(xds.idle_timeout, reader.duration("idle"));
  reader.finish();
}

workflow::XdsSettings read_xds(TomlReader& reader, const workflow::Target& target) {
  using Xds = workflow::XdsSettings;
  Xds xds;
  xds.plain = !read_security(reader).value_or(true);
  assign(xds.query_url, read_url(reader, "query_url", xds.plain));
  if (const auto way = reader.choice("query_transaction", {"iti-18", "iti-38"})) {
    xds.query_transaction = static_cast<Xds::QueryTransaction>(*way);
  }
  if (const auto way = reader.choice("document_transaction", {"iti-43", "iti-39"})) {
    xds.document_transaction = static_cast<Xds::DocumentTransaction>(*way);
  }
  if (const auto way = reader.choice("imaging_transaction", {"rad-69", "rad-75"})) {
    xds.imaging_transaction = static_cast<Xds::ImagingTransaction>(*way);
  }
  if (const auto home = read_oid(reader, "home_community")) {
    xds.home_community = std::string(k_oid_prefix) + *home;
  }
  assign(xds.repository_url, read_url(reader, "repository_url", xds.plain));
  assign(xds.imaging_source_url, read_url(reader, "imaging_source_url", xds.plain));
  if (auto places = reader.table("repositories")) {
    xds.repositories = read_places(*places, xds.plain);
  }
  if (auto places = reader.table("imaging_sources")) {
    xds.imaging_sources = read_places(*places, xds.plain);
  }
  xds.tls = target.tls_settings;
  if (auto tls = reader.table("tls")) {
    xds.tls = net::TlsSettings{};
    read_tls(*tls, xds.tls);
  }
  if (auto timeouts = reader.table("timeouts")) {
    read_service_timeouts(*timeouts, xds);
  }
  assign(xds.retries, reader.integer("retries", 0, 1000));
  assign(xds.expect_continue, reader.boolean("expect_continue"));
  assign(xds.time_zone, reader.text("time_zone"));
  try {
    static_cast<void>(TimeZone::load(xds.time_zone));
  } catch (const Error& error) {
    reader.fail("time_zone", error.message());
  }
  assign(xds.hetu_authority, read_oid(reader, "hetu_authority"));
  assign(xds.temporary_id_authority, read_oid(reader, "temporary_id_authority"));
  assign(xds.transfer_rate, reader.integer("transfer_rate", 1, k_largest_rate));
  assign(xds.instances_per_request, reader.integer("instances_per_request", 1, 100'000));
  reader.finish();
  return xds;
}

workflow::WadoSettings read_wado(TomlReader& reader, const workflow::Target& target) {
  workflow::WadoSettings wado;
  wado.plain = !read_security(reader).value_or(true);
  const auto url = read_url(reader, "base_url", wado.plain);
  if (!url) {
    reader.fail("base_url", "is missing");
  }
  wado.base_url = *url;
  while (wado.base_url.back() == '/') {
    wado.base_url.pop_back();
  }
  assign(wado.token_file, reader.path("token_file"));
  wado.tls = target.tls_settings;
  if (auto tls = reader.table("tls")) {
    wado.tls = net::TlsSettings{};
    read_tls(*tls, wado.tls);
  }
  reader.finish();
  return wado;
}

template <typename Enumeration>
std::vector<std::string_view> words_of(std::size_t count) {
  std::vector<std::string_view> words;
  for (std::size_t i = 0; i < count; ++i) {
    words.push_back(to_string(static_cast<Enumeration>(i)));
  }
  return words;
}

soap::AttributeRule read_attribute(TomlReader& reader) {
  soap::AttributeRule rule;
  rule.origin = "kuva.toml";
  rule.name = reader.text("name").value_or("");
  if (rule.name.empty()) {
    reader.fail("name", "is missing");
  }
  assign(rule.name_format, reader.text("name_format"));
  const auto source = reader.choice("from", words_of<soap::AttributeSource>(soap::k_attribute_sources));
  if (!source) {
    reader.fail("from", "is missing: where the value comes from");
  }
  rule.source = static_cast<soap::AttributeSource>(*source);
  const bool coded_source = rule.source == soap::AttributeSource::role || rule.source == soap::AttributeSource::purpose;
  rule.kind = coded_source ? soap::AttributeKind::code : soap::AttributeKind::text;
  if (const auto kind = reader.choice("kind", words_of<soap::AttributeKind>(soap::k_attribute_kinds))) {
    rule.kind = static_cast<soap::AttributeKind>(*kind);
  }
  assign(rule.value, reader.text("value"));
  assign(rule.element, reader.text("element"));
  assign(rule.required, reader.boolean("required"));
  if (auto code = reader.table("code")) {
    rule.code = read_code(*code);
  }
  const bool is_code = rule.kind == soap::AttributeKind::code;
  const bool is_fixed = rule.source == soap::AttributeSource::fixed;
  const bool has_value = is_fixed && !is_code ? !rule.value.empty() : true;
  if (!has_value || (rule.source == soap::AttributeSource::user && rule.value.empty())) {
    reader.fail("value", is_fixed ? "is missing" : "is missing: the key in the user's [attributes]");
  }
  if (is_fixed && is_code && rule.code.code.empty()) {
    reader.fail("code", "is missing");
  }
  if (is_code && !is_fixed && !coded_source) {
    reader.fail("kind", "\"code\" goes with from = \"role\", \"purpose\" and \"fixed\" alone");
  }
  if (is_code == rule.element.empty()) {
    if (is_code && coded_source) {
      rule.element = rule.source == soap::AttributeSource::role ? "Role" : "PurposeOfUse";
    } else {
      reader.fail("element", is_code ? "is missing: the element's name" : "goes with kind = \"code\" alone");
    }
  }
  if ((rule.kind == soap::AttributeKind::identifier) && rule.source != soap::AttributeSource::provider) {
    reader.fail("kind", "\"identifier\" goes with from = \"provider\" alone");
  }
  reader.finish();
  return rule;
}

void read_attributes(TomlReader& reader, soap::AssertionSettings& xua) {
  if (!reader.boolean("default_attributes").value_or(true)) {
    xua.attributes.clear();
  }
  const auto drop = [&](const std::string& name) {
    std::erase_if(xua.attributes, [&](const soap::AttributeRule& rule) { return rule.name == name; });
  };
  for (const std::string& name : reader.texts("without_attributes")) {
    drop(name);
  }
  std::vector<soap::AttributeRule> rows;
  for (TomlReader& row : reader.tables("attribute")) {
    rows.push_back(read_attribute(row));
    drop(rows.back().name);
  }
  std::move(rows.begin(), rows.end(), std::back_inserter(xua.attributes));
}

soap::AssertionSettings read_xua(TomlReader& reader) {
  soap::AssertionSettings xua;
  assign(xua.issuer, reader.text("issuer"));
  assign(xua.issuer_format, reader.text("issuer_format"));
  xua.audiences = reader.texts("audiences");
  if (const auto home = read_oid(reader, "home_community")) {
    xua.home_community = std::string(k_oid_prefix) + *home;
  }
  if (const auto way = reader.choice("confirmation", {"bearer", "sender-vouches", "holder-of-key"})) {
    xua.confirmation = static_cast<soap::Confirmation>(*way);
  }
  assign(xua.signing.certificate_file, reader.path("certificate_file"));
  assign(xua.signing.key_file, reader.path("key_file"));
  assign(xua.signing.pkcs12_file, reader.path("pkcs12_file"));
  assign(xua.signing.passphrase_file, reader.path("passphrase_file"));
  if (xua.signing.certificate_file.empty() != xua.signing.key_file.empty()) {
    reader.fail(xua.signing.key_file.empty() ? "certificate_file" : "key_file",
                xua.signing.key_file.empty() ? "needs key_file too" : "needs certificate_file too");
  }
  if (!xua.signing.pkcs12_file.empty() && !xua.signing.key_file.empty()) {
    reader.fail("pkcs12_file", "stands instead of certificate_file and key_file, not beside them");
  }
  const std::vector<std::string_view> algorithms{"rsa-sha256",   "rsa-sha384",   "rsa-sha512",
                                                 "ecdsa-sha256", "ecdsa-sha384", "ecdsa-sha512"};
  if (const auto algorithm = reader.choice("signature_algorithm", algorithms)) {
    xua.signature_algorithm = algorithms[*algorithm];
  }
  const std::vector<std::string_view> digests{"sha256", "sha384", "sha512"};
  if (const auto digest = reader.choice("digest_algorithm", digests)) {
    xua.digest_algorithm = digests[*digest];
  }
  assign(xua.lifetime, reader.duration("lifetime"));
  if (xua.lifetime < std::chrono::seconds(1)) {
    reader.fail("lifetime", "must be one second at least");
  }
  assign(xua.not_before_skew, reader.duration("not_before_skew"));
  assign(xua.name_id_format, reader.text("name_id_format"));
  assign(xua.authn_context, reader.text("authn_context"));
  xua.timestamp = reader.boolean("timestamp");
  assign(xua.assertion_file, reader.path("assertion_file"));
  xua.assertion_command = reader.texts("assertion_command");
  assign(xua.command_timeout, reader.duration("command_timeout"));
  if (!xua.assertion_file.empty() && !xua.assertion_command.empty()) {
    reader.fail("assertion_command", "stands instead of assertion_file, not beside it");
  }
  read_attributes(reader, xua);
  if (auto purposes = reader.table("purposes")) {
    for (const std::string& name : purposes->keys()) {
      auto code = purposes->table(name);
      xua.purposes[name] = read_code(*code);
    }
    purposes->finish();
  }
  reader.finish();
  return xua;
}

}  // namespace

soap::CodedValue read_code(TomlReader& reader) {
  soap::CodedValue code;
  code.code = reader.text("code").value_or("");
  if (code.code.empty()) {
    reader.fail("code", "is missing");
  }
  assign(code.code_system, read_oid(reader, "code_system"));
  assign(code.code_system_name, reader.text("code_system_name"));
  assign(code.display_name, reader.text("display_name"));
  reader.finish();
  return code;
}

std::optional<std::string> read_oid(TomlReader& reader, std::string_view key) {
  auto oid = reader.text(key);
  if (!oid) {
    return std::nullopt;
  }
  if (begins_with(*oid, k_oid_prefix)) {
    oid->erase(0, k_oid_prefix.size());
  }
  if (const auto defect = dicom::uid_defect(*oid)) {
    reader.fail(key, fmt::format("is not an OID: {}", *defect));
  }
  return oid;
}

void read_xds_sections(TomlReader& reader, workflow::Target& target) {
  if (auto xds = reader.table("xds")) {
    target.xds = read_xds(*xds, target);
  }
  if (auto xua = reader.table("xua")) {
    target.xua = read_xua(*xua);
  }
  if (auto wado = reader.table("wado")) {
    target.wado = read_wado(*wado, target);
  }
  // {StudyInstanceUID} and the like stand for themselves until they are filled in.
  if (const auto url = reader.text("viewer_url")) {
    std::string plain = *url;
    std::replace_if(
        plain.begin(), plain.end(), [](char c) { return c == '{' || c == '}' || c == '#'; }, '-');
    if (const auto defect = url_defect(plain, true)) {
      reader.fail("viewer_url", *defect);
    }
    target.viewer_url = *url;
  }
}

}  // namespace kuva::cli
