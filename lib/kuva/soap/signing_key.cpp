#include <kuva/core/file.hpp>
#include <kuva/core/time.hpp>
#include <kuva/soap/signing_key.hpp>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>

namespace kuva::soap {

namespace {

constexpr std::uint64_t k_largest_file = 1U << 20U;

Error key_error(std::string message) { return Error(kind("xua.key"), std::move(message)); }

std::string read_file(std::string_view what, const std::string& file) {
  try {
    return read_small_file(file, k_largest_file);
  } catch (const Error& error) {
    throw key_error(fmt::format("{}: {}", what, error.message()));
  }
}

// Wiped when it is done with.
class Secret {
 public:
  explicit Secret(std::string text) : m_text(std::move(text)) {}
  Secret(const Secret&) = delete;
  ~Secret() { OPENSSL_cleanse(m_text.data(), m_text.size()); }
  std::string& text() { return m_text; }
  const std::string& text() const { return m_text; }

 private:
  std::string m_text;
};

std::string first_line(std::string text) {
  text.resize(std::min(text.find_first_of("\r\n"), text.size()));
  return text;
}

// pem_password_cb; without it OpenSSL would ask on the terminal.
int give_passphrase(char* buffer, int size, int, void* user) {
  const auto& passphrase = *static_cast<const std::string*>(user);
  if (passphrase.empty() || passphrase.size() > static_cast<std::size_t>(size)) {
    return -1;
  }
  std::memcpy(buffer, passphrase.data(), passphrase.size());
  return static_cast<int>(passphrase.size());
}

std::string remark(const SigningFiles& files) {
  return files.passphrase_file.empty() ? " (passphrase_file is not set)" : " (is the passphrase right?)";
}

}  // namespace

OpensslSigningKey::OpensslSigningKey(const SigningFiles& files) {
  ERR_clear_error();
  if (!files.pkcs12_file.empty()) {
    load_pkcs12(files);
    check(files.pkcs12_file);
  } else if (!files.certificate_file.empty() && !files.key_file.empty()) {
    load_pem(files);
    check(files.certificate_file);
  } else {
    throw key_error("there is no key that signs assertions: set certificate_file and key_file, or pkcs12_file");
  }
}

void OpensslSigningKey::load_pem(const SigningFiles& files) {
  Secret passphrase(files.passphrase_file.empty() ? std::string()
                                                  : first_line(read_file("passphrase file", files.passphrase_file)));
  const Secret key_pem(read_file("key file", files.key_file));
  const net::OpensslPtr<BIO> key_bio(BIO_new_mem_buf(key_pem.text().data(), static_cast<int>(key_pem.text().size())));
  m_key.reset(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, &give_passphrase, &passphrase.text()));
  if (m_key == nullptr) {
    const bool encrypted = key_pem.text().find("ENCRYPTED") != std::string::npos;
    throw key_error(
        fmt::format("key file {}: {}{}", files.key_file, net::openssl_reasons(), encrypted ? remark(files) : ""));
  }
  const std::string certificate = read_file("certificate file", files.certificate_file);
  const net::OpensslPtr<BIO> bio(BIO_new_mem_buf(certificate.data(), static_cast<int>(certificate.size())));
  m_certificate.reset(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (m_certificate == nullptr) {
    throw key_error(fmt::format("certificate file {}: {}", files.certificate_file, net::openssl_reasons()));
  }
}

void OpensslSigningKey::load_pkcs12(const SigningFiles& files) {
  const Secret passphrase(
      files.passphrase_file.empty() ? std::string() : first_line(read_file("passphrase file", files.passphrase_file)));
  const Secret bytes(read_file("PKCS#12 file", files.pkcs12_file));
  const auto* begin = reinterpret_cast<const unsigned char*>(bytes.text().data());
  const std::unique_ptr<PKCS12, decltype(&PKCS12_free)> container(
      d2i_PKCS12(nullptr, &begin, static_cast<long>(bytes.text().size())), &PKCS12_free);
  if (container == nullptr) {
    throw key_error(fmt::format("PKCS#12 file {}: {}", files.pkcs12_file, net::openssl_reasons()));
  }
  EVP_PKEY* key = nullptr;
  X509* certificate = nullptr;
  const int parsed = PKCS12_parse(container.get(), passphrase.text().c_str(), &key, &certificate, nullptr);
  m_key.reset(key);
  m_certificate.reset(certificate);
  if (parsed != 1) {
    const std::string reasons = net::openssl_reasons();
    const bool is_old = reasons.find("unsupported") != std::string::npos;
    throw key_error(fmt::format("PKCS#12 file {}: {}{}", files.pkcs12_file, reasons,
                                is_old ? " (an old encryption: export it anew with AES)" : remark(files)));
  }
  if (m_key == nullptr || m_certificate == nullptr) {
    throw key_error(fmt::format("PKCS#12 file {} has no key with its certificate", files.pkcs12_file));
  }
}

void OpensslSigningKey::check(const std::string& file) {
  if (X509_check_private_key(m_certificate.get(), m_key.get()) != 1) {
    throw key_error(fmt::format("the key does not belong to the certificate in {}: {}", file, net::openssl_reasons()));
  }
  const int type = EVP_PKEY_get_base_id(m_key.get());
  if (type != EVP_PKEY_RSA && type != EVP_PKEY_EC) {
    throw key_error(fmt::format("the key of {} is neither RSA nor elliptic curve", file));
  }
  if (type == EVP_PKEY_RSA && EVP_PKEY_get_bits(m_key.get()) < 2048) {
    throw key_error(
        fmt::format("the RSA key of {} has {} bits; 2048 are the least", file, EVP_PKEY_get_bits(m_key.get())));
  }
  const auto not_before = net::to_time_point(X509_get0_notBefore(m_certificate.get()));
  const auto not_after = net::to_time_point(X509_get0_notAfter(m_certificate.get()));
  if (!not_before || !not_after) {
    throw key_error(fmt::format("certificate file {}: its dates cannot be read", file));
  }
  const auto now = std::chrono::system_clock::now();
  if (now > *not_after || now < *not_before) {
    throw Error(kind("xua.certificate-expired"), fmt::format("the certificate in {} is valid from {} to {}", file,
                                                             to_rfc3339(*not_before), to_rfc3339(*not_after)));
  }
  m_not_after = *not_after;
  m_subject = net::to_string(X509_get_subject_name(m_certificate.get()));
  unsigned char* der = nullptr;
  const int size = i2d_X509(m_certificate.get(), &der);
  if (size > 0) {
    m_der.assign(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
    OPENSSL_free(der);
  }
}

bool OpensslSigningKey::is_ec() const { return EVP_PKEY_get_base_id(m_key.get()) == EVP_PKEY_EC; }

std::shared_ptr<const SigningKey> SigningKey::load(const SigningFiles& files) {
  return std::make_shared<OpensslSigningKey>(files);
}

const OpensslSigningKey& openssl_key(const SigningKey& key) { return dynamic_cast<const OpensslSigningKey&>(key); }

}  // namespace kuva::soap
