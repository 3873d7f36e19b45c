#pragma once

#include <kuva/core/error.hpp>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <optional>
#include <string>
#include <vector>

namespace kuva::net {

// Why a certificate of the peer did not pass, kept at the first failure of the chain.
struct CertificateFailure {
  int code = X509_V_OK;
  int depth = 0;  // 0: the peer's own, then up
  std::string subject;
  std::string issuer;
  std::string valid_from;
  std::string valid_to;
  std::vector<std::string> names;  // that the certificate is for
  int sent = 0;                    // certificates that the peer sent
};
// The host names and addresses that a certificate is for (SAN), at most 20 of them.
std::vector<std::string> names_of(const X509* certificate);
CertificateFailure certificate_failure(int code, int depth, const X509* certificate);

// What is known when OpenSSL gives up.
struct TlsFacts {
  Peer peer;
  bool is_server = false;
  bool handshake_done = false;
  bool has_heard_data = false;         // application data of the peer
  bool certificate_requested = false;  // client: the server asked for one
  bool certificate_sent = false;
  bool peer_closed = false;
  bool server_answered = false;  // client: a ServerHello came
  int error_number = 0;
  std::string expected_name;
  std::string first_bytes;
  std::string offer;            // ours: versions and suites
  std::string own_certificate;  // subject, issuer, end
  std::optional<CertificateFailure> certificate;
};

// Our side of what the peers have to agree on: versions and suites.
std::string describe_offer(const SSL* ssl);
// Subject, issuer and end; empty for none.
std::string describe_certificate(const X509* certificate);

// The Error for a failed handshake, read or write; takes OpenSSL's error queue. Kinds: tls.*, connection.lost.
Error tls_failure(const TlsFacts& facts);
// The Error where the first bytes of the peer are not TLS.
std::optional<Error> plain_peer(const TlsFacts& facts);

}  // namespace kuva::net
