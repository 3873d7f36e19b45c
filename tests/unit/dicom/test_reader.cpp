#include "encoded.hpp"

#include <kuva/core/error.hpp>
#include <kuva/dicom/reader.hpp>

#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>
#include <random>

using namespace kuva;
using namespace kuva::dicom;
using test::Encoded;
using Form = Encoded::Form;
using Event = DataSetReader::Event;
using Lines = std::vector<std::string>;

namespace {

constexpr Tag k_sequence{0x0008, 0x1140};
constexpr Tag k_inner{0x0008, 0x1199};

std::string_view uid_of(Form form) {
  switch (form) {
    case Form::implicit_little:
      return k_implicit_vr_little_endian;
    case Form::explicit_little:
      return k_explicit_vr_little_endian;
    case Form::explicit_big:
      break;
  }
  return k_explicit_vr_big_endian;
}

// Two levels of sequences, with lengths or with delimiters, and an element behind them.
std::string nested(Form form, bool defined) {
  Encoded innermost(form);
  innermost.element(tags::referenced_sop_instance_uid, "UI", "1.2.3 ");
  Encoded inner_item(form);
  if (defined) {
    inner_item.item(static_cast<std::uint32_t>(innermost.bytes().size())).raw(innermost.bytes());
  } else {
    inner_item.item().raw(innermost.bytes()).item_end();
  }
  Encoded inner(form);
  if (defined) {
    inner.head(k_inner, "SQ", static_cast<std::uint32_t>(inner_item.bytes().size())).raw(inner_item.bytes());
  } else {
    inner.head(k_inner, "SQ", k_undefined_length).raw(inner_item.bytes()).sequence_end();
  }
  Encoded item(form);
  if (defined) {
    item.item(static_cast<std::uint32_t>(inner.bytes().size())).raw(inner.bytes());
  } else {
    item.item().raw(inner.bytes()).item_end();
  }
  Encoded all(form);
  all.element(tags::modality, "CS", "CT");
  if (defined) {
    all.head(k_sequence, "SQ", static_cast<std::uint32_t>(item.bytes().size())).raw(item.bytes());
  } else {
    all.head(k_sequence, "SQ", k_undefined_length).raw(item.bytes()).sequence_end();
  }
  all.element(tags::patient_sex, "CS", "O ");
  return all.bytes();
}

std::string deflated(std::string_view bytes) {
  z_stream stream{};
  REQUIRE(::deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string result(::deflateBound(&stream, static_cast<uLong>(bytes.size())), '\0');
  std::string input(bytes);
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  REQUIRE(::deflate(&stream, Z_FINISH) == Z_STREAM_END);
  result.resize(stream.total_out);
  ::deflateEnd(&stream);
  return result;
}

}  // namespace

TEST_CASE("nested sequences are the same in every syntax, with lengths and with delimiters") {
  const Lines expected = {"0008,0060 CS=CT",     "+0008,1140", "item",       "+0008,1199", "item",
                          "0008,1155 UI=1.2.3 ", "/item",      "/0008,1199", "/item",      "/0008,1140",
                          "0010,0040 CS=O ",     "end"};
  for (const Form form : {Form::implicit_little, Form::explicit_little, Form::explicit_big}) {
    for (const bool defined : {true, false}) {
      CAPTURE(uid_of(form));
      CAPTURE(defined);
      CHECK(test::events(nested(form, defined), uid_of(form)) == expected);
      CHECK(test::rules(nested(form, defined), uid_of(form)).empty());
    }
  }
}

TEST_CASE("a deflated data set reads as its inflated form, whatever is peeked and skipped") {
  const std::string plain = nested(Form::explicit_little, false) + std::string();
  std::string large = Encoded(Form::explicit_little).element(tags::modality, "CS", "CT").bytes();
  large += Encoded(Form::explicit_little).head(tags::pixel_data, "OW", 600000).bytes() + std::string(600000, 'x');
  for (const std::string& bytes : {plain, large}) {
    const std::string stream = deflated(bytes);
    const auto source = make_inflate_source(make_memory_source(test::as_bytes(stream)));
    DataSetReader reader(*source, transfer_syntax(k_deflated_explicit_vr_little_endian));
    std::size_t count = 0;
    while (reader.next() != Event::end) {
      ++count;
    }
    CHECK(count == test::events(bytes, k_explicit_vr_little_endian).size() - 1);
    CHECK(reader.defects().empty());
    CHECK(source->position() == bytes.size());
  }
}

TEST_CASE("a deflate stream that is cut or broken is an error, never a whole data set") {
  const std::string stream = deflated(nested(Form::explicit_little, false));
  for (std::size_t size = 0; size < stream.size(); ++size) {
    const auto source = make_inflate_source(make_memory_source(test::as_bytes(stream).first(size)));
    DataSetReader reader(*source, transfer_syntax(k_deflated_explicit_vr_little_endian));
    bool said = false;
    try {
      while (reader.next() != Event::end) {
      }
      said = reader.truncated() || reader.broken();
    } catch (const Error& error) {
      said = error.kind().code == std::string_view("file.truncated");
    }
    CHECK(said);
  }
  const auto rubbish = make_inflate_source(make_memory_source(test::as_bytes("\xFF\xFF\xFF\xFF\xFF")));
  CHECK_THROWS_AS(rubbish->peek(1), Error);
}

TEST_CASE("UN of undefined length is a sequence in Implicit VR Little Endian in every syntax") {
  const std::string contents = Encoded(Form::implicit_little)
                                   .item()
                                   .element(tags::referenced_sop_instance_uid, "", "1.2 ")
                                   .item_end()
                                   .sequence_end()
                                   .bytes();
  for (const Form form : {Form::explicit_little, Form::explicit_big}) {
    Encoded bytes(form);
    bytes.head({0x0009, 0x1001}, "UN", k_undefined_length).raw(contents).element(tags::patient_sex, "CS", "M ");
    CHECK(test::events(bytes.bytes(), uid_of(form)) ==
          Lines{"+0009,1001", "item", "0008,1155 UI=1.2 ", "/item", "/0009,1001", "0010,0040 CS=M ", "end"});
  }
}

TEST_CASE("values keep the byte order of their syntax, and of what they lie in") {
  Encoded bytes(Form::explicit_big);
  bytes.head({0x0009, 0x1001}, "UN", k_undefined_length)
      .raw(Encoded(Form::implicit_little).item().head(tags::rows, "", 2).u16(7).item_end().sequence_end().bytes());
  bytes.head(tags::rows, "US", 2).u16(7);
  const auto source = make_memory_source(test::as_bytes(bytes.bytes()));
  DataSetReader reader(*source, transfer_syntax(k_explicit_vr_big_endian));
  std::vector<bool> orders;
  for (Event event = reader.next(); event != Event::end; event = reader.next()) {
    if (event == Event::element) {
      orders.push_back(reader.big_endian());
    }
  }
  CHECK(orders == std::vector<bool>{false, true});
}

TEST_CASE("encapsulated pixel data comes fragment by fragment") {
  Encoded bytes(Form::explicit_little);
  bytes.element(tags::modality, "CS", "CT").head(tags::pixel_data, "OB", k_undefined_length).item(0);
  bytes.item(4).raw("abcd").item(6).raw("efghij").sequence_end().element(tags::data_set_trailing_padding, "OB", "--");
  CHECK(test::events(bytes.bytes(), "1.2.840.10008.1.2.4.50") == Lines{"0008,0060 CS=CT", "+7FE0,0010", "fragment 0",
                                                                       "fragment 4", "fragment 6", "/7FE0,0010",
                                                                       "FFFC,FFFC OB=--", "end"});
  CHECK(test::rules(bytes.bytes(), "1.2.840.10008.1.2.4.50").empty());

  const auto source = make_memory_source(test::as_bytes(bytes.bytes()));
  DataSetReader reader(*source, transfer_syntax("1.2.840.10008.1.2.4.50"));
  std::string pieces;
  for (Event event = reader.next(); event != Event::end; event = reader.next()) {
    if (event == Event::item_begin) {
      for (auto piece = reader.read_some(3); !piece.empty(); piece = reader.read_some(3)) {
        pieces.append(reinterpret_cast<const char*>(piece.data()), piece.size());
        pieces += '|';
      }
    }
  }
  CHECK(pieces == "abc|d|efg|hij|");
}

TEST_CASE("what is tolerated leaves a defect and the rest is read") {
  const auto check = [](const Encoded& bytes, std::string_view rule, const Lines& lines) {
    CHECK(test::rules(bytes.bytes(), k_explicit_vr_little_endian) == Lines{std::string(rule)});
    CHECK(test::events(bytes.bytes(), k_explicit_vr_little_endian) == lines);
  };
  const Form form = Form::explicit_little;
  check(Encoded(form).element(tags::patient_id, "LO", "abc").element(tags::patient_sex, "CS", "M "),
        "structure.odd-length", {"0010,0020 LO=abc", "0010,0040 CS=M ", "end"});
  check(Encoded(form).element(tags::patient_sex, "CS", "M ").element(tags::patient_id, "LO", "ab"),
        "structure.tag-order", {"0010,0040 CS=M ", "0010,0020 LO=ab", "end"});
  check(Encoded(form).element(tags::patient_id, "LO", "ab").element(tags::patient_id, "LO", "cd"),
        "structure.duplicate-tag", {"0010,0020 LO=ab", "0010,0020 LO=cd", "end"});
  check(Encoded(form).head(k_sequence, "SQ", k_undefined_length).item().item_end(4).sequence_end(),
        "structure.delimiter-length", {"+0008,1140", "item", "/item", "/0008,1140", "end"});
  check(Encoded(form).head(k_sequence, "SQ", k_undefined_length).item().item_end().sequence_end(8),
        "structure.delimiter-length", {"+0008,1140", "item", "/item", "/0008,1140", "end"});
  check(Encoded(form).head(k_sequence, "SQ", k_undefined_length).item().sequence_end(), "structure.missing-delimiter",
        {"+0008,1140", "item", "/item", "/0008,1140", "end"});
  check(Encoded(form).head(k_sequence, "SQ", 8).item(0).sequence_end().element(tags::patient_id, "LO", "ab"),
        "structure.stray-delimiter", {"+0008,1140", "item", "/item", "/0008,1140", "0010,0020 LO=ab", "end"});
  check(Encoded(form).element(tags::patient_id, "LO", "ab").raw(std::string(40, '\0')), "structure.trailing-bytes",
        {"0010,0020 LO=ab", "end"});
  check(Encoded(form).element(tags::patient_id, "LO", "ab").raw(std::string(3, '\0')), "structure.trailing-bytes",
        {"0010,0020 LO=ab", "end"});
  check(Encoded(form).element(tags::pixel_data, "OW", "abcd").raw("rubbish of some length"), "structure.trailing-bytes",
        {"7FE0,0010 OW=abcd", "end"});
  check(Encoded(form).tag({0x0018, 0x0010}).raw("ZZ").u16(0).u32(2).raw("ab").element(tags::rows, "US", "ab"),
        "structure.unknown-vr", {"0018,0010 --=ab", "0028,0010 US=ab", "end"});
  check(Encoded(form).element(k_sequence, "SQ", "no item in here.").element(tags::patient_id, "LO", "ab"),
        "structure.not-items", {"0008,1140 SQ=no item in here.", "0010,0020 LO=ab", "end"});
}

TEST_CASE("what cannot be read on ends as broken, not as truncated") {
  const auto last = [](const Encoded& bytes) {
    return test::events(bytes.bytes(), k_explicit_vr_little_endian).back();
  };
  const Form form = Form::explicit_little;
  CHECK(last(Encoded(form).element(tags::modality, "CS", "CT").raw("\x10\x10\x20\x10\x01\x02\x03\x04 more of it")) ==
        "broken");
  CHECK(last(Encoded(form).item(0)) == "broken");
  // An element that is longer than its item, an item that is longer than its sequence.
  CHECK(last(Encoded(form)
                 .head(k_sequence, "SQ", 18)
                 .item(10)
                 .head(tags::modality, "CS", 40)
                 .raw("CT")
                 .raw(std::string(40, ' '))) == "broken");
  CHECK(last(Encoded(form).head(k_sequence, "SQ", 10).item(10).raw(std::string(40, ' '))) == "broken");
  CHECK(last(Encoded(form).head(tags::patient_id, "UT", k_undefined_length).raw("abcdefgh")) == "broken");
}

TEST_CASE("a length larger than what is left is truncation, whatever its size") {
  for (const std::uint32_t length : {11U, 1000U, 0x7FFFFFFFU, 0xFFFFFFFEU}) {
    const std::string bytes =
        Encoded(Form::explicit_little).head(tags::pixel_data, "OW", length).raw("0123456789").bytes();
    CHECK(test::events(bytes, k_explicit_vr_little_endian) == Lines{"truncated"});
  }
}

TEST_CASE("nesting is capped without recursion") {
  const auto deep = [](std::size_t levels) {
    Encoded bytes(Form::explicit_little);
    for (std::size_t i = 0; i < levels; ++i) {
      bytes.head(k_sequence, "SQ", k_undefined_length).item();
    }
    for (std::size_t i = 0; i < levels; ++i) {
      bytes.item_end().sequence_end();
    }
    return bytes.bytes();
  };
  CHECK(test::events(deep(DataSetReader::k_deepest_nesting), k_explicit_vr_little_endian).back() == "end");
  CHECK(test::events(deep(DataSetReader::k_deepest_nesting + 1), k_explicit_vr_little_endian).back() == "broken");
  CHECK(test::rules(deep(100000), k_explicit_vr_little_endian) == Lines{"structure.too-deep"});
}

TEST_CASE("the number of defects is capped, and the last one says so") {
  Encoded bytes(Form::explicit_little);
  for (unsigned i = 0; i < 500; ++i) {
    bytes.element({0x0009, static_cast<std::uint16_t>(0x1000 + i)}, "LO", "x");
  }
  const auto names = test::rules(bytes.bytes(), k_explicit_vr_little_endian);
  REQUIRE(names.size() == DataSetReader::k_most_defects + 1);
  CHECK(names.back() == "structure.more");
  // What ended the reading is always among them.
  const auto cut = test::rules(bytes.bytes() + "\x10", k_explicit_vr_little_endian);
  CHECK(std::ranges::find(cut, "structure.truncated") != cut.end());
}

TEST_CASE("paths count items from one") {
  const std::string bytes = Encoded(Form::explicit_little)
                                .head(k_sequence, "SQ", k_undefined_length)
                                .item()
                                .item_end()
                                .item()
                                .element(tags::referenced_sop_instance_uid, "UI", "1.2.3")
                                .item_end()
                                .sequence_end()
                                .bytes();
  const auto source = make_memory_source(test::as_bytes(bytes));
  DataSetReader reader(*source, transfer_syntax(k_explicit_vr_little_endian));
  while (reader.next() != Event::element) {
  }
  CHECK(reader.tag_path() == "0008,1140[2]/0008,1155");
  CHECK(reader.depth() == 1);
  while (reader.next() != Event::end) {
  }
  REQUIRE(reader.defects().size() == 1);
  CHECK(reader.defects().front().tag_path == "0008,1140[2]/0008,1155");
}

TEST_CASE("skipping a sequence goes on behind it") {
  for (const bool defined : {true, false}) {
    const std::string bytes = nested(Form::explicit_little, defined);
    const auto source = make_memory_source(test::as_bytes(bytes));
    DataSetReader reader(*source, transfer_syntax(k_explicit_vr_little_endian));
    while (reader.next() != Event::sequence_begin) {
    }
    reader.skip_sequence();
    CHECK(reader.next() == Event::element);
    CHECK(reader.header().tag == tags::patient_sex);
    reader.skip_sequence();
    CHECK(reader.next() == Event::end);
  }
}

TEST_CASE("a data set that is cut anywhere but between two elements is truncated, and never crashes") {
  const std::string whole = test::small_ct_data_set();
  std::size_t sound = 0;
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const Lines lines = test::events(std::string_view(whole).substr(0, size), k_explicit_vr_little_endian);
    sound += lines.back() == "end" ? 1 : 0;
    CHECK(lines.back() != "broken");
  }
  // Nothing at all, and after each of the 19 top-level elements.
  CHECK(sound == 20);
}

TEST_CASE("bytes changed at random never crash or hang") {
  std::mt19937 random(20240510);
  const std::string whole = test::small_ct_data_set();
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = whole;
    for (unsigned i = 0; i < 1 + random() % 4; ++i) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    for (const Form form : {Form::implicit_little, Form::explicit_little, Form::explicit_big}) {
      CHECK(test::events(bytes, uid_of(form)).size() < 2 * bytes.size());
    }
  }
}
