#include <kuva/net/connect.hpp>
#include <kuva/net/tcp_stream.hpp>
#include <kuva/net/tls_stream.hpp>

#include <fmt/format.h>

#include <netinet/in.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace kuva::net {

namespace {

// 0, or the errno of one attempt; ETIMEDOUT at the deadline.
int try_address(const Address& address, Deadline deadline, FileDescriptor& connected) {
  FileDescriptor fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!fd) {
    return errno;
  }
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0) {
    if (errno != EINPROGRESS && errno != EINTR) {
      return errno;
    }
    pollfd entry{.fd = fd.get(), .events = POLLOUT, .revents = 0};
    int ready = 0;
    do {
      ready = ::poll(&entry, 1, deadline.poll_timeout());
    } while (ready <= 0 && !deadline.expired());
    if (ready <= 0) {
      return ETIMEDOUT;
    }
    int error_number = 0;
    socklen_t size = sizeof error_number;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error_number, &size) != 0) {
      return errno;
    }
    if (error_number != 0) {
      return error_number;
    }
  }
  connected = std::move(fd);
  return 0;
}

const ErrorKind& connect_kind(int error_number) {
  switch (error_number) {
    case ECONNREFUSED:
      return kind("connect.refused");
    case ETIMEDOUT:
      return kind("connect.timeout");
    default:
      return kind("connect.failed");
  }
}

// What says most: somebody answered, then nobody answered, then no way there.
int rank(int error_number) { return error_number == ECONNREFUSED ? 0 : error_number == ETIMEDOUT ? 1 : 2; }

}  // namespace

std::shared_ptr<Socket> connect_tcp(const Endpoint& endpoint, std::span<const Address> addresses, Deadline deadline) {
  Peer peer = peer_of(endpoint);
  int telling = 0;  // the failure that says most
  std::string attempts;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    // Every address gets its share of the time, so that a dead first one does not hide a living second one.
    const auto share = deadline.remaining() / static_cast<std::int64_t>(addresses.size() - i);
    FileDescriptor fd;
    const int error_number = try_address(addresses[i], Deadline::after(share), fd);
    const std::string address = numeric_address(addresses[i].storage);
    if (error_number == 0) {
      peer.address = address;
      return std::make_shared<Socket>(std::move(fd), std::move(peer));
    }
    attempts +=
        fmt::format("{}{}: {}", attempts.empty() ? "" : "; ", address, std::generic_category().message(error_number));
    if (telling == 0 || rank(error_number) < rank(telling)) {
      telling = error_number;
      peer.address = address;
    }
  }
  throw Error(connect_kind(telling), fmt::format("no connection to {} ({})", to_string(endpoint), attempts))
      .with_peer(peer)
      .with("errno", errno_name(telling));
}

std::unique_ptr<Stream> connect(const ConnectSettings& settings) {
  const auto deadline = Deadline::after(settings.connect_timeout);
  const auto addresses = resolve(settings.endpoint, ResolveFor::connecting, deadline);
  auto socket = connect_tcp(settings.endpoint, addresses, deadline);
  return open_stream(std::move(socket), settings.tls, Deadline::after(settings.tls_timeout));
}

std::unique_ptr<Stream> open_stream(std::shared_ptr<Socket> socket, const std::shared_ptr<const TlsContext>& tls,
                                    Deadline deadline) {
  if (tls == nullptr) {
    return std::make_unique<TcpStream>(std::move(socket));
  }
  return TlsStream::connect(std::move(socket), tls, deadline);
}

}  // namespace kuva::net
