#include "support/temporary_directory.hpp"

#include <kuva/core/record.hpp>
#include <kuva/mllp/listener.hpp>
#include <kuva/workflow/merge.hpp>
#include <kuva/workflow/merge_history.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

using namespace std::chrono_literals;
using kuva::Json;
using kuva::hl7::AckCode;
using kuva::hl7::AckError;
using kuva::hl7::Message;
using kuva::workflow::Hl7Target;
using kuva::workflow::MergeSettings;
using Columns = std::map<std::string, std::string>;

namespace {

// An archive that answers as the test says; nothing closes the connection.
class MergeScript final : public kuva::mllp::Handler {
 public:
  struct Say {
    AckCode code = AckCode::AA;
    std::string error = {};  // ERR-3
    std::string words = {};  // ERR-8
    std::string place = "MRG-1";
    std::string diagnostic = {};  // ERR-7
  };
  std::function<std::optional<Say>(const Message&)> say = [](const Message&) { return Say{}; };
  std::vector<Message> received;

  std::optional<std::string> on_message(const kuva::mllp::Received& message) override {
    const std::lock_guard lock(m_mutex);
    received.push_back(Message::parse(message.bytes));
    const auto said = say(received.back());
    if (!said) {
      return std::nullopt;
    }
    kuva::hl7::Acknowledgement answer;
    answer.code = said->code;
    answer.own_control_id = "A";
    if (!said->error.empty()) {
      answer.errors.push_back({said->place, said->error, "", "E", said->diagnostic, said->words});
    }
    return kuva::hl7::make_acknowledgement(received.back(), answer).wire_bytes();
  }
  void on_error(const kuva::Error&, std::uint64_t) override {}

 private:
  std::mutex m_mutex;
};

class MergeRecords : public kuva::workflow::RecordSink, public kuva::workflow::Observer {
 public:
  std::vector<Json> records;
  void emit(const Json& record) override { records.push_back(record); }
  void message(Level, std::string_view) override {}
  void progress(const Progress&) override {}
};

class MergeRows : public kuva::workflow::RowSource {
 public:
  explicit MergeRows(std::vector<Columns> rows) : m_rows(rows.begin(), rows.end()) {}
  std::optional<kuva::workflow::Row> next() override {
    if (m_rows.empty()) {
      return std::nullopt;
    }
    kuva::workflow::Row row;
    row.values = std::move(m_rows.front());
    m_rows.pop_front();
    return row;
  }

 private:
  std::deque<Columns> m_rows;
};

// An archive with a history of merges, and what came of the last run.
struct Merging {
  MergeScript archive;
  std::unique_ptr<kuva::mllp::Listener> listener;
  kuva::test::TemporaryDirectory directory;
  Hl7Target target;
  MergeSettings settings;

  Merging() {
    kuva::mllp::ListenerSettings listening;
    listening.bind = {"127.0.0.1", 0};
    listener = kuva::mllp::Listener::start(listening, archive);
    target.endpoint = {"127.0.0.1", listener->port()};
    target.tls = false;
    target.sending_facility = "HOSPITAL";
    target.receiving_application = "ARCHIVE";
    target.receiving_facility = "NATIONAL";
    target.acknowledgement_timeout = 5s;
    settings.state = directory.path();
    settings.delivery.retries = 2;
    settings.delivery.retry_delay = 1ms;
  }

  // "applied", "failed merge.inverse", ... of each row.
  std::string run(const std::vector<Columns>& rows, std::stop_token stop = {}) {
    MergeRows source(rows);
    MergeRecords sink;
    kuva::workflow::Accounting accounting;
    kuva::workflow::merge(source, sink, sink, accounting, target, settings, std::move(stop));
    std::string all;
    for (const Json& record : sink.records) {
      all += (all.empty() ? "" : ", ") + record["outcome"].get<std::string>();
      if (record.contains("error")) {
        all += " " + record["error"]["code"].get<std::string>();
      }
      if (record.contains("already")) {
        all += " " + record["already"].get<std::string>();
      }
    }
    last = sink.records.empty() ? Json() : sink.records.back();
    return all;
  }
  std::string run(const std::string& from, const std::string& into, std::stop_token stop = {}) {
    return run(std::vector<Columns>{{{"from", from}, {"into", into}, {"name", "Doe^Jane"}}}, std::move(stop));
  }
  // The next message is not answered; whether it was applied nobody knows.
  void leave_in_doubt(const std::string& from, const std::string& into) {
    const auto before = std::exchange(archive.say, [](const Message&) { return std::nullopt; });
    CHECK(run(from, into) == "indeterminate mllp.no-acknowledgement");
    archive.say = before;
  }
  void answer(const MergeScript::Say& said) {
    archive.say = [said](const Message&) { return said; };
  }
  std::size_t sent() const { return archive.received.size(); }

