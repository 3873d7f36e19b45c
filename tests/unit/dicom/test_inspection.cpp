#include "encoded.hpp"

#include <kuva/core/error.hpp>
#include <kuva/dicom/inspection.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <random>

using namespace kuva;
using namespace kuva::dicom;
using test::Encoded;
using Form = Encoded::Form;
using Lines = std::vector<std::string>;

namespace {

Inspection inspect_bytes(std::string_view bytes) {
  return inspect(open_part10(make_memory_source(test::as_bytes(bytes))));
}

// The small CT with one place of its data set changed.
std::string changed(std::string_view from, std::string_view to) {
  std::string bytes = test::small_ct_file();
  const std::size_t place = bytes.rfind(from);
  REQUIRE(place != std::string::npos);
  return bytes.replace(place, from.size(), to);
}

Lines rules_of(std::string_view bytes) { return test::rules(inspect_bytes(bytes).defects); }

// The identifiers and an image of one 8-bit pixel a frame; the pixel data is to be added.
Encoded image(std::string_view frames) {
  Encoded bytes(Form::explicit_little);
  bytes.element(tags::sop_class_uid, "UI", std::string_view("1.2.840.10008.5.1.4.1.1.7\0", 26))
      .element(tags::sop_instance_uid, "UI", "1.2.3.4.30")
      .element(tags::study_instance_uid, "UI", "1.2.3.4.10")
      .element(tags::series_instance_uid, "UI", "1.2.3.4.20")
      .element(tags::number_of_frames, "IS", frames)
      .head(tags::rows, "US", 2)
      .u16(1)
      .head(tags::columns, "US", 2)
      .u16(1)
      .head(tags::bits_allocated, "US", 2)
      .u16(8);
  return bytes;
}

std::string in_syntax(std::string_view uid, const Encoded& data_set) {
  return encode_file_meta("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4.30", uid) + data_set.bytes();
}

constexpr std::string_view k_jpeg = "1.2.840.10008.1.2.4.50";

}  // namespace

