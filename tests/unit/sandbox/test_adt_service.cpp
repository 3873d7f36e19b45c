#include "sandbox/fixture.hpp"

#include <kuva/mllp/client.hpp>
#include <kuva/sandbox/adt_service.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::sandbox;

namespace {

struct Receiver {
  test::FixtureDirectory directory;
  Settings settings;
  Archive archive{directory.path / "storage", false};
  Patients patients{directory.path / "patients.db", false};
  std::unique_ptr<WebServices> web;
  AdtService service{settings, patients, archive, web};
  int number = 0;

  // "AA", or "AR 204 PID-3".
  std::string say(std::string_view type, const std::string& segments, std::string_view sender = "RIS|HOSPITAL",
                  std::string_view charset = "UNICODE UTF-8") {
    Json facts;
    const auto answer =
        service.receive(hl7::Message::parse(fmt::format(
                            "MSH|^~\\&|{}|ARCHIVE|NATIONAL|20260101||{}|{}|P|2.5.1||||||{}\rEVN||20260101\r{}", sender,
                            type, ++number, charset, segments)),
                        facts);
    std::string text(hl7::to_string(answer.code));
    for (const hl7::AckError& error : answer.errors) {
      text += fmt::format(" {} {}", error.code, error.location);
    }
    return text;
  }
  std::string name_of(const std::string& id) {
    const auto record = patients.current(*hl7::PatientIdentifier::parse(id));
    return record ? record->name.value_or("-") : "unknown";
  }
};

const std::string k_person = "PID|||P1^^^&1.2&ISO||Doe^Jane^Q^Jr^Dr||19521013|F\r";

}  // namespace

TEST_CASE_FIXTURE(Receiver, "what a message must have, in the order and with the codes of dcm4chee-arc") {
  CHECK(say("ADT^A31^ADT_A05", k_person) == "AA");
  CHECK(say("ADT^A31^ADT_A05", k_person, "RIS|") == "AE 101 MSH-4");
  CHECK(say("ORM^O01", k_person) == "AR 200 MSH-9.1");
  CHECK(say("ADT^A09", k_person) == "AR 201 MSH-9.2");
  CHECK(say("ADT^A31", "PID|||^^^X||Doe\r") == "AE 101 PID-3");
  CHECK(say("ADT^A31", "") == "AE 101 PID-3");
  CHECK(say("ADT^A40", k_person) == "AE 101 MRG-1");
  settings.hl7.sending = {"HIS|HOSPITAL"};
  CHECK(say("ADT^A31", k_person) == "AE 103 MSH-3");
  settings.hl7.sending.clear();
  settings.hl7.receiving = {"ARCHIVE|OTHER"};
  CHECK(say("ADT^A31", k_person) == "AE 103 MSH-5");
  settings.hl7.receiving.clear();
  settings.hl7.trusted_authorities = {"1.3"};
  CHECK(say("ADT^A31", k_person) == "AR 204 PID-3");
  settings.hl7.trusted_authorities = {"1.2"};
  CHECK(say("ADT^A40", k_person + "MRG|T1^^^&1.9&ISO\r") == "AR 204 MRG-1");
  CHECK(say("ADT^A40", k_person + "MRG|T1^^^&1.2&ISO\r") == "AA");
  CHECK(say("ADT^A40", k_person + "MRG|T1^^^&1.2&ISO\r") == "AR 204 MRG-1");
  CHECK(say("ADT^A08", "PID|||T1^^^&1.2&ISO||Doe\r") == "AR 204 PID-3");
  CHECK(say("ADT^A40", k_person + "MRG|P1^^^&1.2&ISO\r") == "AR 205 MRG-1");
}

