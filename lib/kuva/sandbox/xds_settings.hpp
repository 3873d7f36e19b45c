#pragma once

#include <kuva/soap/assertion.hpp>
#include <kuva/xds/model.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kuva::sandbox {

// What is demanded of the assertion in a request (ITI TF-2 3.40). The repository's own names and values are not public.
struct AssertionRules {
  bool demanded = false;
  soap::AssertionTrust trust;
  std::string purpose_attribute = "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse";  // XSPA; empty: not looked at
  std::vector<std::string> purposes;  // codes that are taken; empty: any
  std::string patient_attribute = "urn:oasis:names:tc:xacml:2.0:resource:resource-id";  // ITI-40; empty: not looked at
  std::string registry_specifier_attribute;  // demanded in queries; empty: not looked at
  std::vector<std::string> registry_specifiers;
};

// What the registry writes into metadata and what the services demand. The repository's own values are not public:
// those here are defaults of IHE and dcm4chee-arc, or inferred.
struct XdsSettings {
  std::string home_community;       // urn:oid:...
  bool is_gateway = true;           // queries that name no patient need homeCommunityId, as of an XCA gateway
  std::string repository;           // repositoryUniqueId of the document repository
  std::string imaging_source;       // Retrieve Location UID of the imaging document source
  std::string source_id;            // SubmissionSet.sourceId
  std::size_t most_results = 0;     // of metadata in an answer; 0: no limit
  std::filesystem::path documents;  // imaging documents to register; empty: none

  // Assigning authorities (OID): of patient identifiers without an issuer, of those with one, of accession numbers.
  std::string patient_authority = "1.2.246.21";  // national identity code (fhir-fi)
  std::map<std::string, std::string> issuers;    // Issuer of Patient ID -> OID
  std::string accession_authority;

  // Studies with none of these modalities are not registered. Inferred: what DICOM calls acquisition modalities.
  std::vector<std::string> modalities{"CR",   "CT", "DX", "ECG", "ES",  "GM", "HD",  "IO", "IVOCT",
                                      "IVUS", "MG", "MR", "NM",  "OCT", "OP", "OPT", "OT", "PT",
                                      "PX",   "RF", "RG", "SM",  "US",  "XA", "XC"};
  std::string modality_scheme = "1.2.840.10008.2.16.4";  // DCM
  std::string body_part_scheme = "1.2.840.10008.6.1.2";  // CID 4, Anatomic Region; inferred
  std::string study_code_scheme = "1.2.246.537.6.4";     // of Study Description's first five characters; inferred
  xds::Code class_code{"IMAGES", "1.3.6.1.4.1.19376.1.2.6.1", "Images"};                                // dcm4chee-arc
  xds::Code type_code{"18748-4", "2.16.840.1.113883.6.1", "Diagnostic imaging study"};                  // dcm4chee-arc
  xds::Code confidentiality{"N", "2.16.840.1.113883.5.25", "Normal"};                                   // dcm4chee-arc
  xds::Code practice_setting{"394914008", "2.16.840.1.113883.6.96", "Radiology"};                       // inferred
  xds::Code facility{"22232009", "2.16.840.1.113883.6.96", "Hospital"};                                 // inferred
  xds::Code document_class{"REPORTS", "1.3.6.1.4.1.19376.1.2.6.1", "Reports"};                          // IHE
  xds::Code document_format{"urn:ihe:rad:TEXT", "1.3.6.1.4.1.19376.1.2.3", "CDA Wrapped Text Report"};  // IHE
  std::string language = "fi-FI";
  std::string time_zone = "Europe/Helsinki";  // of DICOM objects and documents that name none
};

// The services over HTTP.
struct WebSettings {
  std::optional<std::uint16_t> port;  // 0 takes a free one; none: they are not served
  bool tls = true;                    // with the sandbox's [tls]
  std::size_t most_request_bytes = 16U << 20U;
  AssertionRules assertions;
  std::filesystem::path token_file;  // bearer tokens that WADO-RS demands, one a line; empty: none are demanded
};

}  // namespace kuva::sandbox
