#include <kuva/core/error.hpp>
#include <kuva/dicom/data_set.hpp>
#include <kuva/dicom/dictionary.hpp>
#include <kuva/dicom/transcoder.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <zlib.h>

#include <fstream>
#include <string>
#include <string_view>
#include <support/shared_material.hpp>
#include <support/temporary_directory.hpp>
#include <vector>

using namespace kuva::dicom;
using namespace std::string_view_literals;

namespace {

const TransferSyntax k_implicit = transfer_syntax(k_implicit_vr_little_endian);
const TransferSyntax k_explicit = transfer_syntax(k_explicit_vr_little_endian);
const TransferSyntax k_big = transfer_syntax(k_explicit_vr_big_endian);
const TransferSyntax k_deflated = transfer_syntax(k_deflated_explicit_vr_little_endian);
const TransferSyntax k_jpeg = transfer_syntax("1.2.840.10008.1.2.4.50");

constexpr std::uint32_t k_undefined = 0xFFFFFFFFU;

// Writes a data set by hand; values are given as they are in the file.
class Writer {
 public:
  explicit Writer(const TransferSyntax& syntax) : m_explicit(syntax.explicit_vr), m_big(syntax.big_endian) {}

  Writer& header(Tag tag, Vr vr, std::uint32_t length) {
    u16(tag.group);
    u16(tag.element);
    if (!m_explicit || tag.group == 0xFFFE) {
      u32(length);
      return *this;
    }
    m_bytes += to_string(vr);
    if (has_long_length(vr)) {
      u16(0);
      u32(length);
    } else {
      u16(static_cast<std::uint16_t>(length));
    }
    return *this;
  }
  Writer& element(Tag tag, Vr vr, std::string_view value) {
    header(tag, vr, static_cast<std::uint32_t>(value.size()));
    m_bytes += value;
    return *this;
  }
  Writer& u16_element(Tag tag, Vr vr, std::uint16_t value) {
    header(tag, vr, 2);
    u16(value);
    return *this;
  }
  Writer& sequence(Tag tag) { return header(tag, Vr::SQ, k_undefined); }
  Writer& item() { return header(tags::item, Vr::none, k_undefined); }
  Writer& end_item() { return header(tags::item_delimitation, Vr::none, 0); }
  Writer& end_sequence() { return header(tags::sequence_delimitation, Vr::none, 0); }
  Writer& raw(std::string_view bytes) {
    m_bytes += bytes;
    return *this;
  }

  const std::string& bytes() const { return m_bytes; }

 private:
  void u16(std::uint16_t value) {
    const char low = static_cast<char>(value & 0xFFU);
    const char high = static_cast<char>(value >> 8U);
    m_bytes += m_big ? high : low;
    m_bytes += m_big ? low : high;
  }
  void u32(std::uint32_t value) {
    const auto low = static_cast<std::uint16_t>(value & 0xFFFFU);
    const auto high = static_cast<std::uint16_t>(value >> 16U);
    u16(m_big ? high : low);
    u16(m_big ? low : high);
  }

  bool m_explicit;
  bool m_big;
  std::string m_bytes;
};

class Files {
 public:
  std::filesystem::path write(const TransferSyntax& syntax, std::string_view data_set) {
    const std::filesystem::path path = m_directory.path() / fmt::format("{}.dcm", ++m_count);
    std::ofstream file(path, std::ios::binary);
    file << encode_file_meta("1.2.840.10008.5.1.4.1.1.7", "1.2.3", syntax.uid) << data_set;
    return path;
  }

