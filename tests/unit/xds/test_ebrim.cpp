#include "made_up.hpp"
#include "support/associations.hpp"

#include <kuva/xds/ebrim.hpp>
#include <kuva/xml/document.hpp>
#include <kuva/xml/writer.hpp>

#include <doctest/doctest.h>

namespace kuva::xds {

namespace {

RegistryObjects read(std::string_view text, std::vector<std::string>& deviations) {
  const auto document = xml::Document::parse(text);
  return read_registry_objects(document.root(), deviations);
}

std::string list(std::string_view content) {
  return "<RegistryObjectList xmlns=\"urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0\">" + std::string(content) +
         "</RegistryObjectList>";
}

bool has(const std::vector<std::string>& deviations, std::string_view text) {
  for (const std::string& one : deviations) {
    if (one.find(text) != std::string::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("all that metadata holds is written and read again") {
  const RegistryObjects objects = test::full_objects();
  xml::Writer writer;
  write_registry_objects(writer, objects);
  std::vector<std::string> deviations;
  const RegistryObjects again = read(writer.take(), deviations);
  REQUIRE(again.documents.size() == 2);
  CHECK(again.documents[0] == objects.documents[0]);
  CHECK(again.documents[1] == objects.documents[1]);
  CHECK(again.submission_sets == objects.submission_sets);
  CHECK(again.folders == objects.folders);
  CHECK(again.associations == objects.associations);
  CHECK(again.object_refs == objects.object_refs);
  CHECK(deviations == std::vector<std::string>());
}

TEST_CASE("what a manifest is known by") {
  auto entry = test::full_entry();
  CHECK(entry.is_manifest());
  CHECK(entry.study_instance_uids() == std::vector<std::string>{"1.2.3.4.9"});
  CHECK(entry.references(reference_type::accession).size() == 1);
  CHECK_FALSE(entry.is_delayed());
  entry.size = 0;
  entry.hash = "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709";
  CHECK(entry.is_delayed());
}

TEST_CASE("a slot with more values than it may have loses none") {
  std::vector<std::string> deviations;
  const auto objects =
      read(list("<ExtrinsicObject id=\"a\"><Slot name=\"size\"><ValueList><Value>big</Value></ValueList></Slot>"
                "<Slot name=\"hash\"><ValueList><Value>1</Value><Value>2</Value></ValueList></Slot>"
                "<Slot name=\"hash\"><ValueList><Value>3</Value></ValueList></Slot></ExtrinsicObject>"),
           deviations);
  REQUIRE(objects.documents.size() == 1);
  CHECK(objects.documents[0].hash == "1");
  CHECK(objects.documents[0].other_slots == std::vector<Slot>{{"hash", {"2", "3"}, {}}, {"size", {"big"}, {}}});
  CHECK(has(deviations, "document entry 1: slot hash has 3 values"));
  CHECK(has(deviations, "document entry 1: size is no number"));
  CHECK(has(deviations, "document entry 1: no status"));
  CHECK(has(deviations, "document entry 1: no uniqueId"));
}

TEST_CASE("a package is told by a classification beside it, or by its identifiers") {
  std::vector<std::string> deviations;
  const auto objects =
      read(list("<RegistryPackage id=\"f\"/><RegistryPackage id=\"s\"/>"
                "<RegistryPackage id=\"g\"><ExternalIdentifier id=\"x\" registryObject=\"g\" value=\"1.2\" "
                "identificationScheme=\"urn:uuid:75df8f67-9973-4fbe-a900-df66cefecc5a\"/></RegistryPackage>"
                "<Classification id=\"c\" classifiedObject=\"f\" "
                "classificationNode=\"urn:uuid:D9D542F3-6CC4-48B6-8870-EA235FBC94C2\"/>"
                "<Classification id=\"d\" classifiedObject=\"s\" "
                "classificationNode=\"urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd\"/>"
                "<Classification id=\"e\" classifiedObject=\"nothing\" "
                "classificationNode=\"urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd\"/>"
                "<Surprise/>"),
           deviations);
  REQUIRE(objects.folders.size() == 2);
  CHECK(objects.folders[0].id == "f");
  CHECK(objects.folders[1].unique_id == "1.2");
  REQUIRE(objects.submission_sets.size() == 1);
  CHECK(objects.submission_sets[0].id == "s");
  CHECK(has(deviations, "package 3: not classified, taken for a folder"));
  CHECK(has(deviations, "1 classifications of objects that are not in the list"));
  CHECK(has(deviations, "element Surprise"));
  CHECK(objects.other_elements == std::vector<std::string>{"Surprise"});
}

TEST_CASE("children in any order, and a code whose name comes first") {
  std::vector<std::string> deviations;
  const auto objects = read(
      list(
          "<ExtrinsicObject id=\"a\" objectType=\"7EDCA82F-054D-47F2-A032-9B2A5B5186C1\"><Classification "
          "classificationScheme=\"urn:uuid:A09D5840-386c-46f2-b5ad-9c3699a4309d\" nodeRepresentation=\"f\"><Name>"
          "<LocalizedString value=\"n\"/></Name><Slot name=\"codingScheme\"><ValueList><Value>\n s \n</Value>"
          "</ValueList></Slot></Classification><Name><LocalizedString value=\"\"/><LocalizedString value=\"t\"/></Name>"
          "</ExtrinsicObject>"),
      deviations);
  REQUIRE(objects.documents.size() == 1);
  CHECK(objects.documents[0].title.text() == "t");
  CHECK(objects.documents[0].format_code == Code{"f", "s", "n"});
  CHECK_FALSE(has(deviations, "objectType"));
}

}  // namespace kuva::xds
