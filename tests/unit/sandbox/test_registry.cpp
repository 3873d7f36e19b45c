#include "sandbox/fixture.hpp"

#include <kuva/sandbox/registrar.hpp>
#include <kuva/sandbox/registry.hpp>
#include <kuva/sandbox/registry_query.hpp>

#include <doctest/doctest.h>

#include <fstream>

using namespace kuva;
using namespace kuva::test;
using sandbox::Registry;
using sandbox::RegistryIndex;
using sandbox::RegistryKind;

namespace {

constexpr const char* k_patient = "131052-308T^^^&1.2.246.21&ISO";
constexpr const char* k_home = "urn:oid:1.2.3";

xds::DocumentEntry entry(const std::string& unique_id, const std::string& patient = k_patient) {
  xds::DocumentEntry document;
  document.id = sandbox::make_entry_uuid();
  document.status = xds::entry_status::approved;
  document.mime_type = "application/dicom";
  document.unique_id = unique_id;
  document.patient_id = patient;
  document.source_patient_id = patient;
  document.repository_unique_id = "1.2.4";
  document.language_code = "fi-FI";
  document.creation_time = "20240115100000";
  document.service_start_time = "20240115093000";
  document.class_code = xds::Code{"IMAGES", "1.9", "Images"};
  document.type_code = xds::Code{"18748-4", "1.8", "Study"};
  document.format_code =
      xds::Code{std::string(xds::k_manifest_format), std::string(xds::k_manifest_format_scheme), "KOS"};
  document.event_codes = {{"CT", "DCM", "CT"}, {"CHEST", "BP", "Chest"}};
  document.confidentiality_codes = {{"N", "1.7", "Normal"}};
  document.reference_ids = {"1.2.840.1^^^^urn:ihe:iti:xds:2016:studyInstanceUID"};
  xds::Author author;
  author.person = "^L\xC3\xA4\xC3\xA4k\xC3\xA4ri^Liisa";
  document.authors.push_back(author);
  return document;
}

xds::StoredQuery find_documents(std::vector<xds::Parameter> parameters) {
  xds::StoredQuery query;
  query.id = xds::find_query("FindDocuments")->id;
  query.parameters = {{"$XDSDocumentEntryPatientId", {k_patient}},
                      {"$XDSDocumentEntryStatus", {std::string(xds::entry_status::approved)}}};
  query.parameters.insert(query.parameters.end(), parameters.begin(), parameters.end());
  return query;
}

std::size_t found(Registry& registry, const xds::StoredQuery& query) {
  xds::ReadQuery read;
  read.query = query;
  const xds::QueryResponse response = sandbox::answer_query(registry, read, {k_home, true, 0});
  CHECK(response.status == xds::Status::success);
  return response.objects.size();
}

std::string error_code(Registry& registry, const xds::StoredQuery& query, const sandbox::QueryRules& rules) {
  xds::ReadQuery read;
  read.query = query;
  const xds::QueryResponse response = sandbox::answer_query(registry, read, rules);
  CHECK(response.status == xds::Status::failure);
  CHECK(response.objects.size() == 0);
  return response.errors.empty() ? "" : response.errors.front().code;
}

}  // namespace

TEST_CASE("a registry keeps what was submitted, and makes its index again") {
  FixtureDirectory directory;
  const sandbox::XdsSettings settings;
  const xds::DocumentEntry first = entry("1.2.840.5.1");
  const xds::DocumentEntry second = entry("1.2.840.5.2");
  {
    Registry registry(directory.path, false);
    registry.submit(sandbox::make_submission(settings, first, std::nullopt));
    registry.submit(sandbox::make_submission(settings, second, first));
  }
  SUBCASE("with its index") {}
  SUBCASE("without it") { fs::remove(directory.path / "index.db"); }
  SUBCASE("with another thing in its place") { std::ofstream(directory.path / "index.db") << "not a database at all"; }
  Registry registry(directory.path, false);
  const auto now = registry.look([](RegistryIndex& index) { return index.manifest_of("1.2.840.1"); });
  REQUIRE(now);
  CHECK(now->unique_id == "1.2.840.5.2");
  xds::RegistryObjects old;
  registry.look([&](RegistryIndex& index) { index.get(RegistryKind::document, first.id, old); });
  REQUIRE(old.documents.size() == 1);
  CHECK(old.documents.front().is_deprecated());
  const auto associations = registry.look([&](RegistryIndex& index) { return index.associations(first.id); });
  CHECK(associations.size() == 2);
}

TEST_CASE("what FindDocuments selects") {
  FixtureDirectory directory;
  Registry registry(directory.path, false);
  registry.submit(sandbox::make_submission({}, entry("1.2.840.5.1"), std::nullopt));
  registry.submit(sandbox::make_submission({}, entry("1.2.840.5.2", "010181-900C^^^&1.2.246.21&ISO"), std::nullopt));
  xds::DocumentEntry plain = entry("1.2.840.5.3");
  plain.service_start_time.clear();
  plain.event_codes.clear();
  registry.submit(sandbox::make_submission({}, plain, std::nullopt));

  CHECK(found(registry, find_documents({})) == 2);
  CHECK(found(registry, find_documents({{"$XDSDocumentEntryEventCodeList", {"CT^^DCM"}}})) == 1);
  CHECK(found(registry, find_documents({{"$XDSDocumentEntryEventCodeList", {"MR^^DCM", "CT^^DCM"}}})) == 1);
  // Two slots: both.
  CHECK(found(registry, find_documents({{"$XDSDocumentEntryEventCodeList", {"CT^^DCM"}},
                                        {"$XDSDocumentEntryEventCodeList", {"CHEST^^BP"}}})) == 1);
  CHECK(found(registry, find_documents({{"$XDSDocumentEntryEventCodeList", {"CT^^DCM"}},
                                        {"$XDSDocumentEntryEventCodeList", {"HEAD^^BP"}}})) == 0);
  CHECK(found(registry, find_documents({{"$XDSDocumentEntryClassCode", {"IMAGES^^1.8"}}})) == 0);
  // An entry without the time stays.
  CHECK(found(registry, find_documents({{"$XDSDocumentEntryServiceStartTimeFrom", {"20240115093000"}}})) == 2);
  CHECK(found(registry, find_documents({{"$XDSDocumentEntryServiceStartTimeTo", {"20240115093000"}}})) == 1);
  CHECK(found(registry, find_documents({{"$XDSDocumentEntryServiceStartTimeFrom", {"2025"}}})) == 1);
  CHECK(found(registry, find_documents({{"$XDSDocumentEntryAuthorPerson", {"%Liisa"}}})) == 2);
  CHECK(found(registry, find_documents({{"$XDSDocumentEntryAuthorPerson", {"%Pekka%"}}})) == 0);
}

