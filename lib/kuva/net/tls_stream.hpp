#pragma once

#include <kuva/net/socket_bio.hpp>
#include <kuva/net/tls_context.hpp>
#include <kuva/net/tls_failure.hpp>
#include <kuva/net/tls_report.hpp>

#include <memory>
#include <vector>

namespace kuva::net {

// A stream over TLS.
class TlsStream final : public Stream {
 public:
  // Both do the handshake. Errors: tls.*, connection.lost.
  static std::unique_ptr<Stream> connect(std::shared_ptr<Socket> socket,
                                         const std::shared_ptr<const TlsContext>& context, Deadline deadline);
  static std::unique_ptr<Stream> accept(std::shared_ptr<Socket> socket,
                                        const std::shared_ptr<const TlsContext>& context, Deadline deadline);
  ~TlsStream() override;

  std::optional<std::size_t> try_read(std::span<std::byte> buffer, Deadline deadline) override;
  void write_all(std::span<const std::span<const std::byte>> pieces, std::chrono::milliseconds stall_limit) override;
  bool wait_readable(Deadline deadline) override;
  void close(Deadline deadline) noexcept override;
  void reset() noexcept override;
  void shutdown() noexcept override { m_socket->shutdown(); }
  const Peer& peer() const override { return m_socket->peer(); }
  std::string local_address() const override { return m_socket->local_address(); }

  std::optional<std::chrono::system_clock::time_point> peer_certificate_expiry() const;
  TlsReport report() const;

 private:
  TlsStream(std::shared_ptr<Socket> socket, std::shared_ptr<const OpensslContext> context, bool is_server);
  static int on_certificate(int verified, X509_STORE_CTX* store);
  static int on_certificate_requested(SSL* ssl, void* user);

  void expect_name();
  void handshake(Deadline deadline);
  void write_piece(std::span<const std::byte> piece, std::chrono::milliseconds stall_limit);
  void push_all(std::chrono::milliseconds stall_limit);
  // Waits for room to write; the deadline starts anew when bytes went out since the last call.
  struct Stall {
    std::chrono::milliseconds limit;
    std::uint64_t mark;
    Deadline deadline;
  };
  Stall begin_stall(std::chrono::milliseconds limit) const;
  void wait_for_room(Stall& stall);
  // Reads without waiting: the count, 0 at the end, nothing when it would wait.
  std::optional<std::size_t> read_now(std::span<std::byte> buffer, bool peek);
  void wait_for_input(Deadline deadline, bool& timed_out);
  TlsFacts facts() const;
  [[noreturn]] void fail();
  void refuse_plain() noexcept;
  void hang_up(Deadline deadline) noexcept;

  std::shared_ptr<Socket> m_socket;
  std::shared_ptr<const OpensslContext> m_context;
  SocketBio m_bio;
  OpensslPtr<SSL> m_ssl;
  bool m_is_server;
  bool m_handshake_done = false;
  bool m_broken = false;
  bool m_has_heard_data = false;
  bool m_certificate_requested = false;
  std::string m_expected_name;
  std::optional<CertificateFailure> m_certificate;
  std::optional<Error> m_read_error;  // met while more was read than was asked for
  std::vector<std::byte> m_gathered;
};

}  // namespace kuva::net
