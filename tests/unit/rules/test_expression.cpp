#include "../dicom/encoded.hpp"

#include <kuva/core/error.hpp>
#include <kuva/rules/expression.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::rules;
using dicom::Tag;
using dicom::test::Encoded;
using Form = Encoded::Form;

namespace {

Object object_of(const Encoded& bytes, Form form = Form::explicit_little) {
  const auto source = dicom::make_memory_source(dicom::test::as_bytes(bytes.bytes()));
  dicom::DataSetReader reader(*source,
                              dicom::transfer_syntax(form == Form::explicit_big ? dicom::k_explicit_vr_big_endian
                                                                                : dicom::k_explicit_vr_little_endian));
  ObjectBuilder builder;
  for (auto event = reader.next(); event != dicom::DataSetReader::Event::end; event = reader.next()) {
    builder.event(reader, event);
  }
  return builder.finish("1.2.840.10008.1.2.1", !reader.broken() && !reader.truncated());
}

Object sample(Form form = Form::explicit_little) {
  Encoded bytes(form);
  bytes.element(Tag{0x0008, 0x0008}, "CS", "ORIGINAL\\PRIMARY\\AXIAL ")
      .element(Tag{0x0008, 0x0060}, "CS", "CT")
      .element(Tag{0x0008, 0x1030}, "LO", "")
      .head(Tag{0x0008, 0x1140}, "SQ", dicom::k_undefined_length)
      .item()
      .element(Tag{0x0008, 0x1155}, "UI", "1.2.3.4 ")
      .item_end()
      .sequence_end()
      .element(Tag{0x0020, 0x0013}, "IS", "7 ")
      .head(Tag{0x0028, 0x0101}, "US", 2)
      .u16(12)
      .head(Tag{0x0028, 0x0102}, "US", 2)
      .u16(11);
  return object_of(bytes, form);
}

bool holds(std::string_view text) {
  const Object object = sample();
  return Expression::parse(text).evaluate(object, object.root());
}

std::string fault(std::string_view text) {
  try {
    Expression::parse(text);
  } catch (const Error& error) {
    CHECK(&error.kind() == &kind("usage.profile"));
    return error.message();
  }
  return "no fault";
}

}  // namespace

TEST_CASE("conditions: presence and values") {
  CHECK(holds("present(StudyDescription)"));
  CHECK_FALSE(holds("filled(StudyDescription)"));
  CHECK(holds("not present(PatientID)"));
  CHECK(holds("filled(ReferencedImageSequence)"));
  CHECK(holds("Modality = \"CT\""));
  CHECK(holds("(0008,0060) in [\"MR\", \"CT\"]"));
  CHECK_FALSE(holds("Modality != \"CT\""));
  CHECK(holds("ImageType = \"PRIMARY\""));
  CHECK(holds("ImageType[3] = \"AXIAL\""));
  CHECK_FALSE(holds("ImageType[1] = \"AXIAL\""));
  CHECK(holds("count(ImageType) = 3 and count(ReferencedImageSequence) = 1 and count(PatientID) = 0"));
  CHECK(holds("length(BitsStored) = 2"));
  CHECK(holds("InstanceNumber >= 7 and InstanceNumber <= 7 and not InstanceNumber < 7"));
  CHECK(holds("HighBit = BitsStored - 1"));
  CHECK(holds("BitsStored = HighBit + 1"));
  CHECK(holds("ReferencedImageSequence.ReferencedSOPInstanceUID = \"1.2.3.4\""));
  CHECK(holds("root.Modality = \"CT\" and TransferSyntaxUID = \"1.2.840.10008.1.2.1\""));
}

TEST_CASE("conditions: what has no value compares to nothing") {
  CHECK_FALSE(holds("PatientID = \"1\""));
  CHECK_FALSE(holds("PatientID != \"1\""));
  CHECK_FALSE(holds("StudyDescription != \"1\""));
  CHECK_FALSE(holds("Rows < 5"));
}

TEST_CASE("conditions: what is no number is neither before nor after one") {
  Encoded bytes(Form::explicit_little);
  bytes.element(Tag{0x0008, 0x0020}, "DA", "20240510")
      .element(Tag{0x0010, 0x0030}, "DA", "1981.01.01")
      .element(Tag{0x0020, 0x0013}, "IS", "+10 ");
  const Object object = object_of(bytes);
  const auto truth = [&](std::string_view text) { return Expression::parse(text).truth(object, object.root()); };
  CHECK(truth("PatientBirthDate <= StudyDate") == Expression::Truth::unknown);
  CHECK(truth("not PatientBirthDate <= StudyDate") == Expression::Truth::unknown);
  CHECK(truth("PatientBirthDate > StudyDate or true") == Expression::Truth::yes);
  CHECK(truth("PatientBirthDate > StudyDate and false") == Expression::Truth::no);
  CHECK(truth("Rows < 5") == Expression::Truth::no);  // it is not there
  CHECK(truth("InstanceNumber = 10 and InstanceNumber < 11") == Expression::Truth::yes);
}

TEST_CASE("conditions: precedence") {
  CHECK(holds("true or false and false"));
  CHECK_FALSE(holds("(true or false) and false"));
  CHECK(holds("not false and not not true"));
}

TEST_CASE("conditions: numbers of both byte orders") {
  const Object object = sample(Form::explicit_big);
  CHECK(Expression::parse("BitsStored = 12 and HighBit = 11").evaluate(object, object.root()));
}

TEST_CASE("conditions: faults say where") {
  CHECK(fault("Modality") == "a comparison is missing at character 9 of \"Modality\"");
  CHECK(fault("NoSuchKeyword = 1").starts_with("no attribute of PS3.6 has this keyword at character 1"));
  CHECK(fault("Modality = \"CT").starts_with("the text has no end"));
  CHECK(fault("Modality = 1 1").starts_with("the expression ends before its text does"));
  CHECK(fault("").starts_with("no attribute"));
  CHECK(fault(std::string(100, '(') + "true").starts_with("the expression is nested too deeply"));
  CHECK(fault(std::string(10'000, ' ')).starts_with("the expression is too long"));
}
