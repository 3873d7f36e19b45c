#include "support/associations.hpp"

#include <kuva/xds/response.hpp>
#include <kuva/xml/document.hpp>

#include <doctest/doctest.h>

#include <set>

namespace kuva::xds {

namespace {

RegistryResponse read(std::string_view status, std::string_view content = {}) {
  const std::string text = "<r:RegistryResponse xmlns:r=\"urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0\" status=\"" +
                           std::string(status) + "\">" + std::string(content) + "</r:RegistryResponse>";
  return read_registry_response(xml::Document::parse(text).root());
}

constexpr std::string_view k_error =
    "<r:RegistryErrorList><r:RegistryError errorCode=\"XDSRegistryBusy\" codeContext=\"later\"/></r:RegistryErrorList>";

}  // namespace

TEST_CASE("the statuses in all their spellings") {
  CHECK(read(response_status::success).deviations.empty());
  CHECK(read("urn:ihe:iti:2007:ResponseStatusType:PartialSuccess", k_error).status == Status::partial_success);
  const auto other = read("urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:PartialSuccess", k_error);
  CHECK(other.status == Status::partial_success);
  CHECK(other.deviations.size() == 1);
  CHECK(read("Success").status == Status::success);
  CHECK(read(" urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure ", k_error).status == Status::failure);
  CHECK(read("urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Unavailable", k_error).status == Status::failure);
  CHECK(test::code_of(test::error_of([] { read(""); })) == "xds.response");
  CHECK(test::code_of(test::error_of([] { read("fine"); })) == "xds.response");
}

TEST_CASE("contradictions are told, and the worse of both counts") {
  const auto cheerful = read(response_status::success, k_error);
  CHECK(cheerful.effective_status() == Status::partial_success);
  CHECK(cheerful.deviations.size() == 1);
  CHECK(test::code_of(to_error(cheerful)) == "xds.busy");
  const auto mute = read(response_status::failure);
  CHECK(mute.deviations.size() == 1);
  CHECK(test::code_of(to_error(mute)) == "xds.refused");
  CHECK_FALSE(to_error(read(response_status::success)));
}

TEST_CASE("a warning is no error, whatever namespace its list stands in") {
  const auto response = read(
      response_status::success,
      "<m:RegistryErrorList xmlns:m=\"urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0\"><m:RegistryError errorCode=\"X\" "
      "codeContext=\"c\" location=\"l\" severity=\"urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Warning\"/>"
      "</m:RegistryErrorList>");
  REQUIRE(response.errors.size() == 1);
  CHECK(response.errors[0] == RegistryError{"X", "c", "l", Severity::warning});
  CHECK_FALSE(to_error(response));
  CHECK_FALSE(response.deviations.empty());
}

TEST_CASE("every known code maps to a kind of kuva, and stands once") {
  std::set<std::string_view> seen;
  for (const RegistryErrorNote& note : registry_error_notes()) {
    CAPTURE(note.code);
    CHECK(find_kind(note.kind) != nullptr);
    CHECK(seen.insert(note.code).second);
    CHECK(find_registry_error(note.code) == &note);
    CHECK(to_error(RegistryError{std::string(note.code), "", "", Severity::error}).kind().code == note.kind);
  }
  CHECK(to_error(RegistryError{"KelaX", "no", "", Severity::error}).message() == "KelaX: no");
  CHECK(find_registry_error("KelaX") == nullptr);
}

TEST_CASE("identifiers of a patient do not get into messages") {
  CHECK(mask_identifiers("patient 'st-34^^^&1.2.3&ISO' is not here") == "patient '[masked]^^^&1.2.3&ISO' is not here");
  CHECK(mask_identifiers("id 010181-900C, id 131052-308T!") == "id [masked], id [masked]!");
  CHECK(mask_identifiers("010181-900C^^^&1.2&ISO") == "[masked]^^^&1.2&ISO");
  CHECK(mask_identifiers("7010181-900C is none") == "7010181-900C is none");
  CHECK(mask_identifiers("PatientId 777 is unknown", "777^^^&1.2&ISO") == "PatientId [masked] is unknown");
  CHECK(mask_identifiers("1.2.840.10008 is a UID") == "1.2.840.10008 is a UID");
  const RegistryError unknown{"XDSUnknownPatientId", "PatientId 777 is unknown", "", Severity::error};
  CHECK(to_error(unknown).message().find("777") == std::string::npos);
  CHECK(to_json({unknown}).dump().find("777") == std::string::npos);
}

TEST_CASE("a response is written and read again") {
  RegistryResponse response;
  response.status = Status::failure;
  response.errors = {{"XDSRegistryError", "it <broke> & \"fell\"", "here", Severity::error}};
  const auto document = xml::Document::parse(write_registry_response(response));
  const auto again = read_registry_response(document.root());
  CHECK(again.status == Status::failure);
  CHECK(again.errors == response.errors);
  CHECK(again.deviations.empty());
  CHECK(test::code_of(test::error_of([] { read_registry_response(xml::Document::parse("<a/>").root()); })) ==
        "xds.response");
}

}  // namespace kuva::xds
