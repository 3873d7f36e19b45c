#include "dimse/fake_association.hpp"

#include <kuva/dicom/query_tags.hpp>
#include <kuva/dimse/find.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::dimse;
using test::error_code;
using test::FakeAssociation;
using What = test::FakeAssociation::Incoming::What;

namespace {

constexpr std::chrono::milliseconds k_soon{1000};
constexpr std::uint8_t k_context = 7;

struct Archive {
  Archive() { association.add_context(k_context, std::string(find_sop_class(QueryRoot::study))); }

  void answers(std::uint16_t status, const dicom::DataSet& match = {}, std::uint16_t message_id = 1) {
    Command response;
    response.field = CommandField::c_find_rsp;
    response.message_id_responded_to = message_id;
    response.status = status;
    response.has_data_set = !match.empty();
    association.peer_sends(response, k_context);
    if (!match.empty()) {
      association.peer_sends_data(match.encode(dicom::transfer_syntax(dicom::k_implicit_vr_little_endian)), true,
                                  k_context);
    }
  }

  FindResult find(std::size_t enough = SIZE_MAX) {
    Messenger messenger(association);
    return dimse::find(
        messenger, QueryRoot::study, make_instance_query("1.2", "1.3", {"1.4", "1.5"}),
        [this, enough](const dicom::DataSet& match) {
          found.push_back(match.string(dicom::tags::sop_instance_uid));
          return found.size() < enough;
        },
        k_soon);
  }

  FakeAssociation association;
  std::vector<std::string> found;
};

dicom::DataSet match(std::string_view uid) {
  dicom::DataSet data;
  data.set_string(dicom::tags::sop_instance_uid, uid);
  return data;
}

}  // namespace

TEST_CASE("a query asks for instances by their UIDs and gives the matches one by one") {
  Archive peer;
  peer.answers(0xFF00, match("1.4"));
  peer.answers(0xFF00, match("1.5"));
  peer.answers(0x0000);
  const FindResult result = peer.find();
  CHECK(result.matches == 2);
  CHECK_FALSE(result.keys_unsupported);
  CHECK_FALSE(result.cancelled);
  CHECK(peer.found == std::vector<std::string>{"1.4", "1.5"});
  REQUIRE(peer.association.sent.size() == 1);
  const auto& sent = peer.association.sent.front();
  CHECK(sent.context_id == k_context);
  CHECK(sent.command.field == CommandField::c_find_rq);
  CHECK(sent.command.affected_sop_class_uid == find_sop_class(QueryRoot::study));
  CHECK(sent.command.priority == 0);
  const dicom::DataSet identifier = dicom::DataSet::decode(std::as_bytes(std::span(sent.data.data(), sent.data.size())),
                                                           dicom::transfer_syntax(dicom::k_implicit_vr_little_endian));
  CHECK(identifier.string(dicom::tags::query_retrieve_level) == "IMAGE");
  CHECK(identifier.string(dicom::tags::study_instance_uid) == "1.2");
  CHECK(identifier.string(dicom::tags::series_instance_uid) == "1.3");
  CHECK(identifier.string(dicom::tags::sop_instance_uid) == "1.4\\1.5");
  CHECK(identifier.has(dicom::tags::instance_availability));
}

TEST_CASE("nothing found is no error; unsupported keys and limits are told") {
  Archive peer;
  peer.answers(0x0000);
  CHECK(peer.find().matches == 0);
  Archive limited;
  limited.answers(0xFF01, match("1.4"));
  limited.answers(0xB001);
  const FindResult result = limited.find();
  CHECK(result.keys_unsupported);
  CHECK(result.limited);
}

TEST_CASE("when the sink has enough the query is cancelled") {
  Archive peer;
  peer.answers(0xFF00, match("1.4"));
  peer.answers(0xFF00, match("1.5"));
  peer.answers(0xFE00);
  const FindResult result = peer.find(1);
  CHECK(result.matches == 1);
  CHECK(result.cancelled);
  CHECK(peer.found.size() == 1);
  REQUIRE(peer.association.sent.size() == 2);
  CHECK(peer.association.sent.back().command.field == CommandField::c_cancel_rq);
  CHECK(peer.association.sent.back().command.message_id_responded_to == 1);
}

TEST_CASE("a failure is the status's error, and the association stays") {
  Archive peer;
  peer.answers(0xA900);
  CHECK(error_code([&] { peer.find(); }) == "query.identifier");
  CHECK(peer.association.is_open());
  Archive busy;
  busy.answers(0xA700);
  CHECK(error_code([&] { busy.find(); }) == "query.out-of-resources");
  Archive other;
  other.answers(0xC001);
  CHECK(error_code([&] { other.find(); }) == "query.unable-to-process");
}

TEST_CASE("what is no answer to the query ends the association") {
  Archive wrong;
  wrong.answers(0x0000, {}, 9);
  CHECK(error_code([&] { wrong.find(); }) == "dimse.unexpected-response");
  CHECK(wrong.association.aborted);
  Archive silent;
  silent.association.peer_does(What::silence);
  CHECK(error_code([&] { silent.find(); }) == "connection.timeout");
  CHECK(silent.association.aborted);
  Archive leaving;
  leaving.association.peer_does(What::release);
  CHECK(error_code([&] { leaving.find(); }) == "association.released");
  CHECK(leaving.association.released);
}

TEST_CASE("without a context for it there is no query") {
  FakeAssociation association;
  Messenger messenger(association);
  const auto sink = [](const dicom::DataSet&) { return true; };
  CHECK(error_code([&] { find(messenger, QueryRoot::study, {}, sink, k_soon); }) == "negotiate.sop-class");
  CHECK(association.sent.empty());
}
