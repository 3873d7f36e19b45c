#pragma once

#include <kuva/core/file.hpp>
#include <kuva/core/time.hpp>
#include <kuva/net/stream.hpp>

#include <sys/socket.h>
#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <mutex>
#include <span>
#include <string>

namespace kuva::net {

// What one attempt at reading or writing came to.
struct Transfer {
  enum class State { moved, would_block, end, failed } state;
  std::size_t bytes = 0;
  int error_number = 0;
};

// Keeps SIGPIPE from this thread, which has no use for it, from now on: sendfile(2), and OpenSSL on a socket of
// libcurl, write without MSG_NOSIGNAL.
void block_sigpipe() noexcept;

// A connected, non-blocking TCP socket with our options set: what TcpStream and TlsStream share. One thread reads and
// writes; shutdown() may come from any.
class Socket {
 public:
  Socket(FileDescriptor fd, Peer peer);

  // One attempt each; they never wait and never throw.
  Transfer receive(std::span<std::byte> buffer) noexcept;
  Transfer send(std::span<const iovec> pieces) noexcept;
  // The same, with more to follow at once: the kernel may hold them back until it does.
  Transfer send_first(std::span<const iovec> pieces) noexcept;
  // From a file, without a copy in this process. `moved` with 0 bytes: the file ends before `offset`.
  Transfer send_file(int descriptor, std::uint64_t offset, std::size_t size) noexcept;
  // The first bytes that are waiting, left where they are.
  Transfer peek(std::span<std::byte> buffer) noexcept;

  // Waits for POLLIN or POLLOUT; false at the deadline. Errors: connection.lost after shutdown().
  bool wait(short events, Deadline deadline);

  // The kernel gives a peer that acknowledges nothing, or has closed its window, at least this long.
  void allow_stall(std::chrono::milliseconds limit) noexcept;

  // End of our bytes to the peer, after what was sent.
  void end_output() noexcept;
  void close() noexcept;
  // The same, and the peer gets a reset.
  void reset() noexcept;
  void shutdown() noexcept;
  bool was_shut_down() const { return m_shut_down.load(); }

  const Peer& peer() const { return m_peer; }
  Peer& peer() { return m_peer; }
  std::string local_address() const;

  // connection.lost with the text of errno; connection.timeout where the kernel gave up waiting.
  Error failure(int error_number) const;
  Error lost(const std::string& how) const;

 private:
  void set_options() noexcept;
  Transfer send_with(std::span<const iovec> pieces, int flags) noexcept;
  void acknowledge_at_once() noexcept;

  FileDescriptor m_fd;
  Peer m_peer;
  std::chrono::milliseconds m_user_timeout{0};
  std::atomic<bool> m_shut_down{false};
  std::mutex m_closing;  // between shutdown() and close(): the number of a closed descriptor is soon another's
};

// The numeric address, and "address:port".
std::string numeric_address(const sockaddr_storage& address);
std::string numeric_endpoint(const sockaddr_storage& address);
std::uint16_t port_of(const sockaddr_storage& address);

Peer peer_of(const Endpoint& endpoint);

// "ECONNRESET": the detail `errno` of an Error.
std::string errno_name(int error_number);

Error timeout_error(const Peer& peer, std::string_view doing);

}  // namespace kuva::net