 private:
  kuva::test::TemporaryDirectory m_directory;
  unsigned m_count = 0;
};

std::string drain(DataSetStream& stream, std::size_t buffer_size = 65536) {
  std::string bytes;
  std::vector<std::byte> buffer(buffer_size);
  for (;;) {
    const std::size_t count = stream.read(buffer);
    bytes.append(reinterpret_cast<const char*>(buffer.data()), count);
    if (count < buffer.size()) {
      CHECK(stream.read(buffer) == 0);
      return bytes;
    }
  }
}

std::string transcode(std::string_view data_set, const TransferSyntax& from, const TransferSyntax& to,
                      std::size_t buffer_size = 65536) {
  Files files;
  return drain(*open_data_set(open_part10(files.write(from, data_set)), to), buffer_size);
}

std::string code_of_failure(std::string_view data_set, const TransferSyntax& from, const TransferSyntax& to) {
  try {
    transcode(data_set, from, to);
  } catch (const kuva::Error& error) {
    return std::string(error.kind().code);
  }
  return "none";
}

std::string deflate(std::string_view bytes) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string input(bytes);
  std::string output(input.size() + 1000, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(output.data());
  stream.avail_out = static_cast<uInt>(output.size());
  CHECK(::deflate(&stream, Z_FINISH) == Z_STREAM_END);
  output.resize(stream.total_out);
  deflateEnd(&stream);
  return output;
}

// Every element with its path and its value in little endian, group lengths and trailing padding aside.
std::vector<std::string> flatten(std::unique_ptr<ByteSource> source, const TransferSyntax& syntax) {
  using Event = DataSetReader::Event;
  std::vector<std::string> lines;
  TransferSyntax structure = syntax;
  if (syntax.deflated) {
    source = make_inflate_source(std::move(source));
    structure.deflated = false;
  }
  DataSetReader reader(*source, structure);
  for (Event event = reader.next(); event != Event::end; event = reader.next()) {
    if (event == Event::sequence_begin) {
      lines.push_back(reader.tag_path() + " SQ");
    }
    const DataSetReader::Header header = reader.header();
    if (event != Event::element || header.tag.is_group_length() || header.tag == tags::data_set_trailing_padding) {
      continue;
    }
    std::string value;
    for (auto piece = reader.read_some(); !piece.empty(); piece = reader.read_some()) {
      value.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    }
    const unsigned unit = reader.big_endian() ? swap_unit(header.vr) : 1;
    for (std::size_t start = 0; unit > 1 && start + unit <= value.size(); start += unit) {
      const auto begin = value.begin() + static_cast<std::ptrdiff_t>(start);
      std::reverse(begin, begin + unit);
    }
    if (value.size() % 2 != 0) {
      value += is_string(header.vr) && header.vr != Vr::UI ? ' ' : '\0';
    }
    lines.push_back(fmt::format("{} {} {:016x}", reader.tag_path(), value.size(), std::hash<std::string>()(value)));
  }
  CHECK_FALSE(reader.truncated());
  CHECK_FALSE(reader.broken());
  return lines;
}

std::vector<std::string> flatten(std::string_view bytes, const TransferSyntax& syntax) {
  return flatten(make_memory_source(std::as_bytes(std::span(bytes.data(), bytes.size()))), syntax);
}

constexpr Tag k_smallest_pixel_value{0x0028, 0x0106};  // US or SS
constexpr Tag k_zero_velocity{0x0018, 0x9810};         // US or SS, before Pixel Representation
constexpr Tag k_lut_descriptor{0x0028, 0x3002};        // US or SS
constexpr Tag k_lut_data{0x0028, 0x3006};              // US or OW
constexpr Tag k_modality_lut_sequence{0x0028, 0x3000};
constexpr Tag k_overlay_data{0x6002, 0x3000};  // OB or OW, of a repeating group

}  // namespace

TEST_CASE("what can be encoded as what") {
  CHECK(can_encode(k_implicit, k_explicit));
  CHECK(can_encode(k_explicit, k_implicit));
  CHECK(can_encode(k_big, k_implicit));
  CHECK(can_encode(k_big, k_explicit));
  CHECK(can_encode(k_deflated, k_implicit));
  CHECK(can_encode(k_jpeg, k_jpeg));
  CHECK(can_encode(k_big, k_big));
  CHECK(can_encode(transfer_syntax("1.2.3.4"), transfer_syntax("1.2.3.4")));
  CHECK_FALSE(can_encode(k_jpeg, k_explicit));
  CHECK_FALSE(can_encode(k_explicit, k_jpeg));
  CHECK_FALSE(can_encode(k_explicit, k_big));
  CHECK_FALSE(can_encode(k_explicit, k_deflated));
  CHECK_FALSE(can_encode(transfer_syntax("1.2.3.4"), k_explicit));
  CHECK_FALSE(can_encode(transfer_syntax("1.2.840.10008.1.2.4.94"), k_explicit));  // JPIP Referenced
}

TEST_CASE("an unchanged syntax passes through untouched") {
  Files files;
  const std::string data_set =
      Writer(k_explicit).element(tags::patient_id, Vr::LO, "ab").element({0x7FE0, 0x0010}, Vr::OB, "pixels").bytes();
  for (const std::size_t buffer_size : {1U, 3U, 65536U}) {
    const auto stream = open_data_set(open_part10(files.write(k_explicit, data_set)), k_explicit);
    CHECK(stream->size() == data_set.size());
    CHECK(drain(*stream, buffer_size) == data_set);
  }
}

