#pragma once

#include "support/temporary_directory.hpp"

#include <kuva/net/stream.hpp>

#include <filesystem>
#include <memory>
#include <string>

namespace kuva::test {

struct CertificateSpec {
  std::string common_name = "test";
  std::string alternative_names;  // "DNS:localhost,IP:127.0.0.1"
  bool is_ca = false;
  int first_day = -1;  // days from now
  int last_day = 10;
  std::string purpose;  // extended key usage, e.g. "clientAuth"
};

// A key and its certificate, made on the spot.
class Identity {
 public:
  static Identity self_signed(const CertificateSpec& spec);
  Identity issue(const CertificateSpec& spec) const;

  void write_certificate(const std::filesystem::path& file) const;
  // Encrypted where there is a passphrase.
  void write_key(const std::filesystem::path& file, const std::string& passphrase = {}) const;
  // With the issuer's certificate.
  void write_pkcs12(const std::filesystem::path& file, const std::string& passphrase, const Identity& issuer) const;

 private:
  struct Parts;
  std::shared_ptr<const Parts> m_parts;
};

// A CA, and a server and a client that it vouches for, as PEM files.
struct Authority {
  explicit Authority(const std::string& ca_name = "Test CA");
  // Files NAME.pem and NAME.key of an identity that the CA issues.
  net::TlsSettings issue(const std::string& name, const CertificateSpec& spec) const;

  TemporaryDirectory directory;
  Identity ca;
  net::TlsSettings server;  // for localhost and 127.0.0.1
  net::TlsSettings client;
};

}  // namespace kuva::test
