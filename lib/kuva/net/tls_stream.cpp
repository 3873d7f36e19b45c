#include <kuva/net/tcp_stream.hpp>
#include <kuva/net/tls_stream.hpp>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <poll.h>

#include <array>
#include <new>

namespace kuva::net {

std::unique_ptr<Stream> TlsStream::connect(std::shared_ptr<Socket> socket,
                                           const std::shared_ptr<const TlsContext>& context, Deadline deadline) {
  std::unique_ptr<TlsStream> stream(
      new TlsStream(std::move(socket), std::static_pointer_cast<const OpensslContext>(context), false));
  stream->expect_name();
  stream->handshake(deadline);
  return stream;
}

std::unique_ptr<Stream> TlsStream::accept(std::shared_ptr<Socket> socket,
                                          const std::shared_ptr<const TlsContext>& context, Deadline deadline) {
  std::unique_ptr<TlsStream> stream(
      new TlsStream(std::move(socket), std::static_pointer_cast<const OpensslContext>(context), true));
  stream->handshake(deadline);
  return stream;
}

TlsStream::TlsStream(std::shared_ptr<Socket> socket, std::shared_ptr<const OpensslContext> context, bool is_server)
    : m_socket(std::move(socket)),
      m_context(std::move(context)),
      m_bio(*m_socket),
      m_ssl(SSL_new(m_context->get())),
      m_is_server(is_server) {
  if (m_ssl == nullptr) {
    throw std::bad_alloc();
  }
  BIO* bio = m_bio.make_bio();
  SSL_set_bio(m_ssl.get(), bio, bio);
  SSL_set_app_data(m_ssl.get(), this);
  SSL_set_verify(m_ssl.get(), SSL_get_verify_mode(m_ssl.get()), &TlsStream::on_certificate);
  if (is_server) {
    SSL_set_accept_state(m_ssl.get());
  } else {
    SSL_set_cert_cb(m_ssl.get(), &TlsStream::on_certificate_requested, this);
    SSL_set_connect_state(m_ssl.get());
  }
}

TlsStream::~TlsStream() { m_socket->close(); }

int TlsStream::on_certificate(int verified, X509_STORE_CTX* store) {
  if (verified == 0) {
    const auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto* self = static_cast<TlsStream*>(SSL_get_app_data(ssl));
    if (!self->m_certificate) {
      try {
        self->m_certificate =
            certificate_failure(X509_STORE_CTX_get_error(store), X509_STORE_CTX_get_error_depth(store),
                                X509_STORE_CTX_get_current_cert(store));
        // The peer's chain is among the untrusted ones: its own certificate first.
        self->m_certificate->sent = sk_X509_num(X509_STORE_CTX_get0_untrusted(store));
      } catch (const std::exception&) {
        // Out of memory: the handshake fails all the same, with less to say.
      }
    }
  }
  return verified;
}

int TlsStream::on_certificate_requested(SSL*, void* user) {
  static_cast<TlsStream*>(user)->m_certificate_requested = true;
  return 1;
}

void TlsStream::expect_name() {
  const TlsSettings& settings = m_context->settings();
  m_expected_name = settings.server_name.empty() ? m_socket->peer().host : settings.server_name;
  X509_VERIFY_PARAM* parameters = SSL_get0_param(m_ssl.get());
  const OpensslPtr<ASN1_OCTET_STRING> address(a2i_IPADDRESS(m_expected_name.c_str()));
  ERR_clear_error();
  const bool is_address = address != nullptr;
  if (settings.verify_host) {
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const int accepted = is_address
                             ? X509_VERIFY_PARAM_set1_ip_asc(parameters, m_expected_name.c_str())
                             : X509_VERIFY_PARAM_set1_host(parameters, m_expected_name.c_str(), m_expected_name.size());
    if (accepted != 1) {
      throw Error(kind("tls.config"), fmt::format("\"{}\" is no host name: {}", m_expected_name, openssl_reasons()));
    }
  }
  if (!is_address) {
    SSL_set_tlsext_host_name(m_ssl.get(), m_expected_name.c_str());
  }
}

void TlsStream::handshake(Deadline deadline) {
  for (;;) {
    ERR_clear_error();
    const int result = SSL_do_handshake(m_ssl.get());
    if (result == 1) {
      break;
    }
    const int why = SSL_get_error(m_ssl.get(), result);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
      m_broken = true;
      Error error = tls_failure(facts());
      if (m_is_server && plain_peer(facts())) {
        refuse_plain();
      }
      hang_up(earlier(deadline, Deadline::after(std::chrono::seconds(1))));
      throw error;
    }
    if (!m_socket->wait(why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline)) {
      m_broken = true;
      if (auto plain = plain_peer(facts())) {
        throw std::move(*plain);
      }
      throw Error(kind("tls.timeout"), fmt::format("TLS handshake with {} not finished in time{}", name_of(peer()),
                                                   m_bio.first_bytes().empty() ? ": not a byte came from it" : ""))
          .with_peer(peer());
    }
  }
  m_handshake_done = true;
  m_socket->peer().tls = fmt::format("{} {}", SSL_get_version(m_ssl.get()), SSL_get_cipher_name(m_ssl.get()));
}

