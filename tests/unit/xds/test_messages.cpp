#include "made_up.hpp"
#include "support/message_check.hpp"

#include <kuva/xds/retrieve.hpp>
#include <kuva/xds/stored_query.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

namespace kuva::xds {

namespace {

// A value of the kind that the parameter takes.
std::string sample_value(ValueKind kind) {
  switch (kind) {
    case ValueKind::patient_id:
      return make_cx("st'34", "1.2.3");
    case ValueKind::code:
      return "a&b^^1.2.3";
    case ValueKind::time:
      return "20240229213000";
    case ValueKind::uuid:
      return "urn:uuid:00000000-0000-4000-8000-000000000001";
    case ValueKind::status:
      return std::string(entry_status::approved);
    case ValueKind::reference:
      return "A1^^^&1.2&ISO^urn:ihe:iti:xds:2013:accession";
    case ValueKind::text:
    case ValueKind::pattern:
      break;
  }
  return "<%text%>";
}

}  // namespace

TEST_CASE("all that is written is valid by the official schemas") {
  test::MessageCheck messages;
  const auto write = [&](std::string_view name, const std::string& message) {
    messages.add(fmt::format("{}.xml", name), message);
  };
  for (const StoredQueryDefinition& definition : stored_queries()) {
    StoredQuery query{std::string(definition.id), {}, ReturnType::leaf_class, "urn:oid:1.2.3"};
    for (const ParameterDefinition& parameter : definition.parameters) {
      if (parameter.name == definition.other) {
        continue;
      }
      Parameter one{std::string(parameter.name), {sample_value(parameter.kind)}};
      if (parameter.many) {
        one.values.resize(12, one.values.front());
      }
      query.parameters.push_back(one);
      if (parameter.conjunction) {
        query.parameters.push_back(one);
      }
    }
    CHECK(check_query(query, true).empty());
    write(definition.name, write_query_request(query));
  }
  QueryResponse response;
  write("empty", write_query_response(response));
  response.status = Status::partial_success;
  response.request_id = "urn:uuid:00000000-0000-4000-8000-000000000001";
  response.slots = {{"slot", {"value"}, {}}};
  response.errors = {{"XDSRegistryError", "it <broke> & \"fell\"", "here", Severity::error},
                     {"X", "", "", Severity::warning}};
  response.objects = test::full_objects();
  write("response", write_query_response(response));
  write("registry-response", write_registry_response(response));

  write("documents",
        write_document_request(std::vector<DocumentRequest>{{"urn:oid:1.2", "1.3", "1.4^5"}, {"", "1.3", "6"}}));
  write("images",
        write_imaging_request({{{"1.1", {{"1.1.1", {{"urn:oid:1.2", "1.3", "1.1.1.1"}}}}}}, {"1.2.840.10008.1.2.1"}}));
  RetrieveResponse retrieved;
  write("nothing-retrieved", write_retrieve_response(retrieved));
  retrieved.errors = response.errors;
  retrieved.documents = {{"urn:oid:1.2", "1.3", "1.4", "1.5", "1.6", "application/dicom", "1.a b@kuva", "", ""},
                         {"", "1.3", "1.5", "", "", "text/xml", "", "", "QUJD"}};
  write("retrieved", write_retrieve_response(retrieved));

  messages.run();
}

}  // namespace kuva::xds