  Json last;
};

std::string merged_with(const std::string& survivor) {
  return "Patient[id=T1^^^&1.2.3&ISO, name=Doe] merged with " + survivor;
}

}  // namespace

TEST_CASE("a merge that may only be of the same patients confirms nothing") {
  Merging merging;
  CHECK(merging.run("T1^^^NS1", "B@1.2.4") == "applied");
  CHECK(merging.run("T1^^^NS1", "B@1.2.4") == "applied history");
  CHECK(merging.run("T1@1.2.3", "B@1.2.4") == "failed merge.retired");
  CHECK(merging.run("T1^^^NS1", "B^^^NS2") == "failed merge.retired");
  merging.settings.kind = MergeSettings::Kind::change_id;
  CHECK(merging.run("T1^^^NS1", "B@1.2.4") == "failed merge.retired");
  CHECK(merging.sent() == 1);
}

TEST_CASE("a repetition is of the very same merge, and another one keeps its own control id") {
  Merging merging;
  merging.leave_in_doubt("T1^^^NS1", "B@1.2.4");
  CHECK(merging.run("T1@1.2.3", "B@1.2.4") == "failed merge.unsettled");
  merging.settings.kind = MergeSettings::Kind::change_id;
  CHECK(merging.run("T1^^^NS1", "B@1.2.4") == "failed merge.unsettled");
  merging.settings.kind = MergeSettings::Kind::merge;
  CHECK(merging.run("T1^^^NS1", "B@1.2.4") == "applied");
  REQUIRE(merging.sent() == 2);
  CHECK(merging.archive.received[0].control_id() == merging.archive.received[1].control_id());
}

TEST_CASE("an exact entry is found behind a newer one that may be of the same patients") {
  Merging merging;
  CHECK(merging.run("T1^^^&1.2.3&ISO", "B@1.2.4") == "applied");
  CHECK(merging.run("T1^^^NS1", "C@1.2.4") == "failed merge.retired");
  CHECK(merging.run("T1^^^&1.2.3&ISO", "B@1.2.4") == "applied history");
}

TEST_CASE("merged with: the identifier right after it, with its authority, confirms; nothing else does") {
  const auto outcome = [](const MergeScript::Say& said, bool repeated) {
    Merging merging;
    if (repeated) {
      merging.leave_in_doubt("T1@1.2.3", "P1@1.2.4");
    }
    merging.answer(said);
    return merging.run("T1@1.2.3", "P1@1.2.4");
  };
  const auto says = [&](const std::string& survivor, bool repeated = false) {
    return outcome({AckCode::AR, "204", merged_with(survivor)}, repeated);
  };
  CHECK(says("Patient[id=P1^^^&1.2.4&ISO, name=Doe]") == "applied archive");
  CHECK(says("Patient[id=P1^^^HOSPITAL&1.2.4&ISO]") == "applied archive");
  CHECK(says("P1^^^&1.2.4&ISO") == "applied archive");
  CHECK(says("Patient[id=P1^^^&1.2.5&ISO]") == "failed merge.elsewhere");
  CHECK(says("Patient[id=P2^^^&1.2.4&ISO]") == "failed merge.elsewhere");
  CHECK(says("Patient[id=P2^^^&1.2.4&ISO] (asked for P1^^^&1.2.4&ISO)") == "failed merge.elsewhere");
  // Neither yes nor no.
  CHECK(says("Patient[id=P1]") == "failed adt.merged-patient");
  CHECK(says("Patient[id=P1^^^HOSPITAL]") == "failed adt.merged-patient");
  CHECK(says("Patient[pk=17]") == "failed adt.merged-patient");
  CHECK(says("another patient") == "failed adt.merged-patient");
  CHECK(says("") == "failed adt.merged-patient");
  CHECK(says("Patient[pk=17]", true) == "indeterminate mllp.no-acknowledgement");
  CHECK(says("Patient[id=P2^^^&1.2.4&ISO]", true) == "indeterminate mllp.no-acknowledgement");
  CHECK(says("Patient[id=P1^^^&1.2.4&ISO]", true) == "applied archive");
  CHECK(outcome({AckCode::AR, "204", merged_with("Patient[pk=17]"), "MRG-1", "for P1^^^&1.2.4&ISO"}, true) ==
        "indeterminate mllp.no-acknowledgement");
  CHECK(outcome({AckCode::AR, "204", merged_with("Patient[id=P1^^^&1.2.4&ISO]"), "PID-3"}, false) ==
        "failed adt.merged-patient");
}

