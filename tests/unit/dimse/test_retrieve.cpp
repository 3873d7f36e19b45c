#include "dimse/fake_association.hpp"

#include <kuva/dicom/query_tags.hpp>
#include <kuva/dimse/retrieve.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::dimse;
using test::error_code;
using test::FakeAssociation;

namespace {

constexpr std::chrono::milliseconds k_soon{1000};
constexpr std::uint8_t k_move = 7;
constexpr std::uint8_t k_get = 9;

struct Sink : StoreReception {
  explicit Sink(std::size_t& taken) : bytes(taken) {}
  void write(std::span<const std::byte> piece) override { bytes += piece.size(); }
  Command finish(const Command& response) override { return response; }
  std::size_t& bytes;
};

struct Archive {
  Archive() {
    association.add_context(k_move, std::string(move_sop_class(QueryRoot::study)));
    association.add_context(k_get, std::string(get_sop_class(QueryRoot::study)));
  }

  void answers(CommandField field, std::uint16_t status, SubOperations counts, std::string_view failed = {}) {
    const std::uint8_t context = field == CommandField::c_move_rsp ? k_move : k_get;
    Command response;
    response.field = field;
    response.message_id_responded_to = 1;
    response.status = status;
    put_suboperations(response, counts);
    response.has_data_set = !failed.empty();
    association.peer_sends(response, context);
    if (!failed.empty()) {
      dicom::DataSet data;
      data.set_string(dicom::tags::failed_sop_instance_uid_list, failed);
      association.peer_sends_data(data.encode(dicom::transfer_syntax(dicom::k_implicit_vr_little_endian)), true,
                                  context);
    }
  }
  RetrieveResult move(const RetrieveProgress& progress = {}) {
    Messenger messenger(association);
    return dimse::move(messenger, QueryRoot::study, "US", {}, progress, k_soon);
  }

  FakeAssociation association;
};

}  // namespace

TEST_CASE("a move with its progress") {
  Archive archive;
  archive.answers(CommandField::c_move_rsp, 0xFF00, {1, 1, 0, 0});
  archive.answers(CommandField::c_move_rsp, 0x0000, {0, 2, 0, 0});
  std::vector<std::uint16_t> remaining;
  const RetrieveResult result = archive.move([&remaining](const SubOperations& counts) {
    remaining.push_back(counts.remaining);
    return true;
  });
  CHECK(result.status == 0);
  CHECK(result.counts.completed == 2);
  CHECK_FALSE(result.failure.has_value());
  CHECK(remaining == std::vector<std::uint16_t>{1});
  CHECK(archive.association.sent.front().command.move_destination == "US");
}

TEST_CASE("what failed is named, and a failure is an error of the result") {
  Archive archive;
  archive.answers(CommandField::c_move_rsp, 0xB000, {0, 1, 2, 0}, "1.2\\1.3");
  const RetrieveResult partial = archive.move();
  CHECK(partial.failed_instances == std::vector<std::string>{"1.2", "1.3"});
  CHECK(partial.counts.failed == 2);
  CHECK_FALSE(partial.failure.has_value());
  Archive unknown;
  unknown.answers(CommandField::c_move_rsp, 0xA801, {});
  CHECK(unknown.move().failure->kind().code == "retrieve.destination-unknown");
  Archive unreachable;
  unreachable.answers(CommandField::c_move_rsp, 0xA702, {0, 0, 1, 0}, "1.2");
  CHECK(unreachable.move().failure->kind().code == "retrieve.suboperations-failed");
}

TEST_CASE("a move is cancelled once") {
  Archive archive;
  archive.answers(CommandField::c_move_rsp, 0xFF00, {5, 1, 0, 0});
  archive.answers(CommandField::c_move_rsp, 0xFF00, {4, 2, 0, 0});
  archive.answers(CommandField::c_move_rsp, 0xFE00, {4, 2, 0, 0});
  const RetrieveResult result = archive.move([](const SubOperations&) { return false; });
  CHECK(result.cancelled);
  CHECK(result.counts.remaining == 4);
  REQUIRE(archive.association.sent.size() == 2);
  CHECK(archive.association.sent[1].command.field == CommandField::c_cancel_rq);
}

TEST_CASE("a watch decides how long to wait, and cancels once") {
  Archive archive;
  archive.answers(CommandField::c_move_rsp, 0xFF00, {5, 1, 0, 0});
  archive.association.peer_does(FakeAssociation::Incoming::What::silence);
  archive.answers(CommandField::c_move_rsp, 0xFF00, {4, 2, 0, 0});
  archive.answers(CommandField::c_move_rsp, 0xFE00, {4, 2, 0, 0});
  Messenger messenger(archive.association);
  std::vector<bool> pending;
  const RetrieveResult result =
      dimse::move(messenger, QueryRoot::study, "US", {}, RetrieveWatch([&pending](const SubOperations* counts) {
                    pending.push_back(counts != nullptr);
                    return pending.size() == 1 ? Patience::wait : Patience::cancel;
                  }));
  CHECK(result.cancelled);
  CHECK(pending == std::vector<bool>{true, false, true});
  REQUIRE(archive.association.sent.size() == 2);
  CHECK(archive.association.sent[1].command.field == CommandField::c_cancel_rq);
}

TEST_CASE("a watch gives up, whether the peer is silent or pending for ever") {
  for (const bool silent : {true, false}) {
    Archive archive;
    if (silent) {
      archive.association.peer_does(FakeAssociation::Incoming::What::silence);
    } else {
      archive.answers(CommandField::c_move_rsp, 0xFF00, {5, 0, 0, 0});
    }
    Messenger messenger(archive.association);
    CHECK(error_code([&] {
            dimse::move(messenger, QueryRoot::study, "US", {},
                        RetrieveWatch([](const SubOperations*) { return Patience::give_up; }));
          }) == "connection.timeout");
    CHECK(archive.association.aborted);
  }
}

TEST_CASE("a get takes the objects on the same association") {
  Archive archive;
  Command store;
  store.field = CommandField::c_store_rq;
  store.message_id = 11;
  store.affected_sop_class_uid = "1.2";
  store.affected_sop_instance_uid = "1.2.3";
  store.has_data_set = true;
  archive.association.peer_sends(store, 1);
  archive.association.peer_sends_data("abcd");
  archive.answers(CommandField::c_get_rsp, 0x0000, {0, 1, 0, 0});
  std::size_t bytes = 0;
  Services services;
  services.store = [&bytes](const Messenger::Message&, const ul::AcceptedContext&) {
    return std::make_unique<Sink>(bytes);
  };
  Messenger messenger(archive.association);
  const RetrieveResult result = get(messenger, QueryRoot::study, {}, services, {}, k_soon);
  CHECK(result.counts.completed == 1);
  CHECK(bytes == 4);
  REQUIRE(archive.association.sent.size() == 2);
  CHECK(archive.association.sent[1].command.field == CommandField::c_store_rsp);
  CHECK(archive.association.sent[1].command.message_id_responded_to == 11);
}

TEST_CASE("counters and roles") {
  Command final_response;
  final_response.status = 0x0000;
  put_suboperations(final_response, {0, 3, 1, 0});
  CHECK_FALSE(final_response.remaining_suboperations.has_value());
  CHECK(read_suboperations(final_response).completed == 3);
  const auto roles = get_roles({"1.2"});
  CHECK(roles.front().scp);
  CHECK_FALSE(roles.front().scu);
  FakeAssociation association;
  Messenger messenger(association);
  CHECK(error_code([&] { move(messenger, QueryRoot::study, "US", {}, {}, k_soon); }) == "negotiate.sop-class");
}
