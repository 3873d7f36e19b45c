#pragma once

#include <kuva/hl7/acknowledgement.hpp>
#include <kuva/mllp/frame.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace kuva::mllp {

struct ClientSettings {
  net::ConnectSettings connect;
  std::chrono::milliseconds acknowledgement_timeout{60'000};
  std::chrono::milliseconds stall_limit{60'000};  // of writing
  std::size_t limit = k_default_limit;            // of an acknowledgement
  // Takes the place of the stream, for traces; may be empty.
  std::function<std::unique_ptr<net::Stream>(std::unique_ptr<net::Stream>)> wrap;
};

// What came for a message.
struct Answer {
  hl7::Acknowledgement acknowledgement;
  std::string bytes;  // of the acknowledgement
  FramingFaults faults;
  std::chrono::milliseconds waited{0};
};

// Sends messages to one peer, one at a time (IHE ITI TF-2 C.2: original acknowledgement mode). A connection is opened
// when it is needed and kept for the next message as long as nothing goes wrong with it. One thread.
class Client {
 public:
  explicit Client(ClientSettings settings) : m_settings(std::move(settings)) {}
  ~Client();

  // Sends and waits for the acknowledgement whose MSA-2 is `control_id` (MSH-10 of the message). CA is read as the end
  // of it: IHE has no second acknowledgement. After any Error the connection is gone. Errors before a byte of the
  // message went out: hl7.malformed (to_block), resolve.*, connect.*, tls.*, and those of a connection that the peer
  // closed meanwhile are met by a new one. After that the message may have been applied, and the class is
  // indeterminate: mllp.no-acknowledgement (nothing came, or the connection ended), mllp.wrong-acknowledgement,
  // mllp.framing.
  Answer exchange(std::string_view message, std::string_view control_id);
  void close() noexcept;

  std::uint64_t connections() const { return m_connections; }
  // Of the connection that is open.
  std::string local_address() const;

 private:
  void open();

  ClientSettings m_settings;
  std::unique_ptr<Connection> m_connection;
  std::uint64_t m_connections = 0;
};

}  // namespace kuva::mllp
