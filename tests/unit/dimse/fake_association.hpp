#pragma once

#include <kuva/core/error.hpp>
#include <kuva/dimse/command.hpp>
#include <kuva/ul/association.hpp>

#include <cstring>
#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace kuva::test {

// An association whose other side is a script: what it will send, and what it got.
class FakeAssociation : public ul::Association {
 public:
  struct Incoming {
    enum class What { pdv, release, silence, lost } what = What::pdv;
    std::uint8_t context_id = 1;
    bool is_command = false;
    bool is_last = false;
    std::string data;
  };
  struct Message {
    std::uint8_t context_id = 0;
    dimse::Command command;
    std::string data;
  };

  FakeAssociation() {
    add_context(1, "1.2.840.10008.5.1.4.1.1.2");
    add_context(3, "1.2.840.10008.1.1");
    add_context(5, "1.2.840.10008.1.20.1");
  }
  void add_context(std::uint8_t id, std::string abstract_syntax) {
    m_contexts.push_back({id, std::move(abstract_syntax), "1.2.840.10008.1.2", true, false});
  }

  // The script.
  void peer_sends(const dimse::Command& command, std::uint8_t context_id = 1) {
    incoming.push_back({Incoming::What::pdv, context_id, true, true, dimse::encode(command)});
  }
  void peer_sends_data(std::string data, bool is_last = true, std::uint8_t context_id = 1) {
    incoming.push_back({Incoming::What::pdv, context_id, false, is_last, std::move(data)});
  }
  void peer_does(Incoming::What what) { incoming.push_back({what, 0, false, false, {}}); }

  std::deque<Incoming> incoming;
  std::vector<Message> sent;
  std::uint16_t window = 1;
  std::size_t send_limit = SIZE_MAX;  // bytes of a data set after which the connection is lost
  bool answered_early = false;        // an answer is there after the first piece
  bool aborted = false;
  bool released = false;

  const ul::AssociateRequest& requested() const override { return m_request; }
  const ul::AssociateAccept& accepted() const override { return m_accept; }
  bool is_requestor() const override { return true; }
  const Peer& peer() const override { return m_peer; }
  std::string local_address() const override { return "127.0.0.1:1"; }
  const std::vector<ul::AcceptedContext>& contexts() const override { return m_contexts; }
  ul::ContextResult context_result(std::uint8_t) const override { return ul::ContextResult::accepted; }
  std::uint16_t operations_window() const override { return window; }

  Sent send(std::uint8_t context_id, std::span<const std::byte> command, const ul::DataSource& data,
            const OnAnswer& on_answer) override {
    Message message{context_id, dimse::decode(command), {}};
    Sent result;
    std::byte buffer[1000];
    for (;;) {
      const std::size_t count = data.read(buffer);
      if (count == 0) {
        break;
      }
      message.data.append(reinterpret_cast<const char*>(buffer), count);
      result.data_bytes += count;
      if (result.data_bytes > send_limit) {
        throw Error(kind("connection.lost"), "reset");
      }
      if (answered_early && on_answer && on_answer()) {
        result.complete = false;
        break;
      }
    }
    sent.push_back(std::move(message));
    return result;
  }
  void send(std::uint8_t context_id, std::span<const std::byte> command) override {
    sent.push_back({context_id, dimse::decode(command), {}});
  }

  Event read(Deadline, ul::Pdv& pdv) override {
    if (incoming.empty()) {
      throw Error(kind("connection.lost"), "closed");
    }
    m_current = std::move(incoming.front());
    incoming.pop_front();
    switch (m_current.what) {
      case Incoming::What::release:
        return Event::release_requested;
      case Incoming::What::silence:
        return Event::timeout;
      case Incoming::What::lost:
        throw Error(kind("connection.lost"), "reset");
      case Incoming::What::pdv:
        break;
    }
    pdv.context_id = m_current.context_id;
    pdv.is_command = m_current.is_command;
    pdv.is_last = m_current.is_last;
    pdv.data = std::as_bytes(std::span(m_current.data.data(), m_current.data.size()));
    return Event::pdv;
  }
  bool wait_readable(Deadline) override { return !incoming.empty(); }
  void release() override { released = true; }
  void accept_release() override { released = true; }
  void abort(const ul::Abort&) noexcept override { aborted = true; }
  void shutdown() noexcept override { aborted = true; }
  bool is_open() const override { return !aborted && !released; }

 private:
  ul::AssociateRequest m_request;
  ul::AssociateAccept m_accept;
  Peer m_peer;
  std::vector<ul::AcceptedContext> m_contexts;
  Incoming m_current;
};

// A producer of so many bytes.
inline ul::DataProducer bytes_of(std::size_t size) {
  return [left = size](std::span<std::byte> buffer) mutable {
    const std::size_t count = std::min(buffer.size(), left);
    std::memset(buffer.data(), 'x', count);
    left -= count;
    return count;
  };
}

// The code of the Error that `action` throws, or "".
template <typename Action>
std::string error_code(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return std::string(error.kind().code);
  }
  return {};
}

}  // namespace kuva::test
