#pragma once

#include <kuva/net/stream.hpp>

#include <openssl/x509.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace kuva::net {

// What a person wants to know of a certificate.
struct CertificateFacts {
  std::string subject;  // RFC 2253
  std::string issuer;
  std::string serial_number;  // hexadecimal
  std::optional<std::chrono::system_clock::time_point> valid_from;
  std::optional<std::chrono::system_clock::time_point> valid_to;
  std::vector<std::string> names;  // that it is for (SAN)
  std::string sha256;              // fingerprint of the whole, hexadecimal
  std::string key;                 // "RSA 2048", "EC prime256v1"
};
CertificateFacts certificate_facts(const X509* certificate);

// What both sides agreed on in a handshake that is done.
struct TlsReport {
  std::string version;
  std::string cipher_suite;
  std::vector<CertificateFacts> peer_chain;  // as the peer sent it, its own first
  bool client_certificate_requested = false;
};
// Nothing where the stream is plain.
std::optional<TlsReport> tls_report(const Stream& stream);

// Our own certificate and what we send with it; empty where there is none.
std::vector<CertificateFacts> own_chain(const TlsContext& context);

}  // namespace kuva::net
