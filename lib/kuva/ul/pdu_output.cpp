#include <kuva/ul/pdu_output.hpp>

#include <algorithm>
#include <array>
#include <cstring>

namespace kuva::ul {

namespace {

// Message control header, PS3.8 E.2.
constexpr std::uint8_t k_command_bit = 1;
constexpr std::uint8_t k_last_bit = 2;
constexpr std::size_t k_pdv_overhead = 6;  // length, context and control header count against the peer's limit

std::size_t fragment_for(std::uint32_t peer_limit) {
  constexpr std::size_t k_own = Association::k_own_pdu_limit;
  const std::size_t limit = peer_limit == 0 ? k_own : std::min<std::size_t>(peer_limit, k_own);
  // Even, since some peers abort on odd fragments; two bytes for a peer that leaves no room at all.
  const std::size_t room = limit > k_pdv_overhead ? (limit - k_pdv_overhead) & ~std::size_t{1} : 0;
  return std::max<std::size_t>(room, 2);
}

}  // namespace

PduOutput::PduOutput(std::uint32_t peer_limit, Write write)
    : m_write(std::move(write)),
      m_fragment(fragment_for(peer_limit)),
      m_capacity(2 * (k_headers + Association::k_own_pdu_limit) + k_look_ahead),
      m_buffer(std::make_unique_for_overwrite<std::byte[]>(m_capacity)) {}

void PduOutput::put_headers(std::size_t offset, std::uint8_t context_id, std::uint8_t control, std::size_t count) {
  std::byte* out = m_buffer.get() + offset;
  const auto put_u32 = [](std::byte* to, std::size_t value) {
    for (unsigned i = 0; i < 4; ++i) {
      to[i] = static_cast<std::byte>(value >> (24U - 8U * i) & 0xffU);
    }
  };
  out[0] = static_cast<std::byte>(PduType::data);
  out[1] = std::byte{0};
  put_u32(out + 2, count + k_pdv_overhead);
  put_u32(out + 6, count + 2);
  out[10] = static_cast<std::byte>(context_id);
  out[11] = static_cast<std::byte>(control);
}

void PduOutput::flush() {
  if (m_used != 0) {
    const std::size_t count = m_used;
    m_used = 0;
    m_write(at(0, count));
  }
}

void PduOutput::put_command(std::uint8_t context_id, std::span<const std::byte> command) {
  do {
    const std::size_t count = std::min(command.size(), m_fragment);
    if (!has_room(k_headers + count)) {
      flush();
    }
    const bool is_last = count == command.size();
    put_headers(m_used, context_id, k_command_bit | (is_last ? k_last_bit : 0), count);
    std::copy_n(command.begin(), count, at(m_used + k_headers, count).begin());
    m_used += k_headers + count;
    command = command.subspan(count);
  } while (!command.empty());
}

Association::Sent PduOutput::put_data(std::uint8_t context_id, const DataSource& data,
                                      const std::function<bool()>& stop) {
  Association::Sent sent;
  std::array<std::byte, k_look_ahead> ahead;
  std::size_t ahead_count = 0;  // bytes that were read to see whether there are any
  bool at_end = false;
  std::uint64_t produced = 0;
  const auto produce = [&](std::span<std::byte> buffer) {
    std::size_t filled = 0;
    while (!at_end && filled < buffer.size()) {
      const std::size_t count = data.read(buffer.subspan(filled));
      filled += count;
      produced += count;
      at_end = count == 0 || produced == data.size;
    }
    if (data.pace) {
      data.pace(filled);
    }
    return filled;
  };
  if (!has_room(slot_size())) {
    flush();
  }
  for (;;) {
    // A slot for one PDU: what was read ahead, then what follows it.
    const std::size_t slot = m_used;
    std::copy_n(ahead.begin(), ahead_count, at(slot + k_headers, ahead_count).begin());
    std::size_t count = ahead_count;
    ahead_count = 0;
    count += produce(at(slot + k_headers + count, m_fragment - count));
    put_headers(slot, context_id, 0, count);
    m_used += k_headers + count;
    sent.data_bytes += count;
    // The last fragment says so. Where the size is not known, only reading on tells which it is.
    const bool has_more = [&] {
      if (!at_end && !data.size) {
        const std::size_t most = has_room(slot_size()) ? 2 : k_look_ahead;
        ahead_count = produce(std::span(ahead).first(std::min(m_fragment, most)));
        return ahead_count != 0;
      }
      return !at_end;
    }();
    if (!has_more) {
      put_headers(slot, context_id, k_last_bit, count);
      flush();
      return sent;
    }
    if (!has_room(slot_size())) {
      flush();
      if (stop()) {
        // The peer has answered: an early failure response. Two more bytes end the message.
        if (ahead_count == 0) {
          ahead_count = produce(std::span(ahead).first(2));
        }
        std::copy_n(ahead.begin(), ahead_count, at(k_headers, ahead_count).begin());
        put_headers(0, context_id, k_last_bit, ahead_count);
        m_used = k_headers + ahead_count;
        sent.data_bytes += ahead_count;
        sent.complete = at_end;
        flush();
        return sent;
      }
    }
  }
}

Association::Sent PduOutput::put_file(std::uint8_t context_id, const DataSource& data, const WriteFile& write_file,
                                      const std::function<bool()>& stop) {
  Association::Sent sent;
  net::FileRange left = *data.file;
  std::uint64_t looked_at = 0;  // where the peer was looked at last
  for (;;) {
    std::uint64_t count = std::min<std::uint64_t>(left.size, m_fragment);
    bool is_last = count == left.size;
    if (!is_last && sent.data_bytes - looked_at >= k_look_interval) {
      looked_at = sent.data_bytes;
      if (stop()) {
        // The peer has answered: an early failure response. Two more bytes end the message.
        count = 2;
        is_last = true;
        sent.complete = false;
      }
    }
    if (data.pace) {
      data.pace(static_cast<std::size_t>(count));
    }
    if (!has_room(k_headers)) {
      flush();
    }
    put_headers(m_used, context_id, is_last ? k_last_bit : 0, static_cast<std::size_t>(count));
    const std::size_t head = m_used + k_headers;
    m_used = 0;
    write_file(at(0, head), {left.descriptor, left.offset, count});
    sent.data_bytes += count;
    left.offset += count;
    left.size -= count;
    if (is_last) {
      return sent;
    }
  }
}

}  // namespace kuva::ul
