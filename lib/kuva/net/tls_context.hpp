#pragma once

#include <kuva/net/stream.hpp>

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

namespace kuva::net {

struct OpensslDelete {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(BIO* bio) const { BIO_free_all(bio); }
  void operator()(ASN1_OCTET_STRING* string) const { ASN1_OCTET_STRING_free(string); }
};
template <typename T>
using OpensslPtr = std::unique_ptr<T, OpensslDelete>;

// The only kind of TlsContext.
class OpensslContext final : public TlsContext {
 public:
  enum class Side { client, server };
  OpensslContext(const TlsSettings& settings, Side side);

  SSL_CTX* get() const { return m_context.get(); }
  const TlsSettings& settings() const { return m_settings; }
  bool has_certificate() const { return m_expiry.has_value(); }
  std::optional<std::chrono::system_clock::time_point> certificate_expiry() const override { return m_expiry; }

 private:
  void set_protocol(Side side);
  void load_pem();
  void load_pkcs12();
  void load_trust(Side side);
  void check_own_certificate();

  TlsSettings m_settings;
  OpensslPtr<SSL_CTX> m_context;
  std::vector<OpensslPtr<X509>> m_pkcs12_cas;
  std::optional<std::chrono::system_clock::time_point> m_expiry;
};

// The reasons in OpenSSL's error queue, first first; the queue is emptied.
std::string openssl_reasons();

std::optional<std::chrono::system_clock::time_point> to_time_point(const ASN1_TIME* time);
// RFC 2253, in UTF-8.
std::string to_string(const X509_NAME* name);

}  // namespace kuva::net
