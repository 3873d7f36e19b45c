#include <kuva/hl7/acknowledgement.hpp>

#include <doctest/doctest.h>

using namespace kuva::hl7;

namespace {

Acknowledgement read(const std::string& rest) {
  return read_acknowledgement(Message::parse("MSH|^~\\&|C|D|A|B|2026||ACK|9|P|2.5\r" + rest));
}

}  // namespace

TEST_CASE("acknowledgements in the forms that peers use") {
  CHECK(read("MSA|AA|1\r").code == AckCode::AA);
  CHECK(read("MSA|CA|1\r").code == AckCode::CA);
  CHECK(read("MSA|AE|77|no\r").control_id == "77");
  CHECK(read("MSA|AE|77|no\r").text == "no");
  const Acknowledgement answer =
      read("MSA|AR|1\rERR||MRG^1^1^1^4|204^Unknown key identifier^HL70357|E|||diag|user text\r");
  REQUIRE(answer.errors.size() == 1);
  CHECK(answer.errors[0].location == "MRG-1.4");
  CHECK(answer.errors[0].code == "204");
  CHECK(answer.errors[0].diagnostic == "diag");
  CHECK(answer.errors[0].user_message == "user text");
  const Acknowledgement old = read("MSA|AE|1\rERR|PID^1^3^101&Required field missing&HL70357\r");
  REQUIRE(old.errors.size() == 1);
  CHECK(old.errors[0].location == "PID-3");
  CHECK(old.errors[0].code == "101");
  CHECK(old.errors[0].code_text == "Required field missing");
  CHECK(read("MSA|AR|1||||207^internal\r").errors.at(0).code == "207");
  for (const std::string rest : {"", "MSA\r", "MSA|OK|1\r", "ERR|x\r"}) {
    CHECK_THROWS_AS(read(rest), kuva::Error);
  }
}

TEST_CASE("an answer that we make can be read, in the form of its version") {
  for (const std::string version : {"2.3.1", "2.5.1"}) {
    const Message request =
        Message::parse("MSH|^~\\&|A|B|C|D|2026||ADT^A40^ADT_A39|55|P|" + version + "||||||8859/1\r");
    Acknowledgement answer;
    answer.code = AckCode::AR;
    answer.own_control_id = "ACK1";
    answer.errors.push_back({"PID-3.4", "204", "", "E", "", "an authority, \xC3\xA4"});
    const Message message = make_acknowledgement(request, answer);
    CHECK(message.raw("MSH", 3) == "C");
    CHECK(message.raw("MSH", 6) == "B");
    CHECK(message.type() == "ACK^A40^ACK");
    CHECK(message.raw("MSH", 18) == "8859/1");
    const Acknowledgement back = read_acknowledgement(Message::parse(message.wire_bytes()));
    CHECK(back.control_id == "55");
    CHECK(back.code == AckCode::AR);
    REQUIRE(back.errors.size() == 1);
    CHECK(back.errors[0].code == "204");
    CHECK(back.errors[0].code_text == "Unknown key identifier");
    if (version == "2.5.1") {
      CHECK(back.errors[0].location == "PID-3.4");
      CHECK(back.errors[0].user_message == "an authority, \xC3\xA4");
    } else {
      CHECK(back.errors[0].location == "PID-3");
    }
  }
}
