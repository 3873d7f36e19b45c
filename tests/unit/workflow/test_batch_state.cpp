#include <kuva/workflow/batch_state.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::workflow;

namespace {

dicom::InstanceAttributes instance(const std::string& study, const std::string& series, const std::string& uid) {
  dicom::InstanceAttributes attributes;
  attributes.study_instance_uid = study;
  attributes.series_instance_uid = series;
  attributes.sop_instance_uid = uid;
  attributes.modality = series == "S1" ? "CT" : "SR";
  attributes.patient_id = "P-" + study;
  return attributes;
}

}  // namespace

TEST_CASE("a SOP Instance UID is remembered with its first file") {
  BatchState batch;
  CHECK_FALSE(batch.remember(instance("A", "S1", "1"), "one.dcm"));
  CHECK_FALSE(batch.remember(instance("A", "S1", "2"), "two.dcm"));
  const auto first = batch.remember(instance("B", "S1", "1"), std::string("again\xFF.dcm"));
  REQUIRE(first);
  CHECK(first->path == "one.dcm");
  CHECK(first->study_instance_uid == "A");
  CHECK(batch.remember(instance("A", "S1", "1"), "third.dcm")->path == "one.dcm");
}

TEST_CASE("studies add up, in the order of their first instance") {
  BatchState batch;
  CHECK_FALSE(batch.add_to_study(instance("B", "S1", "1"), 100, true));
  CHECK_FALSE(batch.add_to_study(instance("A", "S1", "2"), 1, true));
  const auto facts = batch.add_to_study(instance("B", "S2", "3"), 50, false);
  REQUIRE(facts);
  CHECK(facts->patient_id == "P-B");
  batch.add_study_finding("B", "study.x");
  batch.add_study_finding("B", "study.x");
  std::vector<BatchState::Study> studies;
  batch.for_each_study([&](const BatchState::Study& study) { studies.push_back(study); });
  REQUIRE(studies.size() == 2);
  CHECK(studies[0].study_instance_uid == "B");
  CHECK(studies[0].instances == 2);
  CHECK(studies[0].invalid_instances == 1);
  CHECK(studies[0].series == 2);
  CHECK(studies[0].bytes == 150);
  CHECK(studies[0].modalities == std::vector<std::string>{"CT", "SR"});
  CHECK(studies[0].broken_rules == std::vector<std::string>{"study.x"});
  CHECK(studies[1].broken_rules.empty());
}
