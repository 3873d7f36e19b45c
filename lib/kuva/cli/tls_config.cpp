#include <kuva/cli/tls_config.hpp>

namespace kuva::cli {

std::optional<bool> read_security(TomlReader& reader) {
  const auto choice = reader.choice("security", {"plain", "tls"});
  return choice ? std::optional(*choice == 1) : std::nullopt;
}

void read_tls(TomlReader& reader, net::TlsSettings& tls) {
  assign(tls.ca_file, reader.path("ca_file"));
  assign(tls.certificate_file, reader.path("certificate_file"));
  assign(tls.key_file, reader.path("key_file"));
  assign(tls.pkcs12_file, reader.path("pkcs12_file"));
  assign(tls.passphrase_file, reader.path("passphrase_file"));
  assign(tls.verify_host, reader.boolean("verify_host"));
  assign(tls.server_name, reader.text("server_name"));
  assign(tls.require_client_certificate, reader.boolean("require_client_certificate"));
  if (const auto version = reader.choice("minimum_version", {"1.2", "1.3"})) {
    tls.minimum_version = *version == 0 ? "1.2" : "1.3";
  }
  assign(tls.cipher_suites, reader.text("cipher_suites"));
  if (!tls.certificate_file.empty() && tls.key_file.empty()) {
    reader.fail("certificate_file", "needs key_file too");
  }
  if (!tls.pkcs12_file.empty() && !tls.certificate_file.empty()) {
    reader.fail("pkcs12_file", "stands instead of certificate_file and key_file, not beside them");
  }
  reader.finish();
}

}  // namespace kuva::cli
