#include <kuva/cli/options.hpp>
#include <kuva/cli/peer_options.hpp>

#include <charconv>

namespace kuva::cli {

void TlsOptions::apply_files(net::TlsSettings& settings) const {
  const auto replace = [](std::string& value, const std::string& option) {
    if (!option.empty()) {
      value = option;
    }
  };
  replace(settings.ca_file, ca);
  if (!certificate.empty()) {
    settings.pkcs12_file.clear();
  }
  replace(settings.certificate_file, certificate);
  replace(settings.key_file, key);
  replace(settings.passphrase_file, passphrase_file);
}

void add_tls_options(CLI::App& app, TlsOptions& options, const std::string& group) {
  const auto add = [&](const char* name, std::string& value, const char* type, const char* what) {
    app.add_option(name, value, what)->type_name(type)->group(group);
  };
  add_choice<std::optional<bool>>(app, "--security", options.tls, {{"tls", true}, {"plain", false}},
                                  "TLS (default), or plain text")
      ->group(group);
  add("--tls-ca", options.ca, "FILE", "CA certificates that sign the peer's (PEM)");
  add("--tls-cert", options.certificate, "FILE", "Our certificate chain (PEM)");
  add("--tls-key", options.key, "FILE", "Our private key (PEM)");
  add("--tls-passphrase-file", options.passphrase_file, "FILE", "File with the key's passphrase");
  add("--tls-name", options.name, "NAME", "Name that the peer's certificate is for, if not the host");
}

std::optional<std::uint16_t> parse_port(std::string_view text, bool any) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || (port == 0 && !any)) {
    return std::nullopt;
  }
  return port;
}

std::optional<net::Endpoint> parse_endpoint(std::string_view text, bool any_port) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) {
    return std::nullopt;
  }
  const auto port = parse_port(text.substr(colon + 1), any_port);
  std::string_view host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;
  }
  if (!port || host.empty()) {
    return std::nullopt;
  }
  return net::Endpoint{std::string(host), *port};
}

}  // namespace kuva::cli
