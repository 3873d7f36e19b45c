#include "../dicom/encoded.hpp"

#include <kuva/rules/expression.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::rules;
using dicom::Tag;
using dicom::Vr;
using dicom::test::Encoded;
using Form = Encoded::Form;

namespace {

constexpr Tag k_images{0x0008, 0x1140};
constexpr Tag k_window_center{0x0028, 0x1050};

Object object_in(std::string_view bytes, std::string_view syntax = dicom::k_explicit_vr_little_endian) {
  const auto source = dicom::make_memory_source(dicom::test::as_bytes(bytes));
  dicom::DataSetReader reader(*source, dicom::transfer_syntax(syntax));
  ObjectBuilder builder;
  for (auto event = reader.next(); event != dicom::DataSetReader::Event::end; event = reader.next()) {
    builder.event(reader, event);
  }
  return builder.finish(syntax, !reader.broken() && !reader.truncated());
}

Expression::Truth truth_of(std::string_view text, const Object& object) {
  return Expression::parse(text).truth(object, object.root());
}

}  // namespace

TEST_CASE("items count towards the limit as elements do") {
  Encoded bytes(Form::explicit_little);
  bytes.head(k_images, "SQ", dicom::k_undefined_length);
  for (std::size_t i = 0; i <= Object::k_most_elements; ++i) {
    bytes.item(0);
  }
  bytes.sequence_end().element(Tag{0x0010, 0x0020}, "LO", "AB");
  const Object object = object_in(bytes.bytes());
  CHECK_FALSE(object.complete());
  // What came before the limit can still be asked for.
  CHECK(object.find(object.root(), k_images) != nullptr);
  CHECK(object.find(object.root(), Tag{0x0010, 0x0020}) == nullptr);
}

TEST_CASE("the bytes of values that are kept have a limit") {
  const std::string value(1000, 'x');
  Encoded bytes(Form::explicit_little);
  for (std::size_t kept = 0; kept <= Object::k_most_kept + 2 * value.size(); kept += value.size()) {
    bytes.element(Tag{0x0010, 0x4000}, "LT", value);
  }
  CHECK_FALSE(object_in(bytes.bytes()).complete());
}

TEST_CASE("elements out of order are found, the first of doubled ones") {
  Encoded bytes(Form::explicit_little);
  bytes.element(Tag{0x0020, 0x000D}, "UI", "1.2.3.")
      .element(Tag{0x0010, 0x0020}, "LO", "A1")
      .element(Tag{0x0010, 0x0020}, "LO", "B2")
      .element(Tag{0x0008, 0x0060}, "CS", "CT");
  const Object object = object_in(bytes.bytes());
  CHECK(std::ranges::is_sorted(object.elements(object.root()), {}, &Object::Element::tag));
  CHECK(object.bytes(*object.find(object.root(), Tag{0x0010, 0x0020})) == "A1");
  CHECK(object.bytes(*object.find(object.root(), Tag{0x0008, 0x0060})) == "CT");
}

TEST_CASE("standard elements in UN have the VR of the dictionary, little endian (PS3.5 6.2.2)") {
  Encoded little(Form::explicit_little);
  little.element(Tag{0x0008, 0x0060}, "UN", "CT")
      .element(Tag{0x0009, 0x1001}, "UN", "private ")
      .element(Tag{0x0028, 0x0010}, "UN", std::string_view("\x02\0", 2))
      .element(Tag{0x0040, 0xA730}, "UN", "rubbish ");
  const Object object = object_in(little.bytes());
  CHECK(truth_of("Modality = \"CT\" and Rows = 2", object) == Expression::Truth::yes);
  CHECK(object.find(object.root(), Tag{0x0009, 0x1001})->vr == Vr::UN);
  CHECK(object.find(object.root(), Tag{0x0040, 0xA730})->vr == Vr::UN);
  Encoded big(Form::explicit_big);
  big.element(Tag{0x0028, 0x0010}, "UN", std::string_view("\x02\0", 2));
  CHECK(truth_of("Rows = 2", object_in(big.bytes(), dicom::k_explicit_vr_big_endian)) == Expression::Truth::yes);
}

TEST_CASE("of a value that is not kept whole the last one is not looked at, and there is no count") {
  std::string many;
  for (int i = 0; i < 300; ++i) {
    many += many.empty() ? "123456789" : "\\123456789";
  }
  Encoded bytes(Form::explicit_little);
  bytes.element(k_window_center, "DS", many + (many.size() % 2 != 0 ? " " : ""));
  const Object object = object_in(bytes.bytes());
  const Object::Element& element = *object.find(object.root(), k_window_center);
  CHECK_FALSE(element.whole);
  for (const std::string_view text : object.texts(element)) {
    CHECK(text == "123456789");
  }
  CHECK_FALSE(object.count(element));
  CHECK(truth_of("count(WindowCenter) = 300", object) == Expression::Truth::unknown);
  CHECK(truth_of("WindowCenter = 123456789", object) == Expression::Truth::yes);
  CHECK(truth_of("WindowCenter = 5", object) == Expression::Truth::unknown);
  CHECK(truth_of("WindowCenter[1] = 5", object) == Expression::Truth::no);
  CHECK(truth_of("not WindowCenter = 5", object) == Expression::Truth::unknown);
}

TEST_CASE("the transfer syntax is an element of the root") {
  Encoded bytes(Form::explicit_little);
  bytes.element(Tag{0x0002, 0x0010}, "UI", "1.2.3.").head(k_images, "SQ", dicom::k_undefined_length);
  bytes.item().element(Tag{0x0008, 0x1155}, "UI", "1.2.3.4 ").item_end().sequence_end();
  const Object object = object_in(bytes.bytes());
  CHECK(truth_of("present(TransferSyntaxUID) and filled(TransferSyntaxUID)", object) == Expression::Truth::yes);
  CHECK(truth_of("TransferSyntaxUID = \"1.2.840.10008.1.2.1\" and count(TransferSyntaxUID) = 1", object) ==
        Expression::Truth::yes);
  const Object::Item& item = object.items(*object.find(object.root(), k_images)).front();
  CHECK(Expression::parse("TransferSyntaxUID = \"1.2.840.10008.1.2.1\"").evaluate(object, item));
}