TEST_CASE("a merge in doubt stays so and forbids its opposite, whatever a repetition is told") {
  for (const MergeScript::Say& said :
       {MergeScript::Say{AckCode::AE, "207", "", ""}, MergeScript::Say{AckCode::AE, "206", "", ""},
        MergeScript::Say{AckCode::AR, "204", "Unknown patient"}, MergeScript::Say{AckCode::AR, "205", "duplicate"}}) {
    CAPTURE(said.error);
    Merging merging;
    merging.leave_in_doubt("A@1.2.3", "B@1.2.3");
    merging.answer(said);
    CHECK(merging.run("A@1.2.3", "B@1.2.3") == "indeterminate mllp.no-acknowledgement");
    CHECK(merging.run("B@1.2.3", "A@1.2.3") == "failed merge.inverse");
  }
  Merging merging;
  merging.leave_in_doubt("A@1.2.3", "B@1.2.3");
  merging.listener->stop(0ms);
  const std::vector<Columns> twice(2, {{"from", "A@1.2.3"}, {"into", "B@1.2.3"}, {"name", "Doe"}});
  CHECK(merging.run(twice) == "indeterminate mllp.no-acknowledgement, indeterminate mllp.no-acknowledgement");
  CHECK(merging.last["error"]["cause"] == "connect.refused");
  CHECK(merging.run("B@1.2.3", "A@1.2.3") == "failed merge.inverse");
}

TEST_CASE("within a run, too, an answer to the second attempt does not take the doubt away") {
  Merging merging;
  merging.settings.delivery.repeat_merges = true;
  merging.archive.say = [&](const Message&) -> std::optional<MergeScript::Say> {
    return merging.sent() == 1 ? std::nullopt : std::optional(MergeScript::Say{AckCode::AR, "205", "duplicate"});
  };
  CHECK(merging.run("A@1.2.3", "B@1.2.3") == "indeterminate mllp.no-acknowledgement");
  CHECK(merging.sent() == 2);
  CHECK(merging.run("B@1.2.3", "A@1.2.3") == "failed merge.inverse");
}

TEST_CASE("what was refused at once leaves its opposite free") {
  Merging merging;
  merging.answer({AckCode::AR, "205", "Multiple Patients"});
  CHECK(merging.run("A@1.2.3", "B@1.2.3") == "failed adt.ambiguous-patient");
  merging.answer({});
  CHECK(merging.run("B@1.2.3", "A@1.2.3") == "applied");
}

TEST_CASE("nothing follows on a merge that is in doubt, so that it can be settled") {
  Merging merging;
  merging.leave_in_doubt("A@1.2.3", "B@1.2.3");
  CHECK(merging.run("B@1.2.3", "C@1.2.3") == "failed merge.unsettled");
  CHECK(merging.run("A@1.2.3", "C@1.2.3") == "failed merge.unsettled");
  CHECK(merging.run("A@1.2.3", "B@1.2.3") == "applied");
  CHECK(merging.run("B@1.2.3", "C@1.2.3") == "applied");
  CHECK(merging.run("C@1.2.3", "A@1.2.3") == "failed merge.circle");
}