// OpenSSL says nothing to a peer without TLS; this tells such a peer what kind of port it has met.
void TlsStream::refuse_plain() noexcept {
  std::array<unsigned char, 7> alert{0x15, 0x03, 0x01, 0x00, 0x02, SSL3_AL_FATAL, SSL_AD_PROTOCOL_VERSION};
  const iovec piece{.iov_base = alert.data(), .iov_len = alert.size()};
  static_cast<void>(m_socket->send({&piece, 1}));
}

// After a handshake that failed: our alert reaches the peer only when the socket is not reset for bytes unread.
void TlsStream::hang_up(Deadline deadline) noexcept {
  try {
    static_cast<void>(m_bio.push());
    m_socket->end_output();
    std::array<std::byte, 4096> scratch{};
    for (int round = 0; round < 64; ++round) {
      const auto state = m_socket->receive(scratch).state;
      if (state == Transfer::State::end || state == Transfer::State::failed ||
          (state == Transfer::State::would_block && !m_socket->wait(POLLIN, deadline))) {
        break;
      }
    }
  } catch (const std::exception&) {
    // The handshake's own failure is what counts.
  }
  m_socket->close();
}

TlsFacts TlsStream::facts() const {
  TlsFacts facts;
  facts.peer = peer();
  facts.is_server = m_is_server;
  facts.handshake_done = m_handshake_done;
  facts.has_heard_data = m_has_heard_data;
  facts.certificate_requested = m_certificate_requested;
  facts.certificate_sent = m_certificate_requested && m_context->has_certificate();
  facts.peer_closed = m_bio.peer_closed();
  facts.server_answered = SSL_get_current_cipher(m_ssl.get()) != nullptr;
  facts.error_number = m_bio.error_number();
  facts.expected_name = m_expected_name;
  facts.first_bytes = m_bio.first_bytes();
  facts.offer = describe_offer(m_ssl.get());
  facts.own_certificate = describe_certificate(SSL_get_certificate(m_ssl.get()));
  facts.certificate = m_certificate;
  return facts;
}

void TlsStream::fail() {
  m_broken = true;
  throw tls_failure(facts());
}

std::optional<std::size_t> TlsStream::read_now(std::span<std::byte> buffer, bool peek) {
  if (m_socket->was_shut_down()) {
    throw m_socket->failure(ECANCELED);
  }
  ERR_clear_error();
  std::size_t count = 0;
  const int result = peek ? SSL_peek_ex(m_ssl.get(), buffer.data(), buffer.size(), &count)
                          : SSL_read_ex(m_ssl.get(), buffer.data(), buffer.size(), &count);
  if (result == 1) {
    m_has_heard_data = true;
    return count;
  }
  switch (SSL_get_error(m_ssl.get(), result)) {
    case SSL_ERROR_ZERO_RETURN:
      return 0;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return std::nullopt;
    default:
      fail();
  }
}

std::optional<std::size_t> TlsStream::try_read(std::span<std::byte> buffer, Deadline deadline) {
  if (m_read_error) {
    throw Error(*m_read_error);
  }
  for (;;) {
    if (const auto count = read_now(buffer, false)) {
      std::size_t filled = *count;
      // OpenSSL hands out one record of at most 16 KiB; more of them may be here already.
      while (*count != 0 && filled < buffer.size() && (m_bio.has_input() || SSL_pending(m_ssl.get()) > 0)) {
        try {
          const auto more = read_now(buffer.subspan(filled), false);
          if (!more || *more == 0) {
            break;
          }
          filled += *more;
        } catch (const Error& error) {
          m_read_error = error;
          break;
        }
      }
      return filled;
    }
    bool timed_out = false;
    wait_for_input(deadline, timed_out);
    if (timed_out) {
      return std::nullopt;
    }
  }
}

void TlsStream::wait_for_input(Deadline deadline, bool& timed_out) {
  // An answer of TLS itself (key update) may be waiting to go out.
  const short events = m_bio.push() == Transfer::State::would_block ? POLLIN | POLLOUT : POLLIN;
  timed_out = !m_socket->wait(events, deadline);
}

bool TlsStream::wait_readable(Deadline deadline) {
  if (m_read_error) {
    return true;
  }
  for (;;) {
    std::array<std::byte, 1> one{};
    try {
      if (read_now(one, true)) {
        return true;
      }
    } catch (const Error& error) {
      m_read_error = error;
      return true;
    }
    bool timed_out = false;
    wait_for_input(deadline, timed_out);
    if (timed_out) {
      return false;
    }
  }
}

TlsStream::Stall TlsStream::begin_stall(std::chrono::milliseconds limit) const {
  return {limit, m_bio.sent(), Deadline::after(limit)};
}

