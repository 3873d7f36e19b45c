#include <kuva/net/foreign_tls.hpp>
#include <kuva/net/tls_context.hpp>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>

namespace kuva::net {

namespace {

using Owner = std::shared_ptr<ForeignTls>;

// OpenSSL frees what an SSL_CTX keeps for us together with it.
void free_owner(void*, void* kept, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<Owner*>(kept); }

int owner_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, &free_owner);
  return index;
}

ForeignTls* owner_of(const SSL* ssl) {
  const auto* const owner = static_cast<const Owner*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), owner_index()));
  return owner == nullptr ? nullptr : owner->get();
}

const OpensslContext& openssl(const TlsContext& context) { return static_cast<const OpensslContext&>(context); }

// The suites up to TLS 1.2 in OpenSSL's form; those of TLS 1.3 are OpenSSL's own everywhere.
std::string suites_of(SSL_CTX* context) {
  std::string text;
  const STACK_OF(SSL_CIPHER)* const suites = SSL_CTX_get_ciphers(context);
  for (int i = 0; i < sk_SSL_CIPHER_num(suites); ++i) {
    const SSL_CIPHER* const suite = sk_SSL_CIPHER_value(suites, i);
    if (std::string_view(SSL_CIPHER_get_version(suite)) != "TLSv1.3") {
      text += fmt::format("{}{}", text.empty() ? "" : ":", SSL_CIPHER_get_name(suite));
    }
  }
  return text;
}

void require(bool done, std::string_view what) {
  if (!done) {
    throw Error(kind("tls.config"), fmt::format("{}: {}", what, openssl_reasons()));
  }
}

}  // namespace

ForeignTls::ForeignTls(std::shared_ptr<const TlsContext> context, const std::string& host)
    : m_context(std::move(context)) {
  const TlsSettings& settings = openssl(*m_context).settings();
  m_facts.expected_name = settings.server_name.empty() ? host : settings.server_name;
}

void ForeignTls::expect_name(SSL_CTX* context) const {
  if (!openssl(*m_context).settings().verify_host) {
    return;
  }
  const std::string& name = m_facts.expected_name;
  X509_VERIFY_PARAM* const parameters = SSL_CTX_get0_param(context);
  const OpensslPtr<ASN1_OCTET_STRING> address(a2i_IPADDRESS(name.c_str()));
  ERR_clear_error();
  X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  require((address != nullptr ? X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str())
                              : X509_VERIFY_PARAM_set1_host(parameters, name.c_str(), name.size())) == 1,
          fmt::format("\"{}\" is no host name", name));
}

void ForeignTls::apply(const std::shared_ptr<ForeignTls>& self, SSL_CTX* context) {
  SSL_CTX* const ours = openssl(*self->m_context).get();
  ERR_clear_error();
  auto kept = std::make_unique<Owner>(self);
  require(SSL_CTX_set_ex_data(context, owner_index(), kept.get()) == 1, "OpenSSL cannot start");
  kept.release();
  require(SSL_CTX_set_min_proto_version(context, static_cast<int>(SSL_CTX_get_min_proto_version(ours))) == 1 &&
              SSL_CTX_set_max_proto_version(context, static_cast<int>(SSL_CTX_get_max_proto_version(ours))) == 1 &&
              SSL_CTX_set_cipher_list(context, suites_of(ours).c_str()) == 1,
          "TLS versions and cipher suites");
  SSL_CTX_set_options(context, SSL_CTX_get_options(ours));
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set1_cert_store(context, SSL_CTX_get_cert_store(ours));
  if (X509* const certificate = SSL_CTX_get0_certificate(ours)) {
    STACK_OF(X509)* chain = nullptr;
    SSL_CTX_get0_chain_certs(ours, &chain);
    require(SSL_CTX_use_certificate(context, certificate) == 1 &&
                SSL_CTX_use_PrivateKey(context, SSL_CTX_get0_privatekey(ours)) == 1 &&
                (chain == nullptr || SSL_CTX_set1_chain(context, chain) == 1),
            "certificate and key");
  }
  self->expect_name(context);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, &ForeignTls::on_certificate);
  SSL_CTX_set_cert_cb(context, &ForeignTls::on_certificate_requested, self.get());
  SSL_CTX_set_info_callback(context, &ForeignTls::on_state);
  SSL_CTX_set_msg_callback(context, &ForeignTls::on_message);
}

int ForeignTls::on_certificate(int verified, X509_STORE_CTX* store) {
  if (verified == 0) {
    const auto* const ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    ForeignTls* const self = owner_of(ssl);
    if (self != nullptr && !self->m_facts.certificate) {
      try {
        self->m_facts.certificate =
            certificate_failure(X509_STORE_CTX_get_error(store), X509_STORE_CTX_get_error_depth(store),
                                X509_STORE_CTX_get_current_cert(store));
        self->m_facts.certificate->sent = sk_X509_num(X509_STORE_CTX_get0_untrusted(store));
      } catch (const std::exception&) {
        // Out of memory: the handshake fails all the same, with less to say.
      }
    }
  }
  return verified;
}

int ForeignTls::on_certificate_requested(SSL*, void* user) {
  static_cast<ForeignTls*>(user)->m_facts.certificate_requested = true;
  return 1;
}

void ForeignTls::on_state(const SSL* ssl, int where, int) {
  ForeignTls* const self = owner_of(ssl);
  if (self == nullptr) {
    return;
  }
  try {
    if ((where & SSL_CB_HANDSHAKE_START) != 0 && self->m_facts.offer.empty()) {
      self->m_facts.offer = describe_offer(ssl);
      self->m_facts.own_certificate = describe_certificate(SSL_get_certificate(ssl));
    }
    if ((where & SSL_CB_HANDSHAKE_DONE) != 0) {
      self->m_facts.handshake_done = true;
      self->m_description = fmt::format("{} {}", SSL_get_version(ssl), SSL_get_cipher_name(ssl));
    }
  } catch (const std::exception&) {
    // Out of memory: there is less to say.
  }
}

void ForeignTls::on_message(int written, int, int content_type, const void* bytes, std::size_t size, SSL* ssl, void*) {
  ForeignTls* const self = owner_of(ssl);
  if (self == nullptr || written != 0 || size == 0) {
    return;
  }
  if (content_type == SSL3_RT_HEADER && self->m_facts.first_bytes.size() < 5) {
    self->m_facts.first_bytes.assign(static_cast<const char*>(bytes), std::min<std::size_t>(size, 5));
  }
  if (content_type == SSL3_RT_HANDSHAKE && *static_cast<const unsigned char*>(bytes) == SSL3_MT_SERVER_HELLO) {
    self->m_facts.server_answered = true;
  }
}

Error ForeignTls::failure(Peer peer, unsigned long openssl_error, int error_number, bool has_heard_data) const {
  TlsFacts facts = m_facts;
  facts.peer = std::move(peer);
  facts.has_heard_data = has_heard_data;
  facts.certificate_sent = facts.certificate_requested && openssl(*m_context).has_certificate();
  facts.error_number = error_number;
  // The other library has emptied OpenSSL's queue; what stood there first is what tells.
  ERR_clear_error();
  if (openssl_error != 0) {
    ERR_raise(ERR_GET_LIB(openssl_error), ERR_GET_REASON(openssl_error));
  }
  return tls_failure(facts);
}

}  // namespace kuva::net
