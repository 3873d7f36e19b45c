#include "sandbox/fixture.hpp"

#include <kuva/dicom/query_tags.hpp>
#include <kuva/dimse/availability.hpp>
#include <kuva/dimse/find.hpp>
#include <kuva/dimse/retrieve.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::test;
using dimse::QueryLevel;
using dimse::QueryRoot;

namespace {

// Takes what is stored, as SCP of C-GET or of an association that C-MOVE opens.
struct Taking : dimse::StoreReception {
  explicit Taking(std::string& target) : bytes(target) {}
  void write(std::span<const std::byte> piece) override {
    bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  }
  dimse::Command finish(const dimse::Command& response) override { return response; }
  std::string& bytes;
};

// A listener that accepts everything, for one service.
class Receiver {
 public:
  explicit Receiver(dimse::Services services)
      : m_services(std::move(services)),
        m_listener(net::Listener::open({"127.0.0.1", 0})),
        m_thread([this](const std::stop_token& stop) { run(stop); }) {}
  ~Receiver() {
    m_thread.request_stop();
    m_listener->close();
  }
  std::uint16_t port() const { return m_listener->port(); }

 private:
  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      auto incoming = m_listener->accept(Deadline::after(milliseconds(200)));
      if (!incoming) {
        continue;
      }
      try {
        const auto decide = [](const ul::AssociateRequest& request, const net::Stream&) -> ul::Association::Decision {
          ul::AssociateAccept accept;
          accept.called_ae = request.called_ae;
          accept.calling_ae = request.calling_ae;
          accept.application_context = request.application_context;
          accept.implementation_class_uid = dicom::implementation_class_uid();
          for (const auto& context : request.contexts) {
            accept.contexts.push_back({context.id, ul::ContextResult::accepted, context.transfer_syntaxes.front()});
          }
          return accept;
        };
        const auto association =
            ul::Association::accept(incoming->open(nullptr, Deadline::after(k_patience)), decide, ul::Timeouts());
        dimse::Messenger messenger(*association);
        dimse::serve(messenger, m_services, k_patience, k_patience);
      } catch (const Error&) {
        continue;
      }
    }
  }

  dimse::Services m_services;
  std::unique_ptr<net::Listener> m_listener;
  std::jthread m_thread;
};

ul::AssociateRequest query_request() {
  ul::AssociateRequest request = Client::request();
  std::uint8_t id = 11;
  for (const auto& sop_class : {dimse::find_sop_class(QueryRoot::study), dimse::move_sop_class(QueryRoot::study),
                                dimse::get_sop_class(QueryRoot::study)}) {
    request.contexts.push_back({id, std::string(sop_class), {k_implicit}});
    id = static_cast<std::uint8_t>(id + 2);
  }
  return request;
}

std::vector<std::string> find(Client& client, const dicom::DataSet& identifier, dicom::Tag tag) {
  std::vector<std::string> found;
  dimse::find(
      client.messenger, QueryRoot::study, identifier,
      [&](const dicom::DataSet& match) {
        found.push_back(match.string(tag));
        return true;
      },
      k_patience);
  return found;
}

dicom::DataSet study_identifier(const std::string& study = "1.2.246.1") {
  dicom::DataSet identifier = dimse::make_query(QueryLevel::study, {});
  identifier.set_string(dicom::tags::study_instance_uid, study);
  return identifier;
}

