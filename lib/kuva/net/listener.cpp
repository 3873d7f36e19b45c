#include <kuva/net/resolver.hpp>
#include <kuva/net/socket.hpp>
#include <kuva/net/tcp_stream.hpp>
#include <kuva/net/tls_stream.hpp>

#include <fmt/format.h>

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <system_error>

namespace kuva::net {

namespace {

// A-ABORT, unrecognised PDU (PS3.8 9.3.8): what a plain DICOM port answers to a ClientHello, so that the client can
// tell.
constexpr std::array<unsigned char, 10> k_plain_dicom_answer{7, 0, 0, 0, 0, 4, 0, 0, 2, 1};

class IncomingSocket final : public Incoming {
 public:
  explicit IncomingSocket(std::shared_ptr<Socket> socket) : m_socket(std::move(socket)) {}

  const Peer& peer() const override { return m_socket->peer(); }
  void shutdown() noexcept override { m_socket->shutdown(); }

  std::unique_ptr<Stream> open(const std::shared_ptr<const TlsContext>& tls, Deadline deadline) override {
    if (tls != nullptr) {
      return TlsStream::accept(m_socket, tls, deadline);
    }
    // The peer speaks first. One that stays silent is left to whoever reads the stream.
    std::array<std::byte, 2> first{};
    while (m_socket->wait(POLLIN, deadline)) {
      const Transfer seen = m_socket->peek(first);
      if (seen.state == Transfer::State::moved && seen.bytes == 1 && first[0] == std::byte{0x16}) {
        // Half of what decides; the other half is on its way or never comes.
        if (deadline.expired()) {
          break;
        }
        static_cast<void>(::poll(nullptr, 0, 5));
        continue;
      }
      if (seen.state == Transfer::State::moved && first[0] == std::byte{0x16} && first[1] == std::byte{0x03}) {
        refuse_tls();
      }
      if (seen.state != Transfer::State::would_block) {
        break;
      }
    }
    return std::make_unique<TcpStream>(m_socket);
  }

 private:
  [[noreturn]] void refuse_tls() {
    auto bytes = k_plain_dicom_answer;
    const std::array<iovec, 1> piece{iovec{.iov_base = bytes.data(), .iov_len = bytes.size()}};
    static_cast<void>(m_socket->send(piece));
    const Peer peer = m_socket->peer();
    TcpStream(m_socket).close(Deadline::after(std::chrono::milliseconds(0)));
    throw Error(kind("tls.peer-wants-tls"), fmt::format("{} starts TLS on a port without TLS", name_of(peer)))
        .with_peer(peer);
  }

  std::shared_ptr<Socket> m_socket;
};

class TcpListener final : public Listener {
 public:
  TcpListener(FileDescriptor fd, FileDescriptor wake, std::uint16_t port)
      : m_fd(std::move(fd)), m_wake(std::move(wake)), m_port(port) {}

  std::uint16_t port() const override { return m_port; }

  std::unique_ptr<Incoming> accept(Deadline deadline) override {
    while (!m_closed) {
      sockaddr_storage address{};
      socklen_t size = sizeof address;
      FileDescriptor fd(
          ::accept4(m_fd.get(), reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (fd) {
        Peer peer = peer_of({.host = numeric_address(address), .port = port_of(address)});
        peer.address = peer.host;
        return std::make_unique<IncomingSocket>(std::make_shared<Socket>(std::move(fd), std::move(peer)));
      }
      const int error_number = errno;
      const bool out_of_resources =
          error_number == EMFILE || error_number == ENFILE || error_number == ENOBUFS || error_number == ENOMEM;
      // Out of descriptors the socket stays readable: a pause instead of a spin, until some connection ends.
      const auto until =
          out_of_resources ? earlier(deadline, Deadline::after(std::chrono::milliseconds(100))) : deadline;
      const bool is_idle = error_number == EAGAIN || error_number == EWOULDBLOCK;
      if (is_idle || out_of_resources) {
        wait(until, is_idle);
      }
      if (deadline.expired()) {
        return nullptr;
      }
    }
    return nullptr;
  }

  void close() noexcept override {
    m_closed = true;
    // Ends listening at once, also for connections in the backlog; the descriptor itself lives as long as the object.
    static_cast<void>(::shutdown(m_fd.get(), SHUT_RDWR));
    const std::uint64_t one = 1;
    static_cast<void>(!::write(m_wake.get(), &one, sizeof one));
  }

 private:
  void wait(Deadline until, bool for_connections) {
    std::array<pollfd, 2> entries{pollfd{.fd = m_wake.get(), .events = POLLIN, .revents = 0},
                                  pollfd{.fd = m_fd.get(), .events = POLLIN, .revents = 0}};
    static_cast<void>(::poll(entries.data(), for_connections ? 2 : 1, until.poll_timeout()));
  }

  FileDescriptor m_fd;
  FileDescriptor m_wake;
  std::uint16_t m_port;
  std::atomic<bool> m_closed{false};
};

// 0 or errno.
int listen_on(const Address& address, FileDescriptor& listening) {
  FileDescriptor fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!fd) {
    return errno;
  }
  const int one = 1;
  static_cast<void>(::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 ||
      ::listen(fd.get(), SOMAXCONN) != 0) {
    return errno;
  }
  listening = std::move(fd);
  return 0;
}

}  // namespace

std::unique_ptr<Listener> Listener::open(const Endpoint& bind) {
  const auto fail = [&bind](int error_number) {
    return Error(kind("listen.failed"),
                 fmt::format("cannot listen on {}: {}", to_string(bind), std::generic_category().message(error_number)))
        .with_peer(peer_of(bind));
  };
  const auto addresses = resolve(bind, ResolveFor::listening, Deadline::after(std::chrono::seconds(30)));
  int first_error = 0;
  for (const Address& address : addresses) {
    FileDescriptor fd;
    const int error_number = listen_on(address, fd);
    if (error_number != 0) {
      first_error = first_error == 0 ? error_number : first_error;
      continue;
    }
    FileDescriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    if (!wake || ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
      throw fail(errno);
    }
    return std::make_unique<TcpListener>(std::move(fd), std::move(wake), port_of(bound));
  }
  throw fail(first_error);
}

}  // namespace kuva::net
