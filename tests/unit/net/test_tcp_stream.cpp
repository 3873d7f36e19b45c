#include "support/associations.hpp"

#include <doctest/doctest.h>

#include <array>
#include <thread>

using namespace kuva;
using namespace kuva::test;
using namespace std::chrono_literals;

TEST_CASE("bytes go there and back, in pieces, and the end is told") {
  const std::string bytes(2000003, 'k');
  OneShotServer server([&](net::Incoming& incoming) {
    const auto stream = incoming.open(nullptr, Deadline::after(5s));
    const std::string got = read_bytes(*stream, bytes.size());
    CHECK(got == bytes);
    write_bytes(*stream, got);
    stream->close(Deadline::after(1s));
  });
  const auto stream = connect_plain(server.endpoint());
  CHECK(stream->peer().address == "127.0.0.1");
  CHECK(stream->local_address().starts_with("127.0.0.1:"));
  CHECK_FALSE(stream->wait_readable(Deadline::after(0ms)));
  std::array<std::byte, 8> buffer{};
  CHECK_FALSE(stream->try_read(buffer, Deadline::after(5ms)).has_value());
  CHECK(code_of(error_of([&] { stream->read_some(buffer, Deadline::after(5ms)); })) == "connection.timeout");
  const auto whole = std::as_bytes(std::span(bytes));
  std::vector<std::span<const std::byte>> pieces{whole.first(1), whole.subspan(1, 0)};
  for (std::size_t at = 1; at < whole.size(); at += 20000) {
    pieces.push_back(whole.subspan(at, std::min<std::size_t>(20000, whole.size() - at)));
  }
  stream->write_all(pieces, 5s);
  CHECK(read_bytes(*stream, bytes.size()) == bytes);
  CHECK(stream->read_some(buffer, Deadline::after(5s)) == 0);
}

TEST_CASE("connections that cannot be made") {
  std::uint16_t port = 0;
  {
    const auto listener = net::Listener::open({.host = "127.0.0.1", .port = 0});
    port = listener->port();
    CHECK(code_of(error_of([&] { net::Listener::open({.host = "127.0.0.1", .port = port}); })) == "listen.failed");
  }
  const auto refused = error_of([&] { connect_plain({.host = "127.0.0.1", .port = port}); });
  CHECK(code_of(refused) == "connect.refused");
  CHECK(refused->peer()->port == port);
  CHECK(code_of(error_of([] { connect_plain({.host = "", .port = 104}); })) == "resolve.unknown-host");
  CHECK(code_of(error_of([] { connect_plain({.host = "no host", .port = 104}); })).starts_with("resolve."));
  CHECK(code_of(error_of([] { net::Listener::open({.host = "192.0.2.1", .port = 0}); })) == "listen.failed");
}

TEST_CASE("a listener that is closed from another thread lets go") {
  const auto listener = net::Listener::open({.host = "127.0.0.1", .port = 0});
  CHECK(listener->accept(Deadline::after(10ms)) == nullptr);
  std::thread closer([&] {
    std::this_thread::sleep_for(30ms);
    listener->close();
  });
  CHECK(listener->accept(Deadline::never()) == nullptr);
  closer.join();
  CHECK(listener->accept(Deadline::never()) == nullptr);
  CHECK(code_of(error_of([&] { connect_plain({.host = "127.0.0.1", .port = listener->port()}); })) ==
        "connect.refused");
}

TEST_CASE("a handshake that is under way can be ended, and so can a wait") {
  OneShotServer server([](net::Incoming& incoming) {
    std::thread stopper([&] {
      std::this_thread::sleep_for(30ms);
      incoming.shutdown();
    });
    CHECK(code_of(error_of([&] { incoming.open(nullptr, Deadline::after(10s)); })) == "connection.lost");
    stopper.join();
  });
  const auto stream = connect_plain(server.endpoint());
  server.join();
}
