#include "sandbox/fixture.hpp"

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::test;
using sandbox::FaultAction;
using sandbox::FaultPoint;

namespace {

sandbox::FaultRule rule(FaultAction action) {
  sandbox::FaultRule made;
  made.name = "test";
  made.point = FaultPoint::report;
  made.action = action;
  return made;
}

// A sandbox with two stored objects that reports to a listener of ours.
struct Reporting {
  explicit Reporting(std::vector<sandbox::FaultRule> rules) {
    bench.settings.known_aes[0].endpoint = net::Endpoint{"127.0.0.1", listener.port()};
    bench.settings.faults.rules = std::move(rules);
    bench.start();
    client = std::make_unique<Client>(bench.port());
    for (const Object* object : {&first, &second}) {
      REQUIRE(client->store(*object).status == 0x0000);
    }
  }
  dimse::CommitmentRequest request(const std::string& transaction) const {
    return {transaction, {{k_ct, first.uid}, {k_ct, second.uid}}};
  }
  bool count_reaches(std::size_t count) {
    const Deadline deadline = Deadline::after(k_patience);
    while (listener.count() < count && !deadline.expired()) {
      std::this_thread::sleep_for(milliseconds(5));
    }
    return listener.count() >= count;
  }

  Object first = Object::make("1");
  Object second = Object::make("2");
  ReportListener listener;
  Bench bench;
  std::unique_ptr<Client> client;
};

// The report that comes next on the association itself.
dimse::CommitmentReport take_report(Client& client) {
  dimse::Messenger::Message message;
  REQUIRE(client.messenger.receive(Deadline::after(k_patience), message) == dimse::Messenger::Event::message);
  REQUIRE(message.command.field == dimse::CommandField::n_event_report_rq);
  dimse::CommitmentReport report;
  dimse::Services services;
  services.event_report = [&report](const dimse::Messenger::Message& event, const dicom::DataSet& data) {
    report = dimse::read_commitment_report(data);
    return dimse::make_response(event.command, 0);
  };
  dimse::answer(client.messenger, message, services, k_patience);
  return report;
}

}  // namespace

TEST_CASE("a report that leaves out half, and then the whole of it") {
  Reporting reporting({rule(FaultAction::partial), rule(FaultAction::twice)});
  CHECK(reporting.client->ask(reporting.request("2.25.1")).status == 0x0000);
  CHECK(reporting.listener.wait("2.25.1")->committed.size() == 1);
  CHECK(reporting.count_reaches(2));
  CHECK(reporting.bench.saw("fault"));
}

TEST_CASE("a report that contradicts itself, and one that speaks of strangers") {
  SUBCASE("both lists") {
    Reporting reporting({rule(FaultAction::both_lists)});
    CHECK(reporting.client->ask(reporting.request("2.25.1")).status == 0x0000);
    const auto report = reporting.listener.wait("2.25.1");
    REQUIRE(report.has_value());
    REQUIRE(report->committed.size() == 1);
    REQUIRE(report->failed.size() == 1);
    CHECK(report->failed[0].reference.sop_instance_uid == report->committed[0].sop_instance_uid);
  }
  SUBCASE("strangers") {
    Reporting reporting({rule(FaultAction::stranger)});
    CHECK(reporting.client->ask(reporting.request("2.25.1")).status == 0x0000);
    CHECK(reporting.listener.wait("2.25.1")->committed.size() == 3);
    CHECK(reporting.listener.count() == 2);
  }
  SUBCASE("a Failure Reason for all") {
    sandbox::FaultRule status = rule(FaultAction::status);
    status.status = 0x0213;
    Reporting reporting({status});
    CHECK(reporting.client->ask(reporting.request("2.25.1")).status == 0x0000);
    const auto report = reporting.listener.wait("2.25.1");
    CHECK(report->committed.empty());
    CHECK(report->failed.at(1).reason == 0x0213);
  }
}

