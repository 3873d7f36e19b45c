#include <kuva/ul/pdu_input.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace kuva::ul {

PduInput::PduInput(net::Stream& stream)
    : m_stream(stream), m_buffer(std::make_unique_for_overwrite<std::byte[]>(k_capacity)) {}

bool PduInput::fill(std::size_t count, Deadline deadline) {
  while (m_end - m_begin < count) {
    if (m_begin == m_end) {
      m_begin = 0;
      m_end = 0;
    } else if (m_begin + count > k_capacity) {
      std::memmove(m_buffer.get(), m_buffer.get() + m_begin, m_end - m_begin);
      m_end -= m_begin;
      m_begin = 0;
    }
    const auto got = m_stream.try_read({m_buffer.get() + m_end, k_capacity - m_end}, deadline);
    if (!got) {
      return false;
    }
    if (*got == 0) {
      const bool cut = m_inside_pdu || m_end != m_begin;
      throw Error(kind("connection.lost"), fmt::format("{} closed the connection{}", net::name_of(m_stream.peer()),
                                                       cut ? " in the middle of a PDU" : ""));
    }
    m_end += *got;
  }
  return true;
}

bool PduInput::header(PduHeader& header, Deadline deadline) {
  constexpr std::size_t k_header = 6;
  if (!fill(k_header, deadline)) {
    return false;
  }
  const auto bytes = available();
  header.bytes.assign(reinterpret_cast<const char*>(bytes.data()), k_header);
  const auto at = [&bytes](std::size_t i) { return std::to_integer<std::uint32_t>(bytes[i]); };
  header.type = static_cast<std::uint8_t>(at(0));
  header.length = at(2) << 24U | at(3) << 16U | at(4) << 8U | at(5);
  consume(k_header);
  return true;
}

bool PduInput::body(std::size_t length, std::string& body, Deadline deadline) {
  while (body.size() < length) {
    m_inside_pdu = true;
    if (!fill(1, deadline)) {
      return false;
    }
    const auto bytes = available().first(std::min(available().size(), length - body.size()));
    body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    consume(bytes.size());
  }
  m_inside_pdu = false;
  return true;
}

void PduInput::drain(Deadline deadline) noexcept {
  try {
    for (;;) {
      const auto got = m_stream.try_read({m_buffer.get(), k_capacity}, deadline);
      if (!got || *got == 0 || deadline.expired()) {
        break;
      }
    }
  } catch (const Error&) {
    // The end of a connection that is given up anyway.
  }
  m_begin = 0;
  m_end = 0;
}

}  // namespace kuva::ul
