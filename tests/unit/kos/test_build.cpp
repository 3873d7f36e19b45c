#include "kos/objects.hpp"
#include "support/temporary_directory.hpp"

#include <kuva/dicom/inspection.hpp>
#include <kuva/kos/build.hpp>
#include <kuva/kos/check.hpp>
#include <kuva/kos/codes.hpp>
#include <kuva/kos/compare.hpp>
#include <kuva/kos/read.hpp>
#include <kuva/kos/write.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::kos;

namespace {

struct Study {
  test::TemporaryDirectory directory;
  Collection collection;
  int count = 0;

  void add(const dicom::DataSet& data, const Retrieval& retrieval = {}) {
    const auto path = test::write_object(data, directory.path() / std::to_string(++count));
    collection.add(read_source_object(path), retrieval);
  }
};

std::string code_of_adding(Study& study, const dicom::DataSet& data) {
  try {
    study.add(data);
  } catch (const Error& error) {
    return std::string(error.kind().code);
  }
  return "none";
}

BuildSettings settings() {
  BuildSettings settings;
  settings.retrieval = {"ARCHIVE", "1.2.246.999", "https://pacs.example/dicom-web/"};
  settings.now = std::chrono::sys_days(std::chrono::year(2026) / 11 / 22) + std::chrono::hours(22);
  return settings;
}

}  // namespace

TEST_CASE("a manifest refers to the objects of its study, and comes back as it was made") {
  Study study;
  auto second = test::sample_object("1.2.3.1.2");
  second.set_string(kos::tags::instance_number, "2");
  study.add(second);
  study.add(test::sample_object("1.2.3.1.1"));
  auto ecg = test::sample_object("1.2.3.2.1", "1.2.3.2");
  ecg.set_string(kos::tags::sop_class_uid, "1.2.840.10008.5.1.4.1.1.9.1.1");
  ecg.set_string(kos::tags::modality, "ECG");
  ecg.set_string(kos::tags::series_number, "0");
  study.add(ecg);
  CHECK(study.collection.instances("1.2.3") == 3);
  CHECK(study.collection.series("1.2.3") == 2);

  const Document made = study.collection.manifest("1.2.3", settings());
  const auto path = study.directory.path() / "manifest.dcm";
  const std::uint64_t size = write(made, path);
  CHECK(size == std::filesystem::file_size(path));
  CHECK(encode(made) == read_small_file(path, 1 << 20));
  CHECK_FALSE(dicom::inspect(path).has_errors());

  const Document found = kos::read(path);
  CHECK(check(found, {.manifest = true}).empty());
  CHECK(compare(made, found).equal());
  CHECK(found.title.is("113030"));
  CHECK(found.template_identifier == "2010");
  CHECK(found.sop_instance_uid == made.sop_instance_uid);
  CHECK(text(found, kos::tags::patient_name) == "Koe^Äänikki");
  CHECK(found.attributes.string(kos::tags::specific_character_set) == "ISO_IR 100");
  CHECK(found.attributes.string(kos::tags::content_date) == "20261122");
  CHECK(found.attributes.has(kos::tags::referring_physician_name));

  const auto all = references(found);
  REQUIRE(all.size() == 3);
  CHECK(all[0].sop_instance_uid == "1.2.3.2.1");  // series 0
  CHECK(all[1].sop_instance_uid == "1.2.3.1.1");
  CHECK(all[2].sop_instance_uid == "1.2.3.1.2");
  CHECK(all[0].modality == "ECG");
  CHECK(all[1].retrieve_ae_title == "ARCHIVE");
  CHECK(all[1].retrieve_location_uid == "1.2.246.999");
  CHECK(all[1].retrieve_url == "https://pacs.example/dicom-web/studies/1.2.3/series/1.2.3.1");
  REQUIRE(found.references.size() == 3);
  CHECK(found.references[0].value_type == "WAVEFORM");
  CHECK(found.references[1].value_type == "IMAGE");

  const auto* requests = found.attributes.items(kos::tags::referenced_request_sequence);
  REQUIRE(requests != nullptr);
  REQUIRE(requests->size() == 1);
  CHECK(requests->front().string(kos::tags::accession_number) == "ACC1");
  CHECK(requests->front().has(kos::tags::placer_order_number));
}

TEST_CASE("the request of the objects becomes that of the manifest") {
  Study study;
  auto object = test::sample_object("1.2.3.1.1");
  auto& request = object.add_item(kos::tags::request_attributes_sequence);
  request.set_string(kos::tags::requested_procedure_id, "RP1");
  request.set_string(kos::tags::requested_procedure_description, "TT");
  study.add(object);
  object.set_string(kos::tags::sop_instance_uid, "1.2.3.1.2");
  study.add(object);
  const Document made = study.collection.manifest("1.2.3", settings());
  const auto* requests = made.attributes.items(kos::tags::referenced_request_sequence);
  REQUIRE(requests != nullptr);
  REQUIRE(requests->size() == 1);
  CHECK(requests->front().string(kos::tags::requested_procedure_id) == "RP1");
  CHECK(requests->front().string(kos::tags::accession_number) == "ACC1");
}

