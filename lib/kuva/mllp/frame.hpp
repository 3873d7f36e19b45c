#pragma once

#include <kuva/net/stream.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace kuva::mllp {

// Blocks of the Minimal Lower Layer Protocol, release 1 (HL7 v2 transport): VT, the message, FS, CR.
inline constexpr char k_start_of_block = '\x0B';
inline constexpr char k_end_of_block = '\x1C';
inline constexpr char k_carriage_return = '\x0D';

// The largest message that is taken from a peer unless somebody says otherwise.
inline constexpr std::size_t k_default_limit = std::size_t{16} * 1024 * 1024;

// Errors: hl7.malformed when the message holds a start or an end of block: the peer would take a part of it for the
// whole.
std::string to_block(std::string_view message);

// What was not as it should be, and was borne.
struct FramingFaults {
  std::uint64_t bytes_between = 0;    // before a start of block, besides line ends
  std::uint64_t missing_returns = 0;  // FS without CR
  std::uint64_t blocks_cut = 0;       // a start of block inside of a block: the first is dropped

  bool any() const { return bytes_between != 0 || missing_returns != 0 || blocks_cut != 0; }
};

// Takes bytes as they come and gives whole messages: any cut of the bytes gives the same messages. Bytes between blocks
// are passed over and counted, an FS that no CR follows ends a block too.
class BlockParser {
 public:
  explicit BlockParser(std::size_t limit = k_default_limit) : m_limit(limit) {}

  // Errors: hl7.too-large when a block is longer than the limit; nothing can be read after that.
  void write(std::string_view bytes);
  // The next whole message, without its framing.
  std::optional<std::string> next();
  // The stream has ended: an FS that is still without CR ends its block.
  void finish();

  // An FS came and its CR has not.
  bool awaits_return() const { return m_state == State::after_end; }
  // Bytes that are more than line ends have come and are not given out.
  bool has_more() const { return in_block() || m_input.find_first_not_of("\r\n") != std::string::npos; }
  bool in_block() const { return m_state == State::inside || m_state == State::after_end; }
  const FramingFaults& faults() const { return m_faults; }

 private:
  enum class State { outside, inside, after_end };

  void end_block();

  std::size_t m_limit;
  State m_state = State::outside;
  std::string m_block;
  std::string m_input;  // not looked at yet
  std::optional<std::string> m_ready;
  FramingFaults m_faults;
};

// Messages over one stream. One thread.
class Connection {
 public:
  explicit Connection(std::unique_ptr<net::Stream> stream, std::size_t limit = k_default_limit)
      : m_stream(std::move(stream)), m_parser(limit) {}

  // Errors: hl7.malformed before a byte goes out (to_block), connection.*, tls.*.
  void send(std::string_view message, std::chrono::milliseconds stall_limit);
  // What to_block() gave. Errors: connection.*, tls.*.
  void send_block(std::string_view block, std::chrono::milliseconds stall_limit);
  // The next message; nothing when the peer closed in good order between blocks. Errors: connection.timeout at the
  // deadline, connection.lost when the peer closes inside of a block, mllp.framing when it sends more than
  // k_most_noise bytes that are no block, hl7.too-large, connection.*, tls.*.
  std::optional<std::string> receive(Deadline deadline);
  // True when bytes that nobody asked for have come already, or the peer has closed.
  bool has_input();

  net::Stream& stream() { return *m_stream; }
  const FramingFaults& faults() const { return m_parser.faults(); }

  static constexpr std::uint64_t k_most_noise = 65'536;
  // For the CR after an FS: some senders leave it out and wait for the answer.
  static constexpr std::chrono::milliseconds k_return_wait{200};

 private:
  std::unique_ptr<net::Stream> m_stream;
  BlockParser m_parser;
};

}  // namespace kuva::mllp
