#include <kuva/net/socket_bio.hpp>

#include <algorithm>
#include <cstring>
#include <new>

namespace kuva::net {

SocketBio::SocketBio(Socket& socket)
    : m_socket(socket),
      m_in(std::make_unique_for_overwrite<std::byte[]>(k_buffer)),
      m_out(std::make_unique_for_overwrite<std::byte[]>(k_buffer)) {
  m_first_bytes.reserve(8);  // filled in callbacks of C, where nothing may throw
}

const BIO_METHOD* SocketBio::method() {
  static const std::unique_ptr<BIO_METHOD, decltype(&BIO_meth_free)> made = [] {
    std::unique_ptr<BIO_METHOD, decltype(&BIO_meth_free)> fresh(
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "kuva socket"), &BIO_meth_free);
    if (fresh == nullptr) {
      throw std::bad_alloc();
    }
    BIO_meth_set_read(fresh.get(), &SocketBio::bio_read);
    BIO_meth_set_write(fresh.get(), &SocketBio::bio_write);
    BIO_meth_set_ctrl(fresh.get(), &SocketBio::bio_control);
    return fresh;
  }();
  return made.get();
}

BIO* SocketBio::make_bio() {
  BIO* bio = BIO_new(method());
  if (bio == nullptr) {
    throw std::bad_alloc();
  }
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  return bio;
}

SocketBio& SocketBio::self(BIO* bio) { return *static_cast<SocketBio*>(BIO_get_data(bio)); }

int SocketBio::bio_read(BIO* bio, char* buffer, int size) {
  SocketBio& state = self(bio);
  BIO_clear_retry_flags(bio);
  if (size <= 0) {
    return 0;
  }
  if (!state.has_input()) {
    const Transfer transfer = state.m_socket.receive({state.m_in.get(), k_buffer});
    switch (transfer.state) {
      case Transfer::State::moved:
        state.m_in_begin = 0;
        state.m_in_end = transfer.bytes;
        break;
      case Transfer::State::end:
        state.m_peer_closed = true;
        return 0;
      case Transfer::State::would_block:
        BIO_set_retry_read(bio);
        return -1;
      case Transfer::State::failed:
        state.m_error_number = transfer.error_number;
        return -1;
    }
    if (state.m_first_bytes.size() < 8) {
      const std::size_t count = std::min<std::size_t>(8 - state.m_first_bytes.size(), state.m_in_end);
      state.m_first_bytes.append(reinterpret_cast<const char*>(state.m_in.get()), count);
    }
  }
  const std::size_t count = std::min(static_cast<std::size_t>(size), state.m_in_end - state.m_in_begin);
  std::memcpy(buffer, state.m_in.get() + state.m_in_begin, count);
  state.m_in_begin += count;
  return static_cast<int>(count);
}

int SocketBio::bio_write(BIO* bio, const char* data, int size) {
  SocketBio& state = self(bio);
  BIO_clear_retry_flags(bio);
  if (size <= 0) {
    return 0;
  }
  if (k_buffer - state.m_out_end < static_cast<std::size_t>(size)) {
    if (state.push() == Transfer::State::failed) {
      return -1;
    }
    const std::size_t left = state.m_out_end - state.m_out_begin;
    std::memmove(state.m_out.get(), state.m_out.get() + state.m_out_begin, left);
    state.m_out_begin = 0;
    state.m_out_end = left;
  }
  const std::size_t count = std::min(static_cast<std::size_t>(size), k_buffer - state.m_out_end);
  if (count == 0) {
    BIO_set_retry_write(bio);
    return -1;
  }
  std::memcpy(state.m_out.get() + state.m_out_end, data, count);
  state.m_out_end += count;
  return static_cast<int>(count);
}

Transfer::State SocketBio::push() noexcept {
  while (m_out_begin != m_out_end) {
    const iovec piece{.iov_base = m_out.get() + m_out_begin, .iov_len = m_out_end - m_out_begin};
    const Transfer transfer = m_socket.send({&piece, 1});
    if (transfer.state == Transfer::State::failed) {
      m_error_number = transfer.error_number;
    }
    if (transfer.state != Transfer::State::moved) {
      return transfer.state;
    }
    m_out_begin += transfer.bytes;
    m_sent += transfer.bytes;
  }
  m_out_begin = 0;
  m_out_end = 0;
  return Transfer::State::moved;
}

long SocketBio::bio_control(BIO* bio, int command, long, void*) {
  SocketBio& state = self(bio);
  switch (command) {
    case BIO_CTRL_FLUSH:
      BIO_clear_retry_flags(bio);
      switch (state.push()) {
        case Transfer::State::moved:
          return 1;
        case Transfer::State::would_block:
          BIO_set_retry_write(bio);
          return -1;
        default:
          return -1;
      }
    case BIO_CTRL_EOF:
      return state.m_peer_closed && !state.has_input() ? 1 : 0;
    case BIO_CTRL_PENDING:
      return static_cast<long>(state.m_in_end - state.m_in_begin);
    case BIO_CTRL_WPENDING:
      return static_cast<long>(state.m_out_end - state.m_out_begin);
    default:
      return 0;
  }
}

}  // namespace kuva::net
