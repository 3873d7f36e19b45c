#include "support/shared_material.hpp"

#include <kuva/core/error.hpp>
#include <kuva/xds/ebrim.hpp>
#include <kuva/xds/retrieve.hpp>
#include <kuva/xds/stored_query.hpp>
#include <kuva/xml/document.hpp>
#include <kuva/xml/namespaces.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <set>
#include <sstream>

// Messages that others wrote (KUVA_SHARED/samples/xds): what is understood of each is compared with the list in
// samples.txt beside this file, and nothing that metadata holds may get lost. KUVA_REBASE=1 writes the list anew.
namespace kuva::xds {

namespace {

constexpr const char* k_list = "tests/unit/xds/samples.txt";

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The body's element: of an envelope its Body's first, else the document's root. Nothing for an empty Body.
std::optional<xml::Element> body_of(const xml::Element& root) {
  if (root.name() != "Envelope") {
    return root;
  }
  const auto body = root.child("Body");
  return body ? body->first_child() : std::nullopt;
}

// Every fact of metadata below an element, in whatever order. Names of external identifiers repeat the scheme.
void collect_facts(const xml::Element& element, std::multiset<std::string>& facts) {
  const auto attribute = [&](std::string_view name) {
    return std::string(trimmed(element.attribute(name).value_or(std::string_view())));
  };
  const std::string name(element.name());
  if (name == "Slot") {
    for (const auto& list : element.children()) {
      for (const auto& value : list.children()) {
        facts.insert("slot " + attribute("name") + " " + std::string(value.trimmed_text()));
      }
    }
    return;
  }
  if (name == "Classification") {
    facts.insert("classification " + attribute("classificationScheme") + attribute("classificationNode") + " " +
                 attribute("nodeRepresentation"));
  } else if (name == "ExternalIdentifier") {
    facts.insert("identifier " + attribute("identificationScheme") + " " + attribute("value"));
    return;
  } else if (name == "LocalizedString") {
    facts.insert("text " + attribute("value"));
  } else if (name == "ExtrinsicObject" || name == "RegistryPackage" || name == "Association") {
    facts.insert(fmt::format("object {} {} {} {} {} {} {}", name, attribute("id"), attribute("home"),
                             attribute("status"), attribute("mimeType"), attribute("associationType"),
                             attribute("sourceObject")));
  }
  for (const auto& child : element.children()) {
    collect_facts(child, facts);
  }
}

std::string joined(const std::vector<std::string>& texts) { return fmt::format("{}", fmt::join(texts, "; ")); }

std::string describe_errors(const RegistryResponse& response) {
  std::string out(to_string(response.status));
  for (const RegistryError& error : response.errors) {
    out += fmt::format("\n  {} {} context {} characters, location {}",
                       error.severity == Severity::error ? "error" : "warning", error.code, error.context.size(),
                       error.location.empty() ? "none" : "given");
  }
  return out;
}

std::string describe_objects(const RegistryObjects& objects) {
  std::string out = fmt::format("{} documents, {} submission sets, {} folders, {} associations, {} references",
                                objects.documents.size(), objects.submission_sets.size(), objects.folders.size(),
                                objects.associations.size(), objects.object_refs.size());
  for (const DocumentEntry& entry : objects.documents) {
    out += fmt::format(
        "\n  document {} format {} class {} type {} size {} authors {} event codes {} references {} home {} other "
        "slots {} "
        "other classifications {} other identifiers {}",
        entry.mime_type, entry.format_code ? entry.format_code->code : "none",
        entry.class_code ? entry.class_code->code : "none", entry.type_code ? entry.type_code->code : "none",
        entry.size.value_or(0), entry.authors.size(), entry.event_codes.size(), entry.reference_ids.size(),
        entry.home.empty() ? "none" : "given", entry.other_slots.size(), entry.other_classifications.size(),
        entry.other_identifiers.size());
  }
  return out;
}

std::string describe_query_response(const xml::Element& body) {
  const QueryResponse response = read_query_response(body, ReturnType::object_ref);
  if (const auto list = body.child("RegistryObjectList")) {
    const auto written = xml::Document::parse(write_query_response(response));
    std::multiset<std::string> before;
    std::multiset<std::string> after;
    collect_facts(*list, before);
    collect_facts(*written.root().child("RegistryObjectList"), after);
    std::vector<std::string> lost;
    std::set_difference(before.begin(), before.end(), after.begin(), after.end(), std::back_inserter(lost));
    CHECK(lost == std::vector<std::string>());
    CHECK(read_query_response(written.root(), ReturnType::object_ref).objects == response.objects);
  }
  std::string out = describe_errors(response) + "\n  " + describe_objects(response.objects);
  return response.deviations.empty() ? out : out + "\n  but: " + joined(response.deviations);
}

std::string describe_query_request(const xml::Element& body) {
  const ReadQuery read = read_query_request(body);
  const StoredQueryDefinition* definition = find_query(read.query.id);
  std::string out = fmt::format("{} {}{}", definition ? definition->name : "unknown query",
                                read.query.return_type == ReturnType::leaf_class ? "LeafClass" : "ObjectRef",
                                read.query.home.empty() ? "" : " home given");
  for (const Parameter& parameter : read.query.parameters) {
    out += fmt::format("\n  {} {} values", parameter.name, parameter.values.size());
  }
  for (const RegistryError& error : read.problems) {
    out += "\n  answered " + error.code + ": " + error.context;
  }
  for (const RegistryError& error : check_query(read.query, false)) {
    out += "\n  answered " + error.code + ": " + error.context;
  }
  if (definition != nullptr && read.problems.empty()) {
    CHECK(read_query_request(xml::Document::parse(write_query_request(read.query)).root()).query == read.query);
  }
  return read.deviations.empty() ? out : out + "\n  but: " + joined(read.deviations);
}

std::string describe_retrieve_response(const xml::Element& body) {
  const RetrieveResponse response = read_retrieve_response(body);
  std::string out = describe_errors(response);
  for (const RetrievedDocument& document : response.documents) {
    out +=
        fmt::format("\n  document {} home {} {}", document.mime_type, document.home.empty() ? "none" : "given",
                    document.content_href.empty() ? fmt::format("inline, {} characters", document.inline_base64.size())
                                                  : "by xop:Include");
  }
  const auto written = xml::Document::parse(write_retrieve_response(response));
  CHECK(read_retrieve_response(written.root()).errors == response.errors);
  return response.deviations.empty() ? out : out + "\n  but: " + joined(response.deviations);
}

std::string describe_document_request(const xml::Element& body) {
  std::vector<std::string> deviations;
  const auto documents = read_document_request(body, deviations);
  CHECK(read_document_request(xml::Document::parse(write_document_request(documents)).root(), deviations) == documents);
  std::string out =
      fmt::format("{} documents, home {}", documents.size(), documents.front().home.empty() ? "none" : "given");
  return deviations.empty() ? out : out + "\n  but: " + joined(deviations);
}

std::string describe_imaging_request(const xml::Element& body) {
  std::vector<std::string> deviations;
  const auto request = read_imaging_request(body, deviations);
  std::string out = fmt::format("{} studies, {} instances, {} transfer syntaxes", request.studies.size(),
                                request.documents(), request.transfer_syntaxes.size());
  for (const StudyRequest& study : request.studies) {
    out += study.study.empty() ? "\n  a study without its UID" : "";
    for (const SeriesRequest& series : study.series) {
      out += series.series.empty() ? "\n  a series without its UID" : "";
    }
  }
  return deviations.empty() ? out : out + "\n  but: " + joined(deviations);
}

std::string describe(const std::filesystem::path& path) {
  try {
    const auto document = xml::Document::parse(contents(path));
    const auto body = body_of(document.root());
    if (!body) {
      return "an empty Body";
    }
    const std::string name(body->name());
    const auto known = [&]() -> std::string {
      if (name == "AdhocQueryRequest") {
        return describe_query_request(*body);
      }
      if (name == "AdhocQueryResponse") {
        return describe_query_response(*body);
      }
      if (name == "RetrieveDocumentSetRequest") {
        return describe_document_request(*body);
      }
      if (name == "RetrieveImagingDocumentSetRequest") {
        return describe_imaging_request(*body);
      }
      if (name == "RetrieveDocumentSetResponse") {
        return describe_retrieve_response(*body);
      }
      if (name == "RegistryResponse") {
        const auto response = read_registry_response(*body);
        return describe_errors(response) +
               (response.deviations.empty() ? "" : "\n  but: " + joined(response.deviations));
      }
      return "not of this room";
    };
    return name + " " + known();
  } catch (const Error& error) {
    return fmt::format("refused, {}: {}", error.kind().code, error.message());
  }
}

}  // namespace

TEST_CASE("the messages of others are read without loss, or refused with a reason") {
  const auto samples = test::shared_material("samples/xds");
  if (!samples) {
    MESSAGE("skipped: no samples/xds below KUVA_SHARED");
    return;
  }
  std::ostringstream list;
  for (const char* folder : {"errors", "iti18", "iti38", "iti39", "iti43", "rad69", "rad75"}) {
    std::set<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(*samples / folder)) {
      if (entry.path().extension() == ".xml") {
        files.insert(entry.path());
      }
    }
    CHECK_FALSE(files.empty());
    for (const auto& file : files) {
      CAPTURE(file);
      list << file.lexically_relative(*samples).string() << ": " << describe(file) << "\n";
    }
  }
  if (std::getenv("KUVA_REBASE") != nullptr) {
    std::ofstream(k_list) << list.str();
  }
  CHECK(list.str() == contents(k_list));
}

}  // namespace kuva::xds