// A Key Object Selection that rejects the object.
Object rejection_of(const Object& object, const std::string& number, const std::string& code) {
  Object note = Object::make(number);
  note.sop_class = k_mr;  // the client's second context; what it says of itself follows
  note.data.erase(dicom::tags::pixel_data);
  note.sop_class = "1.2.840.10008.5.1.4.1.1.88.59";
  note.data.set_string(dicom::tags::sop_class_uid, note.sop_class);
  dicom::DataSet& title = note.data.add_item(dicom::tags::concept_name_code_sequence);
  title.set_string(dicom::tags::code_value, code);
  title.set_string(dicom::tags::coding_scheme_designator, "DCM");
  dicom::DataSet& study = note.data.add_item(dicom::tags::current_requested_procedure_evidence_sequence);
  study.set_string(dicom::tags::study_instance_uid, object.data.string(dicom::tags::study_instance_uid));
  dicom::DataSet& series = study.add_item(dicom::tags::referenced_series_sequence);
  series.set_string(dicom::tags::series_instance_uid, object.data.string(dicom::tags::series_instance_uid));
  dicom::DataSet& reference = series.add_item(dicom::tags::referenced_sop_sequence);
  reference.set_string(dicom::tags::referenced_sop_class_uid, object.sop_class);
  reference.set_string(dicom::tags::referenced_sop_instance_uid, object.uid);
  return note;
}

dimse::Command store_note(Client& client, const Object& note) {
  const std::string bytes = note.bytes();
  dimse::StoreUser user(client.messenger, k_patience);
  user.send({21, note.sop_class, note.uid, producer(bytes), 0});
  return user.receive().command;
}

}  // namespace

TEST_CASE("instances are found by their UIDs, those that are there") {
  Bench bench;
  bench.start();
  Client client(bench.port(), query_request());
  REQUIRE(client.store(Object::make("1")).status == 0);
  REQUIRE(client.store(Object::make("2")).status == 0);
  const auto query = dimse::make_instance_query("1.2.246.1", "1.2.246.1.1", {"1.2.246.9.2", "1.2.246.9.7"});
  CHECK(find(client, query, dicom::tags::sop_instance_uid) == std::vector<std::string>{"1.2.246.9.2"});
  CHECK(find(client, query, dicom::tags::instance_availability) == std::vector<std::string>{"ONLINE"});
  CHECK(find(client, query, dicom::tags::sop_class_uid) == std::vector<std::string>{k_ct});
  CHECK_THROWS_AS(find(client, dimse::make_query(QueryLevel::image, {}), dicom::tags::sop_instance_uid), Error);
  CHECK(find(client, study_identifier(), dicom::tags::study_instance_uid).size() == 1);
}

TEST_CASE("an AE that may not query gets 0124") {
  Bench bench;
  bench.settings.known_aes[0].may_query = false;
  bench.start();
  Client client(bench.port(), query_request());
  CHECK_THROWS_AS(find(client, study_identifier(), dicom::tags::study_instance_uid), Error);
}

TEST_CASE("a study is moved to a known AE, as its files are") {
  std::mutex mutex;
  std::vector<dimse::Command> commands;
  std::vector<std::unique_ptr<std::string>> received;
  dimse::Services services;
  services.store = [&](const dimse::Messenger::Message& message, const ul::AcceptedContext&) {
    const std::lock_guard lock(mutex);
    commands.push_back(message.command);
    received.push_back(std::make_unique<std::string>());
    return std::make_unique<Taking>(*received.back());
  };
  Receiver receiver(services);
  Bench bench;
  bench.settings.known_aes.push_back({"DESTINATION", net::Endpoint{"127.0.0.1", receiver.port()}, false, true, true});
  bench.start();
  Client client(bench.port(), query_request());
  const Object object = Object::make("1");
  REQUIRE(client.store(object).status == 0);
  REQUIRE(client.store(Object::make("2")).status == 0);
  const auto moved = dimse::move(client.messenger, QueryRoot::study, "DESTINATION", study_identifier(), {}, k_patience);
  CHECK(moved.status == 0);
  CHECK(moved.counts.completed == 2);
  const std::lock_guard lock(mutex);
  REQUIRE(commands.size() == 2);
  CHECK(commands[0].move_originator_ae == "KUVA");
  CHECK(commands[0].move_originator_message_id.has_value());
  CHECK(*received[0] == object.bytes());
  CHECK(dimse::move(client.messenger, QueryRoot::study, "NOBODY", study_identifier(), {}, k_patience)
            .failure->kind()
            .code == "retrieve.destination-unknown");
}

