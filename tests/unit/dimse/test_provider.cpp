#include "dimse/fake_association.hpp"

#include <kuva/dimse/provider.hpp>

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
  command.affected_sop_class_uid = "1.2";
  command.affected_sop_instance_uid = "1.2.3";
  command.has_data_set = has_data_set;
  return command;
}

struct Sink : StoreReception {
  explicit Sink(std::string& target, const char* fails_with = nullptr) : data(target), failure(fails_with) {}
  void write(std::span<const std::byte> piece) override {
    if (failure != nullptr) {
      throw Error(*find_kind(failure), "no room");
    }
    data.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  }
  Command finish(const Command& response) override { return response; }
  std::string& data;
  const char* failure;
};

}  // namespace

TEST_CASE("stores, echoes and a release") {
  FakeAssociation association;
  association.peer_sends(request(CommandField::c_echo_rq, 1), 3);
  association.peer_sends(request(CommandField::c_store_rq, 2, true));
  association.peer_sends_data("abc", false);
  association.peer_sends_data("def", true);
  association.peer_does(What::release);
  Messenger messenger(association);
  std::string stored;
  std::vector<std::string> trace;
  Services services;
  services.store = [&stored](const Messenger::Message&, const ul::AcceptedContext&) {
    return std::make_unique<Sink>(stored);
  };
  services.trace = [&trace](const Messenger::Message& message, bool received) {
    trace.push_back((received ? "<" : ">") + std::string(to_string(message.command.field)));
  };
  CHECK(serve(messenger, services, k_soon, k_soon) == Ending::released);
  CHECK(association.released);
  CHECK(stored == "abcdef");
  REQUIRE(association.sent.size() == 2);
  CHECK(association.sent[0].command.field == CommandField::c_echo_rsp);
  CHECK(association.sent[0].context_id == 3);
  CHECK(association.sent[1].command.status == 0x0000);
  CHECK(trace == std::vector<std::string>{"<C-ECHO-RQ", ">C-ECHO-RSP", "<C-STORE-RQ", ">C-STORE-RSP"});
}

TEST_CASE("a sink that fails: the rest is read, the failure answered, and the next message served") {
  FakeAssociation association;
  association.peer_sends(request(CommandField::c_store_rq, 2, true));
  association.peer_sends_data("abc", false);
  association.peer_sends_data("def", true);
  association.peer_sends(request(CommandField::c_echo_rq, 3), 3);
  association.peer_does(What::release);
  Messenger messenger(association);
  std::string stored;
  const char* failure = "local.write";
  std::uint16_t expected = 0xA700;
  SUBCASE("for want of room") {}
  SUBCASE("for another reason") {
    failure = "internal";
    expected = 0x0110;
  }
  Services services;
  services.store = [&](const Messenger::Message&, const ul::AcceptedContext&) {
    return std::make_unique<Sink>(stored, failure);
  };
  serve(messenger, services, k_soon, k_soon);
  REQUIRE(association.sent.size() == 2);
  CHECK(association.sent[0].command.status == expected);
  CHECK(association.sent[0].command.error_comment == "no room");
  CHECK(association.sent[1].command.status == 0x0000);
}

TEST_CASE("what nobody serves is answered, data sets and all") {
  FakeAssociation association;
  association.peer_sends(request(CommandField::c_store_rq, 1, true));
  association.peer_sends_data("abc", true);
  association.peer_sends(request(CommandField::c_find_rq, 2, true));
  association.peer_sends_data("abc", true);
  association.peer_sends(request(CommandField::n_action_rq, 3, true), 5);
  association.peer_sends_data("abc", true, 5);
  Command cancel;
  cancel.field = CommandField::c_cancel_rq;
  cancel.message_id_responded_to = 2;
  association.peer_sends(cancel);
  association.peer_does(What::release);
  Messenger messenger(association);
  serve(messenger, Services(), k_soon, k_soon);
  REQUIRE(association.sent.size() == 3);
  CHECK(association.sent[0].command.status == 0x0122);
  CHECK(association.sent[1].command.status == 0x0211);
  CHECK(association.sent[1].command.field == CommandField::c_find_rsp);
  CHECK(association.sent[2].command.status == 0x0122);
}

