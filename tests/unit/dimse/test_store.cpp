#include "dimse/fake_association.hpp"

#include <kuva/dimse/store.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::dimse;
using test::bytes_of;
using test::error_code;
using test::FakeAssociation;
using What = test::FakeAssociation::Incoming::What;
using Tokens = std::vector<std::uint64_t>;

namespace {

constexpr std::chrono::milliseconds k_soon{1000};
const std::string k_class = "1.2.840.10008.5.1.4.1.1.2";

StoreUser::Request object(std::uint64_t token, std::size_t size = 5000) {
  return {1, k_class, "1.2.3." + std::to_string(token), bytes_of(size), token};
}

Command response(std::uint16_t id, std::uint64_t token, std::uint16_t status = 0) {
  Command command;
  command.field = CommandField::c_store_rsp;
  command.message_id_responded_to = id;
  command.affected_sop_class_uid = k_class;
  command.affected_sop_instance_uid = "1.2.3." + std::to_string(token);
  command.status = status;
  return command;
}

}  // namespace

TEST_CASE("one object, one response") {
  FakeAssociation association;
  Messenger messenger(association);
  StoreUser user(messenger, k_soon);
  CHECK(user.may_send());
  user.send(object(11));
  CHECK_FALSE(user.may_send());
  REQUIRE(association.sent.size() == 1);
  CHECK(association.sent[0].data.size() == 5000);
  CHECK(association.sent[0].command.affected_sop_instance_uid == "1.2.3.11");
  CHECK(association.sent[0].command.has_data_set);
  CHECK(user.unanswered() == Tokens{11});
  association.peer_sends(response(1, 11, 0xB000));
  const StoreUser::Response answer = user.receive();
  CHECK(answer.token == 11);
  CHECK(answer.command.status == 0xB000);
  CHECK(answer.bytes == 5000);
  CHECK(answer.complete);
  CHECK(user.outstanding() == 0);
  CHECK(user.unanswered().empty());
}

TEST_CASE("a window lets several be outstanding, answered in any order") {
  FakeAssociation association;
  association.window = 3;
  Messenger messenger(association);
  StoreUser user(messenger, k_soon);
  user.send(object(1));
  user.send(object(2));
  CHECK(user.may_send());
  user.send(object(3));
  CHECK_FALSE(user.may_send());
  association.peer_sends(response(2, 2));
  association.peer_sends(response(3, 3, 0xA700));
  association.peer_sends(response(1, 1));
  CHECK(user.receive().token == 2);
  CHECK(user.unanswered() == Tokens{1, 3});
  CHECK(user.receive().token == 3);
  CHECK(user.receive().token == 1);
}

TEST_CASE("an unlimited window is capped") {
  FakeAssociation association;
  association.window = 0;
  Messenger messenger(association);
  StoreUser user(messenger, k_soon, 2);
  user.send(object(1));
  user.send(object(2));
  CHECK_FALSE(user.may_send());
}

TEST_CASE("who was sent whole and who was not is exact after a failure") {
  FakeAssociation association;
  association.window = 4;
  Messenger messenger(association);
  StoreUser user(messenger, k_soon);
  user.send(object(1));
  user.send(object(2));
  SUBCASE("the connection is lost in the middle of the third") {
    association.send_limit = 2000;
    CHECK(error_code([&] { user.send(object(3)); }) == "connection.lost");
    CHECK(user.unanswered() == Tokens{1, 2});
    CHECK(user.unsent() == Tokens{3});
  }
  SUBCASE("the source of the third fails") {
    StoreUser::Request third = object(3);
    third.data = [](std::span<std::byte>) -> std::size_t { throw Error(kind("local.read"), "gone"); };
    CHECK(error_code([&] { user.send(std::move(third)); }) == "local.read");
    CHECK(user.unanswered() == Tokens{1, 2});
    CHECK(user.unsent() == Tokens{3});
  }
  SUBCASE("the peer is lost while we wait") {
    association.peer_sends(response(1, 1));
    association.peer_does(What::lost);
    CHECK(user.receive().token == 1);
    try {
      user.receive();
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.kind().code == "connection.lost");
      CHECK(error.phase() == Phase::wait);
    }
    CHECK(user.unanswered() == Tokens{2});
    CHECK(user.unsent().empty());
  }
  SUBCASE("no answer comes") {
    association.peer_does(What::silence);
    CHECK(error_code([&] { user.receive(); }) == "store.no-response");
    CHECK(association.aborted);
    CHECK(user.unanswered() == Tokens{1, 2});
  }
  SUBCASE("the peer releases") {
    association.peer_does(What::release);
    CHECK(error_code([&] { user.receive(); }) == "association.released");
    CHECK(user.unanswered() == Tokens{1, 2});
  }
}

TEST_CASE("an early answer") {
  FakeAssociation association;
  association.answered_early = true;
  Messenger messenger(association);
  StoreUser user(messenger, k_soon);
  SUBCASE("a failure ends the sending") {
    association.peer_sends(response(1, 1, 0xA700));
    user.send(object(1, 1000000));
    CHECK(user.has_answer());
    const StoreUser::Response answer = user.receive();
    CHECK_FALSE(user.has_answer());
    CHECK_FALSE(answer.complete);
    CHECK(answer.bytes < 1000000);
    CHECK(answer.command.status == 0xA700);
    CHECK_FALSE(association.aborted);
  }
  SUBCASE("success or a warning must not make half an object look whole") {
    SUBCASE("success") { association.peer_sends(response(1, 1, 0x0000)); }
    SUBCASE("a warning") { association.peer_sends(response(1, 1, 0xB000)); }
    CHECK(error_code([&] { user.send(object(1, 1000000)); }) == "dimse.unexpected-response");
    CHECK(association.aborted);
    CHECK(association.sent.empty());
    CHECK(user.unsent() == Tokens{1});
    CHECK(user.unanswered().empty());
  }
  SUBCASE("an answer to another message is found out as ever") {
    association.peer_sends(response(9, 1, 0xA700));
    user.send(object(1, 1000000));
    CHECK(error_code([&] { user.receive(); }) == "dimse.unexpected-response");
    CHECK(association.aborted);
  }
}

TEST_CASE("an answer to something else ends the association") {
  FakeAssociation association;
  association.window = 2;
  Messenger messenger(association);
  StoreUser user(messenger, k_soon);
  user.send(object(1));
  SUBCASE("another message id") { association.peer_sends(response(9, 1)); }
  SUBCASE("no message id") {
    Command command = response(1, 1);
    command.message_id_responded_to.reset();
    association.peer_sends(command);
  }
  SUBCASE("another instance") { association.peer_sends(response(1, 2)); }
  SUBCASE("no status") {
    Command command = response(1, 1);
    command.status.reset();
    association.peer_sends(command);
  }
  SUBCASE("another operation") {
    Command command = response(1, 1);
    command.field = CommandField::c_echo_rsp;
    association.peer_sends(command);
  }
  CHECK(error_code([&] { user.receive(); }) == "dimse.unexpected-response");
  CHECK(association.aborted);
  CHECK(user.unanswered() == Tokens{1});
}

TEST_CASE("a response without UIDs is taken by its message id") {
  FakeAssociation association;
  Messenger messenger(association);
  StoreUser user(messenger, k_soon);
  user.send(object(1));
  Command command = response(1, 1);
  command.affected_sop_class_uid.reset();
  command.affected_sop_instance_uid.reset();
  association.peer_sends(command);
  CHECK(user.receive().token == 1);
}
