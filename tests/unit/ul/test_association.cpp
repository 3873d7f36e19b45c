#include "support/associations.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <set>

using namespace kuva;
using namespace kuva::test;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view k_release_rq{"\x05\0\0\0\0\x04\0\0\0\0", 10};
constexpr std::string_view k_release_rp{"\x06\0\0\0\0\x04\0\0\0\0", 10};

struct Message {
  std::uint8_t context_id = 0;
  std::string command;
  std::string data;
};

// Reads PDVs until the last fragment of the data (or of the command, when there is no data).
Message read_message(ul::Association& association, bool with_data) {
  Message message;
  for (;;) {
    ul::Pdv pdv;
    const auto event = association.read(Deadline::after(5s), pdv);
    REQUIRE(event == ul::Association::Event::pdv);
    message.context_id = pdv.context_id;
    (pdv.is_command ? message.command : message.data)
        .append(reinterpret_cast<const char*>(pdv.data.data()), pdv.data.size());
    if (pdv.is_last && (!pdv.is_command || !with_data)) {
      return message;
    }
  }
}

std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<char>(i * 31 + i / 253);
  }
  return bytes;
}

ul::DataProducer producer_of(const std::string& bytes) {
  return [&bytes, offset = std::size_t{0}](std::span<std::byte> buffer) mutable {
    const std::size_t count = std::min(buffer.size(), bytes.size() - offset);
    std::copy_n(std::as_bytes(std::span(bytes)).begin() + static_cast<std::ptrdiff_t>(offset), count, buffer.begin());
    offset += count;
    return count;
  };
}

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::unique_ptr<ul::Association> accept_association(net::Incoming& incoming, std::uint32_t max_pdu = 0,
                                                    const ul::Timeouts& timeouts = {}) {
  return ul::Association::accept(
      incoming.open(nullptr, Deadline::after(5s)),
      [max_pdu](const ul::AssociateRequest& request, const net::Stream&) { return accept_all(request, max_pdu); },
      timeouts);
}

// A peer made of bytes: takes the request, answers an accept, then does as told.
OneShotServer::Serve raw_peer(std::function<void(net::Stream&)> then, std::uint32_t max_pdu = 0) {
  return [then = std::move(then), max_pdu](net::Incoming& incoming) {
    const auto stream = incoming.open(nullptr, Deadline::after(5s));
    const std::string header = read_bytes(*stream, 6);
    REQUIRE(header.size() == 6);
    const std::size_t length = static_cast<std::uint8_t>(header[4]) * 256U + static_cast<std::uint8_t>(header[5]);
    const std::string body = read_bytes(*stream, length);
    const auto request = ul::decode_associate_rq(bytes_of(body));
    auto accept = std::get<ul::AssociateAccept>(accept_all(request, max_pdu));
    write_bytes(*stream, ul::encode(accept));
    then(*stream);
  };
}

// One PDV in one P-DATA-TF.
std::string pdv(std::uint8_t context_id, std::uint8_t control, std::string_view data) {
  const std::size_t length = data.size() + 2;
  std::string bytes{static_cast<char>(length >> 24U), static_cast<char>(length >> 16U), static_cast<char>(length >> 8U),
                    static_cast<char>(length),        static_cast<char>(context_id),    static_cast<char>(control)};
  return bytes.append(data);
}
std::string data_pdu(std::string_view pdvs) {
  const std::size_t length = pdvs.size();
  std::string bytes{4,
                    0,
                    static_cast<char>(length >> 24U),
                    static_cast<char>(length >> 16U),
                    static_cast<char>(length >> 8U),
                    static_cast<char>(length)};
  return bytes.append(pdvs);
}

std::unique_ptr<ul::Association> associate(const OneShotServer& server, const ul::Timeouts& timeouts = {}) {
  return ul::Association::request(connect_plain(server.endpoint()), sample_request(), timeouts);
}

// All P-DATA-TF of a byte stream: lengths of PDUs and the data set bytes.
struct Captured {
  std::vector<std::size_t> pdu_lengths;
  std::vector<std::uint8_t> controls;
  std::string command;
  std::string data;
};
void read_until_last(net::Stream& stream, Captured& captured) {
  for (;;) {
    const std::string header = read_bytes(stream, 12);
    REQUIRE(header.size() == 12);
    REQUIRE(header[0] == 4);
    const auto at = [&header](std::size_t i) { return static_cast<std::size_t>(static_cast<std::uint8_t>(header[i])); };
    const std::size_t length = at(2) << 24U | at(3) << 16U | at(4) << 8U | at(5);
    REQUIRE((at(6) << 24U | at(7) << 16U | at(8) << 8U | at(9)) + 4 == length);
    const auto control = static_cast<std::uint8_t>(header[11]);
    captured.pdu_lengths.push_back(length);
    captured.controls.push_back(control);
    const std::string data = read_bytes(stream, length - 6);
    ((control & 1U) != 0 ? captured.command : captured.data) += data;
    if (control == 2) {
      return;
    }
  }
}

}  // namespace

