#include <kuva/core/file.hpp>
#include <kuva/hl7/check.hpp>
#include <kuva/hl7/message.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <support/shared_material.hpp>

using namespace kuva::hl7;

namespace {

constexpr std::uint64_t k_limit = 1U << 20U;

std::string error_code(std::string_view bytes, const Limits& limits = {}) {
  try {
    static_cast<void>(MessageFile::parse(bytes, limits));
    return {};
  } catch (const kuva::Error& error) {
    return std::string(error.kind().code);
  }
}

}  // namespace

TEST_CASE("a message is read by its own delimiters and given back as it was") {
  const std::string text = "MSH*#~\\$*APP*FAC\rPID***1###A$1.2.3$ISO~2##x\rZXX**\"\"\r";
  const Message message = Message::parse(text);
  CHECK(message.bytes() == text);
  CHECK(message.raw("MSH", 1) == "*");
  CHECK(message.raw("MSH", 2) == "#~\\$");
  CHECK(message.raw("MSH", 3) == "APP");
  CHECK(message.raw("PID", 3, 4, 1, 2) == "1.2.3");
  CHECK(message.raw("PID", 3, 1, 2) == "2");
  CHECK(message.raw("PID", 3, 1, 3) == "");
  CHECK(message.raw("PID", 99) == "");
  CHECK(is_null(message.raw("ZXX", 2)));
  CHECK_FALSE(is_null(message.raw("ZXX", 1)));
}

TEST_CASE("ends of segments: CR, LF and CR LF are kept; with CR, an LF is data") {
  for (const std::string_view text :
       {"MSH|^~\\&|A\nPID|||1\n", "MSH|^~\\&|A\r\nPID|||1\r\n", "MSH|^~\\&|A\rPID|||1", "MSH|^~\\&|A\r\rPID|||1\r\r\r",
        "\n  MSH|^~\\&|A\n  PID|||1\n  ", "\x0BMSH|^~\\&|A\rPID|||1\r\x1C\r", "\xEF\xBB\xBFMSH|^~\\&|A\rPID|||1\r",
        "\n\xEF\xBB\xBF MSH|^~\\&|A\n \xEF\xBB\xBFPID|||1\n"}) {
    const Message message = Message::parse(text);
    CHECK(message.bytes() == text);
    CHECK(message.segments().size() == 2);
    CHECK(message.wire_bytes() == "MSH|^~\\&|A\rPID|||1\r");
  }
  const Message message = Message::parse("MSH|^~\\&|A\rNTE|||one\ntwo\r");
  CHECK(message.segments().size() == 2);
  CHECK(message.raw("NTE", 3) == "one\ntwo");
}

TEST_CASE("a change touches its place alone") {
  Message message = Message::parse("MSH|^~\\&|A\r\nPID|||1^^^X~2^^^Y||Old^Name^^|\r\nZ01|kept \r\n");
  message.set_text({"PID", 5, 1, 2, 0, 1}, "Z|Q", CharacterSet::utf8());
  message.set_raw({"PID", 3, 2, 4, 2, 1}, "1.2.3");
  message.set_raw({"PID", 8, 1, 0, 0, 1}, "F");
  CHECK(message.bytes() == "MSH|^~\\&|A\r\nPID|||1^^^X~2^^^Y&1.2.3||Old^Z\\F\\Q^^|||F\r\nZ01|kept \r\n");
}

TEST_CASE("files of several messages, with and without the envelopes of a batch") {
  const std::string text =
      "FHS|^~\\&|A\rBHS|^~\\&|A\rMSH|^~\\&|A||||||ADT^A08|1\rPID|1\rMSH|^~\\&|A||||||ADT^A31|2\rPID|1\rBTS|2\rFTS|"
      "1\r\n\n";
  const MessageFile file = MessageFile::parse(text);
  CHECK(file.bytes() == text);
  CHECK(file.parts.size() == 6);
  REQUIRE(file.messages().size() == 2);
  CHECK(file.messages()[1]->control_id() == "2");
  CHECK(file.messages()[0]->segments().size() == 2);
}

