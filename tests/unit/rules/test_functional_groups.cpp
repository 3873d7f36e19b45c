#include "../dicom/encoded.hpp"

#include <kuva/rules/functional_groups.hpp>

#include <doctest/doctest.h>

#include <functional>

using namespace kuva;
using namespace kuva::rules;
using dicom::Tag;
using dicom::test::Encoded;
using Lines = std::vector<std::string>;

namespace {

constexpr Tag k_measures{0x0028, 0x9110};
constexpr Tag k_derivation{0x0008, 0x9124};
constexpr Tag k_voi{0x0028, 0x9132};
constexpr Tag k_content{0x0020, 0x9111};

// Pixel Measures and Frame Content are mandatory, Derivation Image when the image is derived, Frame VOI LUT left open.
const StandardTables& tables() {
  static const StandardTables small(
      "edition x\n"
      "condition 1 root.(0008,0008)[1] = \"DERIVED\"\n"
      "template 1\n00280008 1\nmodule m C.1-1 1\niod multi M:m\n"
      "groups multi M:00289110 M:00209111 C?1:00089124 U:00289132 ?:strange\nsop 1.2.3 multi\n");
  return small;
}

void put_group(Encoded& bytes, Tag tag) {
  bytes.head(tag, "SQ", dicom::k_undefined_length).item().item_end().sequence_end();
}

void put_content(Encoded& bytes, unsigned values) {
  bytes.head(k_content, "SQ", dicom::k_undefined_length).item();
  bytes.head(Tag{0x0020, 0x9157}, "UL", 4 * values);
  for (unsigned i = 0; i < values; ++i) {
    bytes.u32(1);
  }
  bytes.item_end().sequence_end();
}

struct Sample {
  std::string image_type = "ORIGINAL\\PRIMARY ";
  std::string frames = "2 ";
  std::string organization = "1.2.3.5 ";
  unsigned pointer_group = 0x0028;
  unsigned pointer_element = 0x9110;
  std::function<void(Encoded&)> shared = [](Encoded& bytes) { put_group(bytes, k_measures); };
  std::vector<std::function<void(Encoded&)>> per_frame{[](Encoded& bytes) { put_content(bytes, 1); },
                                                       [](Encoded& bytes) { put_content(bytes, 1); }};

  Lines found() const {
    Encoded bytes(Encoded::Form::explicit_little);
    bytes.element(Tag{0x0008, 0x0008}, "CS", image_type);
    bytes.head(Tag{0x0020, 0x9221}, "SQ", dicom::k_undefined_length).item();
    bytes.element(Tag{0x0020, 0x9164}, "UI", "1.2.3.5 ").item_end().sequence_end();
    bytes.head(Tag{0x0020, 0x9222}, "SQ", dicom::k_undefined_length).item();
    bytes.element(Tag{0x0020, 0x9164}, "UI", organization);
    bytes.head(Tag{0x0020, 0x9165}, "AT", 4).u16(0x0028).u16(0x0030);
    bytes.head(Tag{0x0020, 0x9167}, "AT", 4).u16(pointer_group).u16(pointer_element);
    bytes.item_end().sequence_end();
    bytes.element(dicom::tags::number_of_frames, "IS", frames);
    bytes.head(Tag{0x5200, 0x9229}, "SQ", dicom::k_undefined_length).item();
    shared(bytes);
    bytes.item_end().sequence_end();
    bytes.head(Tag{0x5200, 0x9230}, "SQ", dicom::k_undefined_length);
    for (const auto& put : per_frame) {
      bytes.item();
      put(bytes);
      bytes.item_end();
    }
    bytes.sequence_end();
    const auto source = dicom::make_memory_source(dicom::test::as_bytes(bytes.bytes()));
    dicom::DataSetReader reader(*source, dicom::transfer_syntax(dicom::k_explicit_vr_little_endian));
    ObjectBuilder builder;
    for (auto event = reader.next(); event != dicom::DataSetReader::Event::end; event = reader.next()) {
      builder.event(reader, event);
    }
    const Object object = builder.finish("1.2.840.10008.1.2.1", true);
    REQUIRE(object.complete());
    std::vector<Finding> findings;
    check_functional_groups(tables(), *tables().iod_of("1.2.3"), object, findings);
    Lines lines;
    for (const Finding& finding : findings) {
      lines.push_back(std::string(to_string(finding.severity)) + " " + finding.rule + " " + finding.tag_path);
    }
    return lines;
  }
};

}  // namespace

