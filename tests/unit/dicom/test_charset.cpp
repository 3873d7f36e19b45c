#include <kuva/dicom/charset.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <thread>

using kuva::dicom::CharacterSets;
using kuva::dicom::Vr;

namespace {

// The replacement character.
const std::string k_lost = "\xEF\xBF\xBD";

// Decodes what must be clean.
std::string text(std::string_view terms, std::string_view bytes, Vr vr = Vr::PN) {
  const CharacterSets sets(terms);
  CHECK(sets.defect() == "");
  const auto decoded = sets.decode(bytes, vr);
  CHECK(decoded.clean);
  return decoded.text;
}

}  // namespace

TEST_CASE("the default repertoire is ASCII and nothing else") {
  CHECK(text("", "Doe^Jane") == "Doe^Jane");
  CHECK(CharacterSets().defect() == "");
  CHECK(CharacterSets().terms() == "");
  const auto decoded = CharacterSets().decode("Buc^J\xE9r\xF4me", Vr::PN);
  CHECK(decoded.text == "Buc^J" + k_lost + "r" + k_lost + "me");
  CHECK_FALSE(decoded.clean);
}

TEST_CASE("single-byte sets without code extensions") {
  CHECK(text("ISO_IR 100", "Buc^J\xE9r\xF4me") == "Buc^Jérôme");
  CHECK(text("ISO_IR 100", "\xC5kerblom^V\xE4in\xF6") == "Åkerblom^Väinö");
  CHECK(text("ISO_IR 101", "Wa\xB3\xEAsa") == "Wałęsa");
  CHECK(text("ISO_IR 109", "\xA1\xB1") == "Ħħ");
  CHECK(text("ISO_IR 110", "\xD3\xF3") == "Ķķ");
  CHECK(text("ISO_IR 144", "\xBB\xEE\xDA\x63\x65\xDC\xD1\x79\xE0\x67") == "Люкceмбyрg");
  CHECK(text("ISO_IR 127", "\xE2\xC8\xC7\xE6\xEA^\xE4\xE6\xD2\xC7\xD1") == "قباني^لنزار");
  CHECK(text("ISO_IR 126", "\xC4\xE9\xEF\xED\xF5\xF3\xE9\xEF\xF2") == "Διονυσιος");
  CHECK(text("ISO_IR 138", "\xF9\xF8\xE5\xEF^\xE3\xE1\xE5\xF8\xE4") == "שרון^דבורה");
  CHECK(text("ISO_IR 148", "\xDDstanbul \xF0\xFE") == "İstanbul ğş");
  CHECK(text("ISO_IR 166", "\xA1\xD2") == "กา");
  CHECK(text("ISO_IR 203", "\xA4 \xA6 \xBC") == "€ Š Œ");
  CHECK(text("ISO_IR 13", "\xD4\xCF\xC0\xDE^\xC0\xDB\xB3") == "ﾔﾏﾀﾞ^ﾀﾛｳ");
}

TEST_CASE("sets that are used alone") {
  CHECK(text("ISO_IR 192", "Wang^XiaoDong=王^小東") == "Wang^XiaoDong=王^小東");
  CHECK(text("GB18030", "Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB") == "Wang^XiaoDong=王^小东");
  CHECK(text("GB18030", "\x81\x30\x81\x30") == "\xC2\x80");
  CHECK(text("GBK", "Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB") == "Wang^XiaoDong=王^小东");
  // A second byte that looks like a backslash is none.
  CHECK(text("GBK", "\x85\x5C\\b", Vr::LO) == "匼\\b");
}

TEST_CASE("broken text of these sets is replaced and not clean") {
  const auto utf8 = CharacterSets("ISO_IR 192").decode("a\xC3(b\xE4", Vr::LO);
  CHECK_FALSE(utf8.clean);
  CHECK(utf8.text == "a" + k_lost + "(b" + k_lost);
  CHECK_FALSE(CharacterSets("ISO_IR 192").decode("\xED\xA0\x80", Vr::LO).clean);      // a surrogate
  CHECK_FALSE(CharacterSets("ISO_IR 192").decode("\xC0\xAF", Vr::LO).clean);          // overlong
  CHECK_FALSE(CharacterSets("ISO_IR 192").decode("x\x1B(By\xC3\xA4", Vr::LO).clean);  // code extension
  CHECK_FALSE(CharacterSets("GB18030").decode("\x81", Vr::LO).clean);
  CHECK(CharacterSets("GBK").decode("\x1B$B", Vr::LO).text == k_lost + "$B");
}

