#include "support/certificates.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <stdexcept>

namespace kuva::test {

namespace {

void require(bool done, const char* what) {
  if (!done) {
    throw std::runtime_error(what);
  }
}

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;
File open_for_writing(const std::filesystem::path& path) {
  File file(std::fopen(path.c_str(), "wb"), &std::fclose);
  require(file != nullptr, "fopen");
  return file;
}

}  // namespace

struct Identity::Parts {
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key{nullptr, &EVP_PKEY_free};
  std::unique_ptr<X509, decltype(&X509_free)> certificate{nullptr, &X509_free};

  static std::shared_ptr<Parts> make(const CertificateSpec& spec, const Parts* issuer) {
    static std::atomic<long> serial{1000};
    auto parts = std::make_shared<Parts>();
    parts->key.reset(EVP_EC_gen("P-256"));
    parts->certificate.reset(X509_new());
    X509* certificate = parts->certificate.get();
    require(parts->key != nullptr && certificate != nullptr, "key");
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial.fetch_add(1));
    const std::time_t now = std::time(nullptr);
    X509_time_adj_ex(X509_getm_notBefore(certificate), spec.first_day, 0, const_cast<std::time_t*>(&now));
    X509_time_adj_ex(X509_getm_notAfter(certificate), spec.last_day, 0, const_cast<std::time_t*>(&now));
    X509_NAME* subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(spec.common_name.c_str()), -1, -1, 0);
    X509* issuer_certificate = issuer == nullptr ? certificate : issuer->certificate.get();
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer_certificate));
    X509_set_pubkey(certificate, parts->key.get());
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer_certificate, certificate, nullptr, nullptr, 0);
    const auto add = [&](int nid, const std::string& value) {
      const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
          X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()), &X509_EXTENSION_free);
      require(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1, "extension");
    };
    add(NID_basic_constraints, spec.is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    add(NID_subject_key_identifier, "hash");
    if (!spec.alternative_names.empty()) {
      add(NID_subject_alt_name, spec.alternative_names);
    }
    if (!spec.purpose.empty()) {
      add(NID_ext_key_usage, spec.purpose);
    }
    require(X509_sign(certificate, issuer == nullptr ? parts->key.get() : issuer->key.get(), EVP_sha256()) > 0, "sign");
    return parts;
  }
};

Identity Identity::self_signed(const CertificateSpec& spec) {
  Identity identity;
  identity.m_parts = Parts::make(spec, nullptr);
  return identity;
}

Identity Identity::issue(const CertificateSpec& spec) const {
  Identity identity;
  identity.m_parts = Parts::make(spec, m_parts.get());
  return identity;
}

void Identity::write_certificate(const std::filesystem::path& file) const {
  require(PEM_write_X509(open_for_writing(file).get(), m_parts->certificate.get()) == 1, "certificate");
}

void Identity::write_key(const std::filesystem::path& file, const std::string& passphrase) const {
  const auto out = open_for_writing(file);
  const bool is_plain = passphrase.empty();
  require(PEM_write_PKCS8PrivateKey(out.get(), m_parts->key.get(), is_plain ? nullptr : EVP_aes_256_cbc(),
                                    is_plain ? nullptr : passphrase.data(), static_cast<int>(passphrase.size()),
                                    nullptr, nullptr) == 1,
          "key file");
}

void Identity::write_pkcs12(const std::filesystem::path& file, const std::string& passphrase,
                            const Identity& issuer) const {
  STACK_OF(X509)* cas = sk_X509_new_null();
  sk_X509_push(cas, issuer.m_parts->certificate.get());
  const std::unique_ptr<PKCS12, decltype(&PKCS12_free)> container(
      PKCS12_create(passphrase.c_str(), "test", m_parts->key.get(), m_parts->certificate.get(), cas, 0, 0, 0, 0, 0),
      &PKCS12_free);
  sk_X509_free(cas);
  require(container != nullptr && i2d_PKCS12_fp(open_for_writing(file).get(), container.get()) == 1, "PKCS#12 file");
}

Authority::Authority(const std::string& ca_name)
    : ca(Identity::self_signed({.common_name = ca_name, .alternative_names = {}, .is_ca = true, .purpose = {}})) {
  ca.write_certificate(directory.path() / "ca.pem");
  server = issue("server", {.common_name = "server", .alternative_names = "DNS:localhost,IP:127.0.0.1", .purpose = {}});
  client = issue("client", {.common_name = "client", .alternative_names = {}, .purpose = {}});
}

net::TlsSettings Authority::issue(const std::string& name, const CertificateSpec& spec) const {
  const Identity identity = ca.issue(spec);
  net::TlsSettings settings;
  settings.ca_file = directory.path() / "ca.pem";
  settings.certificate_file = directory.path() / (name + ".pem");
  settings.key_file = directory.path() / (name + ".key");
  identity.write_certificate(settings.certificate_file);
  identity.write_key(settings.key_file);
  return settings;
}

}  // namespace kuva::test
