#include <kuva/mllp/listener.hpp>
#include <kuva/workflow/adt_delivery.hpp>
#include <kuva/workflow/adt_message.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <functional>

using namespace std::chrono_literals;
using kuva::hl7::AckCode;
using kuva::hl7::Message;
using kuva::workflow::Courier;
using kuva::workflow::Delivery;

namespace {

class Script final : public kuva::mllp::Handler {
 public:
  using Answer = std::function<std::optional<std::string>(const Message&, int)>;
  explicit Script(Answer answer) : m_answer(std::move(answer)) {}
  std::optional<std::string> on_message(const kuva::mllp::Received& received) override {
    return m_answer(Message::parse(received.bytes), ++count);
  }
  void on_error(const kuva::Error&, std::uint64_t) override {}
  std::atomic<int> count = 0;

 private:
  Answer m_answer;
};

std::string answer(const Message& request, AckCode code, const std::string& error = {}, const std::string& text = {}) {
  kuva::hl7::Acknowledgement acknowledgement;
  acknowledgement.code = code;
  acknowledgement.own_control_id = "A";
  if (!error.empty()) {
    acknowledgement.errors.push_back({"MRG-1", error, "", "E", "", text});
  }
  return kuva::hl7::make_acknowledgement(request, acknowledgement).wire_bytes();
}

kuva::workflow::PatientData patient(const std::string& id) {
  return kuva::workflow::read_patient_row({{"id", id}, {"name", "Doe^Jane"}}, "id", {});
}

struct Run {
  Delivery delivery;
  int received = 0;
};

Run deliver(const Script::Answer& script, bool merge = false, bool repeat = true) {
  Script handler(script);
  kuva::mllp::ListenerSettings settings;
  settings.bind = {"127.0.0.1", 0};
  const auto listener = kuva::mllp::Listener::start(settings, handler);
  kuva::workflow::Hl7Target target;
  target.endpoint = {"127.0.0.1", listener->port()};
  target.tls = false;
  target.acknowledgement_timeout = 5s;
  kuva::workflow::DeliverySettings delivery;
  delivery.retries = 2;
  delivery.retry_delay = 1ms;
  delivery.repeat_unanswered = repeat;
  Courier courier(target, delivery, {});
  const Message message =
      merge ? kuva::workflow::make_merge(target, patient("T1@1.2.3").identifier, patient("P1@1.2.3"), "A40", "M1")
            : kuva::workflow::make_update(target, patient("P1@1.2.3"), "A31", "U1");
  Run run{courier.deliver(message, kuva::workflow::secrets_of(message)), 0};
  run.received = handler.count;
  return run;
}

std::string code(const Run& run) {
  return run.delivery.error ? std::string(run.delivery.error->kind().code) : "applied";
}

}  // namespace

TEST_CASE("an update that was not answered goes again with its MSH-10, a merge does not") {
  const Script::Answer second = [](const Message& request, int count) {
    CHECK((request.control_id() == "U1" || request.control_id() == "M1"));
    return count == 1 ? std::nullopt : std::optional(answer(request, AckCode::AA));
  };
  const Run update = deliver(second);
  CHECK(code(update) == "applied");
  CHECK(update.received == 2);
  const Run merge = deliver(second, true);
  CHECK(code(merge) == "mllp.no-acknowledgement");
  CHECK(merge.delivery.error->kind().error_class == kuva::ErrorClass::indeterminate);
  CHECK(merge.received == 1);
  CHECK(deliver(second, false, false).received == 1);
}