TEST_CASE("N-ACTION with work after the response, and an identifier that cannot be read") {
  FakeAssociation association;
  const std::string good =
      to_data_set(CommitmentRequest{"1.2", {{"1.2", "1.3"}}}).encode(dicom::transfer_syntax("1.2.840.10008.1.2"));
  association.peer_sends(make_commitment_request_command(1), 5);
  association.peer_sends_data(good, true, 5);
  association.peer_sends(make_commitment_request_command(2), 5);
  association.peer_sends_data(good.substr(0, good.size() - 3), true, 5);
  association.peer_does(What::release);
  Messenger messenger(association);
  std::string transaction;
  std::size_t sent_before_after = 0;
  Services services;
  services.action = [&](const Messenger::Message& message, const dicom::DataSet& data,
                        std::function<void(Messenger&)>& after) {
    transaction = read_commitment_request(data).transaction_uid;
    after = [&](Messenger&) { sent_before_after = association.sent.size(); };
    return make_response(message.command, 0);
  };
  serve(messenger, services, k_soon, k_soon);
  CHECK(transaction == "1.2");
  CHECK(sent_before_after == 1);
  REQUIRE(association.sent.size() == 2);
  CHECK(association.sent[0].command.field == CommandField::n_action_rsp);
  CHECK(association.sent[1].command.status == 0x0110);
}

TEST_CASE("N-EVENT-REPORT is served on an association of our own too, and answered in full") {
  FakeAssociation association;
  const CommitmentReport report{"1.9", {{"1.2", "1.3"}}, {}, ""};
  association.peer_sends(make_commitment_report_command(1, report), 5);
  association.peer_sends_data(to_data_set(report).encode(dicom::transfer_syntax("1.2.840.10008.1.2")), true, 5);
  Messenger messenger(association);
  Messenger::Message message;
  messenger.receive(Deadline::after(k_soon), message);
  std::string transaction;
  Services services;
  services.event_report = [&](const Messenger::Message& event, const dicom::DataSet& data) {
    transaction = read_commitment_report(data).transaction_uid;
    return make_response(event.command, 0);
  };
  answer(messenger, message, services, k_soon);
  CHECK(transaction == "1.9");
  REQUIRE(association.sent.size() == 1);
  const Command& response = association.sent[0].command;
  CHECK(response.field == CommandField::n_event_report_rsp);
  CHECK(response.affected_sop_class_uid == "1.2.840.10008.1.20.1");
  CHECK(response.affected_sop_instance_uid == "1.2.840.10008.1.20.1.1");
  CHECK(response.event_type_id == 1);
  CHECK_FALSE(response.has_data_set);
}

TEST_CASE("a handler's Error is answered 0110") {
  FakeAssociation association;
  association.peer_sends(request(CommandField::n_event_report_rq, 1, true), 5);
  association.peer_sends_data("", true, 5);
  association.peer_does(What::release);
  Messenger messenger(association);
  Services services;
  services.event_report = [](const Messenger::Message&, const dicom::DataSet&) -> Command {
    throw Error(kind("local.write"), "cannot be saved");
  };
  serve(messenger, services, k_soon, k_soon);
  REQUIRE(association.sent.size() == 1);
  CHECK(association.sent[0].command.status == 0x0110);
}

TEST_CASE("idle, stopped, and a response that nobody asked for") {
  FakeAssociation association;
  Messenger messenger(association);
  Services services;
  SUBCASE("idle") {
    association.peer_does(What::silence);
    CHECK(serve(messenger, services, std::chrono::milliseconds(0), k_soon) == Ending::idle);
  }
  SUBCASE("stopped") {
    std::stop_source stop;
    services.stop = stop.get_token();
    stop.request_stop();
    CHECK(serve(messenger, services, k_soon, k_soon) == Ending::stopped);
  }
  SUBCASE("unexpected") {
    association.peer_sends(make_response(request(CommandField::c_echo_rq, 1), 0), 3);
    CHECK(error_code([&] { serve(messenger, services, k_soon, k_soon); }) == "dimse.unexpected-response");
  }
  CHECK(association.aborted);
}
