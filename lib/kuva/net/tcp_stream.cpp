#include <kuva/net/tcp_stream.hpp>

#include <algorithm>
#include <array>
#include <cerrno>

namespace kuva::net {

namespace {

// One call must not keep a thread from its deadlines.
constexpr std::uint64_t k_largest_piece = 1U << 20U;

}  // namespace

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
      wait_for_room(stall_limit);
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

void TcpStream::write_file(std::span<const std::byte> head, const FileRange& range,
                           std::chrono::milliseconds stall_limit) {
  m_socket->allow_stall(stall_limit);
  while (!head.empty()) {
    const iovec piece{.iov_base = const_cast<std::byte*>(head.data()), .iov_len = head.size()};
    const Transfer transfer = range.size == 0 ? m_socket->send({&piece, 1}) : m_socket->send_first({&piece, 1});
    if (transfer.state == Transfer::State::failed) {
      throw m_socket->failure(transfer.error_number);
    }
    if (transfer.state == Transfer::State::would_block) {
      wait_for_room(stall_limit);
    } else {
      head = head.subspan(transfer.bytes);
    }
  }
  FileRange left = range;
  while (left.size != 0) {
    const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(left.size, k_largest_piece));
    const Transfer transfer = m_socket->send_file(left.descriptor, left.offset, most);
    if (transfer.state == Transfer::State::would_block) {
      wait_for_room(stall_limit);
      continue;
    }
    if (transfer.state == Transfer::State::moved && transfer.bytes != 0) {
      left.offset += transfer.bytes;
      left.size -= transfer.bytes;
      continue;
    }
    const int number = transfer.error_number;
    if (transfer.state == Transfer::State::moved || number == EINVAL || number == ENOSYS || number == EIO) {
      // A file that ends early, a file system that cannot, a disk that fails: reading says which, or does it.
      Stream::write_file({}, left, stall_limit);
      return;
    }
    throw m_socket->failure(number);
  }
}

void TcpStream::wait_for_room(std::chrono::milliseconds stall_limit) {
  if (!m_socket->wait(POLLOUT, Deadline::after(stall_limit))) {
    throw timeout_error(peer(), "sending: the peer takes no more bytes");
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
