#include <kuva/core/file.hpp>
#include <kuva/net/tls_context.hpp>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <new>
#include <system_error>

namespace kuva::net {

namespace {

// TLS 1.2 suites of BCP 195 (RFC 9325 4.2, PS3.15 B.12); those of TLS 1.3 are OpenSSL's own.
constexpr const char* k_bcp195_suites =
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256";
constexpr std::uint64_t k_largest_file = 1U << 20U;

Error config_error(std::string_view what, const std::string& file) {
  return Error(kind("tls.config"), fmt::format("{} {}: {}", what, file, openssl_reasons()));
}

// A secret that is wiped when it is done with.
class Passphrase {
 public:
  explicit Passphrase(const std::string& file) {
    if (file.empty()) {
      return;
    }
    try {
      m_text = read_small_file(file, k_largest_file);
    } catch (const Error& error) {
      throw Error(kind("tls.config"), fmt::format("passphrase file: {}", error.message()));
    }
    const auto end = m_text.find_first_of("\r\n");
    if (end != std::string::npos) {
      OPENSSL_cleanse(m_text.data() + end, m_text.size() - end);
      m_text.resize(end);
    }
    m_given = true;
  }
  Passphrase(const Passphrase&) = delete;
  ~Passphrase() { OPENSSL_cleanse(m_text.data(), m_text.size()); }

  bool was_asked() const { return m_asked; }
  bool is_given() const { return m_given; }
  const char* text() const { return m_given ? m_text.c_str() : nullptr; }

  // pem_password_cb. Without it OpenSSL would ask on the terminal.
  static int answer(char* buffer, int size, int, void* user) {
    auto* self = static_cast<Passphrase*>(user);
    self->m_asked = true;
    const std::size_t count = self->m_text.size();
    if (!self->m_given || count > static_cast<std::size_t>(size)) {
      return -1;
    }
    std::memcpy(buffer, self->m_text.data(), count);
    return static_cast<int>(count);
  }

 private:
  std::string m_text;
  bool m_given = false;
  bool m_asked = false;
};

std::string passphrase_remark(const Passphrase& passphrase) {
  return passphrase.is_given() ? " (is the passphrase right?)" : " (it is encrypted, and passphrase_file is not set)";
}

int version_number(const std::string& text, int when_empty) {
  if (text.empty()) {
    return when_empty;
  }
  if (text == "1.2") {
    return TLS1_2_VERSION;
  }
  if (text == "1.3") {
    return TLS1_3_VERSION;
  }
  throw Error(kind("tls.config"), fmt::format("TLS version \"{}\" is neither 1.2 nor 1.3", text));
}

}  // namespace

std::string openssl_reasons() {
  std::string text;
  while (const unsigned long code = ERR_get_error()) {
    std::string reason;
    if (ERR_SYSTEM_ERROR(code)) {
      reason = std::generic_category().message(ERR_GET_REASON(code));
    } else if (const char* known = ERR_reason_error_string(code)) {
      reason = known;
    } else {
      reason = fmt::format("OpenSSL error {:#x}", code);
    }
    if (reason == "system lib" || text.find(reason) != std::string::npos) {
      continue;
    }
    text += fmt::format("{}{}", text.empty() ? "" : ", ", reason);
  }
  return text.empty() ? "no reason given by OpenSSL" : text;
}

std::optional<std::chrono::system_clock::time_point> to_time_point(const ASN1_TIME* time) {
  std::tm utc{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &utc) != 1) {
    return std::nullopt;
  }
  return std::chrono::system_clock::from_time_t(timegm(&utc));
}

std::string to_string(const X509_NAME* name) {
  const OpensslPtr<BIO> memory(BIO_new(BIO_s_mem()));
  if (memory == nullptr || name == nullptr ||
      X509_NAME_print_ex(memory.get(), name, 0, XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB)) <
          0) {
    return {};
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return std::string(text, static_cast<std::size_t>(std::max(size, 0L)));
}

std::shared_ptr<const TlsContext> TlsContext::client(const TlsSettings& settings) {
  return std::make_shared<OpensslContext>(settings, OpensslContext::Side::client);
}

std::shared_ptr<const TlsContext> TlsContext::server(const TlsSettings& settings) {
  return std::make_shared<OpensslContext>(settings, OpensslContext::Side::server);
}

