#include "dimse/fake_association.hpp"

#include <kuva/dimse/echo.hpp>
#include <kuva/dimse/messenger.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::dimse;
using test::error_code;
using test::FakeAssociation;
using What = test::FakeAssociation::Incoming::What;

namespace {

constexpr std::chrono::milliseconds k_soon{1000};

Command request(CommandField field, std::uint16_t id, bool has_data_set = false) {
  Command command;
  command.field = field;
  command.message_id = id;
  command.has_data_set = has_data_set;
  return command;
}

Command echo_response(std::uint16_t id, std::uint16_t status = 0) {
  return make_response(request(CommandField::c_echo_rq, id), status);
}

}  // namespace

TEST_CASE("a command in fragments, then its data set piece by piece") {
  FakeAssociation association;
  const std::string command = encode(request(CommandField::c_store_rq, 5, true));
  association.incoming.push_back({What::pdv, 1, true, false, command.substr(0, 10)});
  association.incoming.push_back({What::pdv, 1, true, false, ""});
  association.incoming.push_back({What::pdv, 1, true, true, command.substr(10)});
  association.peer_sends_data("abc", false);
  association.peer_sends_data("", false);
  association.peer_sends_data("def", false);
  association.peer_sends_data("", true);
  Messenger messenger(association);
  Messenger::Message message;
  REQUIRE(messenger.receive(Deadline::after(k_soon), message) == Messenger::Event::message);
  CHECK(message.context_id == 1);
  CHECK(message.command.message_id == 5);
  std::string data;
  messenger.receive_data(
      [&data](std::span<const std::byte> piece) {
        data.append(reinterpret_cast<const char*>(piece.data()), piece.size());
      },
      k_soon);
  CHECK(data == "abcdef");
  CHECK_FALSE(association.aborted);
}

TEST_CASE("a timeout loses nothing of a command that is half there") {
  FakeAssociation association;
  const std::string command = encode(echo_response(1));
  association.incoming.push_back({What::pdv, 3, true, false, command.substr(0, 20)});
  association.peer_does(What::silence);
  association.incoming.push_back({What::pdv, 3, true, true, command.substr(20)});
  Messenger messenger(association);
  Messenger::Message message;
  CHECK(messenger.receive(Deadline::after(k_soon), message) == Messenger::Event::timeout);
  CHECK(messenger.receive(Deadline::after(k_soon), message) == Messenger::Event::message);
  CHECK(message.command.field == CommandField::c_echo_rsp);
}

TEST_CASE("what breaks the order of PDVs ends the association") {
  FakeAssociation association;
  Messenger messenger(association);
  Messenger::Message message;
  const auto receive = [&] { messenger.receive(Deadline::after(k_soon), message); };
  const auto receive_all = [&] {
    receive();
    messenger.receive_data([](std::span<const std::byte>) {}, k_soon);
  };
  const std::string store = encode(request(CommandField::c_store_rq, 5, true));

  SUBCASE("data where a command is due") {
    association.peer_sends_data("abc");
    CHECK(error_code(receive) == "association.protocol");
  }
  SUBCASE("a command in the middle of a data set") {
    association.peer_sends(request(CommandField::c_store_rq, 5, true));
    association.peer_sends_data("abc", false);
    association.peer_sends(request(CommandField::c_echo_rq, 6));
    CHECK(error_code(receive_all) == "association.protocol");
  }
  SUBCASE("a data set on another context") {
    association.peer_sends(request(CommandField::c_store_rq, 5, true));
    association.peer_sends_data("abc", true, 3);
    CHECK(error_code(receive_all) == "association.protocol");
  }
  SUBCASE("a command that changes its context") {
    association.incoming.push_back({What::pdv, 1, true, false, store.substr(0, 10)});
    association.incoming.push_back({What::pdv, 3, true, true, store.substr(10)});
    CHECK(error_code(receive) == "association.protocol");
  }
  SUBCASE("a context that was not agreed on") {
    association.incoming.push_back({What::pdv, 9, true, true, store});
    CHECK(error_code(receive) == "association.protocol");
  }
  SUBCASE("a release in the middle of a data set") {
    association.peer_sends(request(CommandField::c_store_rq, 5, true));
    association.peer_does(What::release);
    CHECK(error_code(receive_all) == "association.protocol");
  }
  SUBCASE("a command set that does not end") {
    for (int i = 0; i < 5; ++i) {
      association.incoming.push_back({What::pdv, 1, true, false, std::string(16000, 'x')});
    }
    CHECK(error_code(receive) == "association.protocol");
  }
  SUBCASE("a command set that is not one") {
    association.incoming.push_back({What::pdv, 1, true, true, std::string(100, 'x')});
    CHECK(error_code(receive) == "association.protocol");
  }
  SUBCASE("a data set that stops coming") {
    association.peer_sends(request(CommandField::c_store_rq, 5, true));
    association.peer_does(What::silence);
    CHECK(error_code(receive_all) == "connection.timeout");
  }
  CHECK(association.aborted);
}

TEST_CASE("a data set for memory is bounded") {
  FakeAssociation association;
  association.peer_sends(request(CommandField::n_action_rq, 5, true), 5);
  association.peer_sends_data(std::string(600, 'x'), false, 5);
  association.peer_sends_data(std::string(600, 'x'), true, 5);
  Messenger messenger(association);
  Messenger::Message message;
  messenger.receive(Deadline::after(k_soon), message);
  CHECK(error_code([&] { messenger.receive_data_set(k_soon, 1000); }) == "association.protocol");
  CHECK(association.aborted);
}

TEST_CASE("message ids go around and leave out those that are outstanding") {
  FakeAssociation association;
  Messenger messenger(association);
  const std::uint16_t first = messenger.next_message_id();
  CHECK(first == 1);
  messenger.send(3, request(CommandField::c_echo_rq, first));
  CHECK(messenger.outstanding() == 1);
  for (int id = 2; id <= 65535; ++id) {
    REQUIRE(messenger.next_message_id() == id);
  }
  CHECK(messenger.next_message_id() == 2);
  association.peer_sends(echo_response(first), 3);
  Messenger::Message message;
  messenger.receive(Deadline::after(k_soon), message);
  CHECK(messenger.outstanding() == 0);
}

TEST_CASE("C-ECHO") {
  FakeAssociation association;
  Messenger messenger(association);
  SUBCASE("answered") {
    association.peer_sends(echo_response(1), 3);
    echo(messenger, k_soon);
    REQUIRE(association.sent.size() == 1);
    CHECK(association.sent[0].context_id == 3);
    CHECK(association.sent[0].command.affected_sop_class_uid == "1.2.840.10008.1.1");
    CHECK_FALSE(association.aborted);
  }
  SUBCASE("refused") {
    association.peer_sends(echo_response(1, 0x0124), 3);
    CHECK(error_code([&] { echo(messenger, k_soon); }) == "dimse.not-authorised");
  }
  SUBCASE("answered with another id") {
    association.peer_sends(echo_response(77), 3);
    CHECK(error_code([&] { echo(messenger, k_soon); }) == "dimse.unexpected-response");
    CHECK(association.aborted);
  }
  SUBCASE("not answered") {
    association.peer_does(What::silence);
    CHECK(error_code([&] { echo(messenger, k_soon); }) == "connection.timeout");
    CHECK(association.aborted);
  }
}
