#include <kuva/core/error.hpp>
#include <kuva/core/file.hpp>
#include <kuva/sandbox/certificates.hpp>
#include <kuva/sandbox/sandbox.hpp>

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::sandbox {

namespace fs = std::filesystem;

namespace {

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Freed<BIO_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>>;
using Number = std::unique_ptr<BIGNUM, Freed<BN_free>>;

constexpr std::uint64_t k_largest_pem = 1U << 20U;

Error failure(std::string_view what) {
  const unsigned long code = ERR_get_error();
  const char* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return Error(kind("tls.config"),
               fmt::format("cannot make {}: {}", what, reason == nullptr ? "OpenSSL failed" : reason));
}

void add_extension(X509& certificate, X509& issuer, int type, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, &issuer, &certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, type, value));
  if (!extension || X509_add_ext(&certificate, extension.get(), -1) != 1) {
    throw failure("a certificate extension");
  }
}

void set_random_serial(X509& certificate) {
  constexpr int k_bits = 127;  // positive, at most 20 octets (RFC 5280 4.1.2.2)
  const Number serial(BN_new());
  if (!serial || BN_rand(serial.get(), k_bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) != 1 ||
      BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(&certificate)) == nullptr) {
    throw failure("a serial number");
  }
}

void write_pem(const fs::path& path, BIO& pem, unsigned mode) {
  char* text = nullptr;
  const long size = BIO_get_mem_data(&pem, &text);
  AtomicFile file(path, mode);
  file.write(std::string_view(text, static_cast<std::size_t>(size)));
  file.commit();
}

void write_identity(const fs::path& directory, std::string_view name, const Identity& identity) {
  const Bio key(BIO_new(BIO_s_mem()));
  const Bio certificate(BIO_new(BIO_s_mem()));
  if (!key || !certificate ||
      PEM_write_bio_PKCS8PrivateKey(key.get(), identity.key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
      PEM_write_bio_X509(certificate.get(), identity.certificate.get()) != 1) {
    throw failure("a PEM file");
  }
  write_pem(directory / fmt::format("{}.key", name), *key, 0600);
  write_pem(directory / fmt::format("{}.pem", name), *certificate, 0644);
}

// True when both files are there. One without the other is not overwritten.
bool exists(const fs::path& directory, std::string_view name) {
  std::error_code ignored;
  const bool key = fs::exists(directory / fmt::format("{}.key", name), ignored);
  const bool certificate = fs::exists(directory / fmt::format("{}.pem", name), ignored);
  if (key != certificate) {
    throw Error(kind("tls.config"),
                fmt::format("{} has {}.{} and not {}.{}: remove it, or bring the other", directory.string(), name,
                            key ? "key" : "pem", name, key ? "pem" : "key"));
  }
  return key;
}

}  // namespace

Identity make_identity(const CertificateSpec& spec, const Identity* ca) {
  Identity identity;
  identity.key.reset(EVP_EC_gen("P-256"));
  identity.certificate.reset(X509_new());
  if (!identity.key || !identity.certificate) {
    throw failure("a key");
  }
  X509& certificate = *identity.certificate;
  X509& issuer = ca == nullptr ? certificate : *ca->certificate;
  EVP_PKEY& issuer_key = ca == nullptr ? *identity.key : *ca->key;
  constexpr long k_version_3 = 2;
  set_random_serial(certificate);
  X509_NAME* const subject = X509_get_subject_name(&certificate);
  const auto* const name = reinterpret_cast<const unsigned char*>(spec.name.data());
  if (X509_set_version(&certificate, k_version_3) != 1 ||
      X509_gmtime_adj(X509_getm_notBefore(&certificate), spec.begins.count()) == nullptr ||
      X509_gmtime_adj(X509_getm_notAfter(&certificate), spec.ends.count()) == nullptr ||
      X509_set_pubkey(&certificate, identity.key.get()) != 1 ||
      X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, name, static_cast<int>(spec.name.size()), -1,
                                 0) != 1 ||
      X509_set_issuer_name(&certificate, X509_get_subject_name(&issuer)) != 1) {
    throw failure("a certificate");
  }
  add_extension(certificate, issuer, NID_subject_key_identifier, "hash");
  add_extension(certificate, issuer, NID_authority_key_identifier, "keyid:always");
  for (const auto& [type, value] : spec.extensions) {
    add_extension(certificate, issuer, type, value.c_str());
  }
  if (X509_sign(&certificate, &issuer_key, EVP_sha256()) == 0) {
    throw failure("a signature");
  }
  return identity;
}

CertificateSpec authority_spec(std::string name) {
  // Room for one intermediate CA below it.
  return {std::move(name),
          {{NID_basic_constraints, "critical,CA:TRUE,pathlen:1"}, {NID_key_usage, "critical,keyCertSign,cRLSign"}}};
}

CertificateSpec end_entity_spec(std::string name, std::string alternative_names) {
  return {std::move(name),
          {{NID_basic_constraints, "critical,CA:FALSE"},
           {NID_key_usage, "critical,digitalSignature"},
           {NID_ext_key_usage, "serverAuth,clientAuth"},
           {NID_subject_alt_name, std::move(alternative_names)}}};
}

Identity read_identity(const fs::path& key_file, const fs::path& certificate_file) {
  std::string key_text = read_small_file(key_file, k_largest_pem);
  const std::string certificate_text = read_small_file(certificate_file, k_largest_pem);
  const Bio key(BIO_new_mem_buf(key_text.data(), static_cast<int>(key_text.size())));
  const Bio certificate(BIO_new_mem_buf(certificate_text.data(), static_cast<int>(certificate_text.size())));
  Identity identity;
  identity.key.reset(PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr));
  identity.certificate.reset(PEM_read_bio_X509(certificate.get(), nullptr, nullptr, nullptr));
  OPENSSL_cleanse(key_text.data(), key_text.size());
  if (!identity.key || !identity.certificate) {
    throw failure(fmt::format("anything with {} and {}", key_file.string(), certificate_file.string()));
  }
  return identity;
}

void make_certificates(const fs::path& directory) {
  const fs::path tls = directory / "tls";
  std::error_code error;
  fs::create_directories(tls, error);
  if (error) {
    throw write_error(tls, error.value());
  }
  const CertificateSpec signing{
      "kuva sandbox signing",
      {{NID_basic_constraints, "critical,CA:FALSE"}, {NID_key_usage, "critical,digitalSignature,nonRepudiation"}}};
  if (!exists(tls, "ca")) {
    write_identity(tls, "ca", make_identity(authority_spec("kuva sandbox CA"), nullptr));
  }
  const Identity ca = read_identity(tls / "ca.key", tls / "ca.pem");
  const std::vector<std::pair<std::string_view, CertificateSpec>> wanted{
      {"server", end_entity_spec("kuva sandbox server", std::string(k_local_names))},
      {"client", end_entity_spec("kuva sandbox client", std::string(k_local_names))},
      {"signing", signing}};
  for (const auto& [file, spec] : wanted) {
    if (!exists(tls, file)) {
      write_identity(tls, file, make_identity(spec, &ca));
    }
  }
}

}  // namespace kuva::sandbox