TEST_CASE("Japanese names of PS3.5 annex H") {
  CHECK(text("\\ISO 2022 IR 87",
             "Yamada^Tarou=\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B=\x1B$B$d$^$@\x1B(B^\x1B$B$?$m$&\x1B(B") ==
        "Yamada^Tarou=山田^太郎=やまだ^たろう");
  CHECK(text("ISO 2022 IR 13\\ISO 2022 IR 87",
             "\xD4\xCF\xC0\xDE^\xC0\xDB\xB3=\x1B$B;3ED\x1B(J^\x1B$BB@O:\x1B(J=\x1B$B$d$^$@\x1B(J^\x1B$B$?$m$&\x1B(J") ==
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう");
  CHECK(text("\\ISO 2022 IR 87\\ISO 2022 IR 159", "\x1B$(D\x30\x21\x1B(B=\x1B$B;3\x1B(B") == "丂=山");
}

TEST_CASE("the Korean name of PS3.5 annex I") {
  const std::string_view name =
      "Hong^Gildong=\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE\xD4\xD7=\x1B$)C\xC8\xAB^\x1B$)C\xB1\xE6\xB5\xBF";
  CHECK(text("\\ISO 2022 IR 149", name) == "Hong^Gildong=洪^吉洞=홍^길동");
}

TEST_CASE("the Chinese names of PS3.5 annexes J and K") {
  CHECK(text("\\ISO 2022 IR 58", "Zhang^XiaoDong=\x1B$)A\xD5\xC5^\x1B$)A\xD0\xA1\xB6\xAB=") ==
        "Zhang^XiaoDong=张^小东=");
  CHECK(text("ISO 2022 IR 6\\ISO 2022 IR 58", "1.\x1B$)A\xB5\xDA\xD2\xBB\r\n2.\x1B$)A\xB5\xDA\xB6\xFE", Vr::LT) ==
        "1.第一\r\n2.第二");
}

TEST_CASE("single-byte sets with code extensions") {
  CHECK(text("ISO 2022 IR 100\\ISO 2022 IR 144", "J\xE9r\xF4me \x1B-L\xBB\xEE", Vr::LO) == "Jérôme Лю");
  CHECK(text("\\ISO 2022 IR 100\\ISO 2022 IR 126", "Dionysios=\x1B-F\xC4\xE9=\x1B-A\xE9") == "Dionysios=Δι=é");
}

TEST_CASE("the state goes back to value 1 at delimiters") {
  // Each line: without a new escape sequence, the bytes behind the delimiter are of value 1 again.
  const CharacterSets sets("ISO 2022 IR 100\\ISO 2022 IR 144");
  CHECK(sets.decode("\x1B-L\xE4^\xE4", Vr::PN).text == "ф^ä");
  CHECK(sets.decode("\x1B-L\xE4=\xE4", Vr::PN).text == "ф=ä");
  CHECK(sets.decode("\x1B-L\xE4\\\xE4", Vr::PN).text == "ф\\ä");
  CHECK(sets.decode("\x1B-L\xE4\\\xE4", Vr::LO).text == "ф\\ä");
  CHECK(sets.decode("\x1B-L\xE4\r\n\xE4", Vr::LT).text == "ф\r\nä");
  CHECK(sets.decode("\x1B-L\xE4\x0C\xE4", Vr::ST).text == "ф\x0Cä");
  // Not a delimiter in these.
  CHECK(sets.decode("\x1B-L\xE4\\\xE4", Vr::UT).text == "ф\\ф");
  CHECK(sets.decode("\x1B-L\xE4^\xE4=\xE4", Vr::LO).text == "ф^ф=ф");

  const auto forgotten = CharacterSets("\\ISO 2022 IR 149").decode("\x1B$)C\xFB\xF3^\xD1\xCE", Vr::PN);
  CHECK_FALSE(forgotten.clean);
  CHECK(forgotten.text.starts_with("洪^" + k_lost));
}

TEST_CASE("bytes of two-byte characters are not delimiters") {
  // 5C, 5E and 3D within JIS X 0208.
  CHECK(text("\\ISO 2022 IR 87", "\x1B$B%^%=%\\\x1B(B^x") == "マソボ^x");
  CHECK(text("\\ISO 2022 IR 87", "\x1B$B%\\\x1B(B\\\x1B$B%^\x1B(B", Vr::LO) == "ボ\\マ");
  // A space and a line end lie outside of the 94 characters.
  CHECK(text("\\ISO 2022 IR 87", "\x1B$B;3 ED\x1B(B", Vr::LO) == "山 田");
  CHECK(CharacterSets("\\ISO 2022 IR 87").decode("\x1B$B;3\nED", Vr::LT).text == "山\nED");
}

TEST_CASE("odd and unknown two-byte characters are replaced") {
  const auto odd = CharacterSets("\\ISO 2022 IR 87").decode("\x1B$B;3E", Vr::LO);
  CHECK(odd.text == "山" + k_lost);
  CHECK_FALSE(odd.clean);
  const auto unknown = CharacterSets("\\ISO 2022 IR 87").decode("\x1B$B;3/!ED\x1B(B", Vr::LO);
  CHECK(unknown.text == "山" + k_lost + "田");
  CHECK_FALSE(unknown.clean);
  CHECK_FALSE(CharacterSets("\\ISO 2022 IR 149").decode("\x1B$)C\xFB", Vr::LO).clean);
}

TEST_CASE("JIS X 0201 has a yen sign and an overline, and a delimiter stays one") {
  CHECK(text("ISO_IR 13", "a\\b~", Vr::LO) == "a\\b‾");
  CHECK(text("ISO_IR 13", "5\\", Vr::ST) == "5¥");
  const auto unknown = CharacterSets("ISO_IR 13").decode("\xB1\xE0\xB2\x80\xA0", Vr::LO);
  CHECK(unknown.text == "ｱ" + k_lost + "ｲ" + k_lost + k_lost);
  CHECK_FALSE(unknown.clean);
  CHECK(text("ISO 2022 IR 13\\ISO 2022 IR 87", "\x1B(B~", Vr::LO) == "~");
}

TEST_CASE("escape sequences that were not declared are followed but not clean") {
  const auto undeclared = CharacterSets("\\ISO 2022 IR 149").decode("\x1B$B;3\x1B(B", Vr::LO);
  CHECK(undeclared.text == "山");
  CHECK_FALSE(undeclared.clean);
  CHECK_FALSE(CharacterSets("ISO_IR 100").decode("\x1B-A\xE4", Vr::LO).clean);
  CHECK_FALSE(CharacterSets().decode("\x1B(Ba", Vr::LO).clean);
  // One that no set has.
  const auto unknown = CharacterSets("\\ISO 2022 IR 87").decode("a\x1B%Gb", Vr::LO);
  CHECK(unknown.text == "a" + k_lost + "%Gb");
  CHECK_FALSE(unknown.clean);
  CHECK_FALSE(CharacterSets("\\ISO 2022 IR 87").decode("a\x1B", Vr::LO).clean);
}

TEST_CASE("C1 control characters betray a Windows code page") {
  const auto decoded = CharacterSets("ISO_IR 100").decode("\x93quoted\x94 \xE4", Vr::LO);
  CHECK(decoded.text == k_lost + "quoted" + k_lost + " ä");
  CHECK_FALSE(decoded.clean);
}

TEST_CASE("defects of Specific Character Set itself") {
  const auto defect = [](std::string_view value) { return CharacterSets(value).defect(); };
  CHECK(defect("ISO_IR 100 ") == "");
  CHECK(defect(" ISO_IR 100") == "");
  CHECK(defect("ISO 2022 IR 6\\ISO 2022 IR 87") == "");
  CHECK(defect("\\ISO 2022 IR 87") == "");
  CHECK(defect("ISO_IR 999") == "value 1 (ISO_IR 999) is not a defined term");
  CHECK(defect("\x01\x02") == "value 1 is not a defined term");
  CHECK(defect("ISO-IR 100") == "value 1 is misspelt, ISO_IR 100 is meant");
  CHECK(defect("iso_ir_192") == "value 1 is misspelt, ISO_IR 192 is meant");
  CHECK(defect("ISO_IR 192\\ISO 2022 IR 87") == "ISO_IR 192 cannot be used with other character sets");
  CHECK(defect("ISO 2022 IR 6\\GB18030") == "GB18030 cannot be used with other character sets");
  CHECK(defect("ISO_IR 100\\ISO 2022 IR 144") ==
        "ISO_IR 100 cannot be used with code extensions, its ISO 2022 term is meant");
  CHECK(defect("ISO 2022 IR 87") == "ISO 2022 IR 87 cannot be value 1");
  CHECK(defect("ISO 2022 IR 100\\\\ISO 2022 IR 144") == "value 2 is empty");

  CHECK(CharacterSets("ISO-IR 100").decode("\xE4", Vr::LO).text == "ä");
  CHECK(CharacterSets("ISO_IR 999").decode("abc", Vr::LO).text == "abc");
  // Seen in the field: the multi-byte set as the only value, with or without escape sequences.
  CHECK(CharacterSets("ISO 2022 IR 149").decode("\xFB\xF3", Vr::LO).text == "洪");
  CHECK(CharacterSets("ISO 2022 IR 149").decode("\x1B$)C\xFB\xF3", Vr::LO).text == "洪");
  CHECK(CharacterSets("ISO 2022 IR 87").decode("\x1B$B;3\x1B(B", Vr::LO).text == "山");
}

TEST_CASE("a copy decodes on its own") {
  const CharacterSets original("ISO_IR 100");
  CHECK(original.decode("\xE4", Vr::LO).text == "ä");
  CharacterSets copy = original;
  std::string in_thread;
  std::thread([&] { in_thread = copy.decode("\xF6", Vr::LO).text; }).join();
  CHECK(in_thread == "ö");
  CHECK(original.decode("\xE5", Vr::LO).text == "å");
  copy = CharacterSets("ISO_IR 144");
  CHECK(copy.decode("\xE4", Vr::LO).text == "ф");
}

TEST_CASE("a long value is decoded whole") {
  std::string bytes;
  std::string expected;
  for (int i = 0; i < 5000; ++i) {
    bytes += "\xE4x";
    expected += "äx";
  }
  CHECK(text("ISO_IR 100", bytes, Vr::UT) == expected);
}
