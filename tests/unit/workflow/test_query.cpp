#include "support/associations.hpp"

#include <kuva/core/record.hpp>
#include <kuva/workflow/query.hpp>

#include <doctest/doctest.h>

#include <deque>

namespace kuva::workflow {

namespace {

// Answers from a list, in turn, and keeps what it was asked.
class FakeRegistry : public Registry {
 public:
  std::deque<xds::QueryResponse> answers;
  std::vector<xds::StoredQuery> asked;

  xds::QueryResponse ask(const xds::StoredQuery& query, std::stop_token) override {
    asked.push_back(query);
    REQUIRE_FALSE(answers.empty());
    xds::QueryResponse answer = std::move(answers.front());
    answers.pop_front();
    return answer;
  }
};

QuerySettings settings_of_patient() {
  QuerySettings settings;
  settings.patient = xds::make_cx("010181-900C", "1.2.246.21");
  settings.preliminary_codes = default_preliminary_codes();
  return settings;
}

xds::DocumentEntry entry(const std::string& number, const std::string& time, bool manifest) {
  xds::DocumentEntry out;
  out.id = "urn:uuid:00000000-0000-4000-8000-0000000000" + number;
  out.status = xds::entry_status::approved;
  out.unique_id = "1.2." + number;
  out.repository_unique_id = "1.9";
  out.patient_id = xds::make_cx("010181-900C", "1.2.246.21");
  out.service_start_time = time;
  out.title = "Title " + number;
  out.mime_type = manifest ? "application/dicom" : "text/xml";
  if (manifest) {
    out.format_code = xds::Code{std::string(xds::k_manifest_format), std::string(xds::k_manifest_format_scheme)};
    out.event_codes = {xds::Code{"CT", "1.2.840.10008.2.16.4"}};
  } else {
    out.type_code = xds::Code{"18748-4", "2.16.840.1.113883.6.1", "Imaging study"};
  }
  return out;
}

std::string study_reference(const std::string& uid) { return uid + "^^^^urn:ihe:iti:xds:2016:studyInstanceUID"; }
std::string accession(const std::string& id) { return id + "^^^&1.2.8&ISO^urn:ihe:iti:xds:2013:accession"; }

// A study with its manifest and a report; a report by accession alone; a document of something else.
xds::QueryResponse sample_answer() {
  xds::QueryResponse answer;
  auto manifest = entry("11", "202402292120", true);
  manifest.reference_ids = {study_reference("1.2.3"), accession("A1")};
  auto report = entry("12", "202403010800", false);
  report.reference_ids = {study_reference("1.2.3")};
  report.event_codes = {xds::Code{"preliminary", "http://hl7.org/fhir/diagnostic-report-status"}};
  auto second = entry("13", "202403020800", false);
  second.reference_ids = {accession("A1")};
  auto other = entry("14", "20230101", false);
  answer.objects.documents = {other, report, manifest, second};
  return answer;
}

std::vector<std::string> numbers(const QueryResult& result) {
  std::vector<std::string> out;
  for (const FoundDocument& one : result.documents) {
    out.push_back(one.entry.unique_id.substr(4));
  }
  return out;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("studies and their reports are joined by Study Instance UID and by accession number") {
  FakeRegistry registry;
  registry.answers = {sample_answer()};
  const QueryResult result = query(registry, settings_of_patient(), {});
  CHECK(numbers(result) == Names{"13", "12", "11", "14"});
  REQUIRE(result.studies.size() == 1);
  CHECK(result.studies[0].study_instance_uid == "1.2.3");
  CHECK(result.studies[0].manifests == std::vector<std::size_t>{2});
  CHECK(result.studies[0].reports == std::vector<std::size_t>{1, 0});
  CHECK(result.documents[1].preliminary);
  CHECK_FALSE(result.documents[0].preliminary);
  REQUIRE(registry.asked.size() == 1);
  CHECK(xds::find_query(registry.asked[0].id)->name == "FindDocuments");
  CHECK(registry.asked[0].values("$XDSDocumentEntryStatus") == Names{std::string(xds::entry_status::approved)});
}

TEST_CASE("what can be asked for is asked for, the rest is chosen here") {
  QuerySettings settings = settings_of_patient();
  settings.documents = false;
  settings.modalities = {"ct"};
  settings.body_parts = {"T-D1100^^SRT"};
  settings.from = parse_local_time("2024-02-29", TimeZone::load("UTC"), false);
  settings.to = parse_local_time("2024-02-29", TimeZone::load("UTC"), true);
  const auto asked = make_query(settings);
  CHECK(asked.values("$XDSDocumentEntryFormatCode") == Names{"1.2.840.10008.5.1.4.1.1.88.59^^1.2.840.10008.2.6.1"});
  CHECK(asked.values("$XDSDocumentEntryEventCodeList") == Names{"T-D1100^^SRT"});
  CHECK(asked.values("$XDSDocumentEntryServiceStartTimeFrom") == Names{"20240229000000"});
  CHECK(asked.values("$XDSDocumentEntryServiceStartTimeTo") == Names{"20240301000000"});

  settings.body_parts.clear();
  FakeRegistry registry;
  registry.answers = {sample_answer()};
  const QueryResult result = query(registry, settings, {});
  CHECK(numbers(result) == Names{"11"});
  CHECK(result.received == 4);
  CHECK(result.not_matching == 3);
  CHECK(result.superseded == 0);
}

TEST_CASE("text is looked for in titles, codes, authors and references") {
  QuerySettings settings = settings_of_patient();
  for (const auto& [pattern, found] : std::vector<std::pair<std::string, Names>>{{"title 1?", {"13", "12", "11", "14"}},
                                                                                 {"IMAGING*study", {"13", "12", "14"}},
                                                                                 {"a1", {"13", "11"}},
                                                                                 {"010181", {}}}) {
    const auto& text = pattern;  // doctest captures by a lambda
    CAPTURE(text);
    settings.text = text;
    FakeRegistry registry;
    registry.answers = {sample_answer()};
    CHECK(numbers(query(registry, settings, {})) == found);
  }
}

TEST_CASE("older versions are hidden unless they are asked for") {
  auto old = entry("11", "2024", false);
  old.lid = "urn:uuid:00000000-0000-4000-8000-000000000001";
  old.version = "1";
  auto latest = entry("12", "2024", false);
  latest.lid = old.lid;
  latest.version = "2";
  latest.status = xds::entry_status::approved;
  xds::QueryResponse answer;
  answer.objects.documents = {old, latest, latest};
  FakeRegistry registry;
  registry.answers = {answer};
  QueryResult result = query(registry, settings_of_patient(), {});
  CHECK(numbers(result) == Names{"12"});
  CHECK(result.superseded == 2);

  QuerySettings all = settings_of_patient();
  all.all_versions = true;
  answer.objects.documents[0].status = xds::entry_status::deprecated;
  xds::QueryResponse replacements;
  xds::Association association;
  association.type = xds::association_type::replaces;
  association.source = latest.id;
  association.target = old.id;
  replacements.objects.associations = {association};
  registry.asked.clear();
  registry.answers = {answer, replacements};
  result = query(registry, all, {});
  CHECK(result.documents.size() == 2);
  CHECK(result.documents[0].replaced_by == latest.id);
  REQUIRE(registry.asked.size() == 2);
  CHECK(xds::find_query(registry.asked[1].id)->name == "GetAssociations");
  CHECK(registry.asked[0].values("$XDSDocumentEntryStatus").size() == 2);
}

TEST_CASE("too many results are asked for in two steps") {
  xds::QueryResponse refused;
  refused.status = xds::Status::failure;
  refused.errors = {{"XDSTooManyResults", "more than 10", "", xds::Severity::error}};
  xds::QueryResponse references;
  for (int i = 11; i < 16; ++i) {
    references.objects.object_refs.push_back({entry(std::to_string(i), "2024", true).id, i == 15 ? "urn:oid:1" : ""});
  }
  const auto page = [](const Names& names) {
    xds::QueryResponse answer;
    for (const std::string& name : names) {
      answer.objects.documents.push_back(entry(name, "2024", true));
    }
    return answer;
  };
  FakeRegistry registry;
  registry.answers = {refused, references, page({"11", "12"}), page({"13", "14"}), page({"15"})};
  QuerySettings settings = settings_of_patient();
  settings.page = 2;
  registry.answers.pop_front();  // with --page nothing is tried in one step
  const QueryResult result = query(registry, settings, {});
  CHECK(result.documents.size() == 5);
  REQUIRE(registry.asked.size() == 4);
  CHECK(registry.asked[0].return_type == xds::ReturnType::object_ref);
  CHECK(registry.asked[1].values("$XDSDocumentEntryEntryUUID").size() == 2);
  CHECK(registry.asked[3].home == "urn:oid:1");

  FakeRegistry again;
  again.answers = {refused, references, page({"11", "12", "13", "14"}), page({"15"})};
  CHECK(query(again, settings_of_patient(), {}).documents.size() == 5);
}

TEST_CASE("a registry without FindDocumentsByReferenceId is asked otherwise") {
  xds::QueryResponse refused;
  refused.status = xds::Status::failure;
  refused.errors = {{"XDSUnknownStoredQuery", "no", "", xds::Severity::error}};
  FakeRegistry registry;
  registry.answers = {refused, sample_answer()};
  QuerySettings settings = settings_of_patient();
  settings.studies = {"1.2.3"};
  const QueryResult result = query(registry, settings, {});
  CHECK(numbers(result) == Names{"12", "11"});
  CHECK(registry.asked[0].values("$XDSDocumentEntryReferenceIdList") == Names{study_reference("1.2.3")});
  CHECK(xds::find_query(registry.asked[1].id)->name == "FindDocuments");
}

TEST_CASE("a failure is thrown, a part is given with its error") {
  xds::QueryResponse failure;
  failure.status = xds::Status::failure;
  failure.errors = {{"XDSRegistryBusy", "later", "", xds::Severity::error}};
  FakeRegistry registry;
  registry.answers = {failure};
  CHECK(test::code_of(test::error_of([&] { query(registry, settings_of_patient(), {}); })) == "xds.busy");

  xds::QueryResponse part = sample_answer();
  part.status = xds::Status::partial_success;
  part.errors = {{"XDSUnavailableCommunity", "away", "urn:oid:1", xds::Severity::error},
                 {"W", "", "", xds::Severity::warning}};
  registry.answers = {part};
  const QueryResult result = query(registry, settings_of_patient(), {});
  CHECK(result.documents.size() == 4);
  CHECK(test::code_of(result.error) == "xds.unavailable");
  CHECK(result.warnings.size() == 1);
}

TEST_CASE("stored queries by name, with what they need filled in") {
  QuerySettings settings = settings_of_patient();
  settings.stored_query = "findfolders";
  settings.parameters = {{"$XDSFolderCodeList", {"a^^b"}}};
  const auto asked = make_query(settings);
  CHECK(asked.values("$XDSFolderPatientId") == Names{settings.patient});
  CHECK(asked.values("$XDSFolderStatus").size() == 1);
  settings.stored_query = "nothing";
  CHECK(test::code_of(test::error_of([&] { make_query(settings); })) == "xds.query");
  settings.stored_query = "GetDocuments";
  settings.parameters.clear();
  CHECK(test::code_of(test::error_of([&] { make_query(settings); })) == "xds.query");
  QuerySettings nobody;
  CHECK(test::code_of(test::error_of([&] { make_query(nobody); })) == "usage.argument");
  nobody.document_ids = {"1.2.3"};
  CHECK(make_query(nobody).values("$XDSDocumentEntryUniqueId") == Names{"1.2.3"});
}

TEST_CASE("times are local where they come in, and both where they go out") {
  const TimeZone helsinki = TimeZone::load("Europe/Helsinki");
  const auto utc = [&](std::string_view text, bool end) {
    return xds::format_dtm(*parse_local_time(text, helsinki, end));
  };
  CHECK(utc("2024-03-31", false) == "20240330220000");
  CHECK(utc("2024-03-31", true) == "20240331210000");  // a day of 23 hours
  CHECK(utc("2024", false) == "20231231220000");
  CHECK(utc("2024-07-01T12:30", false) == "20240701093000");
  CHECK(utc("202407011230", false) == "20240701093000");
  CHECK_FALSE(parse_local_time("2024-13-01", helsinki, false));
  CHECK_FALSE(parse_local_time("yesterday", helsinki, false));

  FakeRegistry registry;
  registry.answers = {sample_answer()};
  const auto result = query(registry, settings_of_patient(), {});
  RecordSettings settings{helsinki, 1000};
  const auto records = to_records(result, settings);
  REQUIRE(records.size() == 5);
  CHECK(records[2]["serviceStartTime"].dump() ==
        R"({"value":"202402292120","utc":"2024-02-29T21:20:00Z","local":"2024-02-29T23:20:00+02:00"})");
  CHECK(records[3]["serviceStartTime"].dump() == R"({"value":"20230101","utc":"2023-01-01"})");
  CHECK(records[1]["preliminary"] == true);
  CHECK(records[4]["type"] == "study");
  CHECK(records[4]["manifests"].size() == 1);
  CHECK(records[4]["reports"].size() == 2);
  CHECK(records[4]["modalities"].dump() == R"(["CT"])");
}

TEST_CASE("FHIR and the eHealth Network's elements hold what the metadata has, and no more") {
  FakeRegistry registry;
  registry.answers = {sample_answer()};
  const auto result = query(registry, settings_of_patient(), {});
  const Json bundle = to_fhir(result);
  CHECK(bundle["resourceType"] == "Bundle");
  CHECK(bundle["total"] == 4);
  REQUIRE(bundle["entry"].size() == 5);
  const Json& manifest = bundle["entry"][2]["resource"];
  CHECK(manifest["resourceType"] == "DocumentReference");
  CHECK(manifest["masterIdentifier"]["value"] == "urn:oid:1.2.11");
  CHECK(manifest["subject"]["identifier"].dump() == R"({"system":"urn:oid:1.2.246.21","value":"010181-900C"})");
  CHECK(manifest["context"]["period"]["start"] == "2024-02-29T21:20:00Z");
  CHECK(bundle["entry"][1]["resource"]["docStatus"] == "preliminary");
  CHECK_FALSE(bundle["entry"][0]["resource"].contains("docStatus"));
  const Json& study = bundle["entry"][4]["resource"];
  CHECK(study["resourceType"] == "ImagingStudy");
  CHECK(study["identifier"][0].dump() == R"({"system":"urn:dicom:uid","value":"urn:oid:1.2.3"})");
  CHECK(study["modality"][0]["system"] == "http://dicom.nema.org/resources/ontology/DCM");
  CHECK_FALSE(study.contains("numberOfSeries"));

  const Json ehn = to_ehn(result, {});
  REQUIRE(ehn["studies"].size() == 1);
  CHECK(ehn["studies"][0]["B.1.1"] == "1.2.3");
  CHECK(ehn["studies"][0]["B.1.4"] == "Title 11");
  CHECK_FALSE(ehn["studies"][0].contains("B.1.2"));
  CHECK(ehn["studies"][0]["reports"].size() == 2);
  CHECK(ehn["studies"][0]["reports"][0]["A.1.8.2"] == "preliminary");
  CHECK(ehn["reports"].size() == 1);
  CHECK(ehn["reports"][0]["A.1.1.4"]["id"] == "010181-900C");
}

}  // namespace kuva::workflow