TEST_CASE("a data set that ends odd gets one zero byte") {
  Files files;
  const std::string odd = deflate(Writer(k_explicit).element(tags::patient_id, Vr::LO, "ab").bytes());
  const std::string data_set = odd.size() % 2 != 0 ? odd : odd + 'x';
  for (const std::size_t buffer_size : {1U, 2U, 65536U}) {
    const auto stream = open_data_set(open_part10(files.write(k_deflated, data_set)), k_deflated);
    CHECK(stream->size() == data_set.size() + 1);
    CHECK(drain(*stream, buffer_size) == data_set + '\0');
  }
}

TEST_CASE("a file that changes after it was opened") {
  Files files;
  const std::string data_set = Writer(k_explicit).element({0x7FE0, 0x0010}, Vr::OW, std::string(5000, 'p')).bytes();
  const auto code = [](const auto& act) {
    try {
      act();
    } catch (const kuva::Error& error) {
      return std::string(error.kind().code);
    }
    return std::string("none");
  };

  const auto shorter = files.write(k_explicit, data_set);
  auto opened = open_part10(shorter);
  std::filesystem::resize_file(shorter, opened.size - 1);
  CHECK(code([&] { open_data_set(std::move(opened), k_explicit); }) == "file.truncated");

  const auto cut_later = files.write(k_explicit, data_set);
  const auto stream = open_data_set(open_part10(cut_later), k_explicit);
  std::vector<std::byte> buffer(1000);
  CHECK(stream->read(buffer) == 1000);
  std::filesystem::resize_file(cut_later, 2000);
  CHECK(code([&] { drain(*stream); }) == "file.truncated");

  const auto longer = files.write(k_explicit, data_set);
  auto before = open_part10(longer);
  std::filesystem::resize_file(longer, before.size + 2);
  CHECK(code([&] { open_data_set(std::move(before), k_explicit); }) == "file.changed");

  const auto gone = files.write(k_explicit, data_set);
  auto part10 = open_part10(gone);
  std::filesystem::remove(gone);
  // It is open: its bytes are there until we close it.
  CHECK(drain(*open_data_set(std::move(part10), k_explicit)) == data_set);
}

TEST_CASE("an encapsulated object of more than 5 GiB passes through") {
  // Sparse: the fragments are holes.
  Files files;
  Writer head(k_jpeg);
  head.element(tags::patient_id, Vr::LO, "ab").header(tags::pixel_data, Vr::OB, k_undefined);
  head.header(tags::item, Vr::none, 0);
  head.header(tags::item, Vr::none, 0xFFFFFFFEU);
  const std::string second = Writer(k_jpeg).header(tags::item, Vr::none, 0x50000000U).bytes();
  const std::string end = Writer(k_jpeg).end_sequence().bytes();
  const auto path = files.write(k_jpeg, head.bytes());
  const std::uint64_t start = std::filesystem::file_size(path) - head.bytes().size();
  const std::uint64_t second_at = head.bytes().size() + 0xFFFFFFFEULL;
  const std::uint64_t end_at = second_at + second.size() + 0x50000000ULL;
  std::filesystem::resize_file(path, start + end_at + end.size());
  {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(start + second_at));
    file << second;
    file.seekp(static_cast<std::streamoff>(start + end_at));
    file << end;
    REQUIRE(file.good());
  }

  const auto stream = open_data_set(open_part10(path), k_jpeg);
  REQUIRE(stream->size() == end_at + end.size());
  std::vector<std::byte> buffer(256U << 10U);
  std::uint64_t total = 0;
  std::string tail;
  std::string second_seen;
  for (std::size_t count = stream->read(buffer); count > 0; count = stream->read(buffer)) {
    const std::string_view bytes(reinterpret_cast<const char*>(buffer.data()), count);
    if (second_at >= total && second_at + second.size() <= total + count) {
      second_seen = bytes.substr(second_at - total, second.size());
    }
    total += count;
    if (total > end_at) {
      tail += bytes;
      tail.erase(0, tail.size() - std::min(tail.size(), end.size()));
    }
  }
  CHECK(total == end_at + end.size());
  CHECK(second_seen == second);
  CHECK(tail == end);
}