TEST_CASE("functional groups: a sound object") {
  CHECK(Sample().found() == Lines{});
  Sample own;
  own.shared = [](Encoded&) {};
  for (auto& put : own.per_frame) {
    put = [](Encoded& bytes) {
      put_content(bytes, 1);
      put_group(bytes, k_measures);
    };
  }
  CHECK(own.found() == Lines{});
}

TEST_CASE("functional groups: as many as frames") {
  Sample sample;
  sample.frames = "3 ";
  CHECK(sample.found() == Lines{"error fg.frame-count 5200,9230"});
}

TEST_CASE("functional groups: each in one place, and there where it is demanded") {
  Sample both;
  both.per_frame[1] = [](Encoded& bytes) {
    put_content(bytes, 1);
    put_group(bytes, k_measures);
  };
  CHECK(both.found() == Lines{"error fg.in-both 5200,9230[2]/0028,9110"});

  Sample some;
  some.shared = [](Encoded&) {};
  some.per_frame[0] = [](Encoded& bytes) {
    put_content(bytes, 1);
    put_group(bytes, k_measures);
  };
  CHECK(some.found() == Lines{"error fg.not-in-every-frame 5200,9230[2]/0028,9110"});

  Sample open;
  open.per_frame[1] = [](Encoded& bytes) {
    put_content(bytes, 1);
    put_group(bytes, k_voi);
  };
  CHECK(open.found() == Lines{"info fg.not-in-every-frame 5200,9230[1]/0028,9132"});

  Sample none;
  none.shared = [](Encoded& bytes) { put_group(bytes, k_voi); };
  none.pointer_element = 0x9132;
  CHECK(none.found() == Lines{"error fg.absent 5200,9229[1]/0028,9110"});

  Sample derived;
  derived.image_type = "DERIVED\\PRIMARY";
  derived.image_type += " ";
  CHECK(derived.found() == Lines{"error fg.absent 5200,9229[1]/0008,9124"});
  derived.shared = [](Encoded& bytes) {
    put_group(bytes, k_derivation);
    put_group(bytes, k_measures);
  };
  CHECK(derived.found() == Lines{});

  Sample content;
  content.shared = [](Encoded& bytes) {
    put_content(bytes, 1);
    put_group(bytes, k_measures);
  };
  content.per_frame = {[](Encoded&) {}, [](Encoded&) {}};
  CHECK(content.found() == Lines{"error fg.frame-content-shared 5200,9229[1]/0020,9111"});
}

TEST_CASE("functional groups: dimensions are declared, pointed at and indexed") {
  Sample organization;
  organization.organization = "1.2.3.6 ";
  CHECK(organization.found() == Lines{"error fg.dimension-organization 0020,9222[1]/0020,9164"});
  Sample pointer;
  pointer.pointer_element = 0x9145;
  CHECK(pointer.found() == Lines{"error fg.dimension-pointer 0020,9222[1]/0020,9167"});
  pointer.pointer_group = 0x0029;  // private: the tables know nothing of it
  CHECK(pointer.found() == Lines{});
  Sample count;
  count.per_frame[1] = [](Encoded& bytes) { put_content(bytes, 2); };
  CHECK(count.found() == Lines{"error fg.dimension-count 5200,9230[2]/0020,9111[1]/0020,9157"});
}

TEST_CASE("functional groups: what the tables cannot decide is listed") {
  const StandardTables::Coverage coverage = tables().coverage();
  CHECK(coverage.evaluated == 1);
  CHECK(coverage.not_checked == Lines{"multi functional group strange"});
}

TEST_CASE("functional groups: the tables have those of the standard") {
  const StandardTables::Iod* ct = StandardTables::get().iod_of("1.2.840.10008.5.1.4.1.1.2.1");
  REQUIRE(ct != nullptr);
  const auto measures = std::ranges::find(ct->groups, k_measures, &StandardTables::GroupUse::sequence);
  REQUIRE(measures != ct->groups.end());
  CHECK(measures->usage == StandardTables::Usage::mandatory);
}
