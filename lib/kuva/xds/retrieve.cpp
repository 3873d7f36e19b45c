#include <kuva/xds/elements.hpp>
#include <kuva/xds/names.hpp>
#include <kuva/xds/retrieve.hpp>
#include <kuva/xml/namespaces.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <tuple>

namespace kuva::xds {

namespace {

// The children of a sequence by their names, whatever their order, namespace and case: all of these are seen to differ.
template <std::size_t N>
std::array<std::optional<xml::Element>, N> read_sequence(const xml::Element& parent,
                                                         const std::array<std::string_view, N>& names,
                                                         Deviations& deviations) {
  std::array<std::optional<xml::Element>, N> out;
  std::size_t last = 0;
  for (auto child = parent.first_child(); child; child = child->next()) {
    const auto found = std::find_if(names.begin(), names.end(),
                                    [&](std::string_view name) { return same_ignoring_case(name, child->name()); });
    if (found == names.end()) {
      note(deviations, fmt::format("element {} in {} is not understood", child->name(), parent.name()));
      continue;
    }
    const auto index = static_cast<std::size_t>(found - names.begin());
    if (*found != child->name() || child->ns() != xml::ns::xdsb) {
      note(deviations, fmt::format("{} is written {} in the namespace \"{}\"", *found, child->name(), child->ns()));
    }
    if (index < last) {
      note(deviations, fmt::format("{} in {} stands out of its order", *found, parent.name()));
    }
    last = std::max(last, index);
    if (out[index]) {
      note(deviations, fmt::format("{} in {} stands twice; the first counts", *found, parent.name()));
    } else {
      out[index] = *child;
    }
  }
  return out;
}

std::string text_of(const std::optional<xml::Element>& element) {
  return element ? std::string(element->trimmed_text()) : std::string();
}

constexpr std::array<std::string_view, 3> k_request_names{"HomeCommunityId", "RepositoryUniqueId", "DocumentUniqueId"};

std::vector<DocumentRequest> read_document_requests(const xml::Element& parent, Deviations& deviations) {
  std::vector<DocumentRequest> out;
  for (const xml::Element& element : children_named(parent, xml::ns::xdsb, "DocumentRequest", deviations)) {
    const auto [home, repository, document] = read_sequence(element, k_request_names, deviations);
    out.push_back({text_of(home), text_of(repository), text_of(document)});
  }
  return out;
}

void write_document_requests(xml::Writer& writer, std::span<const DocumentRequest> documents) {
  for (const DocumentRequest& one : documents) {
    if (one.repository.empty() || one.document.empty()) {
      throw Error(kind("xds.query"), "a document to retrieve lacks its repositoryUniqueId or its uniqueId");
    }
    writer.open("xdsb:DocumentRequest");
    if (!one.home.empty()) {
      writer.element("xdsb:HomeCommunityId", one.home);
    }
    writer.element("xdsb:RepositoryUniqueId", one.repository);
    writer.element("xdsb:DocumentUniqueId", one.document);
    writer.close();
  }
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// RFC 2392: cid: and the Content-ID, percent-encoded.
std::string content_id_of(std::string_view href) {
  if (href.size() >= 4 && same_ignoring_case(href.substr(0, 4), "cid:")) {
    href.remove_prefix(4);
  }
  std::string out;
  for (std::size_t i = 0; i < href.size(); ++i) {
    if (href[i] == '%' && i + 2 < href.size()) {
      const int high = hex_digit(href[i + 1]);
      const int low = hex_digit(href[i + 2]);
      if (high >= 0 && low >= 0) {
        out += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    out += href[i];
  }
  return out;
}

std::string percent_encoded(std::string_view id) {
  std::string out;
  for (const char c : id) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       std::string_view("-._~@!$'()*+,;=").find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

void read_content(const xml::Element& document, RetrievedDocument& out, Deviations& deviations) {
  const auto includes = document.children(xml::ns::xop, "Include");
  if (includes.size() > 1) {
    throw Error(kind("xds.response"), "a Document has several xop:Include");
  }
  if (includes.empty()) {
    const std::string text = document.text();
    out.inline_base64.reserve(text.size());
    std::copy_if(text.begin(), text.end(), std::back_inserter(out.inline_base64),
                 [](char c) { return c != ' ' && c != '\t' && c != '\r' && c != '\n'; });
    return;
  }
  out.content_href = attribute_of(includes.front(), "href");
  out.content_id = content_id_of(out.content_href);
  if (out.content_href.empty()) {
    note(deviations, "an xop:Include has no href");
  }
  if (!document.trimmed_text().empty()) {
    note(deviations, "a Document has text beside its xop:Include; the text is passed by");
  }
}

constexpr std::array<std::string_view, 7> k_response_names{
    "HomeCommunityId",     "RepositoryUniqueId", "DocumentUniqueId", "NewRepositoryUniqueId",
    "NewDocumentUniqueId", "mimeType",           "Document"};

RetrievedDocument read_document(const xml::Element& element, Deviations& deviations) {
  const auto [home, repository, document, new_repository, new_document, mime_type, content] =
      read_sequence(element, k_response_names, deviations);
  RetrievedDocument out;
  out.home = text_of(home);
  out.repository = text_of(repository);
  out.document = text_of(document);
  out.new_repository = text_of(new_repository);
  out.new_document = text_of(new_document);
  out.mime_type = text_of(mime_type);
  if (out.document.empty()) {
    note(deviations, "a DocumentResponse has no DocumentUniqueId");
  }
  if (out.repository.empty()) {
    note(deviations, "a DocumentResponse has no RepositoryUniqueId");
  }
  if (content) {
    read_content(*content, out, deviations);
  } else {
    note(deviations, "a DocumentResponse has no Document");
  }
  return out;
}

// Contradictions between the status and what came (ITI TF-2 3.43.4.2.3).
void check_documents(RetrieveResponse& response) {
  if (response.status == Status::failure && !response.documents.empty()) {
    note(response.deviations, "the status is Failure, and there are documents");
  }
  std::set<std::tuple<std::string_view, std::string_view>> seen;
  for (const RetrievedDocument& one : response.documents) {
    if (!one.document.empty() && !seen.emplace(one.repository, one.document).second) {
      note(response.deviations, "a document stands in the answer twice");
    }
  }
}

}  // namespace

std::size_t ImagingRequest::documents() const {
  std::size_t count = 0;
  for (const StudyRequest& study : studies) {
    for (const SeriesRequest& one : study.series) {
      count += one.documents.size();
    }
  }
  return count;
}

std::string write_document_request(std::span<const DocumentRequest> documents) {
  if (documents.empty()) {
    throw Error(kind("xds.query"), "there is no document to retrieve");
  }
  xml::Writer writer;
  writer.open("xdsb:RetrieveDocumentSetRequest").declare("xdsb", xml::ns::xdsb);
  write_document_requests(writer, documents);
  writer.close();
  return writer.take();
}

std::vector<DocumentRequest> read_document_request(const xml::Element& element, std::vector<std::string>& deviations) {
  if (!is_named(element, xml::ns::xdsb, "RetrieveDocumentSetRequest", deviations)) {
    throw Error(kind("xds.request"), fmt::format("the request is {}, not RetrieveDocumentSetRequest", element.name()));
  }
  auto documents = read_document_requests(element, deviations);
  if (documents.empty()) {
    throw Error(kind("xds.request"), "RetrieveDocumentSetRequest asks for no document");
  }
  return documents;
}

std::string write_imaging_request(const ImagingRequest& request) {
  if (request.documents() == 0 || request.transfer_syntaxes.empty()) {
    throw Error(kind("xds.query"), "there is no instance to retrieve, or no transfer syntax to retrieve it in");
  }
  xml::Writer writer;
  writer.open("xdsi:RetrieveImagingDocumentSetRequest").declare("xdsi", xml::ns::xdsi).declare("xdsb", xml::ns::xdsb);
  for (const StudyRequest& study : request.studies) {
    writer.open("xdsi:StudyRequest").attribute("studyInstanceUID", study.study);
    for (const SeriesRequest& one : study.series) {
      if (study.study.empty() || one.series.empty() || one.documents.empty()) {
        throw Error(kind("xds.query"),
                    "an instance to retrieve lacks its study or series instance UID, or a series has none");
      }
      writer.open("xdsi:SeriesRequest").attribute("seriesInstanceUID", one.series);
      write_document_requests(writer, one.documents);
      writer.close();
    }
    writer.close();
  }
  writer.open("xdsi:TransferSyntaxUIDList");
  for (const std::string& uid : request.transfer_syntaxes) {
    writer.element("xdsi:TransferSyntaxUID", uid);
  }
  writer.close().close();
  return writer.take();
}

ImagingRequest read_imaging_request(const xml::Element& element, std::vector<std::string>& deviations) {
  if (!is_named(element, xml::ns::xdsi, "RetrieveImagingDocumentSetRequest", deviations)) {
    throw Error(kind("xds.request"),
                fmt::format("the request is {}, not RetrieveImagingDocumentSetRequest", element.name()));
  }
  ImagingRequest request;
  for (const xml::Element& study : children_named(element, xml::ns::xdsi, "StudyRequest", deviations)) {
    StudyRequest one{attribute_of(study, "studyInstanceUID"), {}};
    for (const xml::Element& series : children_named(study, xml::ns::xdsi, "SeriesRequest", deviations)) {
      one.series.push_back({attribute_of(series, "seriesInstanceUID"), read_document_requests(series, deviations)});
    }
    request.studies.push_back(std::move(one));
  }
  for (const xml::Element& list : children_named(element, xml::ns::xdsi, "TransferSyntaxUIDList", deviations)) {
    for (const xml::Element& uid : children_named(list, xml::ns::xdsi, "TransferSyntaxUID", deviations)) {
      if (auto text = uid.trimmed_text(); !text.empty()) {
        request.transfer_syntaxes.emplace_back(std::move(text));
      }
    }
  }
  return request;
}

RetrieveResponse read_retrieve_response(const xml::Element& element) {
  RetrieveResponse response;
  if (is_named(element, xml::ns::rs, "RegistryResponse", response.deviations)) {
    note(response.deviations, "the answer is a bare RegistryResponse");
    read_response_type(element, response);
    return response;
  }
  if (!is_named(element, xml::ns::xdsb, "RetrieveDocumentSetResponse", response.deviations)) {
    throw Error(kind("xds.response"), fmt::format("the answer is {}, not RetrieveDocumentSetResponse", element.name()));
  }
  const auto status = child_named(element, xml::ns::rs, "RegistryResponse", response.deviations);
  if (!status) {
    throw Error(kind("xds.response"), "RetrieveDocumentSetResponse has no RegistryResponse");
  }
  read_response_type(*status, response);
  for (const xml::Element& document : children_named(element, xml::ns::xdsb, "DocumentResponse", response.deviations)) {
    response.documents.push_back(read_document(document, response.deviations));
  }
  check_documents(response);
  return response;
}

std::string write_retrieve_response(const RetrieveResponse& response) {
  xml::Writer writer;
  writer.open("xdsb:RetrieveDocumentSetResponse").declare("xdsb", xml::ns::xdsb);
  writer.open("rs:RegistryResponse").declare("rs", xml::ns::rs).declare("rim", xml::ns::rim);
  write_response_type(writer, response);
  writer.close();
  for (const RetrievedDocument& one : response.documents) {
    writer.open("xdsb:DocumentResponse");
    const auto optional = [&](std::string_view name, const std::string& value) {
      if (!value.empty()) {
        writer.element(name, value);
      }
    };
    optional("xdsb:HomeCommunityId", one.home);
    writer.element("xdsb:RepositoryUniqueId", one.repository);
    writer.element("xdsb:DocumentUniqueId", one.document);
    optional("xdsb:NewRepositoryUniqueId", one.new_repository);
    optional("xdsb:NewDocumentUniqueId", one.new_document);
    writer.element("xdsb:mimeType", one.mime_type);
    writer.open("xdsb:Document");
    if (!one.content_id.empty()) {
      writer.open("xop:Include").declare("xop", xml::ns::xop);
      writer.attribute("href", "cid:" + percent_encoded(one.content_id)).close();
    } else {
      writer.text(one.inline_base64);
    }
    writer.close().close();
  }
  writer.close();
  return writer.take();
}

}  // namespace kuva::xds