TEST_CASE("a merge in doubt whose survivor has gone since is repeated all the same") {
  Merging merging;
  merging.leave_in_doubt("A@1.2.3", "B@1.2.3");
  {
    // As an earlier kuva left it, which did not hold back what follows.
    const auto id = [](const char* text) { return *kuva::hl7::PatientIdentifier::parse(text); };
    using kuva::workflow::MergeHistory;
    MergeHistory history(merging.directory.path(),
                         {"127.0.0.1:" + std::to_string(merging.target.endpoint.port), "ARCHIVE|NATIONAL"}, {});
    const MergeHistory::Entry later{id("B^^^1.2.3"), id("C^^^1.2.3"), "A40", "K9", MergeHistory::State::sent};
    history.save_sent(later);
    history.save_applied(later);
  }
  CHECK(merging.run("A@1.2.3", "B@1.2.3") == "applied");
}

TEST_CASE("somebody who looked at the archive settles what is in doubt") {
  Merging merging;
  merging.leave_in_doubt("A@1.2.3", "B@1.2.3");
  merging.settings.settle = MergeSettings::Settle::not_applied;
  CHECK(merging.run("B@1.2.3", "A@1.2.3") == "failed usage.argument");
  merging.settings.dry_run = true;
  CHECK(merging.run("A@1.2.3", "B@1.2.3") == "planned");
  merging.settings.dry_run = false;
  merging.settings.confirm = [](const std::string&) { return false; };
  CHECK(merging.run("A@1.2.3", "B@1.2.3") == "indeterminate mllp.no-acknowledgement");
  merging.settings.confirm = nullptr;
  CHECK(merging.run("A@1.2.3", "B@1.2.3") == "forgotten");
  merging.settings.settle = MergeSettings::Settle::none;
  CHECK(merging.run("B@1.2.3", "A@1.2.3") == "applied");
  merging.leave_in_doubt("C@1.2.3", "D@1.2.3");
  merging.settings.settle = MergeSettings::Settle::applied;
  CHECK(merging.run("C@1.2.3", "D@1.2.3") == "applied operator");
  CHECK(merging.run("C@1.2.3", "D@1.2.3") == "failed usage.argument");
  merging.settings.settle = MergeSettings::Settle::none;
  CHECK(merging.run("C@1.2.3", "D@1.2.3") == "applied history");
  CHECK(merging.sent() == 3);
}

TEST_CASE("a stop while the next message waits its turn sends nothing, and leaves nothing behind") {
  Merging merging;
  merging.target.min_interval = 60s;
  std::stop_source stop;
  merging.archive.say = [&](const Message&) -> std::optional<MergeScript::Say> {
    std::thread([stop]() mutable {
      std::this_thread::sleep_for(100ms);
      stop.request_stop();
    }).detach();
    return MergeScript::Say{};
  };
  CHECK(merging.run({{{"from", "A@1.2.3"}, {"into", "B@1.2.3"}, {"name", "Doe"}},
                     {{"from", "C@1.2.3"}, {"into", "D@1.2.3"}, {"name", "Doe"}}},
                    stop.get_token()) == "applied, unsent interrupted");
  CHECK_FALSE(merging.last.contains("attempts"));
  CHECK(merging.sent() == 1);
  merging.target.min_interval = 0ms;
  merging.archive.say = [](const Message&) { return MergeScript::Say{}; };
  CHECK(merging.run("D@1.2.3", "C@1.2.3") == "applied");
}

TEST_CASE("a message that would arrive cut is not sent, and the next one is") {
  Merging merging;
  merging.target.values.emplace_back(*kuva::hl7::Position::parse("ZZZ-1"),
                                     "a\x1C"
                                     "b");
  CHECK(merging.run("A@1.2.3", "B@1.2.3") == "applied");  // written as an escape sequence
  merging.target.values.clear();
  merging.target.sending_facility =
      "A\x1C"
      "B";
  CHECK(merging.run("C@1.2.3", "D@1.2.3") == "failed hl7.invalid");
  CHECK(merging.sent() == 1);
}
