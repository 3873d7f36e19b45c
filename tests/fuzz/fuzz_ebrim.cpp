// Messages of XDS, as a peer may send them: reading ends in a model or an Error, and what was read is written as
// something that reads as the same.
#include <kuva/core/error.hpp>
#include <kuva/xds/retrieve.hpp>
#include <kuva/xds/stored_query.hpp>
#include <kuva/xml/document.hpp>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

namespace {

using namespace kuva::xds;

void require(bool same) {
  if (!same) {
    std::abort();
  }
}

void read_responses(const kuva::xml::Element& root) {
  try {
    const QueryResponse response = read_query_response(root, ReturnType::object_ref);
    const auto written = kuva::xml::Document::parse(write_query_response(response));
    const QueryResponse again = read_query_response(written.root(), ReturnType::object_ref);
    require(again.errors.size() == response.errors.size() && again.objects.size() == response.objects.size());
    static_cast<void>(to_error(response));
  } catch (const kuva::Error&) {
  }
  try {
    const RetrieveResponse response = read_retrieve_response(root);
    const auto written = kuva::xml::Document::parse(write_retrieve_response(response));
    require(read_retrieve_response(written.root()).documents.size() == response.documents.size());
  } catch (const kuva::Error&) {
  }
}

void read_requests(const kuva::xml::Element& root) {
  std::vector<std::string> deviations;
  try {
    const ReadQuery read = read_query_request(root);
    if (read.problems.empty() && check_query(read.query, false).empty()) {
      const auto written = kuva::xml::Document::parse(write_query_request(read.query));
      require(read_query_request(written.root()).query.parameters.size() == read.query.parameters.size());
    }
  } catch (const kuva::Error&) {
  }
  try {
    const auto documents = read_document_request(root, deviations);
    const auto written = kuva::xml::Document::parse(write_document_request(documents));
    require(read_document_request(written.root(), deviations) == documents);
  } catch (const kuva::Error&) {
  }
  try {
    const ImagingRequest request = read_imaging_request(root, deviations);
    const auto written = kuva::xml::Document::parse(write_imaging_request(request));
    require(read_imaging_request(written.root(), deviations) == request);
  } catch (const kuva::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::optional<kuva::xml::Document> document;
  try {
    document = kuva::xml::Document::parse(std::string_view(reinterpret_cast<const char*>(data), size));
  } catch (const kuva::Error&) {
    return 0;
  }
  read_responses(document->root());
  read_requests(document->root());
  return 0;
}