TEST_CASE("what a gateway asks for, and how much it gives") {
  FixtureDirectory directory;
  Registry registry(directory.path, false);
  const xds::DocumentEntry one = entry("1.2.840.5.1");
  registry.submit(sandbox::make_submission({}, one, std::nullopt));
  registry.submit(sandbox::make_submission({}, entry("1.2.840.5.2"), std::nullopt));
  const xds::DocumentEntry other = entry("1.2.840.5.3", "010181-900C^^^&1.2.246.21&ISO");
  registry.submit(sandbox::make_submission({}, other, std::nullopt));
  xds::StoredQuery get;
  get.id = xds::find_query("GetDocuments")->id;
  get.parameters = {{"$XDSDocumentEntryEntryUUID", {one.id, other.id}}};
  CHECK(error_code(registry, get, {k_home, true, 0}) == "XDSMissingHomeCommunityId");
  CHECK(error_code(registry, get, {k_home, false, 0}) == "XDSResultNotSinglePatient");
  get.home = "urn:oid:9.9";
  CHECK(error_code(registry, get, {k_home, true, 0}) == "XDSUnknownCommunity");
  get.home = k_home;
  get.return_type = xds::ReturnType::object_ref;
  CHECK(found(registry, get) == 2);
  CHECK(error_code(registry, find_documents({}), {k_home, true, 1}) == "XDSTooManyResults");
}

TEST_CASE("patterns of LIKE") {
  CHECK(sandbox::matches_pattern("%", ""));
  CHECK(sandbox::matches_pattern("%Liisa%", "^L^Liisa^^"));
  CHECK(sandbox::matches_pattern("a%b%c", "a1b2b3c"));
  CHECK_FALSE(sandbox::matches_pattern("a%b%c", "a1b2b3"));
  CHECK(sandbox::matches_pattern("_bc",
                                 "\xC3\xA4"
                                 "bc"));
  CHECK_FALSE(sandbox::matches_pattern("_", ""));
  CHECK_FALSE(sandbox::matches_pattern("abc", "abcd"));
}

TEST_CASE("times of DICOM in UTC") {
  const TimeZone zone = TimeZone::load("Europe/Helsinki");
  CHECK(sandbox::to_utc_dtm("20240115", "113000.123", "", zone) == "20240115093000");
  CHECK(sandbox::to_utc_dtm("20240715", "0130", "", zone) == "20240714223000");
  CHECK(sandbox::to_utc_dtm("20240715", "013000", "-0500", zone) == "20240715063000");
  CHECK(sandbox::to_utc_dtm("20240715", "", "", zone) == "20240715");
  CHECK(sandbox::to_utc_dtm("", "1200", "", zone).empty());
  CHECK(sandbox::to_utc_dtm("20241399", "1200", "", zone).empty());
}

TEST_CASE("what is registered for a patient that was merged is the survivor's, in the index that is made again too") {
  const FixtureDirectory directory;
  constexpr const char* k_temporary = "T1^^^&1.2.3&ISO";
  bool is_merged = false;
  const RegistryIndex::PatientNow now = [&](const std::string& patient) {
    return is_merged && patient == k_temporary ? std::string(k_patient) : patient;
  };
  const auto of = [](Registry& registry, const std::string& patient) {
    std::vector<std::string> patients;
    registry.look([&](RegistryIndex& index) {
      index.each(RegistryKind::document, patient, [&](const xds::RegistryObjects& objects) {
        patients.push_back(objects.documents.front().patient_id);
        return true;
      });
    });
    return patients;
  };
  using Patients = std::vector<std::string>;
  xds::RegistryObjects submission;
  submission.documents.push_back(entry("1.5.1", k_temporary));
  {
    Registry registry(directory.path / "registry", false, now);
    registry.submit(submission);
    CHECK(of(registry, k_temporary) == Patients{k_temporary});
    is_merged = true;
    registry.look([&](RegistryIndex& index) { index.move_patient(k_temporary); });
    CHECK(of(registry, k_temporary).empty());
    CHECK(of(registry, k_patient) == Patients{k_patient});
    // One that comes under the old identifier.
    submission.documents.front() = entry("1.5.2", k_temporary);
    registry.submit(submission);
    CHECK(of(registry, k_patient) == Patients{k_patient, k_patient});
  }
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::error_code ignored;
    fs::remove(directory.path / "registry" / (std::string("index.db") + suffix), ignored);
  }
  Registry again(directory.path / "registry", false, now);
  CHECK(of(again, k_patient).size() == 2);
}
