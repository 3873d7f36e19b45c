#include <kuva/core/base64.hpp>
#include <kuva/core/record.hpp>

#include <doctest/doctest.h>

using namespace kuva;

TEST_CASE("a record begins with type, tool, time, outcome and ok; a later stage replaces its part in place") {
  Json record = make_record("instance", "kuva-validate", outcome::valid, true);
  record["path"] = "a.dcm";
  set_error(record, Error(kind("internal"), "x"));
  set_outcome(record, "kuva-send", outcome::stored, true);
  record["time"] = "T";
  CHECK(to_line(record) ==
        R"({"type":"instance","tool":"kuva-send","time":"T","outcome":"stored","ok":true,"path":"a.dcm"})");
}

TEST_CASE("invalid UTF-8 never throws") {
  Json record;
  record["x"] = std::string("a\xFFz");
  CHECK(to_line(record) == "{\"x\":\"a\xEF\xBF\xBDz\"}");
}

TEST_CASE("paths survive whatever their bytes") {
  for (const std::string& path :
       {std::string("plain"), std::string("\xC3\xA4"), std::string("bad\xFF\xFE"), std::string()}) {
    CHECK(path_from_json(path_to_json(path)) == path);
  }
  CHECK(path_to_json("bad\xFF").is_object());
  CHECK(path_from_json(Json(3)).empty());
  CHECK(path_from_json(Json{{"bytes", "***"}}).empty());
}

TEST_CASE("UTF-8 is checked by the rules of RFC 3629") {
  CHECK(is_utf8(""));
  CHECK(is_utf8("\xC3\xA5\xE2\x82\xAC\xF0\x9F\x98\x80"));
  CHECK_FALSE(is_utf8("\xC0\xAF"));          // overlong
  CHECK_FALSE(is_utf8("\xED\xA0\x80"));      // surrogate
  CHECK_FALSE(is_utf8("\xF4\x90\x80\x80"));  // beyond U+10FFFF
  CHECK_FALSE(is_utf8("\xE2\x82"));          // cut
}

TEST_CASE("base64 round trips and refuses what it is not") {
  for (std::size_t length = 0; length < 20; ++length) {
    std::string bytes;
    for (std::size_t i = 0; i < length; ++i) {
      bytes.push_back(static_cast<char>(255 - 13 * i));
    }
    CHECK(base64_decode(base64_encode(bytes)) == bytes);
  }
  CHECK(base64_encode("any carnal pleas") == "YW55IGNhcm5hbCBwbGVhcw==");
  CHECK_FALSE(base64_decode("abc"));
  CHECK_FALSE(base64_decode("a*c="));
}
