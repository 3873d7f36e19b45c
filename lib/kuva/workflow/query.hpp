#pragma once

#include <kuva/core/time_zone.hpp>
#include <kuva/workflow/items.hpp>
#include <kuva/xds/retrieve.hpp>
#include <kuva/xds/stored_query.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

// What kuva-query does: asks a registry or a gateway (ITI-18, ITI-38), chooses among what came, and joins manifests of
// images with their reports.
namespace kuva::workflow {

// Who answers a stored query.
class Registry {
 public:
  virtual ~Registry() = default;
  // Errors: those of soap::Client::call, xds.response. An answer with errors is returned as it is.
  virtual xds::QueryResponse ask(const xds::StoredQuery& query, std::stop_token stop) = 0;
};

enum class SortKey { newest, oldest, title, modality };

struct QuerySettings {
  std::string patient;  // CX; may be empty where documents or a stored query are named
  bool images = true;
  bool documents = true;
  std::optional<std::chrono::sys_seconds> from;  // of serviceStartTime
  std::optional<std::chrono::sys_seconds> to;    // not included
  // Codes, any of each list: CODE is looked for in what came, CODE^^SCHEME is asked for.
  std::vector<std::string> study_types;   // typeCode
  std::vector<std::string> modalities;    // eventCodeList
  std::vector<std::string> body_parts;    // eventCodeList
  std::vector<std::string> procedures;    // eventCodeList or typeCode
  std::vector<std::string> specialties;   // practiceSettingCode
  std::vector<std::string> accessions;    // the number, or a whole CXi
  std::vector<std::string> studies;       // Study Instance UIDs
  std::vector<std::string> document_ids;  // uniqueId, or entryUUID with its urn:uuid:
  bool approved = true;
  bool deprecated = false;
  bool all_versions = false;  // older versions and replaced entries too

  std::string stored_query;                // a name or UUID; replaces all of the above but the patient
  std::vector<xds::Parameter> parameters;  // of the stored query
  xds::ReturnType returns = xds::ReturnType::leaf_class;

  std::string home;  // urn:oid:...; written where it is given
  // Asked in two steps, references first and then entries, this many at a time. 0: in one step, and in two where the
  // registry says that there are too many.
  unsigned page = 0;
  std::string text;  // only entries whose metadata has this in it; * and ? stand for others, case does not count
  SortKey sort = SortKey::newest;
  // Codes by which a report is told to be preliminary, CODE^^SCHEME.
  std::vector<std::string> preliminary_codes;
};

// What HL7 publishes for the status of a report: code systems DiagnosticReportStatus (FHIR) and table 0123 (v2).
std::vector<std::string> default_preliminary_codes();

struct FoundDocument {
  xds::DocumentEntry entry;
  std::string replaced_by;   // entryUUID, where an association says so
  bool preliminary = false;  // a report that is marked so
};

// What belongs together by Study Instance UID, and by accession number where a report has no other link.
struct FoundStudy {
  std::string study_instance_uid;
  std::vector<std::size_t> manifests;  // indices of QueryResult::documents
  std::vector<std::size_t> reports;
};

struct QueryResult {
  std::vector<FoundDocument> documents;  // in the order asked for
  std::vector<FoundStudy> studies;       // in the order of their first document
  xds::RegistryObjects others;           // packages, associations, references of a stored query; no documents
  std::uint64_t received = 0;            // entries that came
  std::uint64_t superseded = 0;          // of them left out as older versions
  std::uint64_t not_matching = 0;        // of them left out by --text and the like
  std::vector<xds::RegistryError> warnings;
  std::vector<std::string> deviations;
  std::optional<Error> error;  // what came is not all of it
};

// The request that is made first. Errors: xds.query, usage.argument.
xds::StoredQuery make_query(const QuerySettings& settings);
// Asks, chooses, sorts and joins. A partial answer is in the result, with its error. Errors: those of Registry::ask;
// xds.* where the answer is a failure.
QueryResult query(Registry& registry, const QuerySettings& settings, std::stop_token stop);

// --- records

struct RecordSettings {
  TimeZone zone = TimeZone::load("UTC");
  std::uint64_t transfer_rate = 0;  // bytes a second that are expected; 0: not known
};
// The records of a result, in their order: documents, then studies, then what else a stored query gave.
std::vector<Json> to_records(const QueryResult& result, const RecordSettings& settings);
// Counts a record of `to_records` as an item that entered, where it is one.
void count_found(const Json& record, Accounting& accounting);
// What the summary says of it, in `query`; nothing found is ExitCode::negative. What departs from the standard is told.
void summarise(const QueryResult& result, const QuerySettings& settings, Accounting& accounting, Observer& observer);
// A FHIR R4 Bundle (searchset) of DocumentReference and ImagingStudy.
Json to_fhir(const QueryResult& result);
// Elements of the data sets A and B of the eHealth Network's guideline on imaging, by their ids; what the metadata does
// not hold is not there.
Json to_ehn(const QueryResult& result, const RecordSettings& settings);

// "2024", "2024-03", "2024-03-31", "2024-03-31T12", ...T12:30, ...:30:15, or the same without signs: local time of the
// zone. `end`: the end of what it covers. Nothing where it is none of these.
std::optional<std::chrono::sys_seconds> parse_local_time(std::string_view text, const TimeZone& zone, bool end);

}  // namespace kuva::workflow
