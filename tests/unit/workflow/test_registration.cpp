#include "support/temporary_directory.hpp"

#include <kuva/core/record.hpp>
#include <kuva/workflow/registration.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::workflow;

namespace {

const std::string k_class = "1.2.840.10008.5.1.4.1.1.2";
const std::string k_study = "1.2.3";

class Records : public RecordSink {
 public:
  void emit(const Json& record) override { records.push_back(record); }
  std::string outcomes() const {
    std::string text;
    for (const Json& record : records) {
      text += string_at(record, "SOPInstanceUID") + ":" + string_at(record, "outcome") + " ";
    }
    return text;
  }
  std::vector<Json> records;
};

class Silent : public Observer {
 public:
  void message(Level, std::string_view) override {}
  void progress(const Progress&) override {}
};

Json committed(const std::string& uid, const std::string& study = k_study) {
  Json record = make_record("instance", "kuva-commit", outcome::committed, true);
  record["SOPClassUID"] = k_class;
  record["SOPInstanceUID"] = uid;
  record["StudyInstanceUID"] = study;
  return record;
}

dimse::AvailabilityNotification notification(const std::vector<std::string>& uids,
                                             const std::string& availability = "ONLINE",
                                             const std::string& study = k_study) {
  dimse::AvailabilityNotification notification{study, {{study + ".1", {}}}};
  for (const std::string& uid : uids) {
    notification.series.front().instances.push_back({{k_class, uid}, availability, "ARCHIVE"});
  }
  return notification;
}

struct Fixture {
  test::TemporaryDirectory directory;
  Records sink;
  Silent observer;
  TransactionStore store{directory.path()};
  Registrations registrations{sink, observer, store, directory.path() / "notifications"};

  bool is_done() { return registrations.wait(Deadline::after(std::chrono::milliseconds(0)), {}); }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "what is committed waits for its notification") {
  registrations.emit(committed("1.1"));
  registrations.emit(committed("1.2"));
  CHECK(sink.records.empty());
  CHECK_FALSE(is_done());
  registrations.take(notification({"1.1", "1.2", "1.9"}));
  CHECK(sink.outcomes() == "1.1:registered 1.2:registered ");
  CHECK(is_done());
  CHECK(sink.records[0]["ok"] == true);
  CHECK(sink.records[0]["registration"]["availability"] == "ONLINE");
  CHECK(sink.records[0]["registration"]["retrieveAETitle"] == "ARCHIVE");
  registrations.take(notification({"1.1", "1.2", "1.9"}));  // repeated: harmless
  registrations.leave_pending();
  CHECK(sink.records.size() == 2);
  CHECK(store.list().empty());
}

TEST_CASE_FIXTURE(Fixture, "a notification may come first, and what is not committed passes") {
  registrations.take(notification({"1.1"}));
  registrations.emit(committed("1.1"));
  Json failed = committed("1.2");
  set_outcome(failed, "kuva-commit", outcome::failed, false);
  registrations.emit(failed);
  CHECK(sink.outcomes() == "1.1:registered 1.2:failed ");
}

TEST_CASE_FIXTURE(Fixture, "partial, of a stranger, unavailable, of another class: pending, and kept for later") {
  for (const char* uid : {"1.1", "1.2", "1.3", "1.4"}) {
    registrations.emit(committed(uid));
  }
  registrations.take(notification({"1.1"}));
  registrations.take(notification({"1.2"}, "ONLINE", "1.2.999"));
  registrations.take(notification({"1.3"}, "UNAVAILABLE"));
  dimse::AvailabilityNotification other = notification({"1.4"});
  other.series.front().instances.front().reference.sop_class_uid = "1.2.840.10008.5.1.4.1.1.4";
  registrations.take(other);
  CHECK(sink.outcomes() == "1.1:registered ");
  registrations.leave_pending();
  CHECK(sink.outcomes() == "1.1:registered 1.2:pending 1.3:pending 1.4:pending ");
  CHECK(sink.records[1]["error"]["code"] == "commit.not-registered");
  CHECK(sink.records[2]["registration"]["availability"] == "UNAVAILABLE");
  CHECK(sink.records[2]["ok"] == false);
  REQUIRE(store.list().size() == 1);
  const auto kept = store.load(store.list().front());
  REQUIRE(kept.has_value());
  CHECK(kept->records.size() == 3);
  CHECK(kept->records[0]["ok"] == true);  // to be asked again
}

TEST_CASE_FIXTURE(Fixture, "the latest word counts") {
  registrations.take(notification({"1.1", "1.2"}));
  registrations.take(notification({"1.1"}, "UNAVAILABLE"));
  registrations.emit(committed("1.1"));
  registrations.emit(committed("1.2"));
  CHECK(sink.outcomes() == "1.2:registered ");
  registrations.take(notification({"1.1"}, "NEARLINE"));
  CHECK(sink.outcomes() == "1.2:registered 1.1:registered ");
}

TEST_CASE_FIXTURE(Fixture, "a notification of an earlier run is known") {
  registrations.take(notification({"1.1"}));
  Records later_sink;
  Registrations later(later_sink, observer, store, directory.path() / "notifications");
  later.emit(committed("1.1"));
  CHECK(later_sink.outcomes() == "1.1:registered ");
}

TEST_CASE_FIXTURE(Fixture, "a study UID that could leave the directory is refused") {
  CHECK_THROWS_AS(registrations.take(notification({"1.1"}, "ONLINE", "../1")), Error);
}
