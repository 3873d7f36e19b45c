#include <kuva/net/tls_context.hpp>
#include <kuva/net/tls_failure.hpp>
#include <kuva/net/tls_report.hpp>
#include <kuva/net/tls_stream.hpp>

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/evp.h>

#include <array>

namespace kuva::net {

namespace {

std::string key_of(const X509* certificate) {
  const EVP_PKEY* key = X509_get0_pubkey(certificate);
  if (key == nullptr) {
    return {};
  }
  std::array<char, 64> group{};
  if (EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) == 1) {
    return fmt::format("{} {}", EVP_PKEY_get0_type_name(key), group.data());
  }
  const char* type = EVP_PKEY_get0_type_name(key);
  return fmt::format("{} {}", type == nullptr ? "unknown" : type, EVP_PKEY_get_bits(key));
}

std::string serial_of(const X509* certificate) {
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> number(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr), &BN_free);
  const std::unique_ptr<char, void (*)(char*)> text(number == nullptr ? nullptr : BN_bn2hex(number.get()),
                                                    [](char* allocated) { OPENSSL_free(allocated); });
  return text == nullptr ? std::string() : text.get();
}

std::string fingerprint_of(const X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  std::string text;
  if (X509_digest(certificate, EVP_sha256(), digest.data(), &size) == 1) {
    for (unsigned i = 0; i < size; ++i) {
      text += fmt::format("{:02x}", digest[i]);
    }
  }
  return text;
}

}  // namespace

CertificateFacts certificate_facts(const X509* certificate) {
  CertificateFacts facts;
  facts.subject = to_string(X509_get_subject_name(certificate));
  facts.issuer = to_string(X509_get_issuer_name(certificate));
  facts.serial_number = serial_of(certificate);
  facts.valid_from = to_time_point(X509_get0_notBefore(certificate));
  facts.valid_to = to_time_point(X509_get0_notAfter(certificate));
  facts.names = names_of(certificate);
  facts.sha256 = fingerprint_of(certificate);
  facts.key = key_of(certificate);
  return facts;
}

std::optional<TlsReport> tls_report(const Stream& stream) {
  const auto* tls = dynamic_cast<const TlsStream*>(&stream);
  return tls == nullptr ? std::nullopt : std::optional(tls->report());
}

std::vector<CertificateFacts> own_chain(const TlsContext& context) {
  std::vector<CertificateFacts> chain;
  // Every TlsContext is one of OpenSSL's.
  SSL_CTX* openssl = static_cast<const OpensslContext&>(context).get();
  if (const X509* leaf = SSL_CTX_get0_certificate(openssl)) {
    chain.push_back(certificate_facts(leaf));
    STACK_OF(X509)* others = nullptr;
    if (SSL_CTX_get0_chain_certs(openssl, &others) == 1) {
      for (int i = 0; others != nullptr && i < sk_X509_num(others); ++i) {
        chain.push_back(certificate_facts(sk_X509_value(others, i)));
      }
    }
  }
  return chain;
}

}  // namespace kuva::net
