#include <kuva/dicom/query_tags.hpp>
#include <kuva/sandbox/identifier.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::sandbox;
using dimse::QueryLevel;
using dimse::QueryRoot;

namespace {

dicom::DataSet identifier(std::string_view level, std::string_view patient, std::string_view study,
                          std::string_view series, std::string_view instance) {
  dicom::DataSet data;
  data.set_string(dicom::tags::query_retrieve_level, level);
  data.set_string(dicom::tags::patient_id, patient);
  data.set_string(dicom::tags::study_instance_uid, study);
  data.set_string(dicom::tags::series_instance_uid, series);
  data.set_string(dicom::tags::sop_instance_uid, instance);
  return data;
}

bool is_taken(const dicom::DataSet& data, QueryRoot root, IdentifierUse use) {
  return std::holds_alternative<UniqueKeys>(read_identifier(data, root, use));
}

}  // namespace

TEST_CASE("queries leave the key of their level open, and need those above") {
  using enum IdentifierUse;
  CHECK(is_taken(identifier("STUDY", "", "", "", ""), QueryRoot::study, query));
  CHECK(is_taken(identifier("PATIENT", "", "", "", ""), QueryRoot::patient, query));
  CHECK(is_taken(identifier("PATIENT", "A*", "", "", ""), QueryRoot::patient, query));
  CHECK(is_taken(identifier("SERIES", "", "1.2", "", ""), QueryRoot::study, query));
  CHECK(is_taken(identifier("IMAGE", "", "1.2", "1.3", "1.4\\1.5"), QueryRoot::study, query));
  CHECK_FALSE(is_taken(identifier("PATIENT", "", "", "", ""), QueryRoot::study, query));
  CHECK_FALSE(is_taken(identifier("SERIES", "", "", "", ""), QueryRoot::study, query));
  CHECK_FALSE(is_taken(identifier("SERIES", "", "1.2\\1.3", "", ""), QueryRoot::study, query));
  CHECK_FALSE(is_taken(identifier("IMAGE", "", "1.2", "", ""), QueryRoot::study, query));
  CHECK_FALSE(is_taken(identifier("STUDY", "", "", "", ""), QueryRoot::patient, query));
  CHECK_FALSE(is_taken(identifier("STUDY", "A*", "", "", ""), QueryRoot::patient, query));
  CHECK_FALSE(is_taken(identifier("", "A", "", "", ""), QueryRoot::patient, query));
  CHECK_FALSE(is_taken({}, QueryRoot::patient, query));
}

TEST_CASE("retrievals need the key of their level too, as a list where it is a UID") {
  using enum IdentifierUse;
  CHECK_FALSE(is_taken(identifier("STUDY", "", "", "", ""), QueryRoot::study, retrieval));
  CHECK(is_taken(identifier("STUDY", "", "1.2\\1.3", "", ""), QueryRoot::study, retrieval));
  CHECK(is_taken(identifier("PATIENT", "A", "", "", ""), QueryRoot::patient, retrieval));
  CHECK_FALSE(is_taken(identifier("PATIENT", "A*", "", "", ""), QueryRoot::patient, retrieval));
  const auto read = read_identifier(identifier("IMAGE", "", "1.2", "1.3", "1.4\\1.5"), QueryRoot::study, retrieval);
  REQUIRE(std::holds_alternative<UniqueKeys>(read));
  CHECK(std::get<UniqueKeys>(read).instances == std::vector<std::string>{"1.4", "1.5"});
  const auto refused = read_identifier(identifier("IMAGE", "", "1.2", "1.3", ""), QueryRoot::study, retrieval);
  REQUIRE(std::holds_alternative<IdentifierDefect>(refused));
  CHECK(std::get<IdentifierDefect>(refused).element == dicom::tags::sop_instance_uid);
}