TEST_CASE("what is no message is refused with its reason") {
  CHECK(error_code("") == "hl7.malformed");
  CHECK(error_code("PID|1\r") == "hl7.malformed");
  CHECK(error_code("MSH") == "hl7.malformed");
  CHECK(error_code("MSHA^~\\&A") == "hl7.malformed");
  CHECK(error_code("BHS|^~\\&|A\rBTS|0\r") == "hl7.malformed");
  CHECK(error_code("<html>") == "hl7.malformed");
  Limits limits;
  limits.bytes = 20;
  CHECK(error_code("MSH|^~\\&|A\rPID|||12345678\r", limits) == "hl7.too-large");
  limits = {};
  limits.segments = 2;
  CHECK(error_code("MSH|^~\\&|A\rPID|1\rNTE|1\r", limits) == "hl7.too-large");
  limits = {};
  limits.fields = 3;
  CHECK(error_code("MSH|^~\\&|A\rPID|1|2|3|4\r", limits) == "hl7.too-large");
}

TEST_CASE("positions as text and back") {
  for (const std::string_view text : {"PID-3", "PID-3[2].4.1", "MSH-9.2", "PID(2)-3", "Z01-12"}) {
    const auto position = Position::parse(text);
    REQUIRE(position);
    CHECK(position->to_string() == text);
  }
  for (const std::string_view text :
       {"", "PID", "PID-", "PID-0", "pid-3", "PID-3.", "PID-3[", "PID-3.1.1.1", "PID-3 "}) {
    CHECK_FALSE(Position::parse(text));
  }
}

TEST_CASE("messages that others wrote are given back byte by byte") {
  const auto samples = kuva::test::shared_material("samples/hl7");
  if (!samples) {
    MESSAGE("skipped: no samples/hl7 (KUVA_SHARED)");
    return;
  }
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*samples)) {
    if (entry.path().extension() != ".hl7") {
      continue;
    }
    ++count;
    CAPTURE(entry.path().filename().string());
    const std::string bytes = kuva::read_small_file(entry.path(), k_limit);
    const MessageFile file = MessageFile::parse(bytes);
    CHECK(file.bytes() == bytes);
    for (const Message* message : file.messages()) {
      CHECK(Message::parse(message->bytes()).bytes() == message->bytes());
      CHECK(Message::parse(message->wire_bytes()).wire_bytes() == message->wire_bytes());
      static_cast<void>(check(*message));
    }
  }
  CHECK(count > 40);
}

TEST_CASE("an end of block after the last field is no part of it") {
  for (const std::string_view text : {"MSH|^~\\&|A\rPID|||1\x1C\r", "MSH|^~\\&|A\rPID|||1\x1C",
                                      "MSH|^~\\&|A\nPID|||1\x1C\n", "MSH|^~\\&|A\rPID|||1\x1C\x1C\r \r"}) {
    const Message message = Message::parse(text);
    CHECK(message.bytes() == text);
    CHECK(message.wire_bytes() == "MSH|^~\\&|A\rPID|||1\r");
  }
}

TEST_CASE("a message does not vanish into another one where ends of lines differ") {
  const std::string with_lf = "MSH|^~\\&|A||||||ADT^A31|1\nPID|||1\n";
  const std::string with_cr = "MSH|^~\\&|A||||||ADT^A31|2\rPID|||2\r";
  CHECK(error_code(with_lf + with_cr) == "hl7.malformed");
  CHECK(error_code(with_lf + "\n  " + with_cr) == "hl7.malformed");
  CHECK(error_code(with_cr + with_cr).empty());
  const MessageFile file = MessageFile::parse(with_cr + with_lf);
  CHECK(file.messages().size() == 2);
  CHECK(file.messages().back()->raw("PID", 3) == "1");
  // Two with LF behind it come as one with two headers, which is an error of it.
  const MessageFile joined = MessageFile::parse(with_cr + with_lf + with_lf);
  const auto findings = check(*joined.messages().back());
  CHECK(std::any_of(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.position == "MSH(2)" && finding.severity == Severity::error;
  }));
}

TEST_CASE("limits of what takes memory: pieces of a field, fields of a message") {
  Limits limits;
  limits.pieces = 10;
  limits.all_fields = 30;
  const std::string header = "MSH|^~\\&|A\r";
  CHECK(error_code(header + "PID|" + std::string(9, '~') + "\r", limits).empty());
  CHECK(error_code(header + "PID|" + std::string(10, '~') + "\r", limits) == "hl7.too-large");
  CHECK(error_code(header + "PID|" + std::string(6, '^') + std::string(6, '&') + "\r", limits) == "hl7.too-large");
  CHECK(error_code(header + "PID" + std::string(20, '|') + "\r", limits).empty());
  CHECK(error_code(header + "PID" + std::string(20, '|') + "\rPID" + std::string(20, '|') + "\r", limits) ==
        "hl7.too-large");
}