TEST_CASE("a message goes there and one comes back, then the association is released") {
  for (const std::size_t size : {0UL, 2UL, 130000UL, 131066UL, 131068UL, 262132UL, 262134UL, 1000000UL}) {
    CAPTURE(size);
    const std::string data = pattern(size);
    std::string received;
    OneShotServer server([&](net::Incoming& incoming) {
      const auto association = accept_association(incoming);
      REQUIRE(association);
      CHECK_FALSE(association->is_requestor());
      const Message message = read_message(*association, true);
      CHECK(message.context_id == 3);
      CHECK(message.command == "command.");
      received = message.data;
      association->send(3, bytes_of("answer"));
      ul::Pdv pdv;
      CHECK(association->read(Deadline::after(5s), pdv) == ul::Association::Event::release_requested);
      association->accept_release();
      CHECK_FALSE(association->is_open());
    });
    const auto association = associate(server);
    CHECK(association->contexts().size() == 2);
    CHECK(association->find_context(3)->transfer_syntax == "1.2.840.10008.1.2.1");
    CHECK(association->find_context("1.2.840.10008.1.1", "1.2.840.10008.1.2")->id == 1);
    CHECK(association->operations_window() == 1);
    CHECK(association->peer().implementation_class_uid == "2.25.2");
    CHECK(association->peer().called_ae == "ARCHIVE");
    const auto sent = association->send(3, bytes_of("command."), producer_of(data));
    CHECK(sent.complete);
    CHECK(sent.data_bytes == size);
    CHECK(read_message(*association, false).command == "answer");
    association->release();
    server.join();
    CHECK(code_of(server.error()) == "none");
    CHECK(received == data);
  }
}

TEST_CASE("PDUs keep to the peer's maximum length, fragments are even, and only the last says so") {
  for (const std::uint32_t limit : {0U, 1U, 6U, 8U, 9U, 100U, 1023U, 16384U, 131072U, 1U << 30U}) {
    for (const std::size_t size : {0UL, 2UL, 94UL, 96UL, 5000UL}) {
      CAPTURE(limit);
      CAPTURE(size);
      const std::string data = pattern(size);
      Captured captured;
      OneShotServer server(raw_peer(
          [&](net::Stream& stream) {
            read_until_last(stream, captured);
            CHECK(read_bytes(stream, 10) == k_release_rq);
            write_bytes(stream, k_release_rp);
          },
          limit));
      const auto association = associate(server);
      association->send(3, bytes_of("command."), producer_of(data));
      association->release();
      server.join();
      CHECK(captured.command == "command.");
      CHECK(captured.data == data);
      const std::size_t most = limit == 0 ? ul::Association::k_own_pdu_limit : std::max<std::size_t>(limit, 8);
      for (std::size_t i = 0; i < captured.pdu_lengths.size(); ++i) {
        CHECK(captured.pdu_lengths[i] <= most);
        CHECK(captured.pdu_lengths[i] % 2 == 0);
        const bool is_last_of_command = (captured.controls[i] & 1U) != 0 && (captured.controls[i + 1] & 1U) == 0;
        const bool is_last = is_last_of_command || i + 1 == captured.controls.size();
        CHECK(((captured.controls[i] & 2U) != 0) == is_last);
      }
    }
  }
}

TEST_CASE("bytes of a peer may come in any pieces") {
  const std::string answers = data_pdu(pdv(3, 1, "com") + pdv(3, 0xf3, "mand") + pdv(3, 0, "")) +
                              data_pdu(pdv(3, 0x00, "da")) + data_pdu("") + data_pdu(pdv(3, 0, "ta") + pdv(3, 2, ""));
  OneShotServer server(raw_peer([&](net::Stream& stream) {
    for (const char byte : answers) {
      write_bytes(stream, {&byte, 1});
    }
    CHECK(read_bytes(stream, 10) == k_release_rq);
    write_bytes(stream, k_release_rp);
  }));
  const auto association = associate(server);
  const Message message = read_message(*association, true);
  CHECK(message.command == "command");
  CHECK(message.data == "data");
  association->release();
}

TEST_CASE("a deadline loses nothing") {
  OneShotServer server(raw_peer([&](net::Stream& stream) {
    const std::string bytes = data_pdu(pdv(1, 3, "0123456789"));
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      write_bytes(stream, std::string_view(bytes).substr(i, 1));
      std::this_thread::sleep_for(2ms);
    }
    read_bytes(stream, 10);
    write_bytes(stream, k_release_rp);
  }));
  const auto association = associate(server);
  std::string received;
  bool last = false;
  std::size_t timeouts = 0;
  while (!last) {
    ul::Pdv piece;
    if (!association->wait_readable(Deadline::after(0ms))) {
      ++timeouts;
    }
    if (association->read(Deadline::after(1ms), piece) == ul::Association::Event::pdv) {
      received.append(reinterpret_cast<const char*>(piece.data.data()), piece.data.size());
      last = piece.is_last;
    } else {
      ++timeouts;
    }
  }
  CHECK(received == "0123456789");
  CHECK(timeouts > 0);
  association->release();
}

TEST_CASE("a PDU beyond what was announced is taken in pieces") {
  const std::string data = pattern(3000000);
  OneShotServer server(raw_peer([&](net::Stream& stream) {
    write_bytes(stream, data_pdu(pdv(3, 1 | 2, "c") + pdv(3, 2, data)));
    read_bytes(stream, 10);
    write_bytes(stream, k_release_rp);
  }));
  const auto association = associate(server);
  CHECK(read_message(*association, true).data == data);
  association->release();
}
