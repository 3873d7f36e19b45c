#pragma once

#include <kuva/net/tls_context.hpp>
#include <kuva/soap/assertion.hpp>

#include <string>
#include <string_view>

namespace kuva::soap {

// The only kind of SigningKey; for the parts of this room that sign.
class OpensslSigningKey final : public SigningKey {
 public:
  // Errors: xua.key, xua.certificate-expired.
  explicit OpensslSigningKey(const SigningFiles& files);

  TimePoint not_after() const override { return m_not_after; }
  const std::string& subject() const override { return m_subject; }
  const std::string& certificate_der() const override { return m_der; }
  bool is_ec() const override;
  EVP_PKEY* key() const { return m_key.get(); }

 private:
  void load_pem(const SigningFiles& files);
  void load_pkcs12(const SigningFiles& files);
  void check(const std::string& file);

  net::OpensslPtr<EVP_PKEY> m_key;
  net::OpensslPtr<X509> m_certificate;
  TimePoint m_not_after;
  std::string m_subject;
  std::string m_der;
};

const OpensslSigningKey& openssl_key(const SigningKey& key);

}  // namespace kuva::soap
