#include <kuva/hl7/check.hpp>
#include <kuva/hl7/field_names.hpp>

#include <doctest/doctest.h>

#include <algorithm>

using namespace kuva::hl7;

namespace {

const std::string k_header = "MSH|^~\\&|A|B|C|D|20260101||ADT^A40^ADT_A39|1|P|2.5.1||||||UNICODE UTF-8\r";
const std::string k_good = k_header + "EVN||20260101\rPID|||1^^^X||Doe^Jane||19700101|F\rMRG|2^^^X\r";

std::string findings(const std::string& text, const CheckProfile& profile = {}) {
  std::string all;
  for (const Finding& finding : check(Message::parse(text), profile)) {
    all += (all.empty() ? "" : " ") + std::string(finding.severity == Severity::error ? "!" : "") + finding.rule +
           (finding.position.empty() ? "" : "@" + finding.position);
  }
  return all;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("a good merge has no findings") { CHECK(findings(k_good) == ""); }

TEST_CASE("findings of a merge") {
  CHECK(findings(replaced(k_good, "2^^^X", "1^^^X")) == "!merge.self@MRG-1");
  CHECK(findings(replaced(k_good, "2^^^X", "1^^^&1.2.3&ISO")) == "!merge.self@MRG-1");
  CHECK(findings(replaced(k_good, "2^^^X", "131052-308T^^^&1.2.246.21&ISO")) == "");
  CHECK(findings(replaced(k_good, "2^^^X", "131052-308U^^^&1.2.246.21&ISO")) == "!identifier.national@MRG-1");
  CHECK(findings(replaced(k_good, "2^^^X", "2")) == "!field.missing@MRG-1.4");
  CHECK(findings(replaced(k_good, "MRG|2^^^X\r", "")) == "!segment.missing@MRG");
  CHECK(findings(k_good + "PID|||3^^^X||A\rMRG|4^^^X\r") == "!segment.repeated@PID(2) !segment.repeated@MRG(2)");
  CHECK(findings(replaced(k_good, "Doe^Jane", "")) == "!field.missing@PID-5");
  CHECK(findings(replaced(k_good, "|F\r", "|X\r")) == "value.not-of-table@PID-8");
  CHECK(findings(replaced(k_good, "PID|||1", "PID||9|1")) == "field.retired@PID-2");
  CHECK(findings(replaced(k_good, "EVN||20260101\r", "")) == "segment.missing@EVN");
  CHECK(findings(k_good + "XXX|1\r") == "segment.unexpected@XXX");
  CHECK(findings(k_good + "ZZZ|1\r") == "");
}

TEST_CASE("findings of the header") {
  CHECK(findings(replaced(k_good, "|A|B|C|", "||B|C|")) == "!field.missing@MSH-3");
  CHECK(findings(replaced(k_good, "|1|P|", "||P|")) == "!field.missing@MSH-10");
  CHECK(findings(replaced(k_good, "A40^ADT_A39", "A40^ADT_A40")) == "event.structure@MSH-9.3");
  CHECK(findings(replaced(k_good, "A40^ADT_A39", "A34")).starts_with("!event.not-taken@MSH-9.2"));
  CHECK(findings(replaced(k_good, "UNICODE UTF-8", "EBCDIC")) == "!charset.unknown@MSH-18");
  CHECK(findings(replaced(k_good, "UNICODE UTF-8", "UTF-8")) == "charset.misspelt@MSH-18");
  CHECK(findings(replaced(k_good, "|2.5.1|", "|3.0|")).find("!version.unknown@MSH-12.1") != std::string::npos);
  CHECK(findings(replaced(k_good, "Jane", "J\xE4ne")) == "!charset.bytes@PID-5");
  CHECK(findings(replaced(k_good, "Jane", "J\\Zx\\ne")) == "escape.unknown@PID-5");
  CheckProfile profile;
  profile.assumed_set = CharacterSet::find("8859/1");
  CHECK(findings(replaced(k_good, "UNICODE UTF-8", "EBCDIC"), profile) == "charset.unknown@MSH-18");
  profile.required.push_back({*Position::parse("PID-11"), "annex"});
  profile.events = {"A31"};
  CHECK(findings(k_good, profile) == "!field.missing@PID-11 !event.not-taken@MSH-9.2");
}

TEST_CASE("structures and names") {
  CHECK(message_structure("A31", "2.5.1") == "ADT_A05");
  CHECK(message_structure("A31", "2.3.1") == "ADT_A31");
  CHECK(message_structure("A40", "2.3.1") == "ADT_A39");
  CHECK(message_structure("X01", "2.5") == "");
  CHECK(field_name("PID", 5) == "Patient Name");
  CHECK(field_name("MSH", 18) == "Character Set");
  CHECK(field_name("PV1", 50) == "Alternate Visit ID");
  CHECK(field_name("ZZZ", 1) == "");
  CHECK(component_name("PID", 3, 4) == "Assigning Authority");
  CHECK(segment_name("MRG") == "Merge Patient Information");
}

TEST_CASE("the null value names no patient") {
  CHECK(findings(replaced(k_good, "2^^^X", "\"\"^^^X")) == "!identifier.null@MRG-1");
  CHECK(findings(replaced(k_good, "1^^^X", "\"\"^^^X")) == "!identifier.null@PID-3");
  CHECK(findings(replaced(k_good, "PID|||1^^^X", "PID|||1^^^X~\"\"^^^Y")) == "identifier.null@PID-3[2]");
}

TEST_CASE("bytes that cut a message, and line feeds inside of fields") {
  for (const char byte : {'\0', '\x0B', '\x1C'}) {
    CHECK(findings(replaced(k_good, "Jane", "Ja" + std::string(1, byte) + "ne")) == "!form.control@PID");
  }
  CHECK(findings(replaced(k_good, "Jane", "Ja\nne")) == "form.line-feed@PID");
  CHECK(findings(replaced(k_good, "|F\r", "|F\nPV1|1|N\r")).find("!form.line-feed@PID") != std::string::npos);
  CHECK(findings(k_good + "\x1C\r") == "");
}

TEST_CASE("a line that is no segment does not become words of a finding") {
  const auto all = check(Message::parse(k_good + "Doe Jane 131052-308T|\xFF\r"));
  REQUIRE(all.size() == 3);
  for (const Finding& finding : all) {
    CHECK(finding.position.starts_with("segment 5"));
    CHECK((finding.position + finding.message).find("Doe") == std::string::npos);
  }
}

TEST_CASE("findings are kept up to a number, and the rest is counted") {
  std::string text = k_good;
  for (int i = 0; i < 20'000; ++i) {
    text += "XX|\xFF\r";
  }
  const auto all = check(Message::parse(text));
  REQUIRE(all.size() == k_most_findings + 1);
  CHECK(all.back().rule == "findings.more");
  CHECK(all.back().severity == Severity::error);
  CHECK(all.back().message == "and 59000 more");
  text = k_good;
  for (std::size_t i = 0; i < k_most_findings; ++i) {
    text += "XXX|1\r";
  }
  CHECK_FALSE(has_errors(check(Message::parse(text))));
  CHECK(has_errors(check(Message::parse(text + "ZZZ|\xFF\r"))));
}
