#pragma once

#include <kuva/hl7/acknowledgement.hpp>
#include <kuva/mllp/frame.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace kuva::mllp {

struct ListenerSettings {
  net::Endpoint bind;
  std::shared_ptr<const net::TlsContext> tls;  // null: plain
  std::chrono::milliseconds handshake_timeout{10'000};
  std::chrono::milliseconds idle_timeout{300'000};  // a connection without a message ends after it
  std::chrono::milliseconds stall_limit{60'000};
  std::size_t limit = k_default_limit;
  unsigned connections = 64;  // at the same time; more are closed at once, and told to on_error
};

// A message as it came, with where it came from.
struct Received {
  std::string bytes;
  Peer peer;
  std::uint64_t connection = 0;  // counted from 1
  FramingFaults faults;          // of the connection so far
};

// What a listener calls; from the threads of its connections, at the same time.
class Handler {
 public:
  virtual ~Handler() = default;
  // The bytes of the answer, put into a block as they are; nothing sends none and closes the connection. Throws to
  // close the connection too.
  virtual std::optional<std::string> on_message(const Received& received) = 0;
  // Takes the place of a connection's stream: traces, faults of the sandbox.
  virtual std::unique_ptr<net::Stream> on_connection(std::unique_ptr<net::Stream> stream, std::uint64_t connection);
  // A connection ended with an error (handshake, framing, deadline), or was not served: local.resource. For logs.
  virtual void on_error(const Error& error, std::uint64_t connection) = 0;
};

// Receives messages, a thread a connection, one message after the other on each.
class Listener {
 public:
  // Errors: listen.failed, resolve.*. The handler must live longer.
  static std::unique_ptr<Listener> start(const ListenerSettings& settings, Handler& handler);
  virtual ~Listener() = default;
  virtual std::uint16_t port() const = 0;
  // No more connections; those that are open may finish the message under way within `limit`, then they are cut. Called
  // by the destructor too.
  virtual void stop(std::chrono::milliseconds limit) noexcept = 0;
};

}  // namespace kuva::mllp
