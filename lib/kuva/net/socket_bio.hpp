#pragma once

#include <kuva/net/socket.hpp>

#include <openssl/bio.h>

#include <array>
#include <cstddef>
#include <memory>
#include <string>

namespace kuva::net {

// What OpenSSL reads from and writes to: a Socket, with both directions buffered. OpenSSL's own socket BIO raises
// SIGPIPE, asks the kernel twice for each record of 16 KiB and re-arms no TCP_QUICKACK.
class SocketBio {
 public:
  explicit SocketBio(Socket& socket);

  // A BIO over this object, which must outlive it. The caller owns it.
  BIO* make_bio();

  // Writes what is buffered. would_block leaves some of it; `moved` means that all is out.
  Transfer::State push() noexcept;
  bool has_input() const { return m_in_begin != m_in_end; }
  bool peer_closed() const { return m_peer_closed; }
  int error_number() const { return m_error_number; }
  // Counts all bytes that went out, to see progress.
  std::uint64_t sent() const { return m_sent; }
  // The first bytes that the peer sent, to tell what it speaks.
  const std::string& first_bytes() const { return m_first_bytes; }

 private:
  static int bio_read(BIO* bio, char* buffer, int size);
  static int bio_write(BIO* bio, const char* data, int size);
  static long bio_control(BIO* bio, int command, long number, void* pointer);
  static SocketBio& self(BIO* bio);
  static const BIO_METHOD* method();

  static constexpr std::size_t k_buffer = 128U * 1024U;

  Socket& m_socket;
  std::unique_ptr<std::byte[]> m_in;
  std::size_t m_in_begin = 0;
  std::size_t m_in_end = 0;
  std::unique_ptr<std::byte[]> m_out;
  std::size_t m_out_begin = 0;
  std::size_t m_out_end = 0;
  std::uint64_t m_sent = 0;
  bool m_peer_closed = false;
  int m_error_number = 0;
  std::string m_first_bytes;
};

}  // namespace kuva::net
