#include "encoded.hpp"

#include <kuva/core/error.hpp>
#include <kuva/dicom/part10.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::dicom;
using test::Encoded;
using Form = Encoded::Form;
using Lines = std::vector<std::string>;

namespace {

Part10File open(std::string_view bytes) { return open_part10(make_memory_source(test::as_bytes(bytes))); }

std::string error_of(std::string_view bytes) {
  try {
    open(bytes);
  } catch (const Error& error) {
    return std::string(error.kind().code) + ": " + error.message();
  }
  return "none";
}

}  // namespace

TEST_CASE("a file that this library writes has nothing to complain of") {
  const std::string bytes = test::small_ct_file();
  const Part10File file = open(bytes);
  CHECK(test::rules(file.defects).empty());
  CHECK(file.meta.has_preamble);
  CHECK(file.meta.has_meta);
  CHECK(file.meta.media_storage_sop_class_uid == "1.2.840.10008.5.1.4.1.1.2");
  CHECK(file.meta.media_storage_sop_instance_uid == "1.2.3.4.30");
  CHECK(file.meta.transfer_syntax_uid == k_explicit_vr_little_endian);
  CHECK(file.meta.data_set_offset == bytes.size() - test::small_ct_data_set().size());
  CHECK(file.size == bytes.size());
  CHECK(file.source->position() == file.meta.data_set_offset);
  CHECK(file.syntax.known);
}

TEST_CASE("the source application entity title is written when there is one") {
  const Part10File file =
      open(encode_file_meta("1.2", "1.3", k_explicit_vr_little_endian, "KUVA") + test::small_ct_data_set());
  CHECK(file.meta.source_application_entity_title == "KUVA");
}

TEST_CASE("without preamble or meta the syntax is seen in the first elements") {
  const std::string whole = test::small_ct_file();
  const std::string_view meta_and_data(whole.data() + 132, whole.size() - 132);
  CHECK(test::rules(open(meta_and_data).defects) == Lines{"meta.preamble"});
  CHECK(test::rules(open(whole.substr(128)).defects) == Lines{"meta.preamble"});

  for (const auto& [form, uid] : {std::pair{Form::implicit_little, k_implicit_vr_little_endian},
                                  std::pair{Form::explicit_little, k_explicit_vr_little_endian},
                                  std::pair{Form::explicit_big, k_explicit_vr_big_endian}}) {
    Encoded bytes(form);
    bytes.element(tags::sop_class_uid, "UI", "1.2.840.10008.5.1.4.1.1.7 ")
        .element(tags::sop_instance_uid, "UI", "1.2.3.4 ")
        .element(tags::study_date, "DA", "20240510")
        .element(tags::modality, "CS", "OT");
    const Part10File bare = open(bytes.bytes());
    CHECK(bare.syntax.uid == uid);
    CHECK_FALSE(bare.meta.has_preamble);
    CHECK_FALSE(bare.meta.has_meta);
    CHECK(test::rules(bare.defects) == Lines{"meta.preamble", "meta.missing"});
    const Part10File with_prefix = open(std::string(128, '\0') + "DICM" + bytes.bytes());
    CHECK(with_prefix.syntax.uid == uid);
    CHECK(test::rules(with_prefix.defects) == Lines{"meta.missing"});
  }
}

TEST_CASE("a data set in another encoding than the meta says is a defect that names both") {
  Encoded bytes(Form::implicit_little);
  bytes.element(tags::sop_class_uid, "", "1.2.840.10008.5.1.4.1.1.7 ")
      .element(tags::sop_instance_uid, "", "1.2.3.4 ")
      .element(tags::modality, "", "OT");
  const Part10File file = open(encode_file_meta("1.2", "1.3", k_explicit_vr_little_endian) + bytes.bytes());
  REQUIRE(test::rules(file.defects) == Lines{"meta.transfer-syntax-mismatch"});
  CHECK(file.defects.front().message.find("Implicit VR Little Endian") != std::string::npos);
  CHECK(file.syntax.uid == k_explicit_vr_little_endian);
}

TEST_CASE("group 0002 is read by tag; its length is only compared") {
  std::string bytes = test::small_ct_file();
  bytes[140] = static_cast<char>(bytes[140] + 2);
  const Part10File file = open(bytes);
  CHECK(test::rules(file.defects) == Lines{"meta.group-length"});
  CHECK(file.meta.data_set_offset == bytes.size() - test::small_ct_data_set().size());
  bytes.erase(132, 12);
  CHECK(test::rules(open(bytes).defects) == Lines{"meta.group-length-missing"});
}

