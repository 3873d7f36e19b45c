#pragma once

#include <kuva/net/stream.hpp>
#include <kuva/ul/association.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

namespace kuva::test {

// One accepted connection on a free port of 127.0.0.1, served by `serve` in a thread that the destructor joins.
// An Error that leaves `serve` is kept.
class OneShotServer {
 public:
  using Serve = std::function<void(net::Incoming&)>;
  explicit OneShotServer(Serve serve);
  OneShotServer(const OneShotServer&) = delete;
  ~OneShotServer();

  net::Endpoint endpoint() const { return {.host = "127.0.0.1", .port = m_listener->port()}; }
  // Waits for `serve` to end.
  void join();
  const std::optional<Error>& error() const { return m_error; }

 private:
  std::unique_ptr<net::Listener> m_listener;
  std::optional<Error> m_error;
  std::thread m_thread;
};

std::unique_ptr<net::Stream> connect_plain(const net::Endpoint& endpoint);
// What the peer sends, up to `count` bytes or its end.
std::string read_bytes(net::Stream& stream, std::size_t count,
                       std::chrono::milliseconds limit = std::chrono::milliseconds(5000));
void write_bytes(net::Stream& stream, std::string_view bytes);

// A request of one Verification and one CT context, and a decision that accepts all with the first syntax.
ul::AssociateRequest sample_request();
ul::Association::Decision accept_all(const ul::AssociateRequest& request, std::uint32_t max_pdu_length = 0);
ul::Timeouts short_timeouts();

// The Error that `action` throws, or none.
template <typename Action>
std::optional<Error> error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}
inline std::string code_of(const std::optional<Error>& error) {
  return error ? std::string(error->kind().code) : "none";
}

}  // namespace kuva::test
