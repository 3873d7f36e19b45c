#include "encoded.hpp"

#include <kuva/dicom/comparison.hpp>
#include <kuva/dicom/data_set.hpp>

#include <doctest/doctest.h>

#include <functional>

namespace kuva::dicom::test {

namespace {

using Form = Encoded::Form;
using Kind = ElementDifference::Kind;

struct ComparedObject {
  std::string bytes;

  ComparedObject(std::string_view syntax, const Encoded& data_set)
      : bytes(encode_file_meta("1.2.840.10008.5.1.4.1.1.7", "1.2.3", syntax) + data_set.bytes()) {}
  Part10File open() const { return open_part10(make_memory_source(as_bytes(bytes))); }
};

Encoded explicit_little() { return Encoded(Form::explicit_little); }

ComparedObject object_of(const std::function<void(Encoded&)>& fill) {
  Encoded data_set = explicit_little();
  fill(data_set);
  return {k_explicit_vr_little_endian, data_set};
}

Comparison compare(const ComparedObject& left, const ComparedObject& right, bool keep_values = false) {
  return compare_objects(left.open(), right.open(), {"key", keep_values});
}

// "0010,0020 value", one after the other.
std::string told(const Comparison& comparison) {
  std::string text;
  for (const ElementDifference& one : comparison.differences) {
    const char* const words[] = {"left", "right", "value"};
    text += (text.empty() ? "" : "; ") + one.tag_path + " " + words[static_cast<std::size_t>(one.kind)];
  }
  return text;
}

constexpr Tag k_sequence{0x0040, 0xA730};
constexpr Tag k_private{0x0009, 0x1001};

}  // namespace

TEST_CASE("an object is the same as itself, in every transfer syntax") {
  const auto fill = [](Encoded& data_set) {
    data_set.element(tags::specific_character_set, "CS", "ISO_IR 100");
    data_set.element(tags::patient_name, "PN", "M\xE4kinen^Matti ");
    data_set.head(k_sequence, "SQ", k_undefined_length).item();
    data_set.element({0x0008, 0x0100}, "SH", "A1");
    data_set.item_end().sequence_end();
  };
  Encoded little = explicit_little();
  fill(little);
  little.head(tags::pixel_data, "OW", 4).u16(0x1234).u16(0x5678);
  Encoded implicit(Form::implicit_little);
  fill(implicit);
  implicit.head(tags::pixel_data, "OW", 4).u16(0x1234).u16(0x5678);
  Encoded big(Form::explicit_big);
  fill(big);
  big.head(tags::pixel_data, "OW", 4).u16(0x1234).u16(0x5678);
  const ComparedObject objects[] = {
      {k_explicit_vr_little_endian, little}, {k_implicit_vr_little_endian, implicit}, {k_explicit_vr_big_endian, big}};
  for (const ComparedObject& left : objects) {
    for (const ComparedObject& right : objects) {
      const Comparison comparison = compare(left, right);
      CHECK(told(comparison) == "");
      CHECK(comparison.elements == 4);
      CHECK(comparison.not_compared == 0);
    }
  }
}

TEST_CASE("the same text in two character sets is the same") {
  const auto latin = object_of([](Encoded& data_set) {
    data_set.element(tags::specific_character_set, "CS", "ISO_IR 100");
    data_set.element(tags::study_description, "LO", "P\xE4\xE4n kuva");
  });
  const auto unicode = object_of([](Encoded& data_set) {
    data_set.element(tags::specific_character_set, "CS", "ISO_IR 192");
    data_set.element(tags::study_description, "LO", "P\xC3\xA4\xC3\xA4n kuva ");
  });
  const auto mislabelled = object_of([](Encoded& data_set) {
    data_set.element(tags::specific_character_set, "CS", "ISO_IR 101");
    data_set.element(tags::study_description, "LO", "P\xE6\xE6n kuva");
  });
  CHECK(told(compare(latin, unicode)) == "");
  CHECK(told(compare(latin, mislabelled)) == "0008,1030 value");
  const Comparison plain = compare(unicode, mislabelled, true);
  REQUIRE(plain.differences.size() == 1);
  CHECK(plain.differences[0].left_value == "P\xC3\xA4\xC3\xA4n kuva");
  CHECK(plain.differences[0].left_length == 12);
  CHECK(plain.differences[0].left_digest != plain.differences[0].right_digest);
  CHECK(compare(unicode, mislabelled).differences[0].left_value == "");
}

TEST_CASE("an item's character set holds for the item alone") {
  const auto fill = [](const char* inner_set, const char* inner, const char* outer) {
    return object_of([=](Encoded& data_set) {
      data_set.element(tags::specific_character_set, "CS", "ISO_IR 100");
      data_set.head(k_sequence, "SQ", k_undefined_length).item();
      if (*inner_set != '\0') {
        data_set.element(tags::specific_character_set, "CS", inner_set);
      }
      data_set.element({0x0008, 0x0104}, "LO", inner).item_end().sequence_end();
      data_set.element({0x0040, 0xA992}, "LO", outer);
    });
  };
  CHECK(told(compare(fill("", "\xE4x", "\xE4x"), fill("ISO_IR 192", "\xC3\xA4x", "\xE4x"))) == "");
  CHECK(told(compare(fill("", "\xE4x", "\xE4x"), fill("ISO_IR 192", "\xC3\xA4x", "\xC3\xA4"))) == "0040,A992 value");
}

TEST_CASE("text that cannot be decoded is the same only byte for byte") {
  const auto with = [](const char* text) {
    return object_of([=](Encoded& data_set) { data_set.element(tags::study_description, "LO", text); });
  };
  CHECK(told(compare(with("\xE4x"), with("\xE4x"))) == "");
  CHECK(told(compare(with("\xE4x"), with("\xE5x"))) == "0008,1030 value");
}

TEST_CASE("padding is no difference, and what looks like it may be one") {
  const auto with = [](Tag tag, const char* vr, std::string value) {
    return object_of([&](Encoded& data_set) { data_set.element(tag, vr, value); });
  };
  const auto same = [&](Tag tag, const char* vr, std::string left, std::string right) {
    return compare(with(tag, vr, std::move(left)), with(tag, vr, std::move(right))).is_same();
  };
  CHECK(same(tags::sop_instance_uid, "UI", std::string("1.2.3\0", 6), "1.2.3"));
  CHECK(same(tags::modality, "CS", "CT", " CT "));
  CHECK(same(tags::image_type, "CS", "ORIGINAL\\PRIMARY", "ORIGINAL \\ PRIMARY"));
  CHECK(same(tags::patient_name, "PN", "A^B", "A^B^^^ "));
  CHECK(same(tags::patient_name, "PN", "A^B", "A^B=="));
  CHECK(same({0x0020, 0x4000}, "LT", "text", "text  "));
  CHECK_FALSE(same({0x0020, 0x4000}, "LT", "text", "  text"));
  CHECK_FALSE(same(tags::patient_name, "PN", "A^B", "A^^B"));
  CHECK_FALSE(same(tags::image_type, "CS", "A\\B", "A\\B\\"));
  CHECK(same(tags::pixel_data, "OB", std::string("\x01\x02\x03", 3), std::string("\x01\x02\x03\x00", 4)));
  CHECK_FALSE(same(tags::pixel_data, "OB", std::string("\x01\x02", 2), std::string("\x01\x02\x00\x00", 4)));
  CHECK_FALSE(same(tags::pixel_data, "OB", std::string("\x01\x02\x03", 3), std::string("\x01\x02\x03\x04", 4)));
}

TEST_CASE("what only describes the encoding is not looked at") {
  const auto left = object_of([](Encoded& data_set) {
    data_set.head({0x0008, 0x0000}, "UL", 4).u32(28);
    data_set.head({0x0008, 0x0001}, "UL", 4).u32(99);
    data_set.element(tags::modality, "CS", "CT");
    data_set.element(tags::data_set_trailing_padding, "OB", std::string(64, '\0'));
  });
  const auto right = object_of([](Encoded& data_set) {
    data_set.element(tags::specific_character_set, "CS", "ISO_IR 192");
    data_set.element(tags::modality, "CS", "CT");
  });
  CHECK(told(compare(left, right)) == "");
}

TEST_CASE("differences are told with their places") {
  const auto fill = [](const char* nested, const char* secret, const char* name, int items, char pixel) {
    return object_of([=](Encoded& data_set) {
      data_set.element({0x0009, 0x0010}, "LO", "KUVA");
      data_set.element(k_private, "LO", secret);
      if (*name != '\0') {
        data_set.element(tags::patient_name, "PN", name);
      }
      data_set.head(k_sequence, "SQ", k_undefined_length);
      for (int i = 0; i < items; ++i) {
        data_set.item().head({0x0040, 0xA730}, "SQ", k_undefined_length).item();
        data_set.element({0x0008, 0x0100}, "SH", i == 1 ? nested : "A1");
        data_set.item_end().sequence_end().item_end();
      }
      data_set.sequence_end();
      data_set.head(tags::pixel_data, "OW", 4).u16(7).u16(static_cast<unsigned>(pixel));
    });
  };
  const auto base = fill("B1", "x1", "A^B", 2, 1);
  CHECK(told(compare(base, fill("B2", "x1", "A^B", 2, 1))) == "0040,A730[2]/0040,A730[1]/0008,0100 value");
  CHECK(told(compare(base, fill("B1", "x2", "A^B", 2, 1))) == "0009,1001 value");
  CHECK(told(compare(base, fill("B1", "x1", "", 2, 1))) == "0010,0010 left");
  CHECK(told(compare(fill("B1", "x1", "", 2, 1), base)) == "0010,0010 right");
  CHECK(told(compare(base, fill("B1", "x1", "A^B", 4, 1))) == "0040,A730[3] right");
  CHECK(told(compare(base, fill("B1", "x1", "A^B", 0, 1))) == "0040,A730[1] left");
  CHECK(told(compare(base, fill("B1", "x1", "A^B", 2, 2))) == "7FE0,0010 value");
  CHECK(told(compare(base, fill("B9", "x9", "C^D", 3, 9))) ==
        "0009,1001 value; 0010,0010 value; 0040,A730[2]/0040,A730[1]/0008,0100 value; 0040,A730[3] right; 7FE0,0010 "
        "value");
}

TEST_CASE("an element out of order is there all the same") {
  const auto sorted = object_of([](Encoded& data_set) {
    data_set.element(tags::modality, "CS", "CT");
    data_set.element(tags::patient_name, "PN", "A^");
    data_set.element(tags::patient_id, "LO", "1 ");
  });
  const auto unsorted = object_of([](Encoded& data_set) {
    data_set.element(tags::modality, "CS", "CT");
    data_set.element(tags::patient_id, "LO", "1 ");
    data_set.element(tags::patient_name, "PN", "A^");
  });
  CHECK(compare(sorted, unsorted).is_same());
  CHECK(compare(unsorted, sorted).is_same());
}

TEST_CASE("encapsulated pixel data is compared by what the fragments hold") {
  const auto with = [](std::string_view syntax, std::string_view table, const std::vector<std::string>& fragments) {
    Encoded data_set = explicit_little();
    data_set.head(tags::pixel_data, "OB", k_undefined_length);
    data_set.item(static_cast<std::uint32_t>(table.size())).raw(table);
    for (const std::string& fragment : fragments) {
      data_set.item(static_cast<std::uint32_t>(fragment.size())).raw(fragment);
    }
    data_set.sequence_end();
    return ComparedObject(syntax, data_set);
  };
  constexpr std::string_view k_jpeg = "1.2.840.10008.1.2.4.70";
  const ComparedObject base = with(k_jpeg, {}, {"abcd", "efgh"});
  CHECK(compare(base, with(k_jpeg, std::string_view("\0\0\0\0", 4), {"abcdefgh"})).is_same());
  CHECK(told(compare(base, with(k_jpeg, {}, {"abcd", "efgx"}))) == "7FE0,0010 value");
  const Comparison other = compare(base, with("1.2.840.10008.1.2.4.90", {}, {"wxyz"}));
  CHECK(other.is_same());
  CHECK(other.pixel_data_not_compared);
  Encoded native = explicit_little();
  native.element(tags::pixel_data, "OW", "1234");
  CHECK(compare(base, ComparedObject(k_explicit_vr_little_endian, native)).pixel_data_not_compared);
}

TEST_CASE("values of any length are compared in pieces, and the list of differences has an end") {
  const auto large = [](char last) {
    return object_of([=](Encoded& data_set) {
      std::string pixels(1'000'000, 'x');
      pixels.back() = last;
      data_set.element(tags::pixel_data, "OB", pixels);
    });
  };
  CHECK(compare(large('x'), large('x')).is_same());
  CHECK(told(compare(large('x'), large('y'))) == "7FE0,0010 value");

  const auto many = [](const char* value) {
    return object_of([=](Encoded& data_set) {
      for (unsigned i = 0; i < 500; ++i) {
        data_set.element({0x0011, static_cast<std::uint16_t>(0x1000 + i)}, "LO", value);
      }
    });
  };
  const Comparison comparison = compare(many("a "), many("b "));
  CHECK(comparison.different == 500);
  CHECK(comparison.differences.size() == k_most_differences);
}

TEST_CASE("a private element without a VR is compared with the VR that the other side has") {
  Encoded implicit(Form::implicit_little);
  implicit.element(tags::specific_character_set, "CS", "ISO_IR 192");
  implicit.element({0x0009, 0x0010}, "LO", "KUVA");
  implicit.element(k_private, "LO", "\xC3\xA4");
  const auto latin = object_of([](Encoded& data_set) {
    data_set.element(tags::specific_character_set, "CS", "ISO_IR 100");
    data_set.element({0x0009, 0x0010}, "LO", "KUVA");
    data_set.element(k_private, "LO", "\xE4 ");
  });
  CHECK(told(compare(ComparedObject(k_implicit_vr_little_endian, implicit), latin)) == "");
}

TEST_CASE("an object that ends too early is no comparison") {
  const auto whole = object_of([](Encoded& data_set) { data_set.element(tags::patient_name, "PN", "A^B "); });
  ComparedObject cut = whole;
  cut.bytes.resize(cut.bytes.size() - 2);
  try {
    compare(whole, cut);
    FAIL("it was compared");
  } catch (const Error& error) {
    CHECK(error.kind().code == "file.truncated");
    CHECK(error.message().starts_with("the second: "));
  }
}

}  // namespace kuva::dicom::test
