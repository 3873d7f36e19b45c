#include <kuva/dimse/status.hpp>

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>

using namespace kuva;
using namespace kuva::dimse;

namespace {

Command failed(std::uint16_t status) {
  Command command;
  command.field = CommandField::c_store_rsp;
  command.status = status;
  return command;
}

std::string code(Service service, std::uint16_t status) {
  return std::string(status_error(service, failed(status)).kind().code);
}

}  // namespace

TEST_CASE("status classes are those of PS3.7 annex C, and an unknown code is no success") {
  CHECK(status_class(0x0000) == StatusClass::success);
  for (const std::uint16_t warning :
       std::initializer_list<std::uint16_t>{0x0001, 0x0107, 0x0116, 0xB000, 0xB006, 0xB007, 0xBFFF}) {
    CHECK(status_class(warning) == StatusClass::warning);
  }
  CHECK(status_class(0xFE00) == StatusClass::cancel);
  CHECK(status_class(0xFF00) == StatusClass::pending);
  CHECK(status_class(0xFF01) == StatusClass::pending);
  for (const std::uint16_t failure :
       std::initializer_list<std::uint16_t>{0x0105, 0x0110, 0x0213, 0xA700, 0xC000, 0x0002, 0x1234, 0xFFFF, 0xFF02}) {
    CHECK(status_class(failure) == StatusClass::failure);
  }
}

TEST_CASE("C-STORE statuses become the kinds that a retry loop looks at") {
  CHECK(code(Service::store, 0xA700) == "store.out-of-resources");
  CHECK(code(Service::store, 0xA702) == "store.out-of-resources");
  CHECK(code(Service::store, 0xA770) == "store.rule-violation");
  CHECK(code(Service::store, 0xA771) == "store.rejected-before");
  CHECK(code(Service::store, 0xA776) == "store.rule-violation");
  CHECK(code(Service::store, 0xA777) == "store.patient-id-missing");
  CHECK(code(Service::store, 0xA778) == "store.patient-differs");
  CHECK(code(Service::store, 0xA779) == "store.patient-differs");
  CHECK(code(Service::store, 0xA77A) == "store.study-being-deleted");
  CHECK(code(Service::store, 0xA77B) == "store.study-differs");
  CHECK(code(Service::store, 0xA900) == "store.data-set-mismatch");
  CHECK(code(Service::store, 0xC123) == "store.cannot-understand");
  CHECK(code(Service::store, 0x0110) == "dimse.processing-failure");
  CHECK(code(Service::store, 0x0111) == "dimse.duplicate-instance");
  CHECK(code(Service::store, 0x0117) == "dimse.invalid-instance-uid");
  CHECK(code(Service::store, 0x0119) == "dimse.class-instance-conflict");
  CHECK(code(Service::store, 0x0122) == "dimse.sop-class-not-supported");
  CHECK(code(Service::store, 0x0124) == "dimse.not-authorised");
  CHECK(code(Service::store, 0x0213) == "dimse.resource-limitation");
  CHECK(code(Service::store, 0x4242) == "dimse.refused");
  // dcm4chee-arc's rules are permanent; only the deletion of a study passes.
  for (std::uint16_t status = 0xA770; status <= 0xA77B; ++status) {
    const ErrorClass expected = status == 0xA77A ? ErrorClass::temporary : ErrorClass::permanent;
    CHECK(status_error(Service::store, failed(status)).kind().error_class == expected);
  }
}

TEST_CASE("A7xx means something else outside storage") {
  CHECK(code(Service::commit_request, 0x0110) == "commit.refused");
  CHECK(code(Service::commit_request, 0x0124) == "dimse.not-authorised");
  CHECK(code(Service::echo, 0xA700) == "dimse.refused");
}

TEST_CASE("the message has the peer's own words") {
  Command response = failed(0xA700);
  response.error_comment = "disk full";
  response.offending_elements = {{0x0010, 0x0020}, {0x0009, 0x1001}};
  response.error_id = 12;
  const Error error = status_error(Service::store, response);
  CHECK(error.message() ==
        "C-STORE failed: A700 refused: out of resources; \"disk full\"; offending elements PatientID (0010,0020), "
        "(0009,1001)");
  CHECK(error.details()["status"] == "A700");
  CHECK(error.details()["statusName"] == "refused: out of resources");
  CHECK(error.details()["errorComment"] == "disk full");
  CHECK(error.details()["offendingElements"] == Json::array({"0010,0020", "0009,1001"}));
  CHECK(error.details()["errorId"] == 12);
}

TEST_CASE("identifiers of patients do not get into messages") {
  CHECK(masked_comment("Patient ID 010181-900C differs from Patient ID 020202A002P in previous received object") ==
        "Patient ID *** differs from Patient ID *** in previous received object");
  CHECK(masked_comment("Patient with name Doe^John differs from previous received object in attribute X") ==
        "Patient with *** differs from previous received object in attribute X");
  CHECK(masked_comment("cut short: Patient ID 1234567") == "cut short: Patient ID ***");
  CHECK(masked_comment("no such person 010181-900C here") == "no such person *** here");
  CHECK(masked_comment("No Patient ID (from trusted Assigning Authority) in object.") ==
        "No Patient ID (from trusted Assigning Authority) in object.");
  Command response = failed(0xA778);
  response.error_comment = "Patient ID 010181-900C differs from Patient ID X-77 in previous";
  const Error error = status_error(Service::store, response);
  CHECK(error.to_json().dump().find("010181") == std::string::npos);
  CHECK(error.to_json().dump().find("X-77") == std::string::npos);
}

TEST_CASE("Failure Reasons of storage commitment") {
  const auto reason = [](std::uint16_t value) { return std::string(commitment_failure(value).kind().code); };
  CHECK(reason(0x0110) == "commit.failed.processing");
  CHECK(reason(0x0112) == "commit.failed.no-such-instance");
  CHECK(reason(0x0119) == "commit.failed.class-conflict");
  CHECK(reason(0x0122) == "commit.failed.sop-class");
  CHECK(reason(0x0131) == "commit.failed.duplicate-transaction");
  CHECK(reason(0x0213) == "commit.failed.resources");
  CHECK(reason(0x9999) == "commit.failed.other");
  CHECK(commitment_failure(0x0112).details()["failureReason"] == "0112");
}
