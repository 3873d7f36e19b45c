#include "../dicom/encoded.hpp"

#include <kuva/rules/content_checks.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::rules;
using dicom::Tag;
using dicom::test::Encoded;
using Lines = std::vector<std::string>;

namespace {

constexpr std::string_view k_basic = "1.2.840.10008.5.1.4.1.1.88.11";
constexpr std::string_view k_enhanced = "1.2.840.10008.5.1.4.1.1.88.22";
constexpr std::string_view k_comprehensive = "1.2.840.10008.5.1.4.1.1.88.33";
constexpr std::string_view k_key_objects = "1.2.840.10008.5.1.4.1.1.88.59";

std::string even(std::string_view text) { return std::string(text) + (text.size() % 2 != 0 ? " " : ""); }

struct ContentItem {
  std::string relationship;
  std::string type;
  std::vector<std::string> references;
  std::vector<ContentItem> below;
};

void put(Encoded& bytes, const ContentItem& item) {
  if (!item.references.empty()) {
    bytes.head(Tag{0x0008, 0x1199}, "SQ", dicom::k_undefined_length);
    for (const std::string& uid : item.references) {
      bytes.item().element(Tag{0x0008, 0x1155}, "UI", even(uid)).item_end();
    }
    bytes.sequence_end();
  }
  if (!item.relationship.empty()) {
    bytes.element(Tag{0x0040, 0xA010}, "CS", even(item.relationship));
  }
  if (!item.type.empty()) {
    bytes.element(Tag{0x0040, 0xA040}, "CS", even(item.type));
  }
  if (!item.below.empty()) {
    bytes.head(Tag{0x0040, 0xA730}, "SQ", dicom::k_undefined_length);
    for (const ContentItem& inner : item.below) {
      bytes.item();
      put(bytes, inner);
      bytes.item_end();
    }
    bytes.sequence_end();
  }
  if (item.type.empty()) {
    bytes.head(Tag{0x0040, 0xDB73}, "UL", 4).u32(1);
  }
}

Lines found(std::string_view sop_class, std::vector<ContentItem> items, const std::vector<std::string>& evidence = {}) {
  Encoded bytes(Encoded::Form::explicit_little);
  ContentItem root{"", "CONTAINER", {}, std::move(items)};
  if (!evidence.empty()) {
    bytes.head(Tag{0x0040, 0xA375}, "SQ", dicom::k_undefined_length).item();
    bytes.head(Tag{0x0008, 0x1115}, "SQ", dicom::k_undefined_length).item();
    put(bytes, {"", "X ", evidence, {}});
    bytes.item_end().sequence_end().item_end().sequence_end();
  }
  put(bytes, root);
  const auto source = dicom::make_memory_source(dicom::test::as_bytes(bytes.bytes()));
  dicom::DataSetReader reader(*source, dicom::transfer_syntax(dicom::k_explicit_vr_little_endian));
  ObjectBuilder builder;
  for (auto event = reader.next(); event != dicom::DataSetReader::Event::end; event = reader.next()) {
    builder.event(reader, event);
  }
  const Object object = builder.finish("1.2.840.10008.1.2.1", true);
  std::vector<Finding> findings;
  check_content(sop_class, object, findings);
  Lines lines;
  for (const Finding& finding : findings) {
    lines.push_back(finding.rule + " " + finding.tag_path);
  }
  return lines;
}

}  // namespace

TEST_CASE("value types and relationships of reports, by SOP class (PS3.3 A.35)") {
  const ContentItem text{"CONTAINS", "TEXT", {}, {}};
  const ContentItem number{"CONTAINS", "NUM", {}, {}};
  CHECK(found(k_basic, {text}) == Lines{});
  CHECK(found(k_basic, {number}) == Lines{"sr.value-type 0040,A730[1]/0040,A040"});
  CHECK(found(k_enhanced, {number}) == Lines{});
  CHECK(found("1.2.3", {number}) == Lines{});
  CHECK(found(k_enhanced, {text, {"SELECTED FROM", "IMAGE", {}, {}}}) ==
        Lines{"sr.relationship 0040,A730[2]/0040,A010"});
  CHECK(found(k_enhanced, {{"CONTAINS", "SCOORD", {}, {{"SELECTED FROM", "IMAGE", {}, {}}}}}) == Lines{});
  CHECK(found(k_comprehensive, {{"HAS CONCEPT MOD", "NUM", {}, {}}}) ==
        Lines{"sr.relationship 0040,A730[1]/0040,A010"});
  CHECK(found(k_comprehensive, {{"CONTAINS", "TEXT", {}, {text}}}) ==
        Lines{"sr.relationship 0040,A730[1]/0040,A730[1]/0040,A010"});
  CHECK(found(k_comprehensive, {{"IS LIKE", "TEXT", {}, {}}}) == Lines{"sr.relationship 0040,A730[1]/0040,A010"});
}

TEST_CASE("items that refer to others: in the SOP classes that allow it") {
  const ContentItem reference{"INFERRED FROM", "", {}, {}};
  CHECK(found(k_comprehensive, {reference}) == Lines{});
  CHECK(found(k_basic, {reference}) == Lines{"sr.by-reference 0040,A730[1]/0040,DB73"});
}

TEST_CASE("Key Object Selections: what they refer to is their evidence (PS3.3 C.17.6.2)") {
  const ContentItem one{"CONTAINS", "IMAGE", {"1.2.3.1"}, {}};
  const ContentItem two{"CONTAINS", "COMPOSITE", {"1.2.3.2"}, {}};
  CHECK(found(k_key_objects, {one, two}, {"1.2.3.1", "1.2.3.2"}) == Lines{});
  CHECK(found(k_key_objects, {one, two}, {"1.2.3.1"}) ==
        Lines{"kos.content-without-evidence 0040,A730[2]/0008,1199[1]/0008,1155"});
  CHECK(found(k_key_objects, {one}, {"1.2.3.1", "1.2.3.2"}) == Lines{"kos.evidence-without-content 0040,A375"});
  CHECK(found(k_key_objects, {{"CONTAINS", "TEXT", {}, {}}}, {"1.2.3.1"}) == Lines{"kos.no-content 0040,A730"});
  CHECK(found(k_key_objects, {one, {"CONTAINS", "CODE", {}, {}}}, {"1.2.3.1"}) ==
        Lines{"sr.relationship 0040,A730[2]/0040,A010"});
}