TEST_CASE("what an archive answers, and what is masked in it") {
  const auto refused = [](const std::string& error, const std::string& text) {
    return deliver([&](const Message& request, int) { return answer(request, AckCode::AR, error, text); }, true);
  };
  CHECK(code(refused("101", "")) == "adt.missing-field");
  CHECK(code(refused("103", "")) == "adt.unknown-application");
  CHECK(code(refused("201", "")) == "adt.not-supported");
  CHECK(code(refused("204", "no authority")) == "adt.unknown-patient");
  CHECK(code(refused("204", "Patient[id=T1] merged with Patient[id=P1]")) == "adt.merged-patient");
  CHECK(code(refused("205", "Prior patient identifier matches patient identifier")) == "adt.same-patient");
  CHECK(code(refused("205", "Multiple Patients with ID")) == "adt.ambiguous-patient");
  CHECK(code(refused("205", "already exists")) == "adt.patient-exists");
  CHECK(code(refused("207", "")) == "adt.internal");
  CHECK(code(refused("", "")) == "adt.rejected");
  const Run run = refused("204", "Patient[id=T1, name=Doe] merged with Patient[id=P1]");
  CHECK(run.delivery.error->message().find("T1") == std::string::npos);
  CHECK(run.delivery.error->message().find("Doe") == std::string::npos);
  CHECK(run.delivery.error->message().find("merged with") != std::string::npos);
}

TEST_CASE("a temporary error is tried again, and others are not") {
  const auto busy = [](const Message& request, int count) {
    return answer(request, count < 3 ? AckCode::AE : AckCode::AA, count < 3 ? "206" : "");
  };
  const Run run = deliver(busy);
  CHECK(code(run) == "applied");
  CHECK(run.delivery.attempts == 3);
  CHECK(deliver([](const Message& request, int) { return answer(request, AckCode::AE, "101"); }).received == 1);
}

TEST_CASE("an answer to a repetition does not take the doubt away, unless it confirms") {
  const auto then = [](AckCode code, const std::string& error) {
    return deliver([=](const Message& request, int count) {
      return count == 1 ? std::nullopt : std::optional(answer(request, code, error));
    });
  };
  for (const char* error : {"101", "206", "207"}) {
    const Run run = then(AckCode::AE, error);
    CHECK(run.delivery.in_doubt);
    kuva::Json record = kuva::Json::object();
    kuva::workflow::conclude(record, "kuva-adt", run.delivery, {});
    CHECK(record["outcome"] == "indeterminate");
    CHECK(record["error"]["code"] == "mllp.no-acknowledgement");
    CHECK(record["error"]["cause"].get<std::string>().starts_with("adt."));
  }
  const Run confirmed = then(AckCode::AA, "");
  kuva::Json record = kuva::Json::object();
  kuva::workflow::conclude(record, "kuva-adt", confirmed.delivery, {});
  CHECK(record["outcome"] == "applied");
}

TEST_CASE("whoever stands anywhere in PID and MRG is masked") {
  const Message message = Message::parse(
      "MSH|^~\\&|A|B|C|D|2026||ADT^A40^ADT_A39|1|P|2.5.1||||||UNICODE UTF-8\r"
      "PID||OLD2|1^^^X~SECOND^^^Y|ALT4|Doe&von&Doe^Jane^Middle|Maiden|19521013||Alias^Al|FI|Street 1^^Town||0501|0502||"
      "||ACC18|SSN19|LIC20\rMRG|PRIOR1^^^X|PRIOR2||PRIOR4|||Before^Name\r"
      "PID|||THIRD^^^X||Other\rMRG|FOURTH^^^X\r");
  const auto secrets = kuva::workflow::secrets_of(message);
  for (const char* word : {"OLD2",   "SECOND",   "ALT4",   "Doe",    "Jane", "Middle", "Maiden", "19521013",
                           "Alias",  "Street 1", "Town",   "0501",   "0502", "ACC18",  "SSN19",  "LIC20",
                           "PRIOR1", "PRIOR2",   "PRIOR4", "Before", "Name", "THIRD",  "Other",  "FOURTH"}) {
    CAPTURE(word);
    CHECK(kuva::workflow::masked("so " + std::string(word) + " it is", secrets) == "so *** it is");
  }
  CHECK(kuva::workflow::masked("ISO in FI", secrets) == "ISO in FI");
}
