#include <kuva/cli/config.hpp>
#include <kuva/cli/hl7_config.hpp>
#include <kuva/cli/options.hpp>
#include <kuva/cli/tls_config.hpp>
#include <kuva/core/patient_id.hpp>
#include <kuva/workflow/adt_message.hpp>

#include <fmt/format.h>

#include <tuple>

namespace kuva::cli {

namespace {

constexpr const char* k_hl7_group = "Target";

void read_profile(TomlReader& reader, workflow::Hl7Target& target) {
  target.profile.name = reader.text("name").value_or("kuva.toml");
  for (const std::string& text : reader.texts("required")) {
    const auto position = hl7::Position::parse(text);
    if (!position) {
      reader.fail("required", fmt::format("has '{}', which is no place in a message (PID-11, PID-5.1)", text));
    }
    target.profile.required.push_back({*position, target.profile.name});
  }
  target.profile.events = reader.texts("events");
  if (auto values = reader.table("values")) {
    for (const std::string& key : values->keys()) {
      const auto position = hl7::Position::parse(key);
      if (!position) {
        values->fail(key, "is no place in a message (PV1-2, PID-5.7)");
      }
      if (!workflow::is_free(*position)) {
        values->fail(key, "is written by kuva alone: what the message is, and whom it is about");
      }
      target.values.emplace_back(*position, values->text(key).value_or(""));
    }
    values->finish();
  }
  reader.finish();
}

void check_names(TomlReader& reader, const workflow::Hl7Target& target) {
  for (const auto& [key, value] : {std::pair{"sending_application", &target.sending_application},
                                   std::pair{"sending_facility", &target.sending_facility},
                                   std::pair{"receiving_application", &target.receiving_application},
                                   std::pair{"receiving_facility", &target.receiving_facility}}) {
    if (value->find_first_of("|~\\\r\n") != std::string::npos) {
      reader.fail(key, "has a delimiter of HL7 in it");
    }
  }
}

}  // namespace

workflow::Hl7Target read_hl7(TomlReader& reader, const net::TlsSettings& tls, bool security) {
  workflow::Hl7Target target;
  assign(target.endpoint.host, reader.text("host"));
  assign(target.endpoint.port, reader.integer("port", 1, k_max_port));
  target.tls = read_security(reader).value_or(security);
  target.tls_settings = tls;
  if (auto table = reader.table("tls")) {
    target.tls_settings = net::TlsSettings{};
    read_tls(*table, target.tls_settings);
  }
  assign(target.sending_application, reader.text("sending_application"));
  assign(target.sending_facility, reader.text("sending_facility"));
  assign(target.receiving_application, reader.text("receiving_application"));
  assign(target.receiving_facility, reader.text("receiving_facility"));
  check_names(reader, target);
  if (const auto version = reader.choice("version", {"2.3.1", "2.5", "2.5.1"})) {
    target.version = *version == 0 ? "2.3.1" : *version == 1 ? "2.5" : "2.5.1";
  }
  if (const auto processing = reader.choice("processing_id", {"P", "T", "D"})) {
    target.processing_id = std::string(1, "PTD"[*processing]);
  }
  assign(target.character_set, reader.text("character_set"));
  const auto set = hl7::CharacterSet::find(target.character_set);
  if (!set || set->is_misspelt()) {
    reader.fail("character_set", "is no term of HL7 table 0211 (UNICODE UTF-8, 8859/1, 8859/15, ASCII)");
  }
  if (const auto text = reader.text("authority")) {
    const auto authority = hl7::AssigningAuthority::parse(*text);
    if (!authority) {
      reader.fail("authority", "is neither an OID nor NAMESPACE&OID&ISO");
    }
    target.authority = *authority;
  }
  assign(target.profile.national_authority, reader.text("national_authority"));
  if (const std::string& oid = target.profile.national_authority; !oid.empty() && oid_defect(oid)) {
    reader.fail("national_authority", fmt::format("is no OID (1.2.246.21): {}", *oid_defect(oid)));
  }
  assign(target.min_interval, reader.duration("min_interval"));
  if (auto timeouts = reader.table("timeouts")) {
    assign(target.connect_timeout, timeouts->duration("connect"));
    assign(target.tls_timeout, timeouts->duration("tls"));
    assign(target.stall_timeout, timeouts->duration("stall"));
    assign(target.acknowledgement_timeout, timeouts->duration("acknowledgement"));
    timeouts->finish();
  }
  if (auto profile = reader.table("profile")) {
    read_profile(*profile, target);
  }
  reader.finish();
  return target;
}

void add_hl7_options(CLI::App& app, Hl7Options& options) {
  const auto group = [](CLI::Option* option) { return option->group(k_hl7_group); };
  group(app.add_option("-t,--target", options.target, "A target of kuva.toml with an hl7 section"))
      ->type_name("TARGET");
  group(app.add_option("--host", options.host, "Host of the peer"))->type_name("HOST");
  group(add_number(app, "--port", options.port, 1, 65535, "Port of the peer"));
  add_tls_options(app, options.tls, k_hl7_group);
  group(app.add_option("--sending", options.sending, "Who we are: MSH-3 and MSH-4"))->type_name("APPLICATION|FACILITY");
  group(app.add_option("--receiving", options.receiving, "Who the peer is: MSH-5 and MSH-6"))
      ->type_name("APPLICATION|FACILITY");
  group(
      app.add_option("--charset", options.charset, "MSH-18 of messages that are made; what it is where it is unknown"))
      ->type_name("TERM");
  group(add_duration(app, "--connect-timeout", options.connect_timeout, "For the TCP connection (10s)"));
  group(add_duration(app, "--ack-timeout", options.acknowledgement_timeout, "For the acknowledgement (60s)"));
}

std::pair<std::string, std::string> parse_application(const std::string& text, std::string_view option) {
  const auto bar = text.find('|');
  if (bar == std::string::npos || text.find_first_of("|~\\\r\n", bar + 1) != std::string::npos) {
    throw Error(kind("usage.argument"), fmt::format("{}: '{}' is not APPLICATION|FACILITY", option, text));
  }
  return {text.substr(0, bar), text.substr(bar + 1)};
}

workflow::Hl7Target resolve_hl7_target(const Hl7Options& options, const std::string& config_name) {
  workflow::Hl7Target target;
  if (!options.target.empty()) {
    const auto file = find_config(config_name);
    if (!file) {
      throw Error(kind("usage.target"),
                  fmt::format("target '{}': there is no kuva.toml here, in the user's configuration or in /etc/kuva",
                              options.target));
    }
    const Config config = load_config(*file);
    const auto found = config.targets.find(options.target);
    if (found == config.targets.end() || !found->second.hl7) {
      throw Error(kind("usage.target"),
                  fmt::format("there is no [target.{}.hl7] in {}", options.target, config.file.string()));
    }
    target = *found->second.hl7;
    target.name = options.target;
  } else {
    if (options.host.empty() || options.port == 0) {
      throw Error(kind("usage.argument"), "which target? Name one with -t, or give --host and --port");
    }
    target.name = fmt::format("{}:{}", options.host, options.port);
  }
  const auto replace = [](std::string& value, const std::string& option) {
    if (!option.empty()) {
      value = option;
    }
  };
  replace(target.endpoint.host, options.host);
  if (options.port != 0) {
    target.endpoint.port = static_cast<std::uint16_t>(options.port);
  }
  target.tls = options.tls.tls.value_or(target.tls);
  options.tls.apply_files(target.tls_settings);
  replace(target.tls_settings.server_name, options.tls.name);
  if (!options.sending.empty()) {
    std::tie(target.sending_application, target.sending_facility) = parse_application(options.sending, "--sending");
  }
  if (!options.receiving.empty()) {
    std::tie(target.receiving_application, target.receiving_facility) =
        parse_application(options.receiving, "--receiving");
  }
  if (!options.charset.empty()) {
    const auto set = hl7::CharacterSet::find(options.charset);
    if (!set) {
      throw Error(kind("usage.argument"), fmt::format("--charset: '{}' is no term of HL7 table 0211", options.charset));
    }
    target.character_set = options.charset;
    target.profile.assumed_set = set;
  }
  if (options.connect_timeout.count() > 0) {
    target.connect_timeout = options.connect_timeout;
  }
  if (options.acknowledgement_timeout.count() > 0) {
    target.acknowledgement_timeout = options.acknowledgement_timeout;
  }
  if (target.endpoint.host.empty() || target.endpoint.port == 0) {
    throw Error(kind("usage.target"), fmt::format("target '{}' has no host or no port for HL7", target.name));
  }
  return target;
}

}  // namespace kuva::cli