TEST_CASE("a sound object has its attributes and no defect") {
  const Inspection inspection = inspect_bytes(test::small_ct_file());
  CHECK(test::rules(inspection.defects).empty());
  CHECK_FALSE(inspection.has_errors());
  const InstanceAttributes& attributes = inspection.header.attributes;
  CHECK(attributes.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2");
  CHECK(attributes.sop_instance_uid == "1.2.3.4.30");
  CHECK(attributes.study_instance_uid == "1.2.3.4.10");
  CHECK(attributes.series_instance_uid == "1.2.3.4.20");
  CHECK(attributes.transfer_syntax_uid == k_explicit_vr_little_endian);
  CHECK(attributes.modality == "CT");
  CHECK(attributes.patient_name == "Mäkinen^Åke");
  CHECK(attributes.patient_id == "010181-900C");
  CHECK(attributes.issuer_of_patient_id == "1.2.246.21");
  CHECK(attributes.accession_number == "A1");
  CHECK(attributes.study_description == "JN3AA");
  CHECK(attributes.instance_number == "7");
  // 19, and the one within the issuer's sequence.
  CHECK(inspection.elements == 20);
}

TEST_CASE("the quick scan finds the same attributes and does not read the pixel data") {
  std::string bytes = test::small_ct_file();
  bytes.resize(bytes.size() - 10);
  const test::TemporaryFile file(bytes);
  const Header header = read_header(file.path());
  CHECK(header.size == bytes.size());
  CHECK(header.attributes.patient_name == "Mäkinen^Åke");
  CHECK(header.attributes.instance_number == "7");
  CHECK(header.attributes.issuer_of_patient_id == "1.2.246.21");
  CHECK(test::rules(inspect(file.path()).defects) == Lines{"structure.truncated"});
}

TEST_CASE("the quick scan says what it lacks") {
  const auto error_of = [](const std::string& bytes) {
    const test::TemporaryFile file(bytes);
    try {
      read_header(file.path());
    } catch (const Error& error) {
      return std::string(error.kind().code) + ": " + error.message();
    }
    return std::string("none");
  };
  const std::string empty =
      in_syntax(k_explicit_vr_little_endian, Encoded(Form::explicit_little)
                                                 .element(tags::sop_class_uid, "UI", "1.2.840.10008.5.1.4.1.1.7 ")
                                                 .element(tags::sop_instance_uid, "UI", "1.2.3.4 ")
                                                 .element(tags::study_instance_uid, "UI", ""));
  CHECK(error_of(empty) == "file.incomplete: the data set lacks Study Instance UID, Series Instance UID");
  std::string cut = test::small_ct_file();
  cut.resize(cut.find("010181") + 3);
  const std::string truncated = error_of(cut);
  CHECK(truncated.starts_with("file.truncated: "));
  CHECK(truncated.find("0010,0020") != std::string::npos);
  // Never the patient's identifier.
  CHECK(truncated.find("0101") == std::string::npos);
}

TEST_CASE("file meta information against the data set") {
  CHECK(rules_of(changed("1.2.3.4.30", "1.2.3.4.31")) == Lines{"meta.sop-instance-mismatch"});
  CHECK(rules_of(changed("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4")) ==
        Lines{"meta.sop-class-mismatch"});
}

TEST_CASE("UIDs: syntax, root, distinct") {
  CHECK(rules_of(changed("1.2.3.4.10", "1.2.3.0410")) == Lines{"uid.syntax"});
  CHECK(rules_of(changed("1.2.3.4.10", "1.2.3.4.1 ")) == Lines{"uid.padding"});
  CHECK(rules_of(changed("1.2.3.4.10", "1.2.3.4.20")) == Lines{"uid.not-distinct"});
  CHECK(rules_of(changed("1.2.3.4.10", std::string(10, '\0'))) == Lines{"uid.missing"});
}

TEST_CASE("character sets: unknown, undecodable, missing") {
  CHECK(rules_of(changed("ISO_IR 192", "ISO_IR 999")).front() == "charset.unknown");
  CHECK(rules_of(changed("M\xC3\xA4kinen", "M\xE4\xE4kinen")) == Lines{"charset.undecodable"});
  CHECK(rules_of(changed("ISO_IR 192", std::string(10, ' '))) == Lines{"charset.missing"});
}

TEST_CASE("private elements need a creator in their own item") {
  const auto with = [](const Encoded& tail) {
    Encoded bytes = image("1 ");
    bytes.raw(tail.bytes()).element(tags::pixel_data, "OB", "ab");
    return rules_of(in_syntax(k_explicit_vr_little_endian, bytes));
  };
  const Tag creator{0x0029, 0x0010};
  const Tag element{0x0029, 0x1001};
  CHECK(with(Encoded(Form::explicit_little).element(creator, "LO", "KUVA").element(element, "LO", "ab")).empty());
  CHECK(with(Encoded(Form::explicit_little).element(element, "LO", "ab").element({0x0029, 0x1002}, "LO", "ab")) ==
        Lines{"private.no-creator"});
  CHECK(with(Encoded(Form::explicit_little)
                 .element(creator, "LO", "KUVA")
                 .head({0x0040, 0x0260}, "SQ", k_undefined_length)
                 .item()
                 .element(element, "LO", "ab")
                 .item_end()
                 .sequence_end()) == Lines{"private.no-creator"});
}

TEST_CASE("native pixel data: one byte of padding is fine, less is an error, more a warning") {
  const auto with = [](std::string_view frames, std::string_view pixels) {
    Encoded bytes = image(frames);
    bytes.element(tags::pixel_data, "OB", pixels);
    return inspect_bytes(in_syntax(k_explicit_vr_little_endian, bytes)).defects;
  };
  CHECK(with("1 ", "ab").empty());
  CHECK(with("2 ", "ab").empty());
  CHECK(with("+2", "ab").empty());  // PS3.5 6.2, IS
  const auto few = with("3 ", "ab");
  REQUIRE(test::rules(few) == Lines{"pixel.native-length"});
  CHECK(few.front().severity == Defect::Severity::error);
  const auto many = with("2 ", "abcd");
  REQUIRE(test::rules(many) == Lines{"pixel.native-length"});
  CHECK(many.front().severity == Defect::Severity::warning);
}

TEST_CASE("encapsulated pixel data: table, fragments, delimiter, and the syntax that allows it") {
  const auto with = [](std::string_view syntax, std::string_view frames, const Encoded& pixels) {
    Encoded bytes = image(frames);
    bytes.head(tags::pixel_data, "OB", k_undefined_length).raw(pixels.bytes());
    return rules_of(in_syntax(syntax, bytes));
  };
  const auto fragments = [] { return Encoded(Form::explicit_little); };
  CHECK(with(k_jpeg, "2 ", fragments().item(0).item(2).raw("ab").item(2).raw("ab").sequence_end()).empty());
  CHECK(with(k_jpeg, "2 ", fragments().item(0).item(2).raw("ab").sequence_end()) == Lines{"pixel.fragments"});
  CHECK(with(k_jpeg, "1 ", fragments().sequence_end()) == Lines{"pixel.offset-table"});
  CHECK(with(k_jpeg, "1 ", fragments().item(6).raw("123456").item(2).raw("ab").sequence_end()) ==
        Lines{"pixel.offset-table"});
  const auto table = [&](std::uint32_t second) {
    Encoded pixels = fragments().item(8);
    pixels.u32(0).u32(second).item(2).raw("ab").item(2).raw("ab").sequence_end();
    return with(k_jpeg, "2 ", pixels);
  };
  CHECK(table(10).empty());
  CHECK(table(12) == Lines{"pixel.offset-table"});
  CHECK(table(0xFFFFFFF0U) == Lines{"pixel.offset-table"});
  CHECK(with(k_jpeg, "1 ", fragments().item(0).item(2).raw("ab")) == Lines{"structure.truncated"});
  CHECK(with("1.2.840.10008.1.2.4.102", "90", fragments().item(0).item(2).raw("ab").sequence_end()).empty());
  CHECK(with(k_explicit_vr_little_endian, "1 ", fragments().item(0).item(2).raw("ab").sequence_end()) ==
        Lines{"pixel.encapsulated-in-native-syntax"});
  Encoded native = image("1 ");
  native.element(tags::pixel_data, "OB", "ab");
  CHECK(rules_of(in_syntax(k_jpeg, native)) == Lines{"pixel.native-in-encapsulated-syntax"});
}

TEST_CASE("the digest is of the data set alone") {
  const test::TemporaryFile one(test::small_ct_file());
  const test::TemporaryFile same(encode_file_meta("1.2", "1.3", k_explicit_vr_little_endian, "OTHER") +
                                 test::small_ct_data_set());
  const test::TemporaryFile other(changed("0123456789", "1123456789"));
  CHECK(data_set_digest(one.path()).size() == 64);
  CHECK(data_set_digest(one.path()) == data_set_digest(same.path()));
  CHECK(data_set_digest(one.path()) != data_set_digest(other.path()));
  CHECK(has_same_data_set(one.path(), same.path()));
  CHECK_FALSE(has_same_data_set(one.path(), other.path()));
  const test::TemporaryFile longer(test::small_ct_file() + "x");
  CHECK_FALSE(has_same_data_set(one.path(), longer.path()));
}

TEST_CASE("an object of 5 GiB in many fragments is inspected without reading them") {
  Encoded start = image("80");
  start.head(tags::pixel_data, "OB", k_undefined_length).item(0);
  const test::TemporaryFile file(in_syntax(k_jpeg, start));
  const int fd = ::open(file.path().c_str(), O_WRONLY);
  REQUIRE(fd >= 0);
  constexpr std::uint32_t k_fragment = 64U << 20;
  auto offset = static_cast<off_t>(std::filesystem::file_size(file.path()));
  const auto put = [&](const Encoded& bytes) {
    REQUIRE(::pwrite(fd, bytes.bytes().data(), bytes.bytes().size(), offset) ==
            static_cast<ssize_t>(bytes.bytes().size()));
    offset += static_cast<off_t>(bytes.bytes().size());
  };
  for (int i = 0; i < 80; ++i) {
    put(Encoded(Form::explicit_little).item(k_fragment));
    offset += k_fragment;
  }
  put(Encoded(Form::explicit_little).sequence_end());
  ::close(fd);
  REQUIRE(std::filesystem::file_size(file.path()) > (std::uint64_t{5} << 30));

  const auto begin = std::chrono::steady_clock::now();
  const Inspection inspection = inspect(file.path());
  CHECK(test::rules(inspection.defects).empty());
  CHECK(inspection.header.size > (std::uint64_t{5} << 30));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(2));

  std::filesystem::resize_file(file.path(), std::filesystem::file_size(file.path()) - k_fragment);
  const auto cut = inspect(file.path()).defects;
  REQUIRE(test::rules(cut) == Lines{"structure.truncated"});
  CHECK(cut.front().offset > (std::uint64_t{4} << 30));
}

