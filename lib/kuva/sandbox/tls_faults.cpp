#include <kuva/core/error.hpp>
#include <kuva/net/tls_context.hpp>
#include <kuva/sandbox/certificates.hpp>
#include <kuva/sandbox/tls_faults.hpp>

#include <fmt/format.h>
#include <openssl/ssl.h>

#include <chrono>
#include <filesystem>
#include <string>

namespace kuva::sandbox {

namespace {

// Not in BCP 195, and not among what OpenSSL takes by default at its higher levels of security.
constexpr const char* k_weak_suites = "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:AES128-SHA:AES256-SHA:@SECLEVEL=0";
constexpr const char* k_old_suites = "ALL:@SECLEVEL=0";

void must(bool done, std::string_view what) {
  if (!done) {
    throw Error(kind("tls.config"), fmt::format("cannot make {}: {}", what, net::openssl_reasons()));
  }
}

CertificateSpec server_spec(std::string names = std::string(k_local_names)) {
  return end_entity_spec("kuva sandbox server", std::move(names));
}

void use(SSL_CTX* context, const Identity& identity) {
  must(SSL_CTX_clear_chain_certs(context) == 1 &&
           SSL_CTX_use_cert_and_key(context, identity.certificate.get(), identity.key.get(), nullptr, 1) == 1,
       "a certificate to show");
}

Identity read_authority(const net::TlsSettings& settings) {
  const std::filesystem::path certificate = settings.ca_file;
  std::filesystem::path key = certificate;
  return read_identity(key.replace_extension(".key"), certificate);
}

// As far as the client's certificate goes: of a CA that the sandbox does not know.
void trust_nobody(SSL_CTX* context) {
  const Identity stranger = make_identity(authority_spec("A CA that signed nothing"), nullptr);
  X509_STORE* const store = X509_STORE_new();
  must(store != nullptr && X509_STORE_add_cert(store, stranger.certificate.get()) == 1, "a store of certificates");
  SSL_CTX_set_cert_store(context, store);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
}

Identity make_certificate(TlsFault fault, const net::TlsSettings& settings) {
  using std::chrono::hours;
  CertificateSpec spec = server_spec();
  switch (fault) {
    case TlsFault::self_signed:
      return make_identity(spec, nullptr);
    case TlsFault::expired:
      spec.begins = hours(-24 * 375);
      spec.ends = hours(-24 * 10);
      break;
    case TlsFault::not_yet_valid:
      spec.begins = hours(24);
      break;
    case TlsFault::wrong_name:
      spec = server_spec("DNS:archive.example,IP:192.0.2.1");
      break;
    default:
      break;
  }
  const Identity ca = read_authority(settings);
  if (fault != TlsFault::missing_intermediate) {
    return make_identity(spec, &ca);
  }
  const CertificateSpec intermediate_spec = authority_spec("kuva sandbox intermediate CA");
  const Identity intermediate = make_identity(intermediate_spec, &ca);
  return make_identity(spec, &intermediate);
}

}  // namespace

std::shared_ptr<const net::TlsContext> TlsFaults::context(TlsFault fault) {
  if (fault == TlsFault::plain) {
    return nullptr;
  }
  const std::lock_guard lock(m_mutex);
  auto& made = m_made[fault];
  if (!made) {
    made = make(fault);
  }
  return made;
}

std::shared_ptr<const net::TlsContext> TlsFaults::make(TlsFault fault) const {
  auto made = std::make_shared<net::OpensslContext>(m_settings, net::OpensslContext::Side::server);
  SSL_CTX* const context = made->get();
  switch (fault) {
    case TlsFault::expired:
    case TlsFault::not_yet_valid:
    case TlsFault::self_signed:
    case TlsFault::wrong_name:
    case TlsFault::missing_intermediate:
      use(context, make_certificate(fault, m_settings));
      // The chain that was sent is the fault; nothing is added to it from what the sandbox itself trusts.
      SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
      break;
    case TlsFault::old_version:
      must(SSL_CTX_set_min_proto_version(context, TLS1_VERSION) == 1 &&
               SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION) == 1 &&
               SSL_CTX_set_cipher_list(context, k_old_suites) == 1,
           "a server of TLS 1.0 and 1.1");
      break;
    case TlsFault::weak_suites:
      must(SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION) == 1 &&
               SSL_CTX_set_cipher_list(context, k_weak_suites) == 1,
           "a server of weak cipher suites");
      break;
    case TlsFault::client_refused:
    case TlsFault::client_refused_late:
      trust_nobody(context);
      must((fault == TlsFault::client_refused ? SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION)
                                              : SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION)) == 1,
           "a server that refuses certificates");
      break;
    case TlsFault::plain:
    case TlsFault::tls_on_plain:
    case TlsFault::no_close_notify:
      break;
  }
  return made;
}

}  // namespace kuva::sandbox
