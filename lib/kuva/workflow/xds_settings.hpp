#pragma once

#include <kuva/net/stream.hpp>
#include <kuva/soap/assertion.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace kuva::workflow {

// The XDS side of a target ([target.NAME.xds] of kuva.toml(5)).
struct XdsSettings {
  enum class QueryTransaction { iti18, iti38 };     // to a registry or an initiating gateway; to a responding gateway
  enum class DocumentTransaction { iti43, iti39 };  // to a repository; to a gateway
  enum class ImagingTransaction { rad69, rad75 };   // to an imaging document source; to a gateway

  std::string query_url;
  QueryTransaction query_transaction = QueryTransaction::iti18;
  DocumentTransaction document_transaction = DocumentTransaction::iti43;
  ImagingTransaction imaging_transaction = ImagingTransaction::rad69;
  std::string home_community;  // urn:oid:... of the community that is asked; empty: none is written

  std::map<std::string, std::string> repositories;     // repositoryUniqueId -> URL
  std::string repository_url;                          // of those that are not in the table; empty: an error
  std::map<std::string, std::string> imaging_sources;  // Retrieve Location UID (= repositoryUniqueId of RAD-69) -> URL
  std::string imaging_source_url;                      // of those that are not in the table; empty: an error

  net::TlsSettings tls;  // those of the target unless said
  bool plain = false;    // http:// URLs are allowed
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds tls_timeout{10'000};
  std::chrono::milliseconds first_byte_timeout{60'000};  // of an answer
  std::chrono::milliseconds idle_timeout{60'000};        // no byte for so long
  unsigned retries = 2;                                  // of reads, after a temporary error
  bool expect_continue = false;

  std::string time_zone = "Europe/Helsinki";  // in which times of the registry (UTC) are shown
  // Assigning authorities of patients' ids. 1.2.246.21 is public (HL7 Finland); temporary ids are each organisation's.
  std::string hetu_authority = "1.2.246.21";
  std::string temporary_id_authority;    // 1.2.246.10.<y-tunnus>.22.<year>; empty: not known
  std::uint64_t transfer_rate = 0;       // bytes a second that are expected; 0: not known
  unsigned instances_per_request = 500;  // of RAD-69; a larger study is fetched by several requests

  // The URL for a repositoryUniqueId or a Retrieve Location UID; empty where there is none.
  std::string repository(const std::string& unique_id) const;
  std::string imaging_source(const std::string& location_uid) const;
};

// WADO-RS ([target.NAME.wado]).
struct WadoSettings {
  std::string base_url;    // up to, not including /studies
  std::string token_file;  // a bearer token; empty: none
  net::TlsSettings tls;
  bool plain = false;
};

}  // namespace kuva::workflow