TEST_CASE("reports on the association of the request, before the response and after it") {
  SUBCASE("after") {
    Reporting reporting({rule(FaultAction::same_association), rule(FaultAction::twice)});
    CHECK(reporting.client->ask(reporting.request("2.25.1")).status == 0x0000);
    CHECK(take_report(*reporting.client).committed.size() == 2);
    CHECK(take_report(*reporting.client).committed.size() == 2);
    CHECK(reporting.bench.saw("report-delivered"));
  }
  SUBCASE("before") {
    Reporting reporting({rule(FaultAction::before_response)});
    reporting.client->messenger.send(7, dimse::make_commitment_request_command(9),
                                     dimse::to_data_set(reporting.request("2.25.1")));
    CHECK(take_report(*reporting.client).committed.size() == 2);
    dimse::Messenger::Message message;
    REQUIRE(reporting.client->messenger.receive(Deadline::after(k_patience), message) ==
            dimse::Messenger::Event::message);
    CHECK(message.command.field == dimse::CommandField::n_action_rsp);
    CHECK(message.command.status == 0x0000);
    CHECK(reporting.bench.saw("report-delivered"));
  }
  CHECK(true);
}

TEST_CASE("a report that is cut off is sent again, one that never comes is not") {
  SUBCASE("cut off") {
    Reporting reporting({rule(FaultAction::abort)});
    CHECK(reporting.client->ask(reporting.request("2.25.1")).status == 0x0000);
    CHECK(reporting.bench.saw("report-failed"));
    CHECK(reporting.bench.saw("report-delivered"));
  }
  SUBCASE("never") {
    Reporting reporting({rule(FaultAction::silent)});
    CHECK(reporting.client->ask(reporting.request("2.25.1")).status == 0x0000);
    reporting.client->association->release();
    reporting.bench.stop();
    CHECK(reporting.listener.count() == 0);
    CHECK(reporting.bench.transcript().back()["reportsPending"] == 0);
  }
}

TEST_CASE("a Transaction UID that is used again is 0131 for every instance, after a start too") {
  Reporting reporting({});
  CHECK(reporting.client->ask(reporting.request("2.25.1")).status == 0x0000);
  CHECK(reporting.listener.wait("2.25.1")->committed.size() == 2);
  reporting.client->association->release();
  reporting.bench.stop();
  reporting.bench.start();
  Client client(reporting.bench.port());
  CHECK(client.ask(reporting.request("2.25.1")).status == 0x0000);
  REQUIRE(reporting.count_reaches(2));
  CHECK(client.ask(reporting.request("2.25.2")).status == 0x0000);
  CHECK(reporting.listener.wait("2.25.2")->committed.size() == 2);
  std::size_t duplicates = 0;
  for (const Json& line : reporting.bench.transcript()) {
    duplicates += line["event"] == "report-delivered" && line["failed"] == 2 ? 1U : 0U;
  }
  CHECK(duplicates == 1);
}

TEST_CASE("bytes that changed in the storage are 0110, though size and identifiers are right") {
  Reporting reporting({});
  const fs::path path = reporting.second.path_in(reporting.bench.settings.storage);
  {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(-100, std::ios::end);
    file.put('X');
  }
  const auto reasons = [&](const std::string& transaction) {
    Client client(reporting.bench.port());
    CHECK(client.ask(reporting.request(transaction)).status == 0x0000);
    return reporting.listener.wait(transaction);
  };
  auto report = reasons("2.25.1");
  REQUIRE(report->failed.size() == 1);
  CHECK(report->failed[0].reference.sop_instance_uid == reporting.second.uid);
  CHECK(report->failed[0].reason == 0x0110);
  // It does not pass for a new object after a start either; a fresh copy heals it.
  reporting.client.reset();
  reporting.bench.stop();
  reporting.bench.start();
  report = reasons("2.25.2");
  CHECK(report->failed.size() == 1);
  Client client(reporting.bench.port());
  CHECK(client.store(reporting.second).status == 0x0000);
  CHECK(reasons("2.25.3")->committed.size() == 2);
}
