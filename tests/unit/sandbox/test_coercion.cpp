#include "support/temporary_directory.hpp"

#include <kuva/core/file.hpp>
#include <kuva/dicom/part10.hpp>
#include <kuva/dicom/query_tags.hpp>
#include <kuva/sandbox/coercion.hpp>

#include <doctest/doctest.h>
#include <zlib.h>

#include <array>

using namespace kuva::sandbox;
using kuva::dicom::DataSet;
using kuva::dicom::Tag;
using kuva::dicom::Vr;

namespace {

constexpr Tag k_charset{0x0008, 0x0005};
constexpr Tag k_sequence{0x0008, 0x1140};
constexpr Tag k_class{0x0008, 0x1150};
constexpr Tag k_name{0x0010, 0x0010};
constexpr Tag k_id{0x0010, 0x0020};
constexpr Tag k_sex{0x0010, 0x0040};
constexpr Tag k_age{0x0010, 0x1010};
constexpr Tag k_comment{0x0020, 0x4000};
constexpr Tag k_pixels{0x7FE0, 0x0010};

std::string pixels() { return std::string(200'000, '\x5A'); }

DataSet example(const std::string& charset, const std::string& name) {
  DataSet data;
  if (!charset.empty()) {
    data.set_string(k_charset, charset);
  }
  data.set_string({0x0008, 0x0016}, "1.2.840.10008.5.1.4.1.1.7");
  data.set_string({0x0008, 0x0018}, "1.2.3");
  data.add_item(k_sequence).set_string(k_class, "1.2.3.4");
  data.set_bytes(k_name, Vr::PN, name);
  data.set_string(k_id, "T1");
  data.set_string(k_age, "044Y");
  data.set_bytes(k_comment, Vr::LT, "as it was");
  data.set_bytes(k_pixels, Vr::OB, pixels());
  return data;
}

PatientIdentity identity(const std::string& name) {
  PatientIdentity who;
  who.patient_id = "010181-900C";
  who.issuer_oid = "1.2.246.21";
  who.name = name;
  who.sex = "F";
  return who;
}

// What goes out, read again.
DataSet sent(const DataSet& stored, const std::string& syntax, const std::optional<PatientIdentity>& who,
             std::size_t piece = 1000) {
  const kuva::test::TemporaryDirectory directory;
  const auto path = directory.path() / "a.dcm";
  {
    kuva::AtomicFile file(path);
    file.write(kuva::dicom::encode_file_meta("1.2.840.10008.5.1.4.1.1.7", "1.2.3", syntax));
    file.write(stored.encode(kuva::dicom::transfer_syntax(syntax)));
    file.commit();
  }
  const auto stream = open_coerced(path, syntax, who);
  std::vector<std::byte> bytes;
  std::vector<std::byte> buffer(piece);
  while (const std::size_t count = stream->read(buffer)) {
    bytes.insert(bytes.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(count));
  }
  CHECK(bytes.size() % 2 == 0);
  return DataSet::decode(bytes, kuva::dicom::transfer_syntax(syntax));
}

}  // namespace

TEST_CASE("the patient of the message goes out, and all else as it is") {
  for (const std::string syntax : {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1"}) {
    CAPTURE(syntax);
    for (const std::size_t piece : {std::size_t{7}, std::size_t{65'536}}) {
      const DataSet data = sent(example("ISO_IR 100", "Doe^J"), syntax, identity("Virtanen^\xC3\x84iti"), piece);
      CHECK(data.string(k_name) == "Virtanen^\xC4iti");
      CHECK(data.string(k_charset) == "ISO_IR 100");
      CHECK(data.string(k_id) == "010181-900C");
      CHECK(data.has({0x0010, 0x0021}));
      REQUIRE(data.items({0x0010, 0x0024}) != nullptr);
      CHECK(data.items({0x0010, 0x0024})->front().string({0x0040, 0x0032}) == "1.2.246.21");
      CHECK(data.string(k_sex) == "F");
      CHECK(!data.has({0x0010, 0x0030}));
      CHECK(data.string(k_age) == "044Y");
      REQUIRE(data.items(k_sequence) != nullptr);
      CHECK(data.items(k_sequence)->front().string(k_class) == "1.2.3.4");
      CHECK(data.string(k_comment) == "as it was");
      CHECK(data.find(k_pixels)->value == pixels());
    }
  }
}

TEST_CASE("a name that the object's character set does not have") {
  const std::string name = "\xC5\xA0\xC3\xA4^A";
  const std::string syntax = "1.2.840.10008.1.2.1";
  const DataSet ascii = sent(example("", "Doe^J"), syntax, identity(name));
  CHECK(ascii.string(k_charset) == "ISO_IR 192");
  CHECK(ascii.string(k_name) == name);
  const DataSet latin = sent(example("ISO_IR 100", "Doe^J"), syntax, identity(name));
  CHECK(latin.string(k_charset) == "ISO_IR 100");
  CHECK(latin.string(k_name) == "?\xE4^A");
  const DataSet unicode = sent(example("ISO_IR 192", "Doe^J"), syntax, identity(name));
  CHECK(unicode.string(k_name) == name);
}

TEST_CASE("deflated and big endian objects too") {
  const kuva::test::TemporaryDirectory directory;
  const auto read_all = [](kuva::dicom::DataSetStream& stream) {
    std::string bytes;
    std::array<std::byte, 999> buffer{};
    while (const std::size_t count = stream.read(buffer)) {
      bytes.append(reinterpret_cast<const char*>(buffer.data()), count);
    }
    return bytes;
  };
  const auto write = [&](const std::string& name, const std::string& syntax, const std::string& data) {
    kuva::AtomicFile file(directory.path() / name);
    file.write(kuva::dicom::encode_file_meta("1.2.840.10008.5.1.4.1.1.7", "1.2.3", syntax));
    file.write(data);
    file.commit();
    return directory.path() / name;
  };

  const std::string deflated = "1.2.840.10008.1.2.1.99";
  const std::string plain = example("ISO_IR 192", "Doe^J").encode(kuva::dicom::transfer_syntax("1.2.840.10008.1.2.1"));
  std::string packed(plain.size() + 1000, '\0');
  z_stream state{};
  REQUIRE(::deflateInit2(&state, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  state.avail_in = static_cast<uInt>(plain.size());
  state.next_out = reinterpret_cast<Bytef*>(packed.data());
  state.avail_out = static_cast<uInt>(packed.size());
  REQUIRE(::deflate(&state, Z_FINISH) == Z_STREAM_END);
  packed.resize(state.total_out);
  ::deflateEnd(&state);
  const std::string sent_deflated =
      read_all(*open_coerced(write("deflated.dcm", deflated, packed), deflated, identity("Roe^R")));
  CHECK(sent_deflated.size() % 2 == 0);
  CHECK(sent_deflated.size() < plain.size() / 10);
  auto file = kuva::dicom::open_part10(write("again.dcm", deflated, sent_deflated));
  const auto source = kuva::dicom::data_set_source(file);
  kuva::dicom::DataSetReader reader(*source, file.syntax);
  const DataSet inflated = DataSet::read(reader, 1'000'000);
  CHECK(inflated.string(k_name) == "Roe^R");
  CHECK(inflated.string(k_id) == "010181-900C");
  CHECK(inflated.find(k_pixels)->value == pixels());

  const std::string big = "1.2.840.10008.1.2.2";
  const std::string before = std::string(
      "\x00\x08\x00\x18UI\x00\x06"
      "1.2.3\x00",
      14);
  const std::string name = std::string(
      "\x00\x10\x00\x10PN\x00\x04"
      "Doe ",
      12);
  const std::string behind = std::string("\x00\x28\x00\x10US\x00\x02\x01\x00", 10);
  PatientIdentity who;
  who.patient_id = "P1";
  who.name = "Roe";
  CHECK(read_all(*open_coerced(write("big.dcm", big, before + name + behind), big, who)) ==
        before +
            std::string("\x00\x10\x00\x10PN\x00\x04"
                        "Roe ",
                        12) +
            std::string("\x00\x10\x00\x20LO\x00\x02P1", 10) + std::string("\x00\x10\x00\x21LO\x00\x00", 8) + behind);
}

TEST_CASE("without an identity it is the file; a name that was deleted is empty") {
  const std::string syntax = "1.2.840.10008.1.2.1";
  const DataSet stored = example("", "Doe^J");
  CHECK(sent(stored, syntax, {}).encode(kuva::dicom::transfer_syntax(syntax)) ==
        stored.encode(kuva::dicom::transfer_syntax(syntax)));
  const DataSet data = sent(stored, syntax, identity(""));
  CHECK(data.has(k_name));
  CHECK(data.string(k_name).empty());
}

TEST_CASE("a data set that ends before the patient, and one that cannot be read") {
  const std::string syntax = "1.2.840.10008.1.2.1";
  DataSet data;
  data.set_string({0x0008, 0x0016}, "1.2.840.10008.5.1.4.1.1.7");
  CHECK(sent(data, syntax, identity("Doe")).string(k_name) == "Doe");
  const kuva::test::TemporaryDirectory directory;
  const auto path = directory.path() / "a.dcm";
  {
    kuva::AtomicFile file(path);
    file.write(kuva::dicom::encode_file_meta("1.2.840.10008.5.1.4.1.1.7", "1.2.3", syntax));
    file.write(data.encode(kuva::dicom::transfer_syntax(syntax)) + std::string("\x08\x00\x18\x00UI\x40\x00", 8));
    file.commit();
  }
  CHECK_THROWS_AS(open_coerced(path, syntax, identity("Doe")), kuva::Error);
}
