#include "support/associations.hpp"

#include <kuva/xds/retrieve.hpp>
#include <kuva/xml/document.hpp>

#include <doctest/doctest.h>

namespace kuva::xds {

namespace {

std::string response(std::string_view content) {
  return "<RetrieveDocumentSetResponse xmlns=\"urn:ihe:iti:xds-b:2007\"><r:RegistryResponse "
         "xmlns:r=\"urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0\" "
         "status=\"urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success\"/>" +
         std::string(content) + "</RetrieveDocumentSetResponse>";
}

RetrieveResponse read(std::string_view content) {
  return read_retrieve_response(xml::Document::parse(response(content)).root());
}

}  // namespace

TEST_CASE("requests for documents are written and read again") {
  const std::vector<DocumentRequest> documents{{"urn:oid:1.2", "1.3", "1.4^5"}, {"", "1.3", "urn:uuid:6"}};
  std::vector<std::string> deviations;
  const std::string text = write_document_request(documents);
  CHECK(read_document_request(xml::Document::parse(text).root(), deviations) == documents);
  CHECK(deviations.empty());
  CHECK(test::code_of(test::error_of([] { write_document_request({}); })) == "xds.query");
  const std::vector<DocumentRequest> lacking{{"", "", "1"}};
  CHECK(test::code_of(test::error_of([&] { write_document_request(lacking); })) == "xds.query");
}

TEST_CASE("requests for images are written and read again") {
  const ImagingRequest request{
      {{"1.1",
        {{"1.1.1", {{"urn:oid:1.2", "1.3", "1.1.1.1"}, {"", "1.3", "1.1.1.2"}}}, {"1.1.2", {{"", "1.4", "1.1.2.1"}}}}},
       {"2.1", {{"2.1.1", {{"", "1.3", "2.1.1.1"}}}}}},
      {"1.2.840.10008.1.2.1", "1.2.840.10008.1.2"}};
  CHECK(request.documents() == 4);
  std::vector<std::string> deviations;
  const std::string text = write_imaging_request(request);
  CHECK(read_imaging_request(xml::Document::parse(text).root(), deviations) == request);
  CHECK(deviations.empty());
  ImagingRequest lacking = request;
  lacking.transfer_syntaxes.clear();
  CHECK(test::code_of(test::error_of([&] { write_imaging_request(lacking); })) == "xds.query");
  lacking = request;
  lacking.studies[1].series[0].series.clear();
  CHECK(test::code_of(test::error_of([&] { write_imaging_request(lacking); })) == "xds.query");
}

TEST_CASE("answers are written and read again") {
  RetrieveResponse response;
  response.status = Status::partial_success;
  response.errors = {{"XDSDocumentUniqueIdError", "gone", "1.9", Severity::error}};
  response.documents = {
      {"urn:oid:1.2", "1.3", "1.4", "", "", "application/dicom", "a b/c%@kuva", "cid:a%20b%2Fc%25@kuva", ""},
      {"", "1.3", "1.5", "1.6", "1.7", "text/xml", "", "", "QUJD"}};
  const auto document = xml::Document::parse(write_retrieve_response(response));
  const auto again = read_retrieve_response(document.root());
  CHECK(again.documents == response.documents);
  CHECK(again.errors == response.errors);
  CHECK(again.status == response.status);
  CHECK(again.deviations.empty());
}

TEST_CASE("what others write otherwise is read, and told") {
  const auto odd = read(
      "<DocumentResponse xmlns:i=\"urn:ihe:rad:xdsi-b:2009\"><RepositoryUniqueId> 1.3\n</RepositoryUniqueId>"
      "<i:DocumentUniqueId>1.4</i:DocumentUniqueId><homeCommunityId>urn:oid:1</homeCommunityId><More/>"
      "<mimeType>text/plain</mimeType><Document>\nQU\nJD </Document></DocumentResponse>");
  REQUIRE(odd.documents.size() == 1);
  CHECK(odd.documents[0] == RetrievedDocument{"urn:oid:1", "1.3", "1.4", "", "", "text/plain", "", "", "QUJD"});
  CHECK(odd.deviations.size() == 4);

  const auto twice = read(
      "<DocumentResponse><RepositoryUniqueId>1</RepositoryUniqueId><DocumentUniqueId>2</DocumentUniqueId></"
      "DocumentResponse>"
      "<DocumentResponse><RepositoryUniqueId>1</RepositoryUniqueId><DocumentUniqueId>2</DocumentUniqueId></"
      "DocumentResponse>");
  CHECK(twice.deviations ==
        std::vector<std::string>{"a DocumentResponse has no Document", "a document stands in the answer twice"});

  const std::string includes =
      "<DocumentResponse><Document xmlns:x=\"http://www.w3.org/2004/08/xop/include\"><x:Include "
      "href=\"cid:a\"/><x:Include href=\"cid:b\"/></Document></DocumentResponse>";
  CHECK(test::code_of(test::error_of([&] { read(includes); })) == "xds.response");
  CHECK(test::code_of(test::error_of([] {
          read_retrieve_response(
              xml::Document::parse("<RetrieveDocumentSetResponse xmlns=\"urn:ihe:iti:xds-b:2007\"/>").root());
        })) == "xds.response");
}

}  // namespace kuva::xds
