#include <kuva/core/error.hpp>
#include <kuva/dicom/data_set.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace kuva::dicom;
using namespace std::string_view_literals;

namespace {

const TransferSyntax k_implicit = transfer_syntax(k_implicit_vr_little_endian);
const TransferSyntax k_explicit = transfer_syntax(k_explicit_vr_little_endian);

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

DataSet decode(std::string_view bytes, const TransferSyntax& syntax) {
  return DataSet::decode(bytes_of(bytes), syntax);
}

std::string code_of_failure(std::string_view bytes, const TransferSyntax& syntax) {
  try {
    decode(bytes, syntax);
  } catch (const kuva::Error& error) {
    return std::string(error.kind().code);
  }
  return "none";
}

DataSet make_report() {
  DataSet data;
  data.set_string(tags::transaction_uid, "1.2.3");
  data.set_string(tags::patient_name, "Åkerblom^Väinö");
  data.set_us(tags::rows, 512);
  DataSet& item = data.add_item(tags::referenced_sop_sequence);
  item.set_string(tags::referenced_sop_class_uid, "1.2.840.10008.5.1.4.1.1.2");
  item.set_string(tags::referenced_sop_instance_uid, "1.2.3.4");
  data.add_item(tags::referenced_sop_sequence);
  return data;
}

}  // namespace

TEST_CASE("explicit encoding, byte by byte") {
  DataSet data;
  data.set_string(tags::transaction_uid, "1.2.3");
  data.set_us(tags::rows, 0x1234);
  data.set_bytes({0x7FE0, 0x0010}, Vr::OB, "\x01\x02\x03");
  data.set_empty(tags::patient_id);
  data.add_item(tags::failed_sop_sequence).set_us(tags::failure_reason, 0x0112);
  CHECK(data.encode(k_explicit) ==
        "\x08\x00\x95\x11UI\x06\x00"
        "1.2.3\x00"
        "\x08\x00\x98\x11SQ\x00\x00\x12\x00\x00\x00"
        "\xFE\xFF\x00\xE0\x0A\x00\x00\x00"
        "\x08\x00\x97\x11US\x02\x00\x12\x01"
        "\x10\x00\x20\x00LO\x00\x00"
        "\x28\x00\x10\x00US\x02\x00\x34\x12"
        "\xE0\x7F\x10\x00OB\x00\x00\x04\x00\x00\x00\x01\x02\x03\x00"sv);
}

TEST_CASE("implicit encoding, byte by byte") {
  DataSet data;
  data.set_string(tags::patient_id, "abc");
  data.set_empty_sequence(tags::referenced_sop_sequence);
  CHECK(data.encode(k_implicit) ==
        "\x08\x00\x99\x11\x00\x00\x00\x00"
        "\x10\x00\x20\x00\x04\x00\x00\x00"
        "abc "sv);
}

TEST_CASE("what is encoded is decoded") {
  const DataSet data = make_report();
  for (const TransferSyntax& syntax : {k_implicit, k_explicit}) {
    const std::string bytes = data.encode(syntax);
    CHECK(bytes.size() % 2 == 0);
    const DataSet back = decode(bytes, syntax);
    CHECK(back.string(tags::transaction_uid) == "1.2.3");
    CHECK(back.string(tags::patient_name) == "Åkerblom^Väinö");
    CHECK(back.us(tags::rows) == 512);
    const auto* const items = back.items(tags::referenced_sop_sequence);
    REQUIRE(items != nullptr);
    REQUIRE(items->size() == 2);
    CHECK(items->front().string(tags::referenced_sop_instance_uid) == "1.2.3.4");
    CHECK(items->back().empty());
    CHECK(back.encode(syntax) == bytes);
  }
}

TEST_CASE("access") {
  DataSet data = make_report();
  CHECK(data.has(tags::rows));
  CHECK_FALSE(data.has(tags::columns));
  CHECK(data.string(tags::columns) == "");
  CHECK_FALSE(data.us(tags::columns).has_value());
  CHECK_FALSE(data.us(tags::patient_name).has_value());
  CHECK(data.items(tags::rows) == nullptr);
  CHECK(data.find(tags::patient_name)->vr == Vr::PN);
  data.erase(tags::rows);
  CHECK_FALSE(data.has(tags::rows));
  data.set_string(tags::modality, " CT ");
  CHECK(data.string(tags::modality) == "CT");
  data.set_us(tags::columns, std::vector<std::uint16_t>{});
  CHECK_FALSE(data.us(tags::columns).has_value());
}

TEST_CASE("a value of the wrong kind is a fault of the caller") {
  DataSet data;
  CHECK_THROWS_AS(data.set_string(tags::rows, "512"), kuva::Error);
  CHECK_THROWS_AS(data.set_us(tags::patient_id, 1), kuva::Error);
  CHECK_THROWS_AS(data.set_string({0x0009, 0x1001}, "x"), kuva::Error);
  data.set_string({0x0009, 0x0010}, "KUVA");
  CHECK(data.find({0x0009, 0x0010})->vr == Vr::LO);
  CHECK_THROWS_AS(data.encode(transfer_syntax(k_explicit_vr_big_endian)), kuva::Error);
}

