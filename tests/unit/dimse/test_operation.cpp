#include "dimse/fake_association.hpp"

#include <kuva/dimse/operation.hpp>
#include <kuva/dimse/query.hpp>
#include <kuva/dimse/response.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::dimse;
using test::error_code;
using test::FakeAssociation;
using What = test::FakeAssociation::Incoming::What;

namespace {

constexpr std::chrono::milliseconds k_soon{1000};
constexpr std::uint8_t k_context = 7;

Command find_request(std::uint16_t id) {
  Command command;
  command.field = CommandField::c_find_rq;
  command.message_id = id;
  command.affected_sop_class_uid = find_sop_class(QueryRoot::study);
  command.has_data_set = true;
  return command;
}

Command cancel(std::uint16_t id) { return make_cancel(find_request(id)); }

struct Provider {
  Provider() {
    association.add_context(k_context, std::string(find_sop_class(QueryRoot::study)));
    association.peer_sends(find_request(1), k_context);
    association.peer_sends_data(std::string(), true, k_context);
  }
  void serve() {
    Messenger messenger(association);
    dimse::serve(messenger, services, k_soon, k_soon);
  }
  std::vector<std::uint16_t> statuses() const {
    std::vector<std::uint16_t> all;
    for (const auto& sent : association.sent) {
      all.push_back(sent.command.status.value_or(0xFFFF));
    }
    return all;
  }

  FakeAssociation association;
  Services services;
};

}  // namespace

TEST_CASE("an operation responds until it is cancelled") {
  Provider provider;
  provider.association.peer_sends(cancel(9), k_context);  // of something else
  provider.association.peer_sends(cancel(1), k_context);
  provider.association.peer_does(What::release);
  provider.services.query = [](Operation& operation, const dicom::DataSet&) {
    for (int i = 0; i < 3 && !operation.is_cancelled(); ++i) {
      operation.respond(make_response(operation.request(), 0xFF00));
    }
    operation.respond(make_response(operation.request(), 0xFE00));
  };
  provider.association.incoming.pop_back();  // the release comes only after the response
  CHECK(error_code([&] { provider.serve(); }) == "connection.lost");
  CHECK(provider.statuses() == std::vector<std::uint16_t>{0xFE00});
}

TEST_CASE("another operation meanwhile has to wait, an echo is answered") {
  Provider provider;
  provider.association.peer_sends(find_request(2), k_context);
  provider.association.peer_sends_data(std::string(), true, k_context);
  Command echo;
  echo.field = CommandField::c_echo_rq;
  echo.message_id = 3;
  provider.association.peer_sends(echo, 3);
  provider.services.query = [](Operation& operation, const dicom::DataSet&) {
    CHECK_FALSE(operation.is_cancelled());
    operation.respond(make_response(operation.request(), 0x0000));
  };
  CHECK(error_code([&] { provider.serve(); }) == "connection.lost");
  CHECK(provider.statuses() == std::vector<std::uint16_t>{0x0213, 0x0000, 0x0000});
  CHECK(provider.association.sent[2].command.message_id_responded_to == 1);
}

TEST_CASE("a release or a stray response in the middle ends the association") {
  Provider leaving;
  leaving.association.peer_does(What::release);
  leaving.services.query = [](Operation& operation, const dicom::DataSet&) { operation.is_cancelled(); };
  CHECK(error_code([&] { leaving.serve(); }) == "association.protocol");
  CHECK(leaving.association.aborted);
}

TEST_CASE("a handler that fails is answered with a failure") {
  Provider provider;
  provider.services.query = [](Operation&, const dicom::DataSet&) {
    throw Error(kind("local.read"), "the index is gone");
  };
  CHECK(error_code([&] { provider.serve(); }) == "connection.lost");
  CHECK(provider.statuses() == std::vector<std::uint16_t>{0x0110});
}

TEST_CASE("an identifier that cannot be read does not match") {
  FakeAssociation association;
  association.add_context(k_context, std::string(find_sop_class(QueryRoot::study)));
  association.peer_sends(find_request(1), k_context);
  association.peer_sends_data("broken", true, k_context);
  Messenger messenger(association);
  Services services;
  services.query = [](Operation&, const dicom::DataSet&) { FAIL("asked with nothing"); };
  CHECK(error_code([&] { serve(messenger, services, k_soon, k_soon); }) == "connection.lost");
  CHECK(association.sent.front().command.status == 0xA900);
}

TEST_CASE("a C-GET sub-operation waits for its own response, and hears a cancel meanwhile") {
  Provider provider;
  provider.association.peer_sends(cancel(1), k_context);
  Command stored;
  stored.field = CommandField::c_store_rsp;
  stored.message_id_responded_to = 1;
  stored.status = 0xB000;
  provider.association.peer_sends(stored, 1);
  bool was_cancelled = false;
  provider.services.query = [&was_cancelled](Operation& operation, const dicom::DataSet&) {
    const Command response = operation.store(1, "1.2", "1.2.3", test::bytes_of(10), k_soon);
    CHECK(response.status == 0xB000);
    was_cancelled = operation.is_cancelled();
    operation.respond(make_response(operation.request(), 0xFE00));
  };
  CHECK(error_code([&] { provider.serve(); }) == "connection.lost");
  CHECK(was_cancelled);
  REQUIRE(provider.association.sent.size() == 2);
  CHECK(provider.association.sent[0].command.affected_sop_instance_uid == "1.2.3");
  CHECK(provider.association.sent[0].data.size() == 10);
}
