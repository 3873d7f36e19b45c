#include "sandbox/fixture.hpp"

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::test;
using sandbox::Settings;

namespace {

std::size_t saved_reports(const Bench& bench) {
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(bench.settings.storage / ".reports")) {
    count += entry.path().extension() == ".json" ? 1U : 0U;
  }
  return count;
}

void wait_until_none_is_saved(const Bench& bench) {
  const Deadline deadline = Deadline::after(k_patience);
  while (saved_reports(bench) > 0 && !deadline.expired()) {
    std::this_thread::sleep_for(milliseconds(10));
  }
}

// The report that comes on the association itself.
std::optional<dimse::CommitmentReport> next_report(Client& client) {
  dimse::Messenger::Message message;
  if (client.messenger.receive(Deadline::after(k_patience), message) != dimse::Messenger::Event::message) {
    return std::nullopt;
  }
  std::optional<dimse::CommitmentReport> report;
  dimse::Services services;
  services.event_report = [&report](const dimse::Messenger::Message& event, const dicom::DataSet& data) {
    report = dimse::read_commitment_report(data);
    return dimse::make_response(event.command, 0);
  };
  dimse::answer(client.messenger, message, services, k_patience);
  return report;
}

}  // namespace

TEST_CASE("commitment of everything, of a part and of nothing, on both ways") {
  Bench bench;
  SUBCASE("on a new association") {}
  SUBCASE("on the same association") { bench.settings.report_on = Settings::ReportOn::same_association; }
  const bool same = bench.settings.report_on == Settings::ReportOn::same_association;
  ReportListener listener;
  if (!same) {
    bench.settings.known_aes[0].endpoint = net::Endpoint{"127.0.0.1", listener.port()};
  }
  bench.start();
  Client client(bench.port());
  const Object good = Object::make("1");
  const Object lost = Object::make("2");
  const Object damaged = Object::make("3");
  for (const Object* object : {&good, &lost, &damaged}) {
    REQUIRE(client.store(*object).status == 0x0000);
  }
  const auto ask = [&](const std::string& transaction, const std::vector<dimse::SopReference>& references) {
    const dimse::Command response = client.ask({transaction, references});
    CHECK(response.status == 0x0000);
    CHECK(response.affected_sop_class_uid == k_commitment);
    const auto report = same ? next_report(client) : listener.wait(transaction);
    REQUIRE(report.has_value());
    CHECK(report->transaction_uid == transaction);
    return *report;
  };

  const auto full = ask("2.25.1", {{k_ct, good.uid}, {k_ct, lost.uid}});
  CHECK(full.committed.size() == 2);
  CHECK(full.failed.empty());
  CHECK(full.retrieve_ae_title == "KUVASANDBOX");

  fs::remove(lost.path_in(bench.settings.storage));
  fs::resize_file(damaged.path_in(bench.settings.storage), 900);
  const auto partial =
      ask("2.25.2", {{k_ct, good.uid}, {k_ct, lost.uid}, {k_ct, damaged.uid}, {k_mr, good.uid}, {k_ct, "1.2.99"}});
  REQUIRE(partial.committed.size() == 1);
  CHECK(partial.committed[0].sop_instance_uid == good.uid);
  REQUIRE(partial.failed.size() == 4);
  CHECK(partial.failed[0].reason == 0x0112);
  CHECK(partial.failed[1].reason == 0x0110);
  CHECK(partial.failed[2].reason == 0x0119);
  CHECK(partial.failed[3].reason == 0x0112);

  const auto failed = ask("2.25.3", {{k_ct, "1.2.98"}});
  CHECK(failed.committed.empty());
  CHECK(failed.failed.size() == 1);
  CHECK(failed.retrieve_ae_title.empty());

  // Nothing is left to report.
  dimse::echo(client.messenger, k_patience);
  wait_until_none_is_saved(bench);
  CHECK(saved_reports(bench) == 0);
  CHECK(bench.saw("report-delivered"));
  client.association->release();
}