TEST_CASE("changed bytes never crash the inspection, cut ones are always told") {
  const std::string whole = test::small_ct_file();
  for (std::size_t size = 133; size < whole.size(); ++size) {
    CAPTURE(size);
    bool told = false;
    try {
      told = inspect_bytes(std::string_view(whole).substr(0, size)).has_errors();
    } catch (const Error& error) {
      told = std::string_view(error.kind().code).starts_with("file.");
    }
    // Also where it is cut between two elements: an identifier or the pixel data is then missing.
    CHECK(told);
  }
  std::mt19937 random(7);
  for (int round = 0; round < 10000; ++round) {
    std::string bytes = whole;
    for (unsigned i = 0; i < 1 + random() % 4; ++i) {
      bytes[132 + random() % (bytes.size() - 132)] = static_cast<char>(random());
    }
    try {
      inspect_bytes(bytes);
    } catch (const Error& error) {
      CHECK(std::string_view(error.kind().code).starts_with("file."));
    }
  }
}

TEST_CASE("the malformed files of the corpus: each an error, a defect, or sound; none crashes") {
  std::size_t errors = 0;
  std::size_t with_defects = 0;
  std::size_t sound = 0;
  for (const auto& path : test::corpus_files(true)) {
    try {
      (inspect(path).defects.empty() ? sound : with_defects) += 1;
    } catch (const Error& error) {
      CAPTURE(path.string());
      CHECK(std::string_view(error.kind().code).starts_with("file."));
      ++errors;
    }
  }
  MESSAGE("malformed: " << errors << " unreadable, " << with_defects << " with defects, " << sound << " without");
}

TEST_CASE("the sound files of the corpus are read to their end") {
  std::size_t count = 0;
  for (const auto& path : test::corpus_files(false)) {
    CAPTURE(path.string());
    // It was published cut: its last directory record says 24 bytes more than there are.
    const bool is_cut = path.filename() == "DICOMDIR-nooffset";
    const Inspection inspection = inspect(path);
    ++count;
    for (const Defect& defect : inspection.defects) {
      CHECK_MESSAGE((defect.rule != "structure.truncated" || is_cut), defect.message);
      CHECK(defect.rule != "structure.no-vr");
      CHECK(defect.rule != "structure.length-mismatch");
      CHECK(defect.rule != "meta.transfer-syntax-mismatch");
    }
  }
  MESSAGE("sound: " << count << " files");
}
