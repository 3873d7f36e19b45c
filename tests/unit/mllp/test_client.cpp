#include <kuva/mllp/client.hpp>
#include <kuva/mllp/listener.hpp>

#include <doctest/doctest.h>

#include <pthread.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using kuva::hl7::AckCode;
using kuva::hl7::Message;

namespace {

std::string message(const std::string& id) {
  return "MSH|^~\\&|A|B|C|D|2026||ADT^A31^ADT_A05|" + id + "|P|2.5.1||||||UNICODE UTF-8\rPID|||1^^^X||Doe\r";
}

std::string acknowledgement(const Message& request, const std::string& msa2 = {}) {
  kuva::hl7::Acknowledgement answer;
  answer.own_control_id = "A";
  answer.control_id = msa2;
  return kuva::hl7::make_acknowledgement(request, answer).wire_bytes();
}

class Script final : public kuva::mllp::Handler {
 public:
  using Answer = std::function<std::optional<std::string>(const Message&)>;
  explicit Script(Answer answer) : m_answer(std::move(answer)) {}
  std::optional<std::string> on_message(const kuva::mllp::Received& received) override {
    ++count;
    return m_answer(Message::parse(received.bytes));
  }
  void on_error(const kuva::Error& error, std::uint64_t) override {
    const std::lock_guard lock(m_mutex);
    m_errors.emplace_back(error.kind().code);
  }
  std::vector<std::string> errors() {
    const std::lock_guard lock(m_mutex);
    return m_errors;
  }
  std::atomic<int> count = 0;

 private:
  Answer m_answer;
  std::mutex m_mutex;
  std::vector<std::string> m_errors;
};

kuva::mllp::ClientSettings client_settings(std::uint16_t port) {
  kuva::mllp::ClientSettings settings;
  settings.connect.endpoint = {"127.0.0.1", port};
  settings.acknowledgement_timeout = 10s;
  return settings;
}

std::unique_ptr<kuva::mllp::Listener> listen(Script& script) {
  kuva::mllp::ListenerSettings settings;
  settings.bind = {"127.0.0.1", 0};
  return kuva::mllp::Listener::start(settings, script);
}

std::string outcome(const Script::Answer& answer, std::chrono::milliseconds timeout = 10s) {
  Script script(answer);
  const auto listener = listen(script);
  auto settings = client_settings(listener->port());
  settings.acknowledgement_timeout = timeout;
  kuva::mllp::Client client(settings);
  try {
    const auto reply = client.exchange(message("77"), "77");
    return std::string(to_string(reply.acknowledgement.code));
  } catch (const kuva::Error& error) {
    CHECK(error.kind().error_class == kuva::ErrorClass::indeterminate);
    return std::string(error.kind().code);
  }
}

}  // namespace

TEST_CASE("messages over one connection, each with its own acknowledgement") {
  Script script([](const Message& request) { return acknowledgement(request); });
  const auto listener = listen(script);
  kuva::mllp::Client client(client_settings(listener->port()));
  for (int i = 0; i < 50; ++i) {
    const std::string id = "M" + std::to_string(i);
    CHECK(client.exchange(message(id), id).acknowledgement.control_id == id);
  }
  CHECK(client.connections() == 1);
  CHECK(script.count == 50);
}

TEST_CASE("an acknowledgement counts for its own message alone") {
  CHECK(outcome([](const Message& request) { return acknowledgement(request); }) == "AA");
  CHECK(outcome([](const Message& request) { return acknowledgement(request, "78"); }) == "mllp.wrong-acknowledgement");
  CHECK(outcome([](const Message&) { return std::optional<std::string>("MSH|^~\\&|A\r"); }) ==
        "mllp.wrong-acknowledgement");
  CHECK(outcome([](const Message&) { return std::optional<std::string>("hello"); }) == "mllp.wrong-acknowledgement");
  CHECK(outcome([](const Message&) { return std::optional<std::string>(); }) == "mllp.no-acknowledgement");
  CHECK(outcome(
            [](const Message& request) {
              std::this_thread::sleep_for(600ms);
              return acknowledgement(request);
            },
            100ms) == "mllp.no-acknowledgement");
}

