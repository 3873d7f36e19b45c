#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>
#include <string>

// A key pair with its certificate, as files of a directory: NAME.pem, NAME.key.
class SigningIdentity {
 public:
  enum class Kind { rsa, ec };
  struct Dates {
    long begins = -3600;  // seconds from now
    long ends = 40L * 86400;
  };

  SigningIdentity(const std::string& directory, const std::string& name, Kind kind = Kind::ec,
                  const SigningIdentity* ca = nullptr, unsigned bits = 2048)
      : SigningIdentity(directory, name, kind, ca, bits, Dates{}) {}
  SigningIdentity(const std::string& directory, const std::string& name, Kind kind, const SigningIdentity* ca,
                  unsigned bits, Dates dates)
      : certificate_file(directory + "/" + name + ".pem"),
        key_file(directory + "/" + name + ".key"),
        m_key(kind == Kind::rsa ? EVP_RSA_gen(bits) : EVP_EC_gen("P-256"), &EVP_PKEY_free),
        m_certificate(X509_new(), &X509_free) {
    X509* certificate = m_certificate.get();
    X509_set_version(certificate, 2);
    static long serial = 1;
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), dates.begins);
    X509_gmtime_adj(X509_getm_notAfter(certificate), dates.ends);
    X509_set_pubkey(certificate, m_key.get());
    X509_NAME* subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(name.c_str()), -1,
                               -1, 0);
    X509_set_issuer_name(certificate, ca != nullptr ? X509_get_subject_name(ca->m_certificate.get()) : subject);
    extension(NID_basic_constraints, ca == nullptr ? "critical,CA:TRUE" : "CA:FALSE");
    extension(NID_key_usage, ca == nullptr ? "critical,keyCertSign,digitalSignature" : "critical,digitalSignature");
    X509_sign(certificate, ca != nullptr ? ca->m_key.get() : m_key.get(), EVP_sha256());
    write(certificate_file, [&](FILE* file) { PEM_write_X509(file, certificate); });
    write(key_file,
          [&](FILE* file) { PEM_write_PrivateKey(file, m_key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
  }

  void write_encrypted_key(const std::string& file, const std::string& passphrase) const {
    write(file, [&](FILE* out) {
      PEM_write_PKCS8PrivateKey(out, m_key.get(), EVP_aes_256_cbc(), passphrase.c_str(),
                                static_cast<int>(passphrase.size()), nullptr, nullptr);
    });
  }
  void write_pkcs12(const std::string& file, const std::string& passphrase) const {
    const std::unique_ptr<PKCS12, decltype(&PKCS12_free)> container(
        PKCS12_create(passphrase.c_str(), "signature", m_key.get(), m_certificate.get(), nullptr, 0, 0, 0, 0, 0),
        &PKCS12_free);
    write(file, [&](FILE* out) { i2d_PKCS12_fp(out, container.get()); });
  }

  std::string certificate_file;
  std::string key_file;

 private:
  template <typename Write>
  static void write(const std::string& name, const Write& write_to) {
    const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(name.c_str(), "wb"), &std::fclose);
    write_to(file.get());
  }
  void extension(int nid, const char* value) {
    X509_EXTENSION* made = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    X509_add_ext(m_certificate.get(), made, -1);
    X509_EXTENSION_free(made);
  }

  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> m_key;
  std::unique_ptr<X509, decltype(&X509_free)> m_certificate;
};
