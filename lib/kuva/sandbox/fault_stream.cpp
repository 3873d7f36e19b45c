#include <kuva/sandbox/fault_stream.hpp>

#include <array>
#include <thread>

namespace kuva::sandbox {

namespace {

constexpr std::chrono::milliseconds k_stall{10'000};
constexpr std::chrono::milliseconds k_slice{50};

std::string big_endian(std::size_t value) {
  std::string bytes(4, '\0');
  for (std::size_t i = 0; i < 4; ++i) {
    bytes[i] = static_cast<char>(value >> (24U - 8U * i) & 0xFFU);
  }
  return bytes;
}

// A P-DATA-TF with one PDV that is a whole command set, as one with two. Nothing when the bytes are something else.
std::optional<std::string> with_two_pdvs(std::string_view pdu) {
  constexpr std::size_t k_headers = 12;
  constexpr char k_last_of_command = 3;
  if (pdu.size() < k_headers + 4 || pdu[0] != 4 || pdu.substr(2, 4) != big_endian(pdu.size() - 6) ||
      pdu.substr(6, 4) != big_endian(pdu.size() - 10) || pdu[11] != k_last_of_command) {
    return std::nullopt;
  }
  const char context_id = pdu[10];
  const std::string_view command = pdu.substr(k_headers);
  const std::string_view first = command.substr(0, command.size() / 4 * 2);
  const std::string_view second = command.substr(first.size());
  std::string body = big_endian(first.size() + 2) + context_id + '\1' + std::string(first);
  body += big_endian(second.size() + 2) + context_id + k_last_of_command + std::string(second);
  return std::string("\4\0", 2) + big_endian(body.size()) + body;
}

}  // namespace

std::optional<std::size_t> FaultStream::try_read(std::span<std::byte> buffer, Deadline deadline) {
  return m_ended ? std::optional(std::size_t{0}) : m_stream->try_read(buffer, deadline);
}

void FaultStream::write_all(std::span<const std::span<const std::byte>> pieces, std::chrono::milliseconds stall_limit) {
  if (m_ended) {
    return;
  }
  if (m_replacement) {
    const std::string bytes = std::move(*m_replacement);
    m_replacement.reset();
    push(std::as_bytes(std::span(bytes)), stall_limit);
    return;
  }
  if (!m_splits && !m_gap) {
    m_stream->write_all(pieces, stall_limit);
    return;
  }
  std::string bytes;
  for (const auto piece : pieces) {
    bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  }
  if (m_splits) {
    bytes = with_two_pdvs(bytes).value_or(bytes);
  }
  push(std::as_bytes(std::span(bytes)), stall_limit);
}

void FaultStream::push(std::span<const std::byte> bytes, std::chrono::milliseconds stall_limit) {
  if (!m_gap) {
    m_stream->write_all({&bytes, 1}, stall_limit);
    return;
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto one = bytes.subspan(i, 1);
    m_stream->write_all({&one, 1}, stall_limit);
    std::this_thread::sleep_for(*m_gap);
  }
}

void FaultStream::write_raw(std::string_view bytes) {
  if (!m_ended) {
    push(std::as_bytes(std::span(bytes)), k_stall);
  }
}

void FaultStream::close(Deadline deadline) noexcept {
  if (!m_ended) {
    m_stream->close(deadline);
    m_ended = true;
  }
}

void FaultStream::reset() noexcept {
  if (!m_ended) {
    m_stream->reset();
    m_ended = true;
  }
}

void FaultStream::wait_out(std::chrono::milliseconds limit, const std::stop_token& stop) noexcept {
  const Deadline deadline = Deadline::after(limit);
  std::array<std::byte, 16384> scratch{};
  try {
    while (!m_ended && !deadline.expired() && !stop.stop_requested() &&
           try_read(scratch, earlier(deadline, Deadline::after(k_slice))) != std::size_t{0}) {
    }
  } catch (const Error&) {
    return;  // it is gone
  }
}

bool FaultStream::skip(std::size_t count, Deadline deadline) {
  std::array<std::byte, 64> scratch{};
  while (count != 0) {
    const auto read = try_read(std::span(scratch).first(std::min(count, scratch.size())), deadline);
    if (!read || *read == 0) {
      return false;
    }
    count -= *read;
  }
  return true;
}

}  // namespace kuva::sandbox
