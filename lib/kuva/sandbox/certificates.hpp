#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kuva::sandbox {

struct CertificateFree {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};

// A key and its certificate.
struct Identity {
  std::unique_ptr<EVP_PKEY, CertificateFree> key;
  std::unique_ptr<X509, CertificateFree> certificate;
};

// What a certificate is to say.
struct CertificateSpec {
  std::string name;                                        // common name
  std::vector<std::pair<int, std::string>> extensions;     // NID and value as in openssl.cnf; key identifiers are added
  std::chrono::seconds begins = -std::chrono::minutes(5);  // from now: room for clocks that differ
  std::chrono::seconds ends = std::chrono::hours(24 * 3652);
};

// The names of this machine's own loopback, for an end entity.
inline constexpr std::string_view k_local_names = "DNS:localhost,IP:127.0.0.1,IP:::1";

CertificateSpec authority_spec(std::string name);
// TLS server and client; the names as in openssl.cnf's subjectAltName.
CertificateSpec end_entity_spec(std::string name, std::string alternative_names);

// A fresh key (P-256: made in no time) and its certificate, issued by `ca` or, when that is null, by itself.
// Errors: tls.config.
Identity make_identity(const CertificateSpec& spec, const Identity* ca);

// PEM files without a passphrase. Errors: local.read, tls.config.
Identity read_identity(const std::filesystem::path& key_file, const std::filesystem::path& certificate_file);

}  // namespace kuva::sandbox
