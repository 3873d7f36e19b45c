#include "kos/objects.hpp"
#include "support/temporary_directory.hpp"

#include <kuva/core/error.hpp>
#include <kuva/kos/build.hpp>
#include <kuva/kos/check.hpp>
#include <kuva/kos/codes.hpp>
#include <kuva/kos/compare.hpp>
#include <kuva/kos/read.hpp>
#include <kuva/kos/write.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

using namespace kuva;
using namespace kuva::kos;

namespace {

Document manifest() {
  test::TemporaryDirectory directory;
  Collection collection;
  for (const char* uid : {"1.2.3.1.1", "1.2.3.1.2"}) {
    collection.add(read_source_object(test::write_object(test::sample_object(uid), directory.path() / uid)));
  }
  BuildSettings settings;
  settings.retrieval = {"ARCHIVE", "1.2.246.999", {}};
  return collection.manifest("1.2.3", settings);
}

// The rules that a document breaks once it is written and read again, and the place of the first.
struct Broken {
  std::vector<std::string> rules;
  std::string tag_path;
};
Broken broken(const std::function<void(Document&)>& change, const CheckSettings& settings = {}) {
  Document document = manifest();
  change(document);
  const std::string bytes = encode(document);
  Broken result;
  for (const dicom::Defect& defect : check(kos::read(std::as_bytes(std::span(bytes))), settings)) {
    result.tag_path = result.rules.empty() ? defect.tag_path : result.tag_path;
    result.rules.push_back(defect.rule);
  }
  return result;
}
using Rules = std::vector<std::string>;

}  // namespace

TEST_CASE("what is wrong with a document is said with its place") {
  CHECK(broken([](Document&) {}).rules.empty());
  auto found = broken([](Document& d) { d.references.pop_back(); });
  CHECK(found.rules == Rules{"kos.evidence-without-content"});
  CHECK(found.tag_path == "0040,A375[1]/0008,1115[1]/0008,1199[2]/0008,1155");
  found = broken([](Document& d) { d.evidence[0].instances.pop_back(); });
  CHECK(found.rules == Rules{"kos.content-without-evidence"});
  CHECK(found.tag_path == "0040,A730[2]/0008,1199[1]/0008,1155");
  found = broken([](Document& d) { d.evidence[0].retrieve_location_uid.clear(); });
  CHECK(found.rules == Rules{"kos.no-location"});
  CHECK(found.tag_path == "0040,A375[1]/0008,1115[1]/0040,E011");
  CHECK(broken([](Document& d) { d.evidence[0].retrieve_ae_title.clear(); }).rules == Rules{"kos.no-ae-title"});
  CHECK(broken([](Document& d) { d.title.value = "999999"; }).rules == Rules{"kos.title-unknown"});
  CHECK(broken([](Document& d) { d.title.scheme = "99X"; }).rules == Rules{"kos.title-scheme"});
  CHECK(broken([](Document& d) { d.title = *find_rejection_reason("quality"); }, {.manifest = true}).rules ==
        Rules{"kos.not-manifest"});
  CHECK(broken([](Document& d) {
          d.title = *find_rejection_reason("quality");
          d.title.scheme_version = "01";
        }).rules == Rules{"kos.title-version"});
  CHECK(broken([](Document& d) { d.references[0].value_type = "COMPOSITE"; }).rules == Rules{"kos.value-type"});
  CHECK(broken([](Document& d) { d.attributes.erase(kos::tags::manufacturer); }).rules == Rules{"kos.type-2-missing"});
  CHECK(broken([](Document& d) { d.evidence[0].instances[0].sop_class_uid = "1.2.840.10008.5.1.4.1.1.4"; }).rules ==
        Rules{"kos.class-contradicts"});
  CHECK(broken([](Document& d) { d.study_instance_uid = "9.9"; }).rules == Rules{"kos.other-study"});
  CHECK(broken([](Document& d) { d.evidence[0].instances.push_back(d.evidence[0].instances[0]); }).rules ==
        Rules{"kos.instance-twice"});
  found = broken([](Document& d) {
    d.evidence.push_back(d.evidence[0]);
    d.evidence[1].study_instance_uid = "1.2.4";
    d.evidence[1].series_instance_uid = "1.2.4.1";
    d.evidence[1].instances = {{std::string(test::k_ct), "1.2.4.1.1", {}}};
    d.references.push_back({std::string(test::k_ct), "1.2.4.1.1", {}, {}, "IMAGE", 0});
  });
  CHECK(found.rules == Rules{"kos.no-identical-documents", "kos.several-studies"});
  found = broken([](Document& d) {
    d.evidence.clear();
    d.references.clear();
  });
  CHECK(found.rules == Rules{"kos.no-evidence"});
}

TEST_CASE("a hundred findings of a rule are twenty and a count") {
  const auto found = broken([](Document& d) {
    for (int i = 0; i < 100; ++i) {
      d.references.push_back({std::string(test::k_ct), "9.9." + std::to_string(i), {}, {}, "IMAGE", 0});
    }
  });
  CHECK(found.rules.size() == 21);
}

TEST_CASE("comparison") {
  const Document left = manifest();
  Document right = manifest();
  CHECK(compare(left, right).equal());
  std::reverse(right.evidence[0].instances.begin(), right.evidence[0].instances.end());
  CHECK(compare(left, right).equal());

  right.evidence[0].instances.pop_back();  // 1.2.3.1.1
  right.evidence[0].instances.push_back({std::string(test::k_ct), "1.2.3.1.3", {}});
  right.evidence[0].retrieve_location_uid = "1.2.246.998";
  right.attributes.set_string(kos::tags::patient_id, "1");
  const Comparison comparison = compare(left, right);
  CHECK_FALSE(comparison.equal());
  REQUIRE(comparison.document.size() == 1);
  CHECK(comparison.document[0].what == "PatientID");
  CHECK(comparison.document[0].identifies_patient);
  REQUIRE(comparison.differences.size() == 3);
  using Kind = Difference::Kind;
  CHECK(comparison.differences[0].kind == Kind::removed);
  CHECK(comparison.differences[1].kind == Kind::changed);
  CHECK(comparison.differences[1].changes[0].what == "RetrieveLocationUID");
  CHECK(comparison.differences[2].kind == Kind::added);
  CHECK(comparison.differences[2].reference.sop_instance_uid == "1.2.3.1.3");
}

TEST_CASE("what is no Key Object Selection") {
  test::TemporaryDirectory directory;
  const auto path = test::write_object(test::sample_object("1.2.3.1.1"), directory.path() / "ct");
  try {
    (void)kos::read(path);
    FAIL("a CT was read as a Key Object Selection");
  } catch (const Error& error) {
    CHECK(error.kind().code == "kos.not-kos");
    CHECK(error.message() == "the object is CT Image Storage");
  }
  std::string bytes = encode(manifest());
  bytes.resize(bytes.size() - 100);
  CHECK_THROWS_AS((void)kos::read(std::as_bytes(std::span(bytes))), Error);
}
