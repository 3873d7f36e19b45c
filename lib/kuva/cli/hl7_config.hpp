#pragma once

#include <kuva/cli/peer_options.hpp>
#include <kuva/cli/toml_reader.hpp>
#include <kuva/workflow/hl7_target.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace kuva::cli {

// Which peer, and what differs from what kuva.toml says of it.
struct Hl7Options {
  std::string target;
  std::string host;
  unsigned port = 0;
  TlsOptions tls;
  std::string sending;    // APPLICATION|FACILITY
  std::string receiving;  // the same
  std::string charset;
  std::chrono::milliseconds connect_timeout{0};
  std::chrono::milliseconds acknowledgement_timeout{0};
};

void add_hl7_options(CLI::App& app, Hl7Options& options);

// [target.NAME.hl7]; `tls` and `security` are those of the target unless it says its own. Errors: usage.config.
workflow::Hl7Target read_hl7(TomlReader& reader, const net::TlsSettings& tls, bool security);

// Reads the configuration (`config`: --config, may be empty) and applies the options. Errors: usage.target,
// usage.config, usage.argument, local.read.
workflow::Hl7Target resolve_hl7_target(const Hl7Options& options, const std::string& config);

// "APPLICATION|FACILITY", for MSH-3 and MSH-4 or MSH-5 and MSH-6. Errors: usage.argument.
std::pair<std::string, std::string> parse_application(const std::string& text, std::string_view option);

}  // namespace kuva::cli
