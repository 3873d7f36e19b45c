#include <kuva/net/socket.hpp>

#include <fmt/format.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/sendfile.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <system_error>

namespace kuva::net {

namespace {

constexpr std::chrono::milliseconds k_shortest_user_timeout{90'000};

bool is_transient(int error_number) {
  return error_number == EAGAIN || error_number == EWOULDBLOCK || error_number == EINTR || error_number == ENOBUFS;
}

void set_option(int fd, int level, int name, int value) noexcept {
  // An option that the system does not take costs speed or comfort, not correctness.
  static_cast<void>(::setsockopt(fd, level, name, &value, sizeof value));
}

}  // namespace

Socket::Socket(FileDescriptor fd, Peer peer) : m_fd(std::move(fd)), m_peer(std::move(peer)) { set_options(); }

void Socket::set_options() noexcept {
  set_option(m_fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(m_fd.get(), SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(m_fd.get(), IPPROTO_TCP, TCP_KEEPIDLE, 30);
  set_option(m_fd.get(), IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set_option(m_fd.get(), IPPROTO_TCP, TCP_KEEPCNT, 6);
  allow_stall(std::chrono::milliseconds(0));
  acknowledge_at_once();
}

void Socket::allow_stall(std::chrono::milliseconds limit) noexcept {
  // Past our own limit, so that ours is the one that is reported; bounded by what the option holds.
  const auto wanted = std::clamp<std::chrono::milliseconds>(limit + std::chrono::seconds(30), k_shortest_user_timeout,
                                                            std::chrono::hours(24));
  if (wanted > m_user_timeout) {
    m_user_timeout = wanted;
    set_option(m_fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(wanted.count()));
  }
}

// A peer with Nagle's algorithm on waits for our acknowledgement before the second half of a short message; the kernel
// delays that by 40 ms. It forgets the option whenever it likes, so it is set around every read.
void Socket::acknowledge_at_once() noexcept { set_option(m_fd.get(), IPPROTO_TCP, TCP_QUICKACK, 1); }

Transfer Socket::receive(std::span<std::byte> buffer) noexcept {
  if (m_shut_down) {
    return {.state = Transfer::State::failed, .error_number = ECANCELED};
  }
  acknowledge_at_once();
  const ssize_t count = ::recv(m_fd.get(), buffer.data(), buffer.size(), 0);
  if (count > 0) {
    acknowledge_at_once();
    return {.state = Transfer::State::moved, .bytes = static_cast<std::size_t>(count)};
  }
  if (m_shut_down) {
    return {.state = Transfer::State::failed, .error_number = ECANCELED};
  }
  if (count == 0) {
    return {.state = Transfer::State::end};
  }
  if (is_transient(errno)) {
    return {.state = Transfer::State::would_block};
  }
  return {.state = Transfer::State::failed, .error_number = errno};
}

void block_sigpipe() noexcept {
  struct Blocked {
    Blocked() {
      sigset_t set;
      sigemptyset(&set);
      sigaddset(&set, SIGPIPE);
      static_cast<void>(pthread_sigmask(SIG_BLOCK, &set, nullptr));
    }
  };
  static thread_local const Blocked once;
  static_cast<void>(once);
}

Transfer Socket::send(std::span<const iovec> pieces) noexcept { return send_with(pieces, MSG_NOSIGNAL); }

Transfer Socket::send_first(std::span<const iovec> pieces) noexcept {
  return send_with(pieces, MSG_NOSIGNAL | MSG_MORE);
}

Transfer Socket::send_file(int descriptor, std::uint64_t offset, std::size_t size) noexcept {
  if (m_shut_down) {
    return {.state = Transfer::State::failed, .error_number = ECANCELED};
  }
  block_sigpipe();
  auto position = static_cast<off_t>(offset);
  const ssize_t count = ::sendfile(m_fd.get(), descriptor, &position, size);
  if (count >= 0) {
    return {.state = Transfer::State::moved, .bytes = static_cast<std::size_t>(count)};
  }
  if (is_transient(errno)) {
    return {.state = Transfer::State::would_block};
  }
  return {.state = Transfer::State::failed, .error_number = m_shut_down ? ECANCELED : errno};
}

Transfer Socket::send_with(std::span<const iovec> pieces, int flags) noexcept {
  if (m_shut_down) {
    return {.state = Transfer::State::failed, .error_number = ECANCELED};
  }
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces.data());  // sendmsg only reads
  message.msg_iovlen = pieces.size();
  const ssize_t count = ::sendmsg(m_fd.get(), &message, flags);
  if (count >= 0) {
    return {.state = Transfer::State::moved, .bytes = static_cast<std::size_t>(count)};
  }
  if (is_transient(errno)) {
    return {.state = Transfer::State::would_block};
  }
  return {.state = Transfer::State::failed, .error_number = m_shut_down ? ECANCELED : errno};
}

Transfer Socket::peek(std::span<std::byte> buffer) noexcept {
  const ssize_t count = ::recv(m_fd.get(), buffer.data(), buffer.size(), MSG_PEEK);
  if (count > 0) {
    return {.state = Transfer::State::moved, .bytes = static_cast<std::size_t>(count)};
  }
  if (count == 0) {
    return {.state = Transfer::State::end};
  }
  return {.state = is_transient(errno) ? Transfer::State::would_block : Transfer::State::failed, .error_number = errno};
}

bool Socket::wait(short events, Deadline deadline) {
  for (;;) {
    if (m_shut_down) {
      throw failure(ECANCELED);
    }
    pollfd entry{.fd = m_fd.get(), .events = events, .revents = 0};
    const int ready = ::poll(&entry, 1, deadline.poll_timeout());
    if (m_shut_down) {
      throw failure(ECANCELED);
    }
    if (ready > 0) {
      return true;
    }
    if (ready < 0 && errno != EINTR && errno != EAGAIN) {
      throw failure(errno);
    }
    if (deadline.expired()) {
      return false;
    }
  }
}

void Socket::end_output() noexcept { static_cast<void>(::shutdown(m_fd.get(), SHUT_WR)); }

void Socket::close() noexcept {
  const std::lock_guard lock(m_closing);
  m_shut_down = true;
  m_fd.reset();
}

void Socket::reset() noexcept {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  static_cast<void>(::setsockopt(m_fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
  close();
}

void Socket::shutdown() noexcept {
  const std::lock_guard lock(m_closing);
  m_shut_down = true;
  if (m_fd) {
    static_cast<void>(::shutdown(m_fd.get(), SHUT_RDWR));
  }
}

std::string Socket::local_address() const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(m_fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return {};
  }
  return numeric_endpoint(address);
}

Error Socket::failure(int error_number) const {
  if (error_number == ETIMEDOUT) {
    return Error(kind("connection.timeout"),
                 fmt::format("{} acknowledges nothing any more, the system gave the connection up", name_of(m_peer)))
        .with_peer(m_peer)
        .with("errno", errno_name(error_number));
  }
  if (error_number == ECANCELED) {
    return lost("it was shut down on our side");
  }
  return lost(std::generic_category().message(error_number)).with("errno", errno_name(error_number));
}

Error Socket::lost(const std::string& how) const {
  return Error(kind("connection.lost"), fmt::format("connection with {} lost: {}", name_of(m_peer), how))
      .with_peer(m_peer);
}

std::string to_string(const Endpoint& endpoint) {
  const bool is_ipv6 = endpoint.host.find(':') != std::string::npos;
  return is_ipv6 ? fmt::format("[{}]:{}", endpoint.host, endpoint.port)
                 : fmt::format("{}:{}", endpoint.host, endpoint.port);
}

Peer peer_of(const Endpoint& endpoint) {
  Peer peer;
  peer.host = endpoint.host;
  peer.port = endpoint.port;
  return peer;
}

std::string errno_name(int error_number) {
  const char* const name = ::strerrorname_np(error_number);
  return name == nullptr ? fmt::format("{}", error_number) : std::string(name);
}

std::string name_of(const Peer& peer) { return to_string(Endpoint{.host = peer.host, .port = peer.port}); }

std::string numeric_address(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = nullptr;
  if (address.ss_family == AF_INET6) {
    const auto& ipv6 = reinterpret_cast<const sockaddr_in6&>(address);
    if (IN6_IS_ADDR_V4MAPPED(&ipv6.sin6_addr)) {
      // A client of IPv4 on a socket of both: shown as what it is.
      static_cast<void>(::inet_ntop(AF_INET, ipv6.sin6_addr.s6_addr + 12, text.data(), text.size()));
      return text.data();
    }
    bytes = &ipv6.sin6_addr;
  } else if (address.ss_family == AF_INET) {
    bytes = &reinterpret_cast<const sockaddr_in&>(address).sin_addr;
  } else {
    return {};
  }
  static_cast<void>(::inet_ntop(address.ss_family, bytes, text.data(), text.size()));
  return text.data();
}

std::uint16_t port_of(const sockaddr_storage& address) {
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

std::string numeric_endpoint(const sockaddr_storage& address) {
  return to_string(Endpoint{.host = numeric_address(address), .port = port_of(address)});
}

Error timeout_error(const Peer& peer, std::string_view doing) {
  return Error(kind("connection.timeout"), fmt::format("{}: time-out while {}", name_of(peer), doing)).with_peer(peer);
}

}  // namespace kuva::net