TEST_CASE("a rejection note has the exact title, and no request") {
  Study study;
  study.add(test::sample_object("1.2.3.1.1"));
  for (const CodeEntry& reason : rejection_reasons()) {
    const auto code = find_rejection_reason(reason.name);
    REQUIRE(code);
    CHECK(find_rejection_reason(reason.value)->value == code->value);
    const std::string bytes = encode(study.collection.rejection_note("1.2.3", *code, settings()));
    const Document note = kos::read(std::as_bytes(std::span(bytes)));
    CHECK(note.title.value == reason.value);
    CHECK(note.title.scheme == "DCM");
    CHECK(note.title.scheme_version.empty());
    CHECK(is_rejection_title(note.title));
    CHECK_FALSE(note.attributes.has(kos::tags::referenced_request_sequence));
    CHECK(check(note).empty());
  }
  CHECK_FALSE(find_rejection_reason("113000"));
}

TEST_CASE("texts: those of the objects as they are, ours turn all of them into UTF-8") {
  Study study;
  study.add(test::sample_object("1.2.3.1.1"));
  BuildSettings with_text = settings();
  with_text.description = "plain";
  with_text.modifiers.push_back(*find_quality_modifier("111210"));
  std::string bytes = encode(study.collection.manifest("1.2.3", with_text));
  Document found = kos::read(std::as_bytes(std::span(bytes)));
  CHECK(description(found) == "plain");
  CHECK(found.attributes.string(kos::tags::specific_character_set) == "ISO_IR 100");
  REQUIRE(found.content.size() == 2);
  CHECK(found.content[0].code.meaning == "Motion blur");

  with_text.description = "väärä potilas";
  bytes = encode(study.collection.manifest("1.2.3", with_text));
  found = kos::read(std::as_bytes(std::span(bytes)));
  CHECK(description(found) == "väärä potilas");
  CHECK(found.attributes.string(kos::tags::specific_character_set) == "ISO_IR 192");
  CHECK(found.attributes.string(kos::tags::patient_name) == "Koe^Äänikki");

  Study unclean;
  auto object = test::sample_object("1.2.3.1.1");
  object.erase(kos::tags::specific_character_set);
  unclean.add(object);
  CHECK_NOTHROW(encode(unclean.collection.manifest("1.2.3", settings())));
  try {
    encode(unclean.collection.manifest("1.2.3", with_text));
    FAIL("a text that cannot be converted was converted");
  } catch (const Error& error) {
    CHECK(error.kind().code == "kos.text");
    CHECK(error.message().find("nikki") == std::string::npos);
  }
}

TEST_CASE("objects that do not fit together") {
  Study study;
  study.add(test::sample_object("1.2.3.1.1"));
  CHECK_FALSE(study.collection.add(read_source_object(study.directory.path() / "1")));
  auto other = test::sample_object("1.2.3.1.2");
  other.set_string(kos::tags::patient_id, "020202-0202");
  CHECK(code_of_adding(study, other) == "kos.patient-differs");
  CHECK(code_of_adding(study, test::sample_object("1.2.3.1.1", "1.2.3.9")) == "kos.instance-differs");
  auto incomplete = test::sample_object("1.2.3.1.3");
  incomplete.erase(kos::tags::series_instance_uid);
  CHECK(code_of_adding(study, incomplete) == "file.incomplete");
  CHECK_THROWS_AS((void)study.collection.manifest("9.9", settings()), Error);
}

TEST_CASE("content time is local where the object says how") {
  Study study;
  auto object = test::sample_object("1.2.3.1.1");
  object.set_string(kos::tags::timezone_offset_from_utc, "+0300");
  study.add(object);
  const Document made = study.collection.manifest("1.2.3", settings());
  CHECK(made.attributes.string(kos::tags::content_date) == "20261123");
  CHECK(made.attributes.string(kos::tags::content_time) == "010000");
}

TEST_CASE("100,000 instances") {
  Collection collection;
  SourceObject object;
  object.study_instance_uid = "1.2.3";
  object.sop_class_uid = test::k_ct;
  object.attributes.set_string(kos::tags::patient_id, "1");
  for (int i = 0; i < 100'000; ++i) {
    object.series_instance_uid = "1.2.3." + std::to_string(i / 5000);
    object.sop_instance_uid = "1.2.3.4.5.6.7.8.9.10." + std::to_string(i);
    object.instance_number = i;
    object.from_file = i == 0;
    collection.add(object);
  }
  const std::string bytes = encode(collection.manifest("1.2.3", settings()));
  const Document found = kos::read(std::as_bytes(std::span(bytes)));
  CHECK(references(found).size() == 100'000);
  CHECK(found.references.size() == 100'000);
  CHECK(check(found, {.manifest = true}).size() <= 1);
}
