#include <kuva/net/tcp_stream.hpp>

#include <algorithm>
#include <array>

namespace kuva::net {

std::optional<std::size_t> TcpStream::try_read(std::span<std::byte> buffer, Deadline deadline) {
  for (;;) {
    const Transfer transfer = m_socket->receive(buffer);
    switch (transfer.state) {
      case Transfer::State::moved:
        return transfer.bytes;
      case Transfer::State::end:
        return 0;
      case Transfer::State::failed:
        throw m_socket->failure(transfer.error_number);
      case Transfer::State::would_block:
        break;
    }
    if (!m_socket->wait(POLLIN, deadline)) {
      return std::nullopt;
    }
  }
}

void TcpStream::write_all(std::span<const std::span<const std::byte>> pieces, std::chrono::milliseconds stall_limit) {
  m_socket->allow_stall(stall_limit);
  constexpr std::size_t k_most_pieces = 64;
  std::array<iovec, k_most_pieces> vector{};
  std::size_t next = 0;     // the first piece with bytes left
  std::size_t skipped = 0;  // of it, already sent
  for (;;) {
    std::size_t count = 0;
    for (std::size_t i = next; i < pieces.size() && count < k_most_pieces; ++i) {
      const auto piece = i == next ? pieces[i].subspan(skipped) : pieces[i];
      if (!piece.empty()) {
        vector[count++] = {.iov_base = const_cast<std::byte*>(piece.data()), .iov_len = piece.size()};
      }
    }
    if (count == 0) {
      return;
    }
    const Transfer transfer = m_socket->send(std::span(vector).first(count));
    if (transfer.state == Transfer::State::failed) {
      throw m_socket->failure(transfer.error_number);
    }
    if (transfer.state == Transfer::State::would_block) {
      if (!m_socket->wait(POLLOUT, Deadline::after(stall_limit))) {
        throw timeout_error(peer(), "sending: the peer takes no more bytes");
      }
      continue;
    }
    std::size_t sent = transfer.bytes;
    while (next < pieces.size() && sent >= pieces[next].size() - skipped) {
      sent -= pieces[next].size() - skipped;
      skipped = 0;
      ++next;
    }
    skipped += sent;
  }
}

void TcpStream::close(Deadline) noexcept {
  m_socket->end_output();
  discard_input(*m_socket);
  m_socket->close();
}

void discard_input(Socket& socket) noexcept {
  // A socket closed with bytes unread resets the connection, and the peer may lose our last PDU. Bounded: a peer that
  // goes on sending is reset all the same.
  std::array<std::byte, 16384> scratch{};
  for (int round = 0; round < 64; ++round) {
    if (socket.receive(scratch).state != Transfer::State::moved) {
      return;
    }
  }
}

}  // namespace kuva::net
