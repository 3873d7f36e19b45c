#pragma once

#include <kuva/dicom/data_set.hpp>
#include <kuva/dimse/command.hpp>
#include <kuva/ul/association.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kuva::dimse {

// Sends and receives DIMSE messages on an association (PS3.7 annex E, PS3.8 annex E). In the hands of one thread.
class Messenger {
 public:
  explicit Messenger(ul::Association& association);

  ul::Association& association() { return m_association; }

  // 1-65535 in turn, never one that is outstanding.
  std::uint16_t next_message_id();
  // Requests sent whose (last) response has not come.
  std::size_t outstanding() const { return m_outstanding.size(); }

  ul::Association::Sent send(std::uint8_t context_id, const Command& command, const ul::DataSource& data,
                             const ul::Association::OnAnswer& on_answer = {});
  void send(std::uint8_t context_id, const Command& command, const dicom::DataSet& data);
  void send(std::uint8_t context_id, const Command& command);

  struct Message {
    std::uint8_t context_id = 0;
    Command command;
  };
  enum class Event { message, release_requested, timeout };
  // The next command set. When it has a data set, that must be read before the next call.
  Event receive(Deadline deadline, Message& message);
  // The data set of the message that was received last, piece by piece as it comes: `sink` takes each piece.
  // A sink that throws Error makes the association abort. Errors: connection.timeout when nothing comes for
  // `stall_limit`.
  using Sink = std::function<void(std::span<const std::byte>)>;
  void receive_data(const Sink& sink, std::chrono::milliseconds stall_limit);
  // The same, decoded in the context's syntax. Errors: also association.protocol when it is larger than `limit` bytes
  // or cannot be decoded.
  dicom::DataSet receive_data_set(std::chrono::milliseconds stall_limit, std::size_t limit = 16U << 20U);

 private:
  [[noreturn]] void fail(std::string what);
  void remember(const Command& command);

  ul::Association& m_association;
  std::uint16_t m_last_message_id = 0;
  std::vector<std::uint16_t> m_outstanding;
  std::optional<Message> m_open;  // received, its data set not yet read
  std::string m_command_bytes;    // of the command set that is coming in
  std::optional<std::uint8_t> m_command_context;
};

}  // namespace kuva::dimse
