#include <kuva/cli/config.hpp>
#include <kuva/cli/environment.hpp>
#include <kuva/cli/hl7_config.hpp>
#include <kuva/cli/tls_config.hpp>
#include <kuva/cli/toml_reader.hpp>
#include <kuva/cli/xds_config.hpp>
#include <kuva/core/file.hpp>

#include <fmt/format.h>

#include <limits>

namespace kuva::cli {

namespace {

constexpr std::uint64_t k_secret_limit = 65535;  // the field's length is 16 bits (PS3.7 D.3.3.7.1)

workflow::ListenerSettings read_listener(TomlReader& reader, const workflow::Target& target) {
  workflow::ListenerSettings listener;
  listener.bind.host = reader.text("host").value_or("0.0.0.0");
  const auto port = reader.integer("port", 1, k_max_port);
  if (!port) {
    reader.fail("port", "is missing");
  }
  listener.bind.port = static_cast<std::uint16_t>(*port);
  listener.tls = read_security(reader).value_or(target.tls);
  listener.tls_settings = target.tls_settings;
  if (auto tls = reader.table("tls")) {
    listener.tls_settings = net::TlsSettings{};
    read_tls(*tls, listener.tls_settings);
  }
  reader.finish();
  return listener;
}

workflow::MoveSettings read_move(TomlReader& reader, const workflow::Target& target) {
  workflow::MoveSettings move;
  assign(move.destination, reader.ae_title("destination"));
  if (auto listener = reader.table("listener")) {
    move.listener = read_listener(*listener, target);
  }
  reader.finish();
  return move;
}

void read_timeouts(TomlReader& reader, workflow::Target& target) {
  assign(target.connect_timeout, reader.duration("connect"));
  assign(target.tls_timeout, reader.duration("tls"));
  assign(target.association_timeouts.associate, reader.duration("associate"));
  assign(target.association_timeouts.stall, reader.duration("stall"));
  assign(target.association_timeouts.release, reader.duration("release"));
  assign(target.association_timeouts.abort, reader.duration("abort"));
  assign(target.response_timeout, reader.duration("response"));
  assign(target.idle_timeout, reader.duration("idle"));
  assign(target.recovery, reader.duration("recovery"));
  reader.finish();
}

void read_user_identity(TomlReader& reader, ConfiguredTarget& configured) {
  using Type = ul::UserIdentity::Type;
  ul::UserIdentity identity;
  const auto type = reader.choice("type", {"username", "passcode", "kerberos", "saml", "jwt"});
  if (!type) {
    reader.fail("type", "is missing: username, passcode, kerberos, saml or jwt");
  }
  identity.type = static_cast<Type>(*type + 1);
  assign(identity.primary, reader.text("username"));
  assign(configured.passcode_file, reader.path("passcode_file"));
  assign(configured.token_file, reader.path("token_file"));
  assign(identity.response_requested, reader.boolean("response_requested"));
  const bool named = identity.type == Type::username || identity.type == Type::username_passcode;
  if (named == identity.primary.empty()) {
    reader.fail("username", named ? "is missing" : "does not go with this type: the token says who it is");
  }
  if ((identity.type == Type::username_passcode) == configured.passcode_file.empty()) {
    reader.fail("passcode_file", configured.passcode_file.empty() ? "is missing" : "goes with type \"passcode\" alone");
  }
  if (named != configured.token_file.empty()) {
    reader.fail("token_file", named ? "goes with kerberos, saml and jwt alone" : "is missing");
  }
  reader.finish();
  configured.target.user_identity = std::move(identity);
}

std::optional<std::string> bytes_from_hex(std::string_view text) {
  std::string bytes;
  if (text.size() % 2 != 0) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < text.size(); i += 2) {
    unsigned value = 0;
    for (const char c : text.substr(i, 2)) {
      const auto digit =
          std::string_view("0123456789abcdef").find(c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c);
      if (digit == std::string_view::npos) {
        return std::nullopt;
      }
      value = value * 16 + static_cast<unsigned>(digit);
    }
    bytes.push_back(static_cast<char>(value));
  }
  return bytes;
}

ul::ExtendedNegotiation read_extended_negotiation(TomlReader& reader) {
  ul::ExtendedNegotiation negotiation;
  assign(negotiation.sop_class_uid, reader.text("sop_class"));
  if (negotiation.sop_class_uid.empty()) {
    reader.fail("sop_class", "is missing");
  }
  const auto bytes = bytes_from_hex(reader.text("information").value_or(""));
  if (!bytes) {
    reader.fail("information", "must be bytes in hexadecimal, e.g. \"0101\"");
  }
  negotiation.application_information = *bytes;
  reader.finish();
  return negotiation;
}

ConfiguredTarget read_target(TomlReader& reader, const std::string& name) {
  constexpr std::int64_t k_unsigned_max = std::numeric_limits<std::uint32_t>::max();
  ConfiguredTarget configured;
  workflow::Target& target = configured.target;
  target.name = name;
  assign(target.endpoint.host, reader.text("host"));
  assign(target.endpoint.port, reader.integer("port", 1, k_max_port));
  assign(target.called_ae, reader.ae_title("called_ae"));
  assign(target.calling_ae, reader.ae_title("calling_ae"));
  assign(target.tls, read_security(reader));
  assign(target.associations, reader.integer("associations", 1, 64));
  assign(target.async_window, reader.integer("async_window", 0, 65535));
  assign(target.max_pdu, reader.integer("max_pdu", 4096, 16 * 1024 * 1024));
  assign(target.instances_per_association, reader.integer("instances_per_association", 0, k_unsigned_max));
  assign(target.commit_chunk, reader.integer("commit_chunk", 1, 10'000));
  assign(target.failures_in_a_row, reader.integer("failures_in_a_row", 1, 1000));
  if (const auto settle = reader.choice("settle", {"query", "commit"})) {
    target.settle = *settle == 0 ? workflow::Target::Settle::query : workflow::Target::Settle::commit;
  }
  if (auto tls = reader.table("tls")) {
    read_tls(*tls, target.tls_settings);
  }
  if (auto listener = reader.table("listener")) {
    target.listener = read_listener(*listener, target);
  }
  if (auto timeouts = reader.table("timeouts")) {
    read_timeouts(*timeouts, target);
  }
  if (auto identity = reader.table("user_identity")) {
    read_user_identity(*identity, configured);
  }
  for (TomlReader& negotiation : reader.tables("extended_negotiation")) {
    target.extended_negotiations.push_back(read_extended_negotiation(negotiation));
  }
  if (auto move = reader.table("move")) {
    target.move = read_move(*move, target);
  }
  read_xds_sections(reader, target);
  if (auto hl7 = reader.table("hl7")) {
    configured.hl7 = read_hl7(*hl7, target.tls_settings, target.tls);
  }
  reader.finish();
  return configured;
}

std::string without_newline(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) {
    text.pop_back();
  }
  return text;
}

}  // namespace

Config load_config(const std::filesystem::path& file) {
  const toml::table table = TomlReader::parse_file(file);
  Config config;
  config.file = file;
  TomlReader top(table, file, "");
  if (auto targets = top.table("target")) {
    for (const std::string& name : targets->keys()) {
      auto reader = targets->table(name);
      config.targets.emplace(name, read_target(*reader, name));
    }
  }
  top.finish();
  return config;
}

std::optional<std::filesystem::path> find_config(const std::string& named) {
  if (!named.empty()) {
    return named;
  }
  std::vector<std::filesystem::path> candidates{"kuva.toml"};
  if (const auto directory = xdg_directory("XDG_CONFIG_HOME", ".config")) {
    candidates.push_back(*directory / "kuva" / "kuva.toml");
  }
  candidates.emplace_back("/etc/kuva/kuva.toml");
  for (const auto& candidate : candidates) {
    std::error_code ignored;
    if (std::filesystem::exists(candidate, ignored)) {
      return candidate;
    }
  }
  return std::nullopt;
}

void load_secrets(ConfiguredTarget& configured) {
  auto& identity = configured.target.user_identity;
  if (!identity) {
    return;
  }
  if (!configured.passcode_file.empty()) {
    identity->secondary = without_newline(read_small_file(configured.passcode_file, k_secret_limit));
  }
  if (!configured.token_file.empty()) {
    identity->primary = without_newline(read_small_file(configured.token_file, k_secret_limit));
  }
}

}  // namespace kuva::cli
