#include <kuva/mllp/frame.hpp>

#include <doctest/doctest.h>

#include <vector>

using kuva::mllp::BlockParser;

namespace {

struct Parsed {
  std::vector<std::string> messages;
  kuva::mllp::FramingFaults faults;
};

Parsed parse(std::string_view bytes, std::size_t step) {
  BlockParser parser(100);
  Parsed parsed;
  const auto take = [&] {
    while (auto message = parser.next()) {
      parsed.messages.push_back(std::move(*message));
    }
  };
  while (!bytes.empty()) {
    parser.write(bytes.substr(0, step));
    bytes.remove_prefix(std::min(step, bytes.size()));
    take();
  }
  parser.finish();
  take();
  parsed.faults = parser.faults();
  return parsed;
}

}  // namespace

TEST_CASE("blocks however the bytes are cut") {
  using Messages = std::vector<std::string>;
  for (const std::size_t step : {1U, 2U, 3U, 7U, 1000U}) {
    CHECK(parse("\x0B"
                "a\rb\r\x1C\r\x0B"
                "c\x1C\r",
                step)
              .messages == Messages{"a\rb\r", "c"});
    const Parsed noisy = parse(
        "noise\r\n\x0B"
        "a\x1C\rxx\x0B"
        "b\x1C\r",
        step);
    CHECK(noisy.messages == Messages{"a", "b"});
    CHECK(noisy.faults.bytes_between == 7);
    const Parsed without = parse(
        "\x0B"
        "a\x1C\x0B"
        "b\x1C",
        step);
    CHECK(without.messages == Messages{"a", "b"});
    CHECK(without.faults.missing_returns == 2);
    const Parsed cut = parse(
        "\x0B"
        "a\x0B"
        "b\x1C\r",
        step);
    CHECK(cut.messages == Messages{"b"});
    CHECK(cut.faults.blocks_cut == 1);
    CHECK(parse("\x0B"
                "a",
                step)
              .messages.empty());
    CHECK(parse("\x0B\x1C\r", step).messages == Messages{""});
  }
  CHECK_FALSE(parse("\x0B"
                    "a\x1C\r\r\n\x0B"
                    "b\x1C\r\n",
                    3)
                  .faults.any());
  CHECK(kuva::mllp::to_block("a") ==
        "\x0B"
        "a\x1C\r");
}

TEST_CASE("a block without an end does not fill the memory") {
  CHECK_THROWS_AS(parse("\x0B" + std::string(200, 'x'), 10), kuva::Error);
  CHECK(parse("\x0B" + std::string(100, 'x') + "\x1C\r", 10).messages.size() == 1);
}

TEST_CASE("what would arrive cut is not put into a block") {
  CHECK(kuva::mllp::to_block("a\r") ==
        "\x0B"
        "a\r\x1C\r");
  for (const char* text : {"a\x1C"
                           "b",
                           "a\x0B"
                           "b"}) {
    try {
      kuva::mllp::to_block(text);
      FAIL("it was");
    } catch (const kuva::Error& error) {
      CHECK(error.kind().code == "hl7.malformed");
    }
  }
}