TEST_CASE("objects come back on the same association where they are asked for with a role") {
  Bench bench;
  bench.start();
  ul::AssociateRequest request = query_request();
  request.contexts[0].transfer_syntaxes = {k_explicit};  // stored in another one: it is written anew
  request.roles.push_back({k_ct, true, true});
  {
    Client sender(bench.port());
    REQUIRE(sender.store(Object::make("1")).status == 0);
  }
  Client client(bench.port(), request);
  std::string received;
  dimse::Services services;
  services.store = [&](const dimse::Messenger::Message&, const ul::AcceptedContext&) {
    return std::make_unique<Taking>(received);
  };
  const auto got = dimse::get(client.messenger, QueryRoot::study, study_identifier(), services, {}, k_patience);
  CHECK(got.counts.completed == 1);
  const auto data = dicom::DataSet::decode(std::as_bytes(std::span(received.data(), received.size())),
                                           dicom::transfer_syntax(k_explicit));
  CHECK(data.string(dicom::tags::sop_instance_uid) == "1.2.246.9.1");
  Client without_role(bench.port(), query_request());
  const auto none = dimse::get(without_role.messenger, QueryRoot::study, study_identifier(), services, {}, k_patience);
  CHECK(none.status == 0xA702);
  CHECK(none.failed_instances == std::vector<std::string>{"1.2.246.9.1"});
}

TEST_CASE("a quiet study is notified whole, again after a rejection, and once more after an error") {
  std::mutex mutex;
  std::vector<dimse::AvailabilityNotification> notifications;
  dimse::Services services;
  services.create = [&](const dimse::Messenger::Message& message, const dicom::DataSet& data) {
    const std::lock_guard lock(mutex);
    notifications.push_back(std::get<dimse::AvailabilityNotification>(dimse::read_availability(data)));
    return dimse::make_response(message.command, notifications.size() == 1 ? std::uint16_t{0x0110} : std::uint16_t{0});
  };
  Receiver receiver(services);
  Bench bench;
  bench.settings.ian_delay = milliseconds(100);
  bench.settings.known_aes[0].endpoint = net::Endpoint{"127.0.0.1", receiver.port()};
  bench.settings.known_aes[0].send_ian = true;
  bench.start();
  ul::AssociateRequest request = query_request();
  request.contexts.push_back({21, "1.2.840.10008.5.1.4.1.1.88.59", {k_implicit}});
  Client client(bench.port(), request);
  const Object first = Object::make("1");
  REQUIRE(client.store(first).status == 0);
  REQUIRE(client.store(Object::make("2")).status == 0);
  CHECK(bench.saw("notification-failed"));
  CHECK(bench.saw("notification-delivered"));
  REQUIRE(store_note(client, rejection_of(first, "3", "113037")).status == 0);
  const auto count = [&] {
    const std::lock_guard lock(mutex);
    return notifications.size();
  };
  const Deadline deadline = Deadline::after(k_patience);
  const auto is_told = [&] {
    const std::lock_guard lock(mutex);
    return notifications.back().series.front().instances.front().availability == "UNAVAILABLE";
  };
  while ((count() < 3 || !is_told()) && !deadline.expired()) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  const std::lock_guard lock(mutex);
  REQUIRE(notifications.size() >= 3);
  CHECK(notifications[1].study_instance_uid == "1.2.246.1");
  CHECK(notifications[1].series.front().instances.size() == 2);
  CHECK(notifications[1].series.front().instances.front().retrieve_ae_title == "KUVASANDBOX");
  CHECK(notifications.back().series.front().instances.front().availability == "UNAVAILABLE");
  CHECK(notifications.back().series.front().instances[1].availability == "ONLINE");
}
