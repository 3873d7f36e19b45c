#pragma once

#include <kuva/ul/association.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

namespace kuva::ul {

// Messages cut into P-DATA-TF PDUs of one PDV each (PS3.8 9.3.5), gathered in a buffer of fixed size so that one write
// takes many of them.
class PduOutput {
 public:
  using Write = std::function<void(std::span<const std::byte>)>;
  // `peer_limit` is the peer's maximum length of a P-DATA-TF's content, 0 where it has none.
  PduOutput(std::uint32_t peer_limit, Write write);

  // Bytes of a message that a PDU takes; even.
  std::size_t fragment_size() const { return m_fragment; }

  // The command set; it is written by flush() or with what comes after it.
  void put_command(std::uint8_t context_id, std::span<const std::byte> command);
  // The data set, all written when it returns. Between writes `stop` is asked: true ends the message early.
  Association::Sent put_data(std::uint8_t context_id, const DataSource& data, const std::function<bool()>& stop);
  // The same from the file that the data set lies in: only the headers go through this buffer.
  using WriteFile = std::function<void(std::span<const std::byte> head, const net::FileRange& range)>;
  Association::Sent put_file(std::uint8_t context_id, const DataSource& data, const WriteFile& write_file,
                             const std::function<bool()>& stop);
  // Two system calls a fragment pay where fragments are large.
  bool prefers_file(std::uint64_t size) const { return m_fragment >= k_file_fragment && size >= k_file_fragment; }
  void flush();

 private:
  std::size_t slot_size() const { return k_headers + m_fragment; }
  bool has_room(std::size_t count) const { return m_used + count <= m_capacity; }
  std::span<std::byte> at(std::size_t offset, std::size_t count) { return {m_buffer.get() + offset, count}; }
  // Both headers of the PDU at `offset` whose PDV holds `count` bytes.
  void put_headers(std::size_t offset, std::uint8_t context_id, std::uint8_t control, std::size_t count);

  static constexpr std::size_t k_headers = 12;  // of the PDU and of its PDV
  static constexpr std::size_t k_look_ahead = 4096;
  static constexpr std::size_t k_file_fragment = 32U * 1024U;
  static constexpr std::uint64_t k_look_interval = 256U * 1024U;

  Write m_write;
  std::size_t m_fragment;
  std::size_t m_capacity;
  std::unique_ptr<std::byte[]> m_buffer;
  std::size_t m_used = 0;
};

}  // namespace kuva::ul
