#include <kuva/core/error.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/dimse/commitment.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace kuva;
using namespace kuva::dimse;

namespace {

dicom::DataSet through_wire(const dicom::DataSet& data, std::string_view syntax) {
  const dicom::TransferSyntax transfer_syntax = dicom::transfer_syntax(syntax);
  const std::string bytes = data.encode(transfer_syntax);
  return dicom::DataSet::decode(std::as_bytes(std::span(bytes.data(), bytes.size())), transfer_syntax);
}

}  // namespace

TEST_CASE("a commitment request survives both syntaxes") {
  CommitmentRequest request{"2.25.1", {{"1.2.840.10008.5.1.4.1.1.2", "1.2.3"}, {"1.2.840.10008.5.1.4.1.1.1", "1.2.4"}}};
  for (const std::string_view syntax : {dicom::k_implicit_vr_little_endian, dicom::k_explicit_vr_little_endian}) {
    const CommitmentRequest read = read_commitment_request(through_wire(to_data_set(request), syntax));
    CHECK(read.transaction_uid == "2.25.1");
    REQUIRE(read.references.size() == 2);
    CHECK(read.references[1].sop_class_uid == "1.2.840.10008.5.1.4.1.1.1");
    CHECK(read.references[1].sop_instance_uid == "1.2.4");
  }
}

TEST_CASE("a commitment request that lacks something is refused by name") {
  const auto message = [](const dicom::DataSet& data) {
    try {
      read_commitment_request(data);
    } catch (const Error& error) {
      return error.message();
    }
    return std::string();
  };
  CHECK(message(to_data_set(CommitmentRequest{"", {{"1.2", "1.3"}}})).find("Transaction UID") != std::string::npos);
  CHECK(message(to_data_set(CommitmentRequest{"1.2", {}})).find("Referenced SOP Sequence") != std::string::npos);
  CHECK(message(to_data_set(CommitmentRequest{"1.2", {{"1.2", ""}}})).find("Instance UID") != std::string::npos);
}

TEST_CASE("a report has both lists, and event type 2 when something failed") {
  const CommitmentReport report{"2.25.7", {{"1.2", "1.2.1"}}, {{{"1.3", "1.3.1"}, 0x0112}}, "ARCHIVE"};
  const CommitmentReport read =
      read_commitment_report(through_wire(to_data_set(report), dicom::k_implicit_vr_little_endian));
  CHECK(read.transaction_uid == "2.25.7");
  REQUIRE(read.committed.size() == 1);
  CHECK(read.committed[0].sop_instance_uid == "1.2.1");
  REQUIRE(read.failed.size() == 1);
  CHECK(read.failed[0].reference.sop_instance_uid == "1.3.1");
  CHECK(read.failed[0].reason == 0x0112);
  CHECK(read.retrieve_ae_title == "ARCHIVE");
  CHECK(make_commitment_report_command(4, report).event_type_id == 2);
  CHECK(make_commitment_report_command(4, {"2.25.7", {{"1.2", "1.2.1"}}, {}, ""}).event_type_id == 1);
}

TEST_CASE("sloppy reports are read") {
  SUBCASE("no list at all") {
    dicom::DataSet data;
    data.set_string(dicom::tags::transaction_uid, "1.2");
    const CommitmentReport read = read_commitment_report(data);
    CHECK(read.committed.empty());
    CHECK(read.failed.empty());
  }
  SUBCASE("a failure without a reason, an item without an instance") {
    dicom::DataSet data;
    data.set_string(dicom::tags::transaction_uid, "1.2");
    data.add_item(dicom::tags::failed_sop_sequence).set_string(dicom::tags::referenced_sop_instance_uid, "1.5");
    data.add_item(dicom::tags::referenced_sop_sequence).set_string(dicom::tags::referenced_sop_class_uid, "1.6");
    const CommitmentReport read = read_commitment_report(data);
    REQUIRE(read.failed.size() == 1);
    CHECK(read.failed[0].reason == 0);
    CHECK(read.committed.empty());
  }
  SUBCASE("Retrieve AE Title in each item counts when all agree") {
    dicom::DataSet data;
    data.set_string(dicom::tags::transaction_uid, "1.2");
    for (const char* uid : {"1.5", "1.6"}) {
      dicom::DataSet& item = data.add_item(dicom::tags::referenced_sop_sequence);
      item.set_string(dicom::tags::referenced_sop_instance_uid, uid);
      item.set_string(dicom::tags::retrieve_ae_title, "PACS");
    }
    CHECK(read_commitment_report(data).retrieve_ae_title == "PACS");
    dicom::DataSet& other = data.add_item(dicom::tags::referenced_sop_sequence);
    other.set_string(dicom::tags::referenced_sop_instance_uid, "1.7");
    other.set_string(dicom::tags::retrieve_ae_title, "OTHER");
    CHECK(read_commitment_report(data).retrieve_ae_title.empty());
  }
  SUBCASE("no transaction UID") { CHECK_THROWS_AS(read_commitment_report(dicom::DataSet()), Error); }
}

TEST_CASE("the request goes to the well-known instance") {
  const Command command = make_commitment_request_command(3);
  CHECK(command.field == CommandField::n_action_rq);
  CHECK(command.requested_sop_class_uid == dicom::uids::storage_commitment_push_model);
  CHECK(command.requested_sop_instance_uid == dicom::uids::storage_commitment_push_model_instance);
  CHECK(command.action_type_id == 1);
}
