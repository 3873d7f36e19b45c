#include "support/associations.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
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

// The same bytes where they lie in a file, behind some others.
class FileOf {
 public:
  explicit FileOf(const std::string& bytes) : m_bytes(bytes), m_file(std::tmpfile()) {
    REQUIRE(m_file);
    REQUIRE(std::fputs("head", m_file.get()) >= 0);
    REQUIRE(std::fwrite(bytes.data(), 1, bytes.size(), m_file.get()) == bytes.size());
    REQUIRE(std::fflush(m_file.get()) == 0);
  }
  ul::DataSource source() const {
    ul::DataSource source(producer_of(m_bytes));
    source.size = m_bytes.size();
    source.file = net::FileRange{::fileno(m_file.get()), 4, m_bytes.size()};
    return source;
  }
  void cut(std::size_t size) { REQUIRE(::ftruncate(::fileno(m_file.get()), static_cast<off_t>(4 + size)) == 0); }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::string& m_bytes;
  std::unique_ptr<std::FILE, Close> m_file;
};

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

TEST_CASE("a data set goes out of its file as it goes out of memory") {
  for (const std::uint32_t limit : {0U, 16384U, 50001U, 131072U}) {
    for (const std::size_t size : {0UL, 2UL, 32768UL, 131066UL, 131068UL, 262132UL, 3000000UL}) {
      CAPTURE(limit);
      CAPTURE(size);
      const std::string data = pattern(size);
      const FileOf file(data);
      ul::DataSource known_size(producer_of(data));
      known_size.size = size;
      std::uint64_t paced = 0;
      ul::DataSource from_file = file.source();
      from_file.pace = [&paced](std::size_t count) { paced += count; };
      for (const ul::DataSource& source : {known_size, from_file}) {
        Captured captured;
        OneShotServer server(raw_peer(
            [&](net::Stream& stream) {
              read_until_last(stream, captured);
              CHECK(read_bytes(stream, 10) == k_release_rq);
              write_bytes(stream, k_release_rp);
            },
            limit));
        const auto association = associate(server);
        const auto sent = association->send(3, bytes_of("command."), source, [] { return true; });
        CHECK(sent.complete);
        CHECK(sent.data_bytes == size);
        association->release();
        server.join();
        CHECK(captured.command == "command.");
        CHECK((captured.data == data));
        const std::size_t most = limit == 0 ? ul::Association::k_own_pdu_limit : limit;
        for (const std::size_t length : captured.pdu_lengths) {
          CHECK(length <= most);
          CHECK(length % 2 == 0);
        }
      }
      CHECK(paced == size);
    }
  }
}

