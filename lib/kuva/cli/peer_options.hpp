#pragma once

#include <kuva/net/socket.hpp>
#include <kuva/net/tls_context.hpp>

#include <CLI/CLI.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kuva::cli {

// How a peer is spoken to: TLS and with which files, or plain. What is empty is as kuva.toml says.
struct TlsOptions {
  std::optional<bool> tls;
  std::string ca;
  std::string certificate;
  std::string key;
  std::string passphrase_file;
  std::string name;  // that the peer's certificate is for

  // The files, in place of those that are there; the name is of one peer alone and stays out.
  void apply_files(net::TlsSettings& settings) const;
};

void add_tls_options(CLI::App& app, TlsOptions& options, const std::string& group);

// 1 to 65535; 0 too, any free port, where `any` says so.
std::optional<std::uint16_t> parse_port(std::string_view text, bool any = false);
// "host:port", "[v6 address]:port".
std::optional<net::Endpoint> parse_endpoint(std::string_view text, bool any_port = false);

}  // namespace kuva::cli