TEST_CASE("N-ACTION requests that are refused") {
  Bench bench;
  bench.settings.known_aes[0].endpoint = net::Endpoint{"127.0.0.1", 1};
  bench.settings.known_aes.push_back({"NOCOMMIT", net::Endpoint{"127.0.0.1", 1}, false, true, false});
  bench.settings.known_aes.push_back({"NOWHERE", std::nullopt, false, true, true});
  bench.start();
  std::string calling = "KUVA";
  dimse::Command command = dimse::make_commitment_request_command(1);
  dimse::CommitmentRequest request{"2.25.1", {{k_ct, "1.2.3"}}};
  std::uint16_t status = 0;
  std::optional<std::string> comment;
  SUBCASE("an AE that may not") {
    calling = "NOCOMMIT";
    status = 0x0110;
    comment = "Unknown Calling AET: NOCOMMIT";
  }
  SUBCASE("an AE that cannot be reached") {
    calling = "NOWHERE";
    status = 0x0110;
    comment = "No host and port known of NOWHERE";
  }
  SUBCASE("another action") {
    command.action_type_id = 2;
    status = 0x0123;
  }
  SUBCASE("another instance") {
    command.requested_sop_instance_uid = "1.2.3";
    status = 0x0112;
  }
  SUBCASE("another class") {
    command.requested_sop_class_uid = k_ct;
    status = 0x0118;
  }
  SUBCASE("no transaction UID") {
    request.transaction_uid.clear();
    status = 0x0115;
  }
  SUBCASE("no references") {
    request.references.clear();
    status = 0x0115;
  }
  Client client(bench.port(), Client::request(calling));
  const dimse::Command response = client.ask(command, dimse::to_data_set(request));
  CHECK(response.status == status);
  CHECK(response.error_comment == comment);
  CHECK(saved_reports(bench) == 0);
}

TEST_CASE("a report that cannot be delivered is kept, and delivered after a start") {
  Bench bench;
  std::uint16_t port = 0;
  {
    const ReportListener nobody;
    port = nobody.port();
  }
  bench.settings.known_aes[0].endpoint = net::Endpoint{"127.0.0.1", port};
  bench.settings.report_retries = 1;
  bench.start();
  const Object object = Object::make("1");
  {
    Client client(bench.port());
    REQUIRE(client.store(object).status == 0x0000);
    CHECK(client.ask({"2.25.5", {{k_ct, object.uid}, {k_ct, "1.2.3"}}}).status == 0x0000);
    client.association->release();
  }
  CHECK(bench.saw("report-failed"));
  bench.stop();
  CHECK(saved_reports(bench) == 1);
  // Half a report, as a kill leaves it, is none.
  std::ofstream(bench.settings.storage / ".reports" / "x.json.part-1-1") << "{";

  ReportListener listener;
  bench.settings.known_aes[0].endpoint = net::Endpoint{"127.0.0.1", listener.port()};
  bench.start();
  const auto report = listener.wait("2.25.5");
  REQUIRE(report.has_value());
  CHECK(report->committed.size() == 1);
  CHECK(report->failed.size() == 1);
  wait_until_none_is_saved(bench);
  CHECK(saved_reports(bench) == 0);
  bench.stop();
  CHECK(listener.count() == 1);
}

TEST_CASE("a report is tried again until the listener is up") {
  Bench bench;
  std::uint16_t port = 0;
  {
    const ReportListener nobody;
    port = nobody.port();
  }
  bench.settings.known_aes[0].endpoint = net::Endpoint{"127.0.0.1", port};
  bench.settings.report_retries = 8;
  bench.start();
  Client client(bench.port());
  CHECK(client.ask({"2.25.6", {{k_ct, "1.2.3"}}}).status == 0x0000);
  REQUIRE(bench.saw("report-failed"));
  ReportListener listener(nullptr, port);
  CHECK(listener.wait("2.25.6").has_value());
}

TEST_CASE("the same association: a report that could not go out comes on the next one") {
  Bench bench;
  bench.settings.report_on = Settings::ReportOn::same_association;
  bench.settings.report_delay = milliseconds(300);
  bench.start();
  {
    Client client(bench.port());
    CHECK(client.ask({"2.25.8", {{k_ct, "1.2.3"}}}).status == 0x0000);
    client.association->release();
  }
  CHECK(saved_reports(bench) == 1);
  Client later(bench.port());
  const auto report = next_report(later);
  REQUIRE(report.has_value());
  CHECK(report->transaction_uid == "2.25.8");
}