TEST_CASE("explicit to implicit, byte by byte") {
  const std::string from = Writer(k_explicit)
                               .element({0x0008, 0x0000}, Vr::UL, "\x10\x00\x00\x00"sv)  // left out
                               .element(tags::sop_instance_uid, Vr::UI, "1.2.3")         // odd
                               .sequence(tags::referenced_sop_sequence)
                               .item()
                               .element(tags::patient_id, Vr::LO, "x")
                               .end_item()
                               .end_sequence()
                               .element({0x0040, 0xA730}, Vr::SQ, "\xFE\xFF\x00\xE0\x00\x00\x00\x00"sv)
                               .element(tags::pixel_data, Vr::OW, "\x01\x02\x03\x04")
                               .element(tags::data_set_trailing_padding, Vr::OB, "\x00\x00\x00\x00"sv)
                               .bytes();
  const std::string to = Writer(k_implicit)
                             .element(tags::sop_instance_uid, Vr::UI, "1.2.3\0"sv)
                             .sequence(tags::referenced_sop_sequence)
                             .item()
                             .element(tags::patient_id, Vr::LO, "x ")
                             .end_item()
                             .end_sequence()
                             .sequence({0x0040, 0xA730})
                             .item()
                             .end_item()
                             .end_sequence()
                             .element(tags::pixel_data, Vr::OW, "\x01\x02\x03\x04")
                             .bytes();
  for (const std::size_t buffer_size : {1U, 5U, 65536U}) {
    CHECK(transcode(from, k_explicit, k_implicit, buffer_size) == to);
  }
}

TEST_CASE("implicit to explicit takes the dictionary's VR") {
  const auto write = [](const TransferSyntax& syntax) {
    return Writer(syntax)
        .element(tags::patient_id, Vr::LO, "ab")
        .u16_element(tags::rows, Vr::US, 5)
        .u16_element(tags::pixel_representation, Vr::US, 0)
        .u16_element(k_smallest_pixel_value, Vr::US, 7)
        .sequence(k_modality_lut_sequence)
        .item()
        .element(k_lut_descriptor, Vr::US, "\x02\x00\x00\x00\x10\x00"sv)
        .element(k_lut_data, Vr::OW, "\x01\x00\x02\x00"sv)
        .end_item()
        .item()
        .element(k_lut_data, Vr::US, "\x01\x00"sv)
        .end_item()
        .end_sequence()
        .element({0x5000, 0x3000}, Vr::OW, "\x01\x02")
        .element(k_overlay_data, Vr::OW, "\x01\x02")
        .element(tags::pixel_data, Vr::OW, "\x01\x02\x03\x04")
        .bytes();
  };
  CHECK(transcode(write(k_implicit), k_implicit, k_explicit) == write(k_explicit));
}

TEST_CASE("US or SS goes by Pixel Representation of the data set around it") {
  const auto write = [](const TransferSyntax& syntax) {
    return Writer(syntax)
        .u16_element(k_zero_velocity, Vr::SS, 1)  // by looking ahead
        .u16_element(tags::pixel_representation, Vr::US, 1)
        .u16_element(k_smallest_pixel_value, Vr::SS, 7)
        .sequence({0x0088, 0x0200})
        .item()
        .u16_element(tags::pixel_representation, Vr::US, 0)
        .u16_element(k_smallest_pixel_value, Vr::US, 7)
        .end_item()
        .item()
        .u16_element(k_smallest_pixel_value, Vr::SS, 7)
        .end_item()
        .end_sequence()
        .bytes();
  };
  CHECK(transcode(write(k_implicit), k_implicit, k_explicit) == write(k_explicit));
  CHECK(transcode(Writer(k_implicit).u16_element(k_smallest_pixel_value, Vr::US, 7).bytes(), k_implicit, k_explicit) ==
        Writer(k_explicit).u16_element(k_smallest_pixel_value, Vr::US, 7).bytes());
}

TEST_CASE("private elements take the VR of their creator") {
  // SIEMENS CSA HEADER (0029,xx08) is a CS, (0029,xx10) an OB.
  REQUIRE(private_vr("SIEMENS CSA HEADER", {0x0029, 0x1108}) == Vr::CS);
  REQUIRE(private_vr("SIEMENS CSA HEADER", {0x0029, 0x1110}) == Vr::OB);
  const auto write = [](const TransferSyntax& syntax) {
    return Writer(syntax)
        .element({0x0009, 0x1001}, Vr::UN, "ab")  // reserved by nobody
        .element({0x0029, 0x0010}, Vr::LO, "NOBODY KNOWS")
        .element({0x0029, 0x0011}, Vr::LO, "SIEMENS CSA HEADER")
        .element({0x0029, 0x1008}, Vr::UN, "ab")
        .element({0x0029, 0x1108}, Vr::CS, "IMAGE ")
        .element({0x0029, 0x1110}, Vr::OB, "abcd")
        .sequence({0x0088, 0x0200})
        .item()
        .element({0x0029, 0x1108}, Vr::UN, "ab")  // not reserved within this item
        .end_item()
        .end_sequence()
        .bytes();
  };
  CHECK(transcode(write(k_implicit), k_implicit, k_explicit) == write(k_explicit));
}