TEST_CASE("a file that becomes shorter while it is sent ends the association") {
  const std::string data = pattern(1000000);
  FileOf file(data);
  Captured captured;
  OneShotServer server(raw_peer([](net::Stream& stream) { read_bytes(stream, 2000000); }));
  const auto association = associate(server, short_timeouts());
  ul::DataSource source = file.source();
  file.cut(600000);
  CHECK(code_of(error_of([&] { association->send(3, bytes_of("command."), source); })) == "file.truncated");
  CHECK_FALSE(association->is_open());
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

TEST_CASE("a rejection says who, why and for how long") {
  struct Row {
    ul::AssociateReject reject;
    std::string_view code;
    std::string_view words;
  };
  for (const Row& row : {Row{{1, 1, 7}, "associate.rejected.called-ae", "called AE title not recognised"},
                         Row{{1, 1, 3}, "associate.rejected.calling-ae", "calling AE title not recognised"},
                         Row{{1, 2, 1}, "associate.rejected.identity", "no user identity was sent"},
                         Row{{2, 3, 2}, "associate.rejected.transient", "local limit exceeded"},
                         Row{{1, 1, 2}, "associate.rejected.permanent", "application context"},
                         Row{{1, 9, 99}, "associate.rejected.permanent", "1/9/99"}}) {
    CAPTURE(row.code);
    OneShotServer server([&](net::Incoming& incoming) {
      const auto association =
          ul::Association::accept(incoming.open(nullptr, Deadline::after(5s)),
                                  [&](const ul::AssociateRequest&, const net::Stream&) { return row.reject; }, {});
      CHECK(association == nullptr);
    });
    const auto error = error_of([&] { associate(server); });
    CHECK(code_of(error) == row.code);
    CHECK(error->message().find(row.words) != std::string::npos);
    CHECK(error->message().find("\"ARCHIVE\"") != std::string::npos);
    CHECK(error->details()["rejectReason"] == row.reject.reason);
    CHECK(error->peer()->called_ae == "ARCHIVE");
    CHECK(error->peer()->port == server.endpoint().port);
  }
}

TEST_CASE("a request in another protocol version or application context is rejected without asking") {
  for (const bool wrong_version : {true, false}) {
    OneShotServer server([&](net::Incoming& incoming) { CHECK(accept_association(incoming) == nullptr); });
    auto request = sample_request();
    (wrong_version ? request.protocol_version = 2 : request.protocol_version = 1);
    request.application_context = wrong_version ? "" : "1.2.3";
    const auto error =
        error_of([&] { ul::Association::request(connect_plain(server.endpoint()), request, short_timeouts()); });
    CHECK(code_of(error) == "associate.rejected.permanent");
    CHECK(error->details()["rejectSource"] == (wrong_version ? 2 : 1));
  }
}

TEST_CASE("what the peer says instead of an answer") {
  struct Row {
    std::string answer;
    std::string_view code;
    std::string_view words;
  };
  using namespace std::string_literals;
  for (const Row& row :
       {Row{ul::encode(ul::Abort{2, 1}), "associate.aborted", "unrecognised PDU"},
        Row{"HTTP/1.1 400 Bad Request\r\n\r\n", "associate.protocol", "HTTP"},
        Row{"SSH-2.0-OpenSSH_9.2\r\n", "associate.protocol", "SSH"}, Row{"220 ready\r\n", "associate.protocol", "text"},
        Row{"\x15\x03\x01\x00\x02\x02\x46"s, "tls.peer-wants-tls", "TLS"},
        Row{"\x42\x00\x00\x00\x00\x00"s, "associate.protocol", "42H"},
        Row{"\x04\x00\x00\x00\x00\x00"s, "associate.protocol", "P-DATA-TF"},
        Row{"\x02\x00\x7f\xff\xff\xff"s, "associate.protocol", "2147483647"},
        Row{"\x02\x00\x00\x00\x00\x02zz"s, "associate.protocol", "A-ASSOCIATE-AC broken"},
        Row{"", "connection.lost", "without an answer"}, Row{"\x02\x00"s, "connection.lost", "middle of a PDU"}}) {
    CAPTURE(row.words);
    OneShotServer server([&](net::Incoming& incoming) {
      const auto stream = incoming.open(nullptr, Deadline::after(5s));
      read_bytes(*stream, 6);
      write_bytes(*stream, row.answer);
      stream->close(Deadline::after(1s));
    });
    const auto error = error_of([&] { associate(server, short_timeouts()); });
    CHECK(code_of(error) == row.code);
    if (error) {
      CAPTURE(error->message());
      CHECK(error->message().find(row.words) != std::string::npos);
      CHECK(error->phase() == Phase::associate);
    }
  }
}

TEST_CASE("silence ends at a deadline, at every stage") {
  const auto quiet = [](net::Stream& stream) { read_bytes(stream, 100000); };
  SUBCASE("before the answer") {
    OneShotServer server([&](net::Incoming& incoming) { quiet(*incoming.open(nullptr, Deadline::after(5s))); });
    CHECK(code_of(error_of([&] { associate(server, short_timeouts()); })) == "associate.timeout");
  }
  SUBCASE("in the middle of the answer") {
    OneShotServer server([&](net::Incoming& incoming) {
      const auto stream = incoming.open(nullptr, Deadline::after(5s));
      write_bytes(*stream, std::string_view("\x02\x00\x00\x00\x01\x00oops", 10));
      quiet(*stream);
    });
    CHECK(code_of(error_of([&] { associate(server, short_timeouts()); })) == "associate.timeout");
  }
  SUBCASE("after A-RELEASE-RQ") {
    OneShotServer server(raw_peer(quiet));
    const auto association = associate(server, short_timeouts());
    const auto error = error_of([&] { association->release(); });
    CHECK(code_of(error) == "connection.timeout");
    CHECK(error->phase() == Phase::release);
    CHECK_FALSE(association->is_open());
    CHECK(code_of(error_of([&] { association->release(); })) == "connection.timeout");
  }
  SUBCASE("of a requestor") {
    OneShotServer server([](net::Incoming& incoming) { accept_association(incoming, 0, short_timeouts()); });
    const auto stream = connect_plain(server.endpoint());
    write_bytes(*stream, std::string_view("\x01\x00", 2));
    server.join();
    CHECK(code_of(server.error()) == "associate.timeout");
  }
  SUBCASE("of a requestor that does not close") {
    OneShotServer server([](net::Incoming& incoming) {
      const auto association = accept_association(incoming, 0, short_timeouts());
      ul::Pdv pdv;
      CHECK(association->read(Deadline::after(5s), pdv) == ul::Association::Event::release_requested);
      CHECK(association->read(Deadline::after(0ms), pdv) == ul::Association::Event::release_requested);
      association->accept_release();
    });
    const auto stream = connect_plain(server.endpoint());
    write_bytes(*stream, ul::encode(sample_request()));
    write_bytes(*stream, k_release_rq);
    server.join();
    CHECK(code_of(server.error()) == "none");
  }
}

TEST_CASE("a peer that stops reading is a time-out of sending") {
  std::atomic<bool> done{false};
  OneShotServer server(raw_peer([&](net::Stream&) {
    while (!done) {
      std::this_thread::sleep_for(5ms);
    }
  }));
  const auto association = associate(server, short_timeouts());
  const auto start = std::chrono::steady_clock::now();
  const auto error = error_of(
      [&] { association->send(3, bytes_of("command."), [](std::span<std::byte> buffer) { return buffer.size(); }); });
  done = true;
  CHECK(code_of(error) == "connection.timeout");
  CHECK(error->phase() == Phase::send);
  CHECK(std::chrono::steady_clock::now() - start < 5s);
}

TEST_CASE("shutdown from another thread ends a wait") {
  OneShotServer server(raw_peer([](net::Stream& stream) { read_bytes(stream, 100000); }));
  const auto association = associate(server);
  std::thread stopper([&] {
    std::this_thread::sleep_for(30ms);
    association->shutdown();
  });
  ul::Pdv pdv;
  CHECK(code_of(error_of([&] { association->read(Deadline::after(10s), pdv); })) == "connection.lost");
  stopper.join();
}

TEST_CASE("an abort of the peer is told with its source and reason") {
  SUBCASE("while waiting") {
    OneShotServer server(raw_peer([](net::Stream& stream) { write_bytes(stream, ul::encode(ul::Abort{2, 6})); }));
    const auto association = associate(server);
    ul::Pdv pdv;
    CHECK(association->wait_readable(Deadline::after(5s)));
    const auto error = error_of([&] { association->read(Deadline::after(5s), pdv); });
    CHECK(code_of(error) == "association.aborted");
    CHECK(error->phase() == Phase::wait);
    CHECK(error->details()["abortSource"] == 2);
    CHECK(error->details()["abortReason"] == 6);
    CHECK(error->message().find("invalid PDU parameter value") != std::string::npos);
    CHECK(code_of(error_of([&] { association->send(3, bytes_of("c")); })) == "association.aborted");
  }
  SUBCASE("while sending: it is the cause, not the reset connection") {
    OneShotServer server(raw_peer([](net::Stream& stream) {
      read_bytes(stream, 1000);
      write_bytes(stream, ul::encode(ul::Abort{0, 0}));
    }));
    const auto association = associate(server);
    const auto error = error_of([&] {
      for (int i = 0; i < 1000; ++i) {
        association->send(3, bytes_of("command."), producer_of(std::string(100000, 'x')));
      }
    });
    CHECK(code_of(error) == "association.aborted");
    CHECK(error->phase() == Phase::send);
  }
}

TEST_CASE("our aborts reach the peer") {
  const auto received_after_accept = [](std::function<void(ul::Association&)> act, std::string_view from_peer) {
    std::string received;
    OneShotServer server(raw_peer([&](net::Stream& stream) {
      write_bytes(stream, from_peer);
      received = read_bytes(stream, 10);
    }));
    {
      const auto association = associate(server);
      act(*association);
    }
    server.join();
    return received;
  };
  const auto read_once = [](std::string_view code) {
    return [code](ul::Association& association) {
      ul::Pdv pdv;
      CHECK(code_of(error_of([&] {
              while (association.read(Deadline::after(5s), pdv) == ul::Association::Event::pdv) {
              }
            })) == code);
    };
  };
  using namespace std::string_literals;
  CHECK(received_after_accept([](ul::Association&) {}, "") == ul::encode(ul::Abort{0, 0}));
  CHECK(received_after_accept(
            [](ul::Association& association) {
              association.abort({2, 0});
            },
            "") == ul::encode(ul::Abort{2, 0}));
  CHECK(received_after_accept(read_once("association.protocol"), "\x2a\0\0\0\0\0"s) == ul::encode(ul::Abort{2, 1}));
  CHECK(received_after_accept(read_once("association.protocol"), ul::encode(sample_request())) ==
        ul::encode(ul::Abort{2, 2}));
  CHECK(received_after_accept(read_once("association.protocol"), k_release_rp) == ul::encode(ul::Abort{2, 2}));
  // A context that was not accepted, PDVs longer or shorter than can be, a PDU too long to be one.
  CHECK(received_after_accept(read_once("association.protocol"), data_pdu(pdv(9, 2, "x"))) ==
        ul::encode(ul::Abort{2, 6}));
  CHECK(received_after_accept(read_once("association.protocol"), data_pdu("\0\0\0\x09\x03\x02x"s)) ==
        ul::encode(ul::Abort{2, 6}));
  CHECK(received_after_accept(read_once("association.protocol"), data_pdu("\0\0\0\x01\x03\x02"s)) ==
        ul::encode(ul::Abort{2, 6}));
  CHECK(received_after_accept(read_once("association.protocol"), data_pdu(pdv(3, 0, "xy") + "abc")) ==
        ul::encode(ul::Abort{2, 6}));
  CHECK(received_after_accept(read_once("association.protocol"), "\x04\0\x7f\0\0\0"s) == ul::encode(ul::Abort{2, 6}));
}

TEST_CASE("a producer that fails aborts the association, and its Error is passed on") {
  std::string received;
  OneShotServer server(raw_peer([&](net::Stream& stream) { received = read_bytes(stream, 100000); }));
  const auto association = associate(server, short_timeouts());
  const auto error = error_of([&] {
    association->send(3, bytes_of("command."),
                      [](std::span<std::byte>) -> std::size_t { throw Error(kind("local.read"), "gone"); });
  });
  CHECK(code_of(error) == "local.read");
  server.join();
  CHECK(received == ul::encode(ul::Abort{0, 0}));
}

TEST_CASE("an answer before all was sent ends the message early, when that is asked for") {
  const std::string data = pattern(2000000);
  const FileOf file(data);
  for (const auto& [stop, source] : {std::pair<bool, ul::DataSource>(true, producer_of(data)),
                                     {false, producer_of(data)},
                                     {true, file.source()},
                                     {false, file.source()}}) {
    Captured captured;
    OneShotServer server(raw_peer([&](net::Stream& stream) {
      write_bytes(stream, data_pdu(pdv(3, 3, "refused.")));
      read_until_last(stream, captured);
      read_bytes(stream, 10);
      write_bytes(stream, k_release_rp);
    }));
    const auto association = associate(server);
    CHECK(association->wait_readable(Deadline::after(5s)));
    const auto sent = association->send(3, bytes_of("command."), source, [&stop = stop] { return stop; });
    CHECK(sent.complete == !stop);
    CHECK(read_message(*association, false).command == "refused.");
    association->release();
    server.join();
    CHECK(captured.data == data.substr(0, sent.data_bytes));
    CHECK((sent.data_bytes < data.size()) == stop);
    CHECK(captured.data.size() % 2 == 0);
  }
}

TEST_CASE("both sides release at once") {
  SUBCASE("the requestor answers first, then waits") {
    OneShotServer server(raw_peer([](net::Stream& stream) {
      write_bytes(stream, k_release_rq);
      const std::string both = read_bytes(stream, 20);
      CHECK(both == std::string(k_release_rq) + std::string(k_release_rp));
      write_bytes(stream, k_release_rp);
      CHECK(read_bytes(stream, 1).empty());
    }));
    const auto association = associate(server);
    association->release();
    CHECK_FALSE(association->is_open());
  }
  SUBCASE("the acceptor waits for the answer, then answers") {
    OneShotServer server([](net::Incoming& incoming) {
      const auto association = accept_association(incoming);
      association->release();
      CHECK_FALSE(association->is_open());
    });
    const auto stream = connect_plain(server.endpoint());
    write_bytes(*stream, ul::encode(sample_request()));
    const std::string header = read_bytes(*stream, 6);
    read_bytes(*stream, static_cast<std::uint8_t>(header[4]) * 256U + static_cast<std::uint8_t>(header[5]));
    CHECK(read_bytes(*stream, 10) == k_release_rq);
    write_bytes(*stream, k_release_rq);
    write_bytes(*stream, k_release_rp);
    CHECK(read_bytes(*stream, 10) == k_release_rp);
    stream->close(Deadline::after(1s));
    server.join();
    CHECK(code_of(server.error()) == "none");
  }
  SUBCASE("release after the peer's request was seen") {
    OneShotServer server(raw_peer([](net::Stream& stream) {
      write_bytes(stream, k_release_rq);
      CHECK(read_bytes(stream, 10) == k_release_rp);
    }));
    const auto association = associate(server);
    CHECK(association->wait_readable(Deadline::after(5s)));
    association->release();
  }
}

TEST_CASE("roles, window and contexts are what both sides agree on") {
  constexpr std::string_view k_commitment = "1.2.840.10008.1.20.1";
  auto request = sample_request();
  request.contexts.push_back({5, std::string(k_commitment), {"1.2.840.10008.1.2"}});
  request.contexts.push_back({7, "1.2.3.4", {"1.2.840.10008.1.2"}});
  request.contexts.push_back({9, "1.2.3.5", {"1.2.840.10008.1.2"}});
  request.roles = {{std::string(k_commitment), false, true}, {"1.2.840.10008.1.1", true, true}};
  request.asynchronous_operations = ul::AsynchronousOperations{.invoked = 8, .performed = 0};
  request.user_identity = ul::UserIdentity{
      .type = ul::UserIdentity::Type::username, .response_requested = false, .primary = "user", .secondary = {}};
  OneShotServer server([&](net::Incoming& incoming) {
    const auto association = ul::Association::accept(
        incoming.open(nullptr, Deadline::after(5s)),
        [&](const ul::AssociateRequest& asked, const net::Stream&) {
          auto accept = std::get<ul::AssociateAccept>(accept_all(asked));
          std::swap(accept.contexts[0], accept.contexts[1]);
          accept.contexts[3] = {7, ul::ContextResult::abstract_syntax_not_supported, {}};
          accept.contexts.pop_back();
          accept.roles = {{std::string(k_commitment), true, true}, {"1.2.9", true, true}};
          accept.asynchronous_operations = ul::AsynchronousOperations{.invoked = 0, .performed = 3};
          accept.user_identity_response = "nobody asked";
          return accept;
        },
        {});
    CHECK(association->requested().user_identity->primary == "user");
    CHECK(association->find_context(5)->scu);
    CHECK_FALSE(association->find_context(5)->scp);
    CHECK_FALSE(association->find_context(3)->scu);
    CHECK(association->find_context(3)->scp);
    CHECK(association->operations_window() == 3);
    ul::Pdv pdv;
    association->read(Deadline::after(5s), pdv);
    association->accept_release();
  });
  const auto association = ul::Association::request(connect_plain(server.endpoint()), request, {});
  CHECK(association->contexts().size() == 3);
  CHECK_FALSE(association->find_context(5)->scu);
  CHECK(association->find_context(5)->scp);
  CHECK(association->find_context(1)->scu);
  CHECK_FALSE(association->find_context(1)->scp);  // proposed, not answered
  CHECK(association->context_result(7) == ul::ContextResult::abstract_syntax_not_supported);
  CHECK(association->context_result(9) == ul::ContextResult::no_reason);
  CHECK(association->context_result(1) == ul::ContextResult::accepted);
  CHECK(association->operations_window() == 8);
  CHECK(association->accepted().roles.size() == 1);
  CHECK_FALSE(association->accepted().user_identity_response.has_value());
  association->release();
}
