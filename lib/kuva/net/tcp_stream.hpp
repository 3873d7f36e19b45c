#pragma once

#include <kuva/net/socket.hpp>

#include <poll.h>

#include <memory>

namespace kuva::net {

// A stream without TLS.
class TcpStream final : public Stream {
 public:
  explicit TcpStream(std::shared_ptr<Socket> socket) : m_socket(std::move(socket)) {}
  ~TcpStream() override { m_socket->close(); }

  std::optional<std::size_t> try_read(std::span<std::byte> buffer, Deadline deadline) override;
  void write_all(std::span<const std::span<const std::byte>> pieces, std::chrono::milliseconds stall_limit) override;
  void write_file(std::span<const std::byte> head, const FileRange& range,
                  std::chrono::milliseconds stall_limit) override;
  bool takes_files() const override { return true; }
  bool wait_readable(Deadline deadline) override { return m_socket->wait(POLLIN, deadline); }
  void close(Deadline deadline) noexcept override;
  void reset() noexcept override { m_socket->reset(); }
  void shutdown() noexcept override { m_socket->shutdown(); }
  const Peer& peer() const override { return m_socket->peer(); }
  std::string local_address() const override { return m_socket->local_address(); }

 private:
  void wait_for_room(std::chrono::milliseconds stall_limit);

  std::shared_ptr<Socket> m_socket;
};

// Takes what the peer has sent already, before the socket is closed.
void discard_input(Socket& socket) noexcept;

}  // namespace kuva::net
