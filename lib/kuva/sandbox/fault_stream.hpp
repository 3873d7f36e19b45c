#pragma once

#include <kuva/net/stream.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

namespace kuva::sandbox {

// A connection whose bytes a fault handles. Once it has been ended here, reading finds its end and writing goes
// nowhere, so that whoever holds it can end in its own way.
class FaultStream final : public net::Stream {
 public:
  explicit FaultStream(std::unique_ptr<net::Stream> stream) : m_stream(std::move(stream)) {}

  std::optional<std::size_t> try_read(std::span<std::byte> buffer, Deadline deadline) override;
  void write_all(std::span<const std::span<const std::byte>> pieces, std::chrono::milliseconds stall_limit) override;
  bool wait_readable(Deadline deadline) override { return m_ended || m_stream->wait_readable(deadline); }
  void close(Deadline deadline) noexcept override;
  void reset() noexcept override;
  void shutdown() noexcept override { m_stream->shutdown(); }
  const Peer& peer() const override { return m_stream->peer(); }
  std::string local_address() const override { return m_stream->local_address(); }

  // From now on each byte is written by itself, this long after the one before.
  void drip(std::chrono::milliseconds gap) { m_gap = gap; }
  // From now on a command set goes out as two PDVs of one P-DATA-TF.
  void split_pdvs() { m_splits = true; }
  // What is written next is dropped, and these bytes go out in its place.
  void replace_next(std::string bytes) { m_replacement = std::move(bytes); }
  // These bytes as they are.
  void write_raw(std::string_view bytes);
  // Reads and drops until the peer closes, `limit` has passed or a stop is asked for.
  void wait_out(std::chrono::milliseconds limit, const std::stop_token& stop) noexcept;
  // Exactly so many bytes are read and dropped; false at the deadline or the end.
  bool skip(std::size_t count, Deadline deadline);

 private:
  void push(std::span<const std::byte> bytes, std::chrono::milliseconds stall_limit);

  std::unique_ptr<net::Stream> m_stream;
  std::optional<std::chrono::milliseconds> m_gap;
  bool m_splits = false;
  std::optional<std::string> m_replacement;
  bool m_ended = false;
};

}  // namespace kuva::sandbox
