#include <kuva/mllp/frame.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kuva::mllp {

std::string to_block(std::string_view message) {
  if (message.find_first_of("\x0B\x1C") != std::string_view::npos) {
    throw Error(
        kind("hl7.malformed"),
        "the message holds a byte that begins or ends a block (0B, 1C): it would arrive cut, so it is not sent");
  }
  std::string block;
  block.reserve(message.size() + 3);
  block.push_back(k_start_of_block);
  block += message;
  block.push_back(k_end_of_block);
  block.push_back(k_carriage_return);
  return block;
}

void BlockParser::write(std::string_view bytes) { m_input += bytes; }

std::optional<std::string> BlockParser::next() {
  std::size_t at = 0;
  while (at < m_input.size() && !m_ready) {
    const std::string_view rest = std::string_view(m_input).substr(at);
    switch (m_state) {
      case State::outside: {
        const std::size_t start = std::min(rest.find(k_start_of_block), rest.size());
        m_faults.bytes_between +=
            static_cast<std::uint64_t>(std::count_if(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(start),
                                                     [](char c) { return c != '\r' && c != '\n'; }));
        at += start;
        if (start < rest.size()) {
          ++at;
          m_block.clear();
          m_state = State::inside;
        }
        break;
      }
      case State::inside: {
        const std::size_t end = std::min(rest.find_first_of("\x0B\x1C"), rest.size());
        if (m_block.size() + end > m_limit) {
          throw Error(kind("hl7.too-large"), fmt::format("a message of more than {} bytes came", m_limit));
        }
        m_block += rest.substr(0, end);
        at += end;
        if (end == rest.size()) {
          break;
        }
        ++at;
        if (rest[end] == k_end_of_block) {
          m_state = State::after_end;
        } else {
          ++m_faults.blocks_cut;
          m_block.clear();
        }
        break;
      }
      case State::after_end:
        if (rest.front() == k_carriage_return) {
          ++at;
        } else {
          ++m_faults.missing_returns;
        }
        end_block();
        break;
    }
  }
  m_input.erase(0, at);
  return std::exchange(m_ready, std::nullopt);
}

void BlockParser::finish() {
  if (m_state == State::after_end) {
    ++m_faults.missing_returns;
    end_block();
  }
}

void BlockParser::end_block() {
  m_ready = std::move(m_block);
  m_block.clear();
  m_state = State::outside;
}

void Connection::send(std::string_view message, std::chrono::milliseconds stall_limit) {
  send_block(to_block(message), stall_limit);
}

void Connection::send_block(std::string_view block, std::chrono::milliseconds stall_limit) {
  const std::array<std::span<const std::byte>, 1> pieces{std::as_bytes(std::span(block))};
  m_stream->write_all(pieces, stall_limit);
}

std::optional<std::string> Connection::receive(Deadline deadline) {
  std::array<std::byte, 16384> buffer;
  const std::uint64_t noise_before = m_parser.faults().bytes_between;
  for (;;) {
    if (auto message = m_parser.next()) {
      return message;
    }
    if (m_parser.faults().bytes_between - noise_before > k_most_noise) {
      throw Error(kind("mllp.framing"), "the peer sends bytes that are no MLLP block").with_peer(m_stream->peer());
    }
    if (m_parser.awaits_return() && !m_stream->wait_readable(earlier(deadline, Deadline::after(k_return_wait)))) {
      m_parser.finish();
      continue;
    }
    const std::size_t count = m_stream->read_some(buffer, deadline);
    if (count == 0) {
      m_parser.finish();
      if (auto message = m_parser.next()) {
        return message;
      }
      if (m_parser.in_block()) {
        throw Error(kind("connection.lost"), "the peer closed the connection inside of a message")
            .with_peer(m_stream->peer());
      }
      return std::nullopt;
    }
    m_parser.write({reinterpret_cast<const char*>(buffer.data()), count});
  }
}

bool Connection::has_input() {
  return m_parser.has_more() || m_stream->wait_readable(Deadline::after(std::chrono::milliseconds(0)));
}

}  // namespace kuva::mllp
