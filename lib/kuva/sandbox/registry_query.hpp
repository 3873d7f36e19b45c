#pragma once

#include <kuva/sandbox/registry.hpp>
#include <kuva/xds/stored_query.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::sandbox {

// How a registry answers.
struct QueryRules {
  std::string home;              // urn:oid:...; stands on everything that is returned
  bool home_demanded = false;    // by queries that name no patient: as a gateway does (ITI TF-2 3.38.4.1.2)
  std::size_t most_results = 0;  // of LeafClass: more is XDSTooManyResults; 0: no limit
};

// Answers a stored query (ITI TF-2 3.18.4.1.2.3, 3.38). Codes of errors are those of ITI TF-3 table 4.2.4.1-2.
// Errors: local.write, from the index.
xds::QueryResponse answer_query(Registry& registry, const xds::ReadQuery& asked, const QueryRules& rules);

// The patients (CX) that a query names.
std::vector<std::string> patients_of(const xds::StoredQuery& query);

// Whether a document fits the parameters of FindDocuments and its relatives (patient, times, codes, status, ...).
bool matches_document(const xds::DocumentEntry& document, const xds::StoredQuery& query);

// LIKE: % any run, _ any one character.
bool matches_pattern(std::string_view pattern, std::string_view text);

}  // namespace kuva::sandbox
