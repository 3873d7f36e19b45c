#include <kuva/workflow/batch_state.hpp>

#include <doctest/doctest.h>

#include <chrono>

using namespace kuva;
using namespace kuva::workflow;

namespace {

dicom::InstanceAttributes instance_of(const std::string& study, const std::string& series, const std::string& uid) {
  dicom::InstanceAttributes attributes;
  attributes.study_instance_uid = study;
  attributes.series_instance_uid = series;
  attributes.sop_instance_uid = uid;
  attributes.modality = series == "S1" ? "CT" : "SR";
  attributes.patient_id = "P-" + study;
  return attributes;
}

dicom::Header header_of(const std::string& study, const std::string& uid, std::uint64_t size = 1000) {
  dicom::Header header;
  header.attributes = instance_of(study, "S1", uid);
  header.size = size;
  header.data_set_offset = 300;
  return header;
}

}  // namespace

TEST_CASE("a SOP Instance UID is remembered with its first file") {
  BatchState batch;
  CHECK_FALSE(batch.remember(header_of("A", "1"), "one.dcm"));
  CHECK_FALSE(batch.remember(header_of("A", "2"), "two.dcm"));
  const auto first = batch.remember(header_of("B", "1"), std::string("again\xFF.dcm"));
  REQUIRE(first);
  CHECK(first->path == "one.dcm");
  CHECK(first->study_instance_uid == "A");
  CHECK(first->data_set_size == 700);
  CHECK(batch.remember(header_of("A", "1"), "third.dcm")->path == "one.dcm");
}

TEST_CASE("studies add up, in the order of their first instance") {
  BatchState batch;
  CHECK_FALSE(batch.add_to_study(instance_of("B", "S1", "1"), 100));
  CHECK_FALSE(batch.add_to_study(instance_of("A", "S1", "2"), 1));
  const auto facts = batch.add_to_study(instance_of("B", "S2", "3"), 50);
  REQUIRE(facts);
  CHECK(facts->patient_id == "P-B");
  batch.note_invalid("B");
  batch.add_study_finding("B", "study.x", "accepted");
  batch.add_study_finding("B", "study.x", "");
  batch.add_study_finding("B", "study.x", "accepted");
  batch.add_study_finding("B", "study.y", "accepted");
  std::vector<BatchState::Study> studies;
  batch.for_each_study([&](const BatchState::Study& study) { studies.push_back(study); });
  REQUIRE(studies.size() == 2);
  CHECK(studies[0].study_instance_uid == "B");
  CHECK(studies[0].instances == 2);
  CHECK(studies[0].invalid_instances == 1);
  CHECK(studies[0].series == 2);
  CHECK(studies[0].bytes == 150);
  CHECK(studies[0].modalities == std::vector<std::string>{"CT", "SR"});
  REQUIRE(studies[0].broken_rules.size() == 2);
  CHECK(studies[0].broken_rules[0].rule == "study.x");
  CHECK(studies[0].broken_rules[0].waived.empty());  // for one instance it was not
  CHECK(studies[0].broken_rules[1].waived == "accepted");
  CHECK(studies[1].broken_rules.empty());
}

TEST_CASE("rejected instances are counted by study, with the effort of the rejected ones") {
  using Clock = std::chrono::steady_clock;
  constexpr int k_studies = 400;
  BatchState batch;
  const auto begun = Clock::now();
  for (int i = 0; i < 100 * k_studies; ++i) {
    batch.remember(header_of(std::to_string(i % k_studies), "1.2." + std::to_string(i)), "some/file.dcm");
  }
  const auto remembered = Clock::now();
  batch.note_rejected("1.2.7");
  batch.note_rejected("1.2.407");
  batch.note_rejected("1.2.8");
  batch.note_rejected("9.9");
  CHECK(batch.view_of("7").rejected == 2);
  for (int i = 0; i < k_studies; ++i) {
    CHECK(batch.view_of(std::to_string(i)).rejected == (i == 7 ? 2 : i == 8 ? 1 : 0));
  }
  // A search of all instances for each study takes twenty times that.
  CHECK(Clock::now() - remembered < remembered - begun);
  batch.remember(header_of("A", "9.9"), "late.dcm");
  CHECK(batch.view_of("A").rejected == 1);
}