TEST_CASE("padding is not part of a value") {
  const DataSet data = decode(
      "\x08\x00\x18\x00UI\x04\x00"
      "1.2\x00"
      "\x10\x00\x20\x00LO\x06\x00 ab   "
      "\x20\x00\x00\x40LT\x04\x00 x  "sv,
      k_explicit);
  CHECK(data.find(tags::sop_instance_uid)->value == "1.2");
  CHECK(data.find(tags::patient_id)->value == " ab");
  CHECK(data.string(tags::patient_id) == "ab");
  CHECK(data.string({0x0020, 0x4000}) == " x");
}

TEST_CASE("big endian values are held in little endian") {
  const TransferSyntax big = transfer_syntax(k_explicit_vr_big_endian);
  const DataSet data = decode(
      "\x00\x28\x00\x10US\x00\x02\x02\x00"
      "\x00\x28\x00\x09"
      "AT\x00\x04\x00\x18\x10\x63"
      "\x00\x40\xA1\x32"
      "FD\x00\x08\x3F\xF0\x00\x00\x00\x00\x00\x00"sv,
      big);
  CHECK(data.us(tags::rows) == 512);
  CHECK(data.find({0x0028, 0x0009})->value == "\x18\x00\x63\x10"sv);
  CHECK(data.find({0x0040, 0xA132})->value == "\x00\x00\x00\x00\x00\x00\xF0\x3F"sv);
}

TEST_CASE("sequences of undefined length, UN sequences and group lengths") {
  const DataSet data = decode(
      "\x08\x00\x00\x00UL\x04\x00\x63\x00\x00\x00"
      "\x08\x00\x99\x11SQ\x00\x00\xFF\xFF\xFF\xFF"
      "\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF"
      "\x10\x00\x20\x00LO\x02\x00xy"
      "\xFE\xFF\x0D\xE0\x00\x00\x00\x00\xFE\xFF\xDD\xE0\x00\x00\x00\x00"
      "\x09\x00\x01\x10UN\x00\x00\xFF\xFF\xFF\xFF"
      "\xFE\xFF\x00\xE0\x0A\x00\x00\x00"
      "\x28\x00\x10\x00\x02\x00\x00\x00\x05\x00"
      "\xFE\xFF\xDD\xE0\x00\x00\x00\x00"sv,
      k_explicit);
  CHECK_FALSE(data.has({0x0008, 0x0000}));
  REQUIRE(data.items(tags::referenced_sop_sequence) != nullptr);
  CHECK(data.items(tags::referenced_sop_sequence)->at(0).string(tags::patient_id) == "xy");
  REQUIRE(data.items({0x0009, 0x1001}) != nullptr);
  CHECK(data.items({0x0009, 0x1001})->at(0).us(tags::rows) == 5);
}

TEST_CASE("a value too long for its VR is written as UN") {
  DataSet data;
  data.set_string(tags::patient_id, std::string(70000, 'x'));
  const std::string bytes = data.encode(k_explicit);
  CHECK(bytes.substr(4, 8) == "UN\x00\x00\x70\x11\x01\x00"sv);
  CHECK(decode(bytes, k_explicit).find(tags::patient_id)->value.size() == 70000);
}

TEST_CASE("lengths are not trusted") {
  CHECK(code_of_failure("\x10\x00\x20\x00LO\x08\x00xy", k_explicit) == "file.truncated");
  CHECK(code_of_failure("\xE0\x7F\x10\x00OW\x00\x00\x00\x00\x00\xF0xy"sv, k_explicit) == "file.truncated");
  CHECK(code_of_failure("\x08\x00\x99\x11SQ\x00\x00\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF"sv, k_explicit) ==
        "file.truncated");
  CHECK(code_of_failure("\x08\x00\x99\x11SQ\x00\x00\x0A\x00\x00\x00\xFE\xFF\x00\xE0\x02\x00\x00\x00\x41\x42"sv,
                        k_explicit) != "none");
  std::string deep;
  for (int i = 0; i < 1000; ++i) {
    deep += "\x08\x00\x99\x11SQ\x00\x00\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF"sv;
  }
  CHECK(code_of_failure(deep, k_explicit) == "file.malformed");
}

TEST_CASE("the number of elements is bounded") {
  std::string many;
  many = "\x08\x00\x99\x11SQ\x00\x00\xFF\xFF\xFF\xFF"sv;
  for (std::size_t i = 0; i <= DataSet::k_most_elements; ++i) {
    many += "\xFE\xFF\x00\xE0\x00\x00\x00\x00"sv;
  }
  CHECK(code_of_failure(many, k_explicit) == "file.malformed");
}

TEST_CASE("long values are left out when the caller says so") {
  DataSet data = make_report();
  data.set_bytes(tags::pixel_data, Vr::OW, std::string(5000, 'p'));
  const std::string bytes = data.encode(k_explicit);
  const auto source = make_memory_source(bytes_of(bytes));
  DataSetReader reader(*source, k_explicit);
  const DataSet back = DataSet::read(reader, 1000);
  CHECK_FALSE(back.has(tags::pixel_data));
  CHECK(back.string(tags::transaction_uid) == "1.2.3");
  CHECK(decode(bytes, k_explicit).find(tags::pixel_data)->value.size() == 5000);
}
