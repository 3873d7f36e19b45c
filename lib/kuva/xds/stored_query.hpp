#pragma once

#include <kuva/core/error.hpp>
#include <kuva/xds/response.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

// The stored queries of ITI-18 and ITI-38 as data (ITI TF-2 3.18.4.1.2.3.7), and their requests.
namespace kuva::xds {

enum class ValueKind {
  patient_id,  // 'id^^^&OID&ISO', never in parentheses when single
  text,        // 'text'
  pattern,     // 'text' with % and _ (LIKE)
  code,        // 'code^^scheme'
  time,        // DTM in UTC, no quotes
  uuid,        // 'urn:uuid:...'
  status,      // 'urn:oasis:...:StatusType:...'
  reference,   // CXi
};

struct ParameterDefinition {
  std::string_view name;  // with its $
  ValueKind kind;
  bool required = false;
  bool many = false;         // in parentheses always
  bool conjunction = false;  // several slots with this name: and
};

enum class Returned { documents, submission_sets, folders, associations, mixed };

struct StoredQueryDefinition {
  std::string_view id;  // urn:uuid:...
  std::string_view name;
  std::span<const ParameterDefinition> parameters;
  // Exactly one of the two; empty where there is no such pair.
  std::string_view either;
  std::string_view other;
  bool needs_home = false;  // without a patient id: a gateway asks for homeCommunityId
  Returned returned = Returned::documents;

  const ParameterDefinition* find(std::string_view parameter) const;
};

std::span<const StoredQueryDefinition> stored_queries();
// By name (any case) or UUID (with urn:uuid: or without, any case).
const StoredQueryDefinition* find_query(std::string_view name_or_uuid);

// One slot: any of its values. The same name again: and. Values are the plain texts: without quotes, parentheses and
// doubled apostrophes; codes as code^^scheme.
struct Parameter {
  std::string name;
  std::vector<std::string> values;
  bool raw = false;  // written as they stand: for parameters that no definition knows
  friend bool operator==(const Parameter&, const Parameter&) = default;
};

enum class ReturnType { leaf_class, object_ref };

struct StoredQuery {
  std::string id;  // urn:uuid:...
  std::vector<Parameter> parameters;
  ReturnType return_type = ReturnType::leaf_class;
  std::string home;  // AdhocQuery/@home, urn:oid:...
  friend bool operator==(const StoredQuery&, const StoredQuery&) = default;
  // All values under a name, whatever slot they stand in.
  std::vector<std::string> values(std::string_view name) const;
};

// What is wrong with a query, as a registry would answer it: XDSUnknownStoredQuery, XDSStoredQueryMissingParam,
// XDSStoredQueryParamNumber, XDSRegistryError (coding). Location is the parameter. Unknown parameters are no errors to
// a registry; `strict` (our own requests) names them too.
std::vector<RegistryError> check_query(const StoredQuery& query, bool strict);
// For our own: the first of them as xds.query with its reason.
void require_sound(const StoredQuery& query);

// query:AdhocQueryRequest (ITI-18, ITI-38). Values longer than 256 characters in their list are split over several
// rim:Value. Errors: xds.query.
std::string write_query_request(const StoredQuery& query);

struct ReadQuery {
  StoredQuery query;
  std::vector<RegistryError> problems;  // of the coding; check_query looks at the rest
  std::vector<std::string> deviations;  // understood all the same
};
// Errors: xds.request where it is no AdhocQueryRequest.
ReadQuery read_query_request(const xml::Element& element);

struct QueryResponse : RegistryResponse {
  RegistryObjects objects;
};
// query:AdhocQueryResponse; a bare rs:RegistryResponse is read too (deviation). With `leaf_class`, references to
// registry internals are left out. Errors: xds.response.
QueryResponse read_query_response(const xml::Element& element, ReturnType asked = ReturnType::leaf_class);
std::string write_query_response(const QueryResponse& response);

}  // namespace kuva::xds
