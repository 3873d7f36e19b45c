#pragma once

#include <kuva/net/stream.hpp>
#include <kuva/net/tls_failure.hpp>

#include <openssl/ssl.h>

#include <memory>
#include <string>

namespace kuva::net {

// TLS of a connection that another library makes (libcurl) with an SSL_CTX of its own: keys, trust, versions, suites
// and the check of the peer's name are those of a TlsContext, and a failure is explained as for our own streams.
class ForeignTls {
 public:
  // `host` is what the certificate has to be for, where the context's settings name no other.
  // Errors: tls.config.
  ForeignTls(std::shared_ptr<const TlsContext> context, const std::string& host);

  // The name for SNI and the check.
  const std::string& expected_name() const { return m_facts.expected_name; }

  // Sets `context` up for one connection. It keeps `self` for as long as it lives. Errors: tls.config.
  static void apply(const std::shared_ptr<ForeignTls>& self, SSL_CTX* context);

  bool handshake_done() const { return m_facts.handshake_done; }
  // "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty before the handshake.
  const std::string& description() const { return m_description; }

  // What made the other library give up. openssl_error: the code that it found in OpenSSL's queue, 0 for none;
  // error_number: errno, 0 for none. Kinds: tls.*, connection.lost, connection.timeout.
  Error failure(Peer peer, unsigned long openssl_error, int error_number, bool has_heard_data) const;

 private:
  static int on_certificate(int verified, X509_STORE_CTX* store);
  static int on_certificate_requested(SSL* ssl, void* user);
  static void on_state(const SSL* ssl, int where, int value);
  static void on_message(int written, int version, int content_type, const void* bytes, std::size_t size, SSL* ssl,
                         void* user);
  void expect_name(SSL_CTX* context) const;

  std::shared_ptr<const TlsContext> m_context;
  TlsFacts m_facts;
  std::string m_description;
};

}  // namespace kuva::net