OpensslContext::OpensslContext(const TlsSettings& settings, Side side)
    : m_settings(settings), m_context(SSL_CTX_new(side == Side::client ? TLS_client_method() : TLS_server_method())) {
  if (m_context == nullptr) {
    throw Error(kind("tls.config"), fmt::format("OpenSSL cannot start: {}", openssl_reasons()));
  }
  ERR_clear_error();
  set_protocol(side);
  if (!m_settings.pkcs12_file.empty()) {
    load_pkcs12();
  } else if (!m_settings.certificate_file.empty() || !m_settings.key_file.empty()) {
    load_pem();
  } else if (side == Side::server) {
    throw Error(kind("tls.config"), "a TLS listener needs a certificate: set certificate_file and key_file");
  }
  load_trust(side);
  check_own_certificate();
}

void OpensslContext::set_protocol(Side side) {
  SSL_CTX* context = m_context.get();
  SSL_CTX_set_min_proto_version(context, version_number(m_settings.minimum_version, TLS1_2_VERSION));
  SSL_CTX_set_max_proto_version(context, version_number(m_settings.maximum_version, 0));
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
  if (side == Side::server) {
    SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_num_tickets(context, 0);
  }
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  const std::string suites = m_settings.cipher_suites.empty() ? k_bcp195_suites : m_settings.cipher_suites;
  if (SSL_CTX_set_cipher_list(context, suites.c_str()) != 1) {
    throw config_error("cipher suites", suites);
  }
}