TEST_CASE("UN of undefined length keeps its implicit contents") {
  const auto write = [](const TransferSyntax& syntax, const TransferSyntax& inner) {
    Writer contents(inner);
    contents.item().element(tags::patient_id, Vr::LO, "ab").u16_element(tags::rows, Vr::US, 5);
    contents.sequence(tags::referenced_sop_sequence).item().end_item().end_sequence();
    contents.end_item().end_sequence();
    return Writer(syntax)
        .header({0x0009, 0x1001}, Vr::UN, k_undefined)
        .raw(contents.bytes())
        .element(tags::patient_id, Vr::LO, "cd")
        .bytes();
  };
  CHECK(transcode(write(k_explicit, k_implicit), k_explicit, k_implicit) == write(k_implicit, k_implicit));
  CHECK(transcode(write(k_big, k_implicit), k_big, k_explicit) == write(k_explicit, k_implicit));
  // From implicit it is known to be a sequence, and nothing else.
  const std::string as_sequence = transcode(write(k_implicit, k_implicit), k_implicit, k_explicit);
  CHECK(as_sequence.substr(4, 2) == "SQ");
  CHECK(flatten(as_sequence, k_explicit) == flatten(write(k_implicit, k_implicit), k_implicit));
}

TEST_CASE("UN of defined length is copied") {
  const std::string contents = Writer(k_implicit).item().u16_element(tags::rows, Vr::US, 5).end_item().bytes();
  const auto write = [&](const TransferSyntax& syntax) {
    return Writer(syntax).element({0x0009, 0x1001}, Vr::UN, contents).bytes();
  };
  CHECK(transcode(write(k_explicit), k_explicit, k_implicit) == write(k_implicit));
  CHECK(transcode(write(k_big), k_big, k_explicit) == write(k_explicit));
}

TEST_CASE("a value too long for its VR becomes UN") {
  const std::string fits(65534, 'x');
  const std::string odd(65535, 'x');
  const auto from = Writer(k_implicit).element(tags::patient_id, Vr::LO, fits).element({0x0010, 0x2180}, Vr::SH, odd);
  const std::string to = transcode(from.bytes(), k_implicit, k_explicit);
  CHECK(
      to ==
      Writer(k_explicit).element(tags::patient_id, Vr::LO, fits).element({0x0010, 0x2180}, Vr::UN, odd + ' ').bytes());
}

TEST_CASE("big endian is swapped by VR, in pieces of any size") {
  const auto write = [](const TransferSyntax& syntax, bool big) {
    const auto value = [&](std::string_view little, unsigned unit) {
      std::string bytes(little);
      for (std::size_t i = 0; big && i + unit <= bytes.size(); i += unit) {
        std::reverse(bytes.begin() + static_cast<std::ptrdiff_t>(i),
                     bytes.begin() + static_cast<std::ptrdiff_t>(i + unit));
      }
      return bytes;
    };
    std::string pixels;
    for (unsigned i = 0; i < 600'000; ++i) {
      pixels += static_cast<char>(i * 7919U >> 5U);
    }
    return Writer(syntax)
        .element(tags::patient_id, Vr::LO, "ab")
        .element({0x0018, 0x6020}, Vr::SL, value("abcd", 4))
        .element({0x0018, 0x605A}, Vr::FL, value("abcdefgh", 4))
        .element({0x0028, 0x0009}, Vr::AT, value("\x18\x00\x63\x10"sv, 2))
        .element(tags::rows, Vr::US, value("\x01\x02", 2))
        .element(k_smallest_pixel_value, Vr::SS, value("\x03\x04", 2))
        .sequence({0x0040, 0xA730})
        .item()
        .element({0x0040, 0xA132}, Vr::FD, value("abcdefgh", 8))
        .end_item()
        .end_sequence()
        .element({0x0041, 0x1001}, Vr::UN, "abcd")
        .element({0x0066, 0x0016}, Vr::OF, value("abcdefgh", 4))
        .element({0x7FE0, 0x0003}, Vr::OV, value("abcdefgh", 8))
        .element({0x7FE0, 0x0009}, Vr::OD, value("abcdefghABCDEFGH", 8))
        .element(tags::pixel_data, Vr::OW, value(pixels, 2))
        .bytes();
  };
  const std::string little = write(k_explicit, false);
  for (const std::size_t buffer_size : {7U, 4096U, 1'000'000U}) {
    CHECK(transcode(write(k_big, true), k_big, k_explicit, buffer_size) == little);
  }
  CHECK(transcode(write(k_big, true), k_big, k_implicit) == write(k_implicit, false));
}