TEST_CASE_FIXTURE(Receiver, "what is read of a patient") {
  CHECK(say("ADT^A31", k_person) == "AA");
  const auto record = patients.current(*hl7::PatientIdentifier::parse("P1^^^&1.2&ISO"));
  REQUIRE(record);
  CHECK(record->name == "Doe^Jane^Q^Dr^Jr");
  CHECK(record->birth_date == "19521013");
  CHECK(record->sex == "F");
  CHECK(say("ADT^A31", "PID|||P1^^^&1.2&ISO||||\"\"|U\r") == "AA");
  const auto changed = patients.current(*hl7::PatientIdentifier::parse("P1^^^&1.2&ISO"));
  CHECK(changed->name == "Doe^Jane^Q^Dr^Jr");
  CHECK(changed->birth_date == "");
  CHECK(changed->sex == "");
}

TEST_CASE_FIXTURE(Receiver, "character sets are those that dcm4che knows") {
  CHECK(say("ADT^A31", "PID|||1^^^&1.2&ISO||\xC4yr\xE4s\r", "A|B", "8859/1") == "AA");
  CHECK(name_of("1^^^&1.2&ISO") == "\xC3\x84yr\xC3\xA4s");
  CHECK(say("ADT^A31", "PID|||2^^^&1.2&ISO||\xC4yr\xE4s\r", "A|B", "") == "AA");
  CHECK(name_of("2^^^&1.2&ISO") == "\xC3\x84yr\xC3\xA4s");
  CHECK(say("ADT^A31", "PID|||3^^^&1.2&ISO||\xC4yr\xE4s\r", "A|B", "8859/15") == "AA");
  CHECK(name_of("3^^^&1.2&ISO") == "\xEF\xBF\xBDyr\xEF\xBF\xBDs");
}

TEST_CASE(
    "over the wire: what is stored under the old identifier belongs to the new one, now, later and after a stop") {
  test::FixtureDirectory directory;
  Settings settings;
  settings.storage = directory.path / "storage";
  settings.plain_port = 0;
  settings.hl7.plain_port = 0;
  settings.known_aes.emplace_back().ae_title = "KUVA";
  const auto old_object = [](const std::string& number) {
    test::Object object = test::Object::make(number);
    object.data.set_string(dicom::tags::patient_id, "T1");
    object.data.set_string(dicom::tags::issuer_of_patient_id, "1.9");
    return object;
  };
  const auto store = [](std::uint16_t port, const test::Object& object) {
    test::Client client(port);
    return client.store(object).status;
  };
  const test::Object first = old_object("1");
  {
    const auto sandbox = Sandbox::start(settings);
    CHECK(store(*sandbox->plain_port(), first) == 0);
    // Another patient's object does not belong into the study.
    CHECK(store(*sandbox->plain_port(), test::Object::make("2")) == 0xA778);
    mllp::ClientSettings client_settings;
    client_settings.connect.endpoint = {"127.0.0.1", *sandbox->hl7_port()};
    mllp::Client client(client_settings);
    const auto answer = client.exchange(
        "MSH|^~\\&|A|B|C|D|20260101||ADT^A40^ADT_A39|K1|P|2.5.1\rPID|||010181-900C^^^&1.2.246.21&ISO||Doe\r"
        "MRG|T1^^^&1.9&ISO\r",
        "K1");
    CHECK(answer.acknowledgement.code == hl7::AckCode::AA);
    CHECK(store(*sandbox->plain_port(), test::Object::make("2")) == 0);
    CHECK(store(*sandbox->plain_port(), old_object("3")) == 0);
    // A connection that waits for its next message does not keep a stop waiting.
    const auto started = std::chrono::steady_clock::now();
    sandbox->stop(std::chrono::seconds(20));
    CHECK(std::chrono::steady_clock::now() - started < std::chrono::seconds(10));
  }
  CHECK(test::slurp(first.path_in(settings.storage)).find("T1") != std::string::npos);
  const auto again = Sandbox::start(settings);
  CHECK(store(*again->plain_port(), test::Object::make("4")) == 0);
  CHECK(store(*again->plain_port(), old_object("5")) == 0);
}