TEST_CASE("group 0002: each element has the VR of PS3.6, and an even length that it allows") {
  std::string bytes = test::small_ct_file();
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string changed = bytes;
    const std::size_t at = changed.find(from);
    REQUIRE(at != std::string::npos);
    changed.replace(at, from.size(), to);
    return test::rules(open(changed).defects);
  };
  CHECK(with(std::string_view("\x02\0\x13\0SH", 6), std::string_view("\x02\0\x13\0LO", 6)) ==
        Lines{"meta.vr-mismatch"});
  const std::string uid("\x02\0\x12\0UI", 6);
  const std::size_t at = bytes.find(uid);
  const auto length = static_cast<std::size_t>(static_cast<unsigned char>(bytes[at + 6]));
  const std::string element = bytes.substr(at, 8 + length);
  std::string longer = uid + std::string("\x46\0", 2) + "1." + std::string(68, '1');
  const Lines found = with(element, longer);
  CHECK(std::ranges::find(found, "meta.value-length") != found.end());
  longer = uid + std::string("\x05\0", 2) + "1.2.3";
  const Lines odd = with(element, longer);
  CHECK(std::ranges::find(odd, "meta.value-length") != odd.end());
}

TEST_CASE("private transfer syntaxes pass with a warning") {
  const Part10File file = open(encode_file_meta("1.2", "1.3", "1.2.3.4.5") + test::small_ct_data_set());
  CHECK(test::rules(file.defects) == Lines{"meta.transfer-syntax-unknown"});
  CHECK_FALSE(file.syntax.known);
  CHECK(file.syntax.encapsulated);
}

TEST_CASE("what is not DICOM is said to be what it seems") {
  CHECK(error_of("") == "file.not-dicom: not DICOM: the file is empty");
  CHECK(error_of("\xFF\xD8\xFF\xE0 and so on").find("a JPEG image") != std::string::npos);
  CHECK(error_of("PK\x03\x04 and so on").find("a ZIP archive") != std::string::npos);
  CHECK(error_of("Dear colleague,\nplease find").find("a text") != std::string::npos);
  CHECK(error_of(std::string(4000, '\0')).find("zeros") != std::string::npos);
  for (const std::string_view bytes : {"a", "DICOM", "\x08", "\x02\x01"}) {
    CHECK(error_of(bytes).starts_with("file.not-dicom"));
  }
}

TEST_CASE("a file that ends within the meta is truncated at every byte") {
  const std::string whole = test::small_ct_file();
  const std::size_t data_set = whole.size() - test::small_ct_data_set().size();
  for (std::size_t size = 133; size < data_set; ++size) {
    const std::string error = error_of(std::string_view(whole).substr(0, size));
    CAPTURE(size);
    // A cut between two elements behind the transfer syntax leaves a readable meta whose group length tells.
    if (error == "none") {
      CHECK(test::rules(open(std::string_view(whole).substr(0, size)).defects).front() == "meta.group-length");
    } else {
      CHECK(error.starts_with("file."));
    }
  }
}

TEST_CASE("files are read through a window, to their end and not beyond") {
  std::string bytes(300000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(i * 7 + i / 251);
  }
  const test::TemporaryFile file(bytes);
  const auto source = open_file_source(file.path());
  std::string seen;
  std::size_t step = 1;
  while (source->remaining() != std::uint64_t{0}) {
    const auto piece = source->peek(step % 70001);
    seen.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    CHECK(source->skip(piece.size()) == piece.size());
    step = step * 3 + 1;
  }
  CHECK(seen == bytes);
  CHECK(source->peek(10).empty());
  CHECK(source->skip(10) == 0);
  CHECK(source->position() == bytes.size());
}

TEST_CASE("a file that shrinks while it is read is an error") {
  const test::TemporaryFile file(std::string(300000, 'x'));
  const auto source = open_file_source(file.path());
  source->peek(16);
  std::filesystem::resize_file(file.path(), 1000);
  source->skip(200000);
  CHECK_THROWS_AS(source->peek(16), Error);
}

TEST_CASE("directories and missing files are errors, not hangs") {
  CHECK_THROWS_AS(open_file_source("/"), Error);
  CHECK_THROWS_AS(open_file_source("/no/such/file"), Error);
}