void OpensslContext::load_pem() {
  if (m_settings.certificate_file.empty() || m_settings.key_file.empty()) {
    throw Error(kind("tls.config"), "certificate_file and key_file go together: one of them is not set");
  }
  SSL_CTX* context = m_context.get();
  Passphrase passphrase(m_settings.passphrase_file);
  SSL_CTX_set_default_passwd_cb(context, &Passphrase::answer);
  SSL_CTX_set_default_passwd_cb_userdata(context, &passphrase);
  if (SSL_CTX_use_certificate_chain_file(context, m_settings.certificate_file.c_str()) != 1) {
    throw config_error("certificate file", m_settings.certificate_file);
  }
  if (SSL_CTX_use_PrivateKey_file(context, m_settings.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    const unsigned long code = ERR_peek_error();
    const bool is_mismatch = ERR_GET_LIB(code) == ERR_LIB_X509 && (ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH ||
                                                                   ERR_GET_REASON(code) == X509_R_KEY_TYPE_MISMATCH);
    const std::string reasons = openssl_reasons();
    if (is_mismatch) {
      throw Error(kind("tls.config"), fmt::format("key file {} does not belong to certificate file {}: {}",
                                                  m_settings.key_file, m_settings.certificate_file, reasons));
    }
    throw Error(kind("tls.config"), fmt::format("key file {}: {}{}", m_settings.key_file, reasons,
                                                passphrase.was_asked() ? passphrase_remark(passphrase) : ""));
  }
  SSL_CTX_set_default_passwd_cb_userdata(context, nullptr);
  SSL_CTX_set_default_passwd_cb(context, nullptr);
}

void OpensslContext::load_pkcs12() {
  const std::string& file = m_settings.pkcs12_file;
  std::string bytes;
  try {
    bytes = read_small_file(file, k_largest_file);
  } catch (const Error& error) {
    throw Error(kind("tls.config"), fmt::format("PKCS#12 file: {}", error.message()));
  }
  const Passphrase passphrase(m_settings.passphrase_file);
  const auto* begin = reinterpret_cast<const unsigned char*>(bytes.data());
  const std::unique_ptr<PKCS12, decltype(&PKCS12_free)> container(
      d2i_PKCS12(nullptr, &begin, static_cast<long>(bytes.size())), &PKCS12_free);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  if (container == nullptr) {
    throw config_error("PKCS#12 file", file);
  }
  if (PKCS12_mac_present(container.get()) == 1 && PKCS12_verify_mac(container.get(), passphrase.text(), -1) != 1 &&
      (passphrase.is_given() || PKCS12_verify_mac(container.get(), "", 0) != 1)) {
    const std::string reasons = openssl_reasons();
    throw Error(kind("tls.config"), fmt::format("PKCS#12 file {}: {}{}", file, reasons, passphrase_remark(passphrase)));
  }
  EVP_PKEY* raw_key = nullptr;
  X509* raw_certificate = nullptr;
  STACK_OF(X509)* raw_cas = nullptr;
  const int parsed = PKCS12_parse(container.get(), passphrase.is_given() ? passphrase.text() : "", &raw_key,
                                  &raw_certificate, &raw_cas);
  const OpensslPtr<EVP_PKEY> key(raw_key);
  const OpensslPtr<X509> certificate(raw_certificate);
  while (raw_cas != nullptr && sk_X509_num(raw_cas) > 0) {
    m_pkcs12_cas.emplace_back(sk_X509_shift(raw_cas));
  }
  sk_X509_free(raw_cas);
  if (parsed != 1) {
    const std::string reasons = openssl_reasons();
    const bool is_old = reasons.find("unsupported") != std::string::npos;
    throw Error(
        kind("tls.config"),
        fmt::format(
            "PKCS#12 file {}: {}{}", file, reasons,
            is_old ? " (an old encryption: export it anew with AES, or convert it: openssl pkcs12 -legacy -nodes -in "
                     "OLD -out PEM)"
                   : ""));
  }
  if (key == nullptr || certificate == nullptr) {
    throw Error(kind("tls.config"), fmt::format("PKCS#12 file {} has no key with its certificate", file));
  }
  SSL_CTX* context = m_context.get();
  if (SSL_CTX_use_certificate(context, certificate.get()) != 1 || SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    throw config_error("PKCS#12 file", file);
  }
  for (const auto& ca : m_pkcs12_cas) {
    if (SSL_CTX_add1_chain_cert(context, ca.get()) != 1) {
      throw config_error("PKCS#12 file", file);
    }
  }
}

void OpensslContext::load_trust(Side side) {
  SSL_CTX* context = m_context.get();
  const bool is_server = side == Side::server;
  const bool has_trust = !m_settings.ca_file.empty() || !m_pkcs12_cas.empty();
  if (is_server && !has_trust) {
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nullptr);
    return;
  }
  if (!m_settings.ca_file.empty()) {
    if (SSL_CTX_load_verify_file(context, m_settings.ca_file.c_str()) != 1) {
      throw config_error("CA file", m_settings.ca_file);
    }
    if (is_server) {
      STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(m_settings.ca_file.c_str());
      if (names == nullptr) {
        throw config_error("CA file", m_settings.ca_file);
      }
      SSL_CTX_set_client_CA_list(context, names);
    }
  } else if (!m_pkcs12_cas.empty()) {
    for (const auto& ca : m_pkcs12_cas) {
      if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca.get()) != 1 ||
          (is_server && SSL_CTX_add_client_CA(context, ca.get()) != 1)) {
        throw config_error("CA in PKCS#12 file", m_settings.pkcs12_file);
      }
    }
  } else if (SSL_CTX_set_default_verify_paths(context) != 1) {
    throw Error(kind("tls.config"), fmt::format("the system's CA certificates: {}", openssl_reasons()));
  }
  const bool require = !is_server || m_settings.require_client_certificate;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (require ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
}

void OpensslContext::check_own_certificate() {
  const X509* certificate = SSL_CTX_get0_certificate(m_context.get());
  if (certificate == nullptr) {
    return;
  }
  const auto not_before = to_time_point(X509_get0_notBefore(certificate));
  const auto not_after = to_time_point(X509_get0_notAfter(certificate));
  const std::string& file = m_settings.pkcs12_file.empty() ? m_settings.certificate_file : m_settings.pkcs12_file;
  if (!not_before || !not_after) {
    throw Error(kind("tls.config"), fmt::format("certificate file {}: its dates cannot be read", file));
  }
  const auto now = std::chrono::system_clock::now();
  if (now > *not_after || now < *not_before) {
    throw Error(kind("tls.own-certificate-expired"),
                fmt::format("our own certificate in {} is valid from {} to {}", file, to_rfc3339(*not_before),
                            to_rfc3339(*not_after)));
  }
  m_expiry = not_after;
}

}  // namespace kuva::net
