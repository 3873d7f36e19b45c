#pragma once

#include <kuva/core/time.hpp>
#include <kuva/net/stream.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace kuva::ul {

// A PDU's first six bytes (PS3.8 9.3.1). `bytes` are all six, to tell what else it may be.
struct PduHeader {
  std::uint8_t type = 0;
  std::uint32_t length = 0;
  std::string bytes;
};

// Bytes from the peer in a buffer of fixed size, however long the peer says that its PDUs are.
class PduInput {
 public:
  static constexpr std::size_t k_capacity = 256U * 1024U;

  explicit PduInput(net::Stream& stream);

  // True when at least `count` bytes (few, such as a header) are in the buffer; false at the deadline, and nothing is
  // lost. Errors: connection.lost when the peer has closed, and the stream's own.
  bool fill(std::size_t count, Deadline deadline);
  std::span<const std::byte> available() const { return {m_buffer.get() + m_begin, m_end - m_begin}; }
  void consume(std::size_t count) { m_begin += count; }

  bool header(PduHeader& header, Deadline deadline);
  // A whole short PDU's body; memory grows with what has come, not with what the length says.
  bool body(std::size_t length, std::string& body, Deadline deadline);
  // Takes and drops all that comes until the peer closes or the deadline.
  void drain(Deadline deadline) noexcept;

  // A header or a body has begun and not ended.
  void set_inside_pdu(bool inside) { m_inside_pdu = inside; }

 private:
  net::Stream& m_stream;
  std::unique_ptr<std::byte[]> m_buffer;
  std::size_t m_begin = 0;
  std::size_t m_end = 0;
  bool m_inside_pdu = false;
};

}  // namespace kuva::ul