TEST_CASE("odd values are padded") {
  CHECK(transcode(Writer(k_big).element(tags::pixel_data, Vr::OW, "abc").bytes(), k_big, k_explicit) ==
        Writer(k_explicit).element(tags::pixel_data, Vr::OW, "bac\0"sv).bytes());
  CHECK(transcode(Writer(k_explicit).element(tags::pixel_data, Vr::OB, "abc").bytes(), k_explicit, k_implicit) ==
        Writer(k_implicit).element(tags::pixel_data, Vr::OB, "abc\0"sv).bytes());
}

TEST_CASE("deflated is inflated") {
  const std::string plain =
      Writer(k_explicit).element(tags::patient_id, Vr::LO, "ab").u16_element(tags::rows, Vr::US, 5).bytes();
  CHECK(transcode(deflate(plain), k_deflated, k_explicit) == plain);
  CHECK(transcode(deflate(plain), k_deflated, k_implicit) ==
        Writer(k_implicit).element(tags::patient_id, Vr::LO, "ab").u16_element(tags::rows, Vr::US, 5).bytes());
}

TEST_CASE("what cannot be encoded fails and says why") {
  CHECK(code_of_failure(Writer(k_explicit).header(tags::pixel_data, Vr::OW, 1000).raw("short").bytes(), k_explicit,
                        k_implicit) == "file.truncated");
  CHECK(code_of_failure(Writer(k_explicit).sequence({0x0040, 0xA730}).item().bytes(), k_explicit, k_implicit) ==
        "file.truncated");
  CHECK(code_of_failure(Writer(k_explicit)
                            .header(tags::pixel_data, Vr::OB, k_undefined)
                            .header(tags::item, Vr::none, 0)
                            .end_sequence()
                            .bytes(),
                        k_explicit, k_implicit) == "file.not-encodable");
  CHECK(code_of_failure(Writer(k_explicit).element(tags::patient_id, Vr::LO, "ab").bytes(), k_explicit, k_jpeg) ==
        "file.not-encodable");
  const std::string whole =
      deflate(Writer(k_explicit).element(tags::patient_id, Vr::LO, std::string(5000, 'x')).bytes());
  CHECK(code_of_failure(whole.substr(0, whole.size() / 2), k_deflated, k_explicit) != "none");
}

TEST_CASE("every uncompressed file of the corpus keeps its values") {
  const auto corpus = kuva::test::shared_material("corpus");
  if (!corpus) {
    MESSAGE("skipped: the shared corpus is not there");
    return;
  }
  unsigned files = 0;
  for (const auto& path : kuva::test::sound_corpus_files(*corpus)) {
    if (path.filename() == "MANIFEST.tsv") {
      continue;
    }
    Part10File file = [&]() -> Part10File {
      try {
        return open_part10(path);
      } catch (const kuva::Error&) {
        return {};  // not DICOM
      }
    }();
    const TransferSyntax from = file.syntax;
    // DICOMDIR files of the corpus are broken on purpose in places.
    if (!file.source || !can_encode(from, k_explicit) || path.string().find("dicomdir") != std::string::npos) {
      continue;
    }
    ++files;
    CAPTURE(path.string());
    const auto original = flatten(std::move(file.source), from);
    for (const auto& [through, back] : {std::pair(k_implicit, k_explicit), std::pair(k_explicit, k_implicit)}) {
      if (from.uid == through.uid) {
        continue;
      }
      const std::string bytes = drain(*open_data_set(open_part10(path), through));
      CHECK(bytes.size() % 2 == 0);
      CHECK(flatten(bytes, through) == original);
      CHECK(flatten(transcode(bytes, through, back, 4097), back) == original);
    }
  }
  CHECK(files > 300);
}
