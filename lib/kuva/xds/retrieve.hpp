#pragma once

#include <kuva/xds/response.hpp>

#include <span>
#include <string>
#include <vector>

// Bodies of ITI-43, ITI-39 (ITI TF-2 3.43, 3.39), RAD-69 and RAD-75 (RAD TF-3 4.69, 4.75).
namespace kuva::xds {

struct DocumentRequest {
  std::string home;        // HomeCommunityId, urn:oid:...; empty: none
  std::string repository;  // RepositoryUniqueId
  std::string document;    // DocumentUniqueId; of an instance its SOP Instance UID
  friend bool operator==(const DocumentRequest&, const DocumentRequest&) = default;
};

struct SeriesRequest {
  std::string series;  // Series Instance UID
  std::vector<DocumentRequest> documents;
  friend bool operator==(const SeriesRequest&, const SeriesRequest&) = default;
};

struct StudyRequest {
  std::string study;  // Study Instance UID
  std::vector<SeriesRequest> series;
  friend bool operator==(const StudyRequest&, const StudyRequest&) = default;
};

struct ImagingRequest {
  std::vector<StudyRequest> studies;
  // The source answers in one of these or not at all: it is no order of preference.
  std::vector<std::string> transfer_syntaxes;

  std::size_t documents() const;
  friend bool operator==(const ImagingRequest&, const ImagingRequest&) = default;
};

// xdsb:RetrieveDocumentSetRequest. Errors: xds.query where there is nothing in it, or a required id is empty.
std::string write_document_request(std::span<const DocumentRequest> documents);
// Errors: xds.request. Deviations as in the reading of responses.
std::vector<DocumentRequest> read_document_request(const xml::Element& element, std::vector<std::string>& deviations);

// iherad:RetrieveImagingDocumentSetRequest; DocumentRequest stands in the namespace of xds-b. Errors: as above.
std::string write_imaging_request(const ImagingRequest& request);
// Empty ids and an empty list of transfer syntaxes are kept: what to answer is the source's to say.
ImagingRequest read_imaging_request(const xml::Element& element, std::vector<std::string>& deviations);

struct RetrievedDocument {
  std::string home;
  std::string repository;
  std::string document;
  std::string new_repository;
  std::string new_document;
  std::string mime_type;
  // One of the two: the cid of xop:Include without "cid:", percent-decoded (and as it stood), or base64 text.
  std::string content_id;
  std::string content_href;
  std::string inline_base64;
  friend bool operator==(const RetrievedDocument&, const RetrievedDocument&) = default;
};

struct RetrieveResponse : RegistryResponse {
  std::vector<RetrievedDocument> documents;
};
// xdsb:RetrieveDocumentSetResponse; a bare rs:RegistryResponse is read too (deviation). Errors: xds.response, also for
// two xop:Include in one Document.
RetrieveResponse read_retrieve_response(const xml::Element& element);
// Documents with a content_id get an xop:Include, others their inline_base64.
std::string write_retrieve_response(const RetrieveResponse& response);

}  // namespace kuva::xds
