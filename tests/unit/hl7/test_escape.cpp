#include <kuva/hl7/escape.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace kuva::hl7;

namespace {

const Delimiters k_usual;

std::string text(std::string_view raw, std::string_view set = "UNICODE UTF-8") {
  return decode(raw, k_usual, *CharacterSet::find(set)).text;
}

}  // namespace

TEST_CASE("every escape sequence") {
  CHECK(text("a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f\\P\\") == "a|b^c&d~e\\f#");
  CHECK(text("\\X41\\\\XC3A4\\") == "A\xC3\xA4");
  CHECK(text("\\XE4\\", "8859/1") == "\xC3\xA4");
  CHECK(text("a\\.br\\b\\.sp2\\c\\.sk 3\\d") == "a\nb\n\nc   d");
  CHECK(text("\\H\\loud\\N\\\\.in+4\\") == "loud");
  CHECK(text("12'4\\\"") == "12'4\\\"");
  for (const std::string_view kept : {"a\\", "\\", "\\Zlocal\\", "\\C2842\\", "\\X4\\", "\\XGG\\", "\\.\\"}) {
    const DecodedText decoded = decode(kept, k_usual, CharacterSet::utf8());
    CHECK(decoded.text == kept);
    CHECK(decoded.unknown_escapes);
  }
}

TEST_CASE("what is written can be read again") {
  const std::string awkward = "a|b^c&d~e\\f\r\n\tg \xC3\xA4\xC5\xA1";
  const std::string bytes = encode(awkward, k_usual, CharacterSet::utf8());
  CHECK(bytes == "a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f\\X0D\\\\X0A\\\\X09\\g \xC3\xA4\xC5\xA1");
  CHECK(text(bytes) == awkward);
}

TEST_CASE("character sets of table 0211, and what is common in its place") {
  CHECK(CharacterSet::find("")->is_ascii());
  CHECK(CharacterSet::find("UNICODE UTF-8")->is_utf8());
  CHECK_FALSE(CharacterSet::find("UNICODE UTF-8")->is_misspelt());
  CHECK(CharacterSet::find("utf-8")->is_misspelt());
  CHECK(CharacterSet::find("ISO-8859-1")->term() == "8859/1");
  CHECK_FALSE(CharacterSet::find("EBCDIC"));
  CHECK(text("\xA4", "8859/15") == "\xE2\x82\xAC");
  CHECK(text("\xA4", "8859/1") == "\xC2\xA4");
  CHECK_FALSE(decode("\xE4", k_usual, CharacterSet::ascii()).clean);
  CHECK_FALSE(decode("\xE4", k_usual, CharacterSet::utf8()).clean);
  CHECK_FALSE(decode("\x96", k_usual, *CharacterSet::find("8859/1")).clean);
  CHECK_FALSE(CharacterSet::find("8859/1")->from_utf8("\xC5\xA0"));
  CHECK(CharacterSet::find("8859/15")->from_utf8("\xC5\xA0") == "\xA6");
  CHECK_THROWS_AS(encode("\xC5\xA0", k_usual, *CharacterSet::find("8859/1")), kuva::Error);
  CHECK_THROWS_AS(encode("\xE4", k_usual, CharacterSet::utf8()), kuva::Error);
}