TEST_CASE("a second answer is not taken for the next message's") {
  const auto listener = kuva::net::Listener::open({"127.0.0.1", 0});
  std::jthread peer([&listener] {
    while (const auto incoming = listener->accept(kuva::Deadline::never())) {
      try {
        kuva::mllp::Connection connection(incoming->open(nullptr, kuva::Deadline::after(10s)));
        while (const auto bytes = connection.receive(kuva::Deadline::after(10s))) {
          const std::string block = kuva::mllp::to_block(acknowledgement(Message::parse(*bytes)));
          connection.send_block(block + block, 10s);
        }
      } catch (const kuva::Error&) {
        // The client hung up.
      }
    }
  });
  kuva::mllp::Client client(client_settings(listener->port()));
  CHECK(client.exchange(message("1"), "1").acknowledgement.code == AckCode::AA);
  std::this_thread::sleep_for(50ms);
  // The answer that was left over is either seen (new connection) or refused; never counted.
  try {
    CHECK(client.exchange(message("2"), "2").acknowledgement.control_id == "2");
  } catch (const kuva::Error& error) {
    CHECK(error.kind().code == "mllp.wrong-acknowledgement");
  }
  client.close();
  listener->close();
}

TEST_CASE("a listener that stops ends its connections") {
  Script script([](const Message& request) { return acknowledgement(request); });
  auto listener = listen(script);
  kuva::mllp::Client client(client_settings(listener->port()));
  client.exchange(message("1"), "1");
  listener->stop(1s);
  CHECK_THROWS_AS(client.exchange(message("2"), "2"), kuva::Error);
  CHECK(script.count == 1);
}

TEST_CASE("a message that would arrive cut opens no connection") {
  kuva::mllp::Client client(client_settings(1));
  try {
    client.exchange(message("77") + "OBX|1|\x1C|\r", "77");
    FAIL("it was sent");
  } catch (const kuva::Error& error) {
    CHECK(error.kind().code == "hl7.malformed");
  }
  CHECK(client.connections() == 0);
}

TEST_CASE("a listener without a thread to spare closes the connection and serves the next one") {
  Script script([](const Message& request) { return acknowledgement(request); });
  const auto listener = listen(script);
  const auto settings = client_settings(listener->port());
  pthread_attr_t usual;
  REQUIRE(::pthread_getattr_default_np(&usual) == 0);
  pthread_attr_t huge;
  REQUIRE(::pthread_attr_init(&huge) == 0);
  REQUIRE(::pthread_attr_setstacksize(&huge, std::size_t{1} << 47U) == 0);  // more than there is of addresses
  REQUIRE(::pthread_setattr_default_np(&huge) == 0);
  kuva::mllp::Client refused(settings);
  CHECK_THROWS_AS(refused.exchange(message("77"), "77"), kuva::Error);
  REQUIRE(::pthread_setattr_default_np(&usual) == 0);
  ::pthread_attr_destroy(&huge);
  ::pthread_attr_destroy(&usual);
  kuva::mllp::Client served(settings);
  CHECK(served.exchange(message("78"), "78").acknowledgement.code == AckCode::AA);
  CHECK(script.errors() == std::vector<std::string>{"local.resource"});
}

TEST_CASE("who is closed because too many are connected is told of") {
  Script script([](const Message& request) { return acknowledgement(request); });
  kuva::mllp::ListenerSettings limited;
  limited.bind = {"127.0.0.1", 0};
  limited.connections = 1;
  const auto listener = kuva::mllp::Listener::start(limited, script);
  kuva::mllp::Client first(client_settings(listener->port()));
  CHECK(first.exchange(message("77"), "77").acknowledgement.code == AckCode::AA);
  kuva::mllp::Client second(client_settings(listener->port()));
  CHECK_THROWS_AS(second.exchange(message("78"), "78"), kuva::Error);
  CHECK(script.errors() == std::vector<std::string>{"local.resource"});
}
