#include "made_up.hpp"
#include "support/associations.hpp"

#include <kuva/xds/stored_query.hpp>
#include <kuva/xml/document.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

namespace kuva::xds {

namespace {

const std::string k_approved(entry_status::approved);

StoredQuery find_documents() {
  return {std::string(find_query("FindDocuments")->id),
          {{"$XDSDocumentEntryPatientId", {make_cx("st34", "1.2.3")}}, {"$XDSDocumentEntryStatus", {k_approved}}},
          ReturnType::leaf_class,
          {}};
}

ReadQuery read(std::string_view text) { return read_query_request(xml::Document::parse(text).root()); }

std::vector<std::string> codes(const std::vector<RegistryError>& errors) {
  std::vector<std::string> out;
  for (const RegistryError& error : errors) {
    out.push_back(error.code + " " + error.location);
  }
  return out;
}

std::string request(std::string_view slots, std::string_view id = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d") {
  return "<q:AdhocQueryRequest xmlns:q=\"urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0\" "
         "xmlns=\"urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0\"><q:ResponseOption returnType=\"LeafClass\"/>"
         "<AdhocQuery id=\"" +
         std::string(id) + "\">" + std::string(slots) + "</AdhocQuery></q:AdhocQueryRequest>";
}
std::string slot(std::string_view name, std::string_view value) {
  return "<Slot name=\"" + std::string(name) + "\"><ValueList><Value>" + std::string(value) +
         "</Value></ValueList></Slot>";
}

}  // namespace

TEST_CASE("every query is found by its name and by its UUID, and the UUIDs differ") {
  CHECK(stored_queries().size() == 17);
  for (const StoredQueryDefinition& definition : stored_queries()) {
    CAPTURE(definition.name);
    CHECK(find_query(definition.id) == &definition);
    CHECK(find_query(definition.id.substr(9)) == &definition);
    CHECK(find_query(definition.name) == &definition);
    if (!definition.either.empty()) {
      CHECK(definition.find(definition.either) != nullptr);
      CHECK(definition.find(definition.other) != nullptr);
    }
  }
  CHECK(find_query(" URN:UUID:14D4DEBF-8F97-4251-9A74-A90016B0AF0D ")->name == "FindDocuments");
  CHECK(find_query("finddocuments")->name == "FindDocuments");
  CHECK(find_query("FindDocumentsByTitle") == nullptr);
}

TEST_CASE("values are coded as each kind wants it") {
  StoredQuery query = find_documents();
  query.home = "urn:oid:1.2.3";
  query.return_type = ReturnType::object_ref;
  query.parameters.push_back({"$XDSDocumentEntryFormatCode", {"a^^b", "c^^d"}});
  query.parameters.push_back({"$XDSDocumentEntryEventCodeList", {"CT^^x"}});
  query.parameters.push_back({"$XDSDocumentEntryEventCodeList", {"HEAD^^y"}});
  query.parameters.push_back({"$XDSDocumentEntryCreationTimeFrom", {"2024"}});
  query.parameters.push_back({"$XDSDocumentEntryAuthorPerson", {"%O'Neill%"}});
  const std::string text = write_query_request(query);
  CHECK(text.find(">'st34^^^&amp;1.2.3&amp;ISO'<") != std::string::npos);
  CHECK(text.find(">('" + k_approved + "')<") != std::string::npos);
  CHECK(text.find(">('a^^b','c^^d')<") != std::string::npos);
  CHECK(text.find(">2024<") != std::string::npos);
  CHECK(text.find(">('%O''Neill%')<") != std::string::npos);
  CHECK(text.find("returnType=\"ObjectRef\"") != std::string::npos);
  CHECK(text.find("home=\"urn:oid:1.2.3\"") != std::string::npos);
  const ReadQuery again = read(text);
  CHECK(again.query == query);
  CHECK(again.problems.empty());
  CHECK(again.deviations == std::vector<std::string>());
  CHECK(check_query(query, true).empty());
}

TEST_CASE("long lists are split at 256 characters, between values") {
  StoredQuery query{std::string(find_query("GetDocuments")->id), {{"$XDSDocumentEntryEntryUUID", {}}}, {}, {}};
  for (int i = 0; i < 23; ++i) {
    query.parameters[0].values.push_back("urn:uuid:00000000-0000-4000-8000-0000000000" + std::to_string(10 + i));
  }
  const std::string text = write_query_request(query);
  const auto document = xml::Document::parse(text);
  std::size_t count = 0;
  for (const auto& value : document.root().child("AdhocQuery")->child("Slot")->child("ValueList")->children()) {
    CHECK(value.text().size() <= 256);
    CHECK(value.text().front() == '(');
    CHECK(value.text().back() == ')');
    ++count;
  }
  CHECK(count == 5);
  CHECK(read(text).query == query);

  query.parameters[0] = {"$XDSDocumentEntryUniqueId", {std::string(300, '1')}};
  CHECK(test::code_of(test::error_of([&] { write_query_request(query); })) == "xds.query");
  // 252 characters of two bytes fit, with parentheses and apostrophes.
  std::string umlauts;
  for (int i = 0; i < 252; ++i) {
    umlauts += "ä";
  }
  query.parameters[0] = {"$XDSDocumentEntryUniqueId", {umlauts}};
  CHECK(read(write_query_request(query)).query == query);
}

TEST_CASE("what a query lacks or has too much of is named") {
  StoredQuery query = find_documents();
  query.parameters.pop_back();
  CHECK(codes(check_query(query, true)) ==
        std::vector<std::string>{"XDSStoredQueryMissingParam $XDSDocumentEntryStatus"});

  query = find_documents();
  query.parameters[0].values.push_back(query.parameters[0].values[0]);
  query.parameters.push_back({"$XDSDocumentEntryClassCode", {"a^^b"}});
  query.parameters.push_back({"$XDSDocumentEntryClassCode", {"value^^"}});
  query.parameters.push_back({"$XDSDocumentEntryServiceStartTimeTo", {"yesterday"}});
  query.parameters.push_back({"$XDSDocumentEntryhealthcareFacilityTypeCode", {"a^^b"}});
  CHECK(codes(check_query(query, true)) ==
        std::vector<std::string>{"XDSStoredQueryParamNumber $XDSDocumentEntryClassCode",
                                 "XDSStoredQueryParamNumber $XDSDocumentEntryPatientId",
                                 "XDSRegistryError $XDSDocumentEntryClassCode",
                                 "XDSRegistryError $XDSDocumentEntryServiceStartTimeTo",
                                 "XDSRegistryError $XDSDocumentEntryhealthcareFacilityTypeCode"});
  CHECK(check_query(query, false).size() == 4);
  const auto error = test::error_of([&] { require_sound(query); });
  CHECK(test::code_of(error) == "xds.query");
  CHECK(error->message().find("but $XDSDocumentEntryHealthcareFacilityTypeCode") != std::string::npos);
  CHECK(error->message().find("st34") == std::string::npos);

  StoredQuery get{std::string(find_query("GetDocuments")->id), {}, {}, {}};
  CHECK(codes(check_query(get, true)) ==
        std::vector<std::string>{"XDSStoredQueryMissingParam $XDSDocumentEntryEntryUUID"});
  get.parameters = {{"$XDSDocumentEntryEntryUUID", {"urn:uuid:00000000-0000-4000-8000-000000000001"}},
                    {"$XDSDocumentEntryUniqueId", {"1.2"}}};
  CHECK(codes(check_query(get, true)) ==
        std::vector<std::string>{"XDSStoredQueryParamNumber $XDSDocumentEntryEntryUUID"});
  get.id = "urn:uuid:00000000-0000-4000-8000-000000000000";
  CHECK(codes(check_query(get, true)) == std::vector<std::string>{"XDSUnknownStoredQuery "});
}

TEST_CASE("requests of others are read with what is wrong in them") {
  const std::string patient = slot("$XDSDocumentEntryPatientId", "'a^^^&amp;1.2&amp;ISO'");
  ReadQuery odd = read(request(patient + slot("$XDSDocumentEntryStatus", "'" + k_approved + "'") +
                                   slot("$XDSDocumentEntryCreationTimeFrom", "'2024'") + slot("$unknown", "anything") +
                                   slot("$homeCommunityId", "'urn:oid:1.2'"),
                               "14D4DEBF-8F97-4251-9A74-A90016B0AF0D"));
  CHECK(odd.problems.empty());
  CHECK(odd.deviations.size() == 5);
  CHECK(odd.query.home == "urn:oid:1.2");
  CHECK(odd.query.values("$XDSDocumentEntryCreationTimeFrom") == std::vector<std::string>{"2024"});
  CHECK(odd.query.values("$unknown") == std::vector<std::string>{"anything"});
  CHECK(check_query(odd.query, false).empty());

  CHECK(read(request(patient + slot("$XDSDocumentEntryStatus", k_approved))).problems.size() == 1);
  CHECK(read(request(patient + slot("$XDSDocumentEntryStatus", "('" + k_approved + "'"))).problems.size() == 1);
  CHECK(read(request(patient + slot("$XDSDocumentEntryStatus", "('a','b'"))).problems.size() == 1);
  CHECK(read(request(patient + slot("$XDSDocumentEntryStatus", "('a' 'b')"))).problems.size() == 1);
  const auto spaced = read(request(patient + slot("$XDSDocumentEntryStatus", " ( 'a' , 'b''c' ) ")));
  CHECK(spaced.problems.empty());
  CHECK(spaced.query.values("$XDSDocumentEntryStatus") == std::vector<std::string>{"a", "b'c"});
  CHECK(test::code_of(test::error_of([] { read("<a/>"); })) == "xds.request");
}

TEST_CASE("an answer is written and read again") {
  QueryResponse response;
  response.status = Status::partial_success;
  response.request_id = "urn:uuid:5";
  response.slots = {{"slot", {"value"}, {}}};
  response.errors = {{"XDSUnavailableCommunity", "one is away", "urn:oid:1.2", Severity::error},
                     {"X", "mind", "", Severity::warning}};
  response.objects = test::full_objects();
  response.objects.object_refs.clear();
  const auto document = xml::Document::parse(write_query_response(response));
  const QueryResponse again = read_query_response(document.root());
  CHECK(again.status == Status::partial_success);
  CHECK(again.errors == response.errors);
  CHECK(again.slots == response.slots);
  CHECK(again.request_id == response.request_id);
  CHECK(again.objects == response.objects);
  CHECK(again.deviations == std::vector<std::string>());
}

TEST_CASE("a bare RegistryResponse can refuse a query, and cannot answer it") {
  const auto read = [](std::string_view status) {
    return read_query_response(
        xml::Document::parse(fmt::format("<r:RegistryResponse xmlns:r=\"urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0\" "
                                         "status=\"urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:{}\"/>",
                                         status))
            .root());
  };
  CHECK(read("Failure").status == Status::failure);
  CHECK(test::code_of(test::error_of([&] { read("Success"); })) == "xds.response");
}

TEST_CASE("references among entries are left out, and references alone are told") {
  QueryResponse response;
  response.objects = test::full_objects();
  CHECK(read_query_response(xml::Document::parse(write_query_response(response)).root()).objects.object_refs.empty());
  const auto refs =
      read_query_response(xml::Document::parse(write_query_response(response)).root(), ReturnType::object_ref);
  CHECK(refs.objects.object_refs.size() == 2);
  response.objects = {};
  response.objects.object_refs = {{"urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d", ""}, {"urn:uuid:1", ""}};
  const auto alone = read_query_response(xml::Document::parse(write_query_response(response)).root());
  CHECK(alone.objects.object_refs.size() == 1);
  CHECK(alone.deviations.size() == 1);
}

}  // namespace kuva::xds