void TlsStream::wait_for_room(Stall& stall) {
  if (m_bio.sent() != stall.mark) {
    stall = begin_stall(stall.limit);
  }
  if (!m_socket->wait(POLLOUT, stall.deadline)) {
    m_broken = true;
    throw timeout_error(peer(), "sending: the peer takes no more bytes");
  }
}

void TlsStream::push_all(std::chrono::milliseconds stall_limit) {
  Stall stall = begin_stall(stall_limit);
  for (;;) {
    switch (m_bio.push()) {
      case Transfer::State::moved:
        return;
      case Transfer::State::would_block:
        wait_for_room(stall);
        break;
      default: {
        // The peer may have said why before it closed.
        const TlsFacts at_write = facts();
        if (!m_read_error) {
          static_cast<void>(wait_readable(Deadline::after(std::chrono::milliseconds(0))));
        }
        m_broken = true;
        if (m_read_error && m_read_error->kind().code.starts_with("tls.")) {
          throw Error(*m_read_error);
        }
        throw tls_failure(at_write);
      }
    }
  }
}

void TlsStream::write_piece(std::span<const std::byte> piece, std::chrono::milliseconds stall_limit) {
  Stall stall = begin_stall(stall_limit);
  while (!piece.empty()) {
    if (m_socket->was_shut_down()) {
      throw m_socket->failure(ECANCELED);
    }
    ERR_clear_error();
    std::size_t written = 0;
    const int result = SSL_write_ex(m_ssl.get(), piece.data(), piece.size(), &written);
    if (result == 1) {
      piece = piece.subspan(written);
      continue;
    }
    switch (SSL_get_error(m_ssl.get(), result)) {
      case SSL_ERROR_WANT_WRITE:
        wait_for_room(stall);
        break;
      case SSL_ERROR_WANT_READ:
        if (!m_socket->wait(POLLIN, stall.deadline)) {
          m_broken = true;
          throw timeout_error(peer(), "sending");
        }
        break;
      default:
        push_all(stall_limit);  // says why, where the socket has failed
        fail();
    }
  }
}

void TlsStream::write_all(std::span<const std::span<const std::byte>> pieces, std::chrono::milliseconds stall_limit) {
  m_socket->allow_stall(stall_limit);
  if (pieces.size() == 1) {
    write_piece(pieces.front(), stall_limit);
  } else {
    // One record for several small pieces.
    constexpr std::size_t k_batch = 64U * 1024U;
    m_gathered.clear();
    for (const auto& piece : pieces) {
      m_gathered.insert(m_gathered.end(), piece.begin(), piece.end());
      if (m_gathered.size() >= k_batch) {
        write_piece(m_gathered, stall_limit);
        m_gathered.clear();
      }
    }
    write_piece(m_gathered, stall_limit);
  }
  push_all(stall_limit);
}

void TlsStream::reset() noexcept {
  m_broken = true;
  m_socket->reset();
}

void TlsStream::close(Deadline deadline) noexcept {
  try {
    if (m_handshake_done && !m_broken) {
      ERR_clear_error();
      static_cast<void>(SSL_shutdown(m_ssl.get()));
      while (m_bio.push() == Transfer::State::would_block && m_socket->wait(POLLOUT, deadline)) {
      }
    }
  } catch (const std::exception&) {
    // Closing is all that is left.
  }
  ERR_clear_error();
  m_broken = true;
  m_socket->end_output();
  discard_input(*m_socket);
  m_socket->close();
}

std::optional<std::chrono::system_clock::time_point> TlsStream::peer_certificate_expiry() const {
  const OpensslPtr<X509> certificate(SSL_get1_peer_certificate(m_ssl.get()));
  return certificate == nullptr ? std::nullopt : to_time_point(X509_get0_notAfter(certificate.get()));
}

TlsReport TlsStream::report() const {
  TlsReport report;
  report.version = SSL_get_version(m_ssl.get());
  report.cipher_suite = SSL_get_cipher_name(m_ssl.get());
  report.client_certificate_requested = m_certificate_requested;
  const OpensslPtr<X509> leaf(SSL_get1_peer_certificate(m_ssl.get()));
  if (leaf != nullptr) {
    report.peer_chain.push_back(certificate_facts(leaf.get()));
  }
  // The chain has the peer's own certificate in it on the client's side alone.
  const STACK_OF(X509)* chain = SSL_get_peer_cert_chain(m_ssl.get());
  for (int i = m_is_server ? 0 : 1; chain != nullptr && i < sk_X509_num(chain); ++i) {
    report.peer_chain.push_back(certificate_facts(sk_X509_value(chain, i)));
  }
  return report;
}

std::optional<std::chrono::system_clock::time_point> peer_certificate_expiry(const Stream& stream) {
  const auto* tls = dynamic_cast<const TlsStream*>(&stream);
  return tls == nullptr ? std::nullopt : tls->peer_certificate_expiry();
}

}  // namespace kuva::net
