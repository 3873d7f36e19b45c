#include "support/temporary_directory.hpp"

#include <kuva/core/record.hpp>
#include <kuva/workflow/custody.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::workflow;

namespace {

const std::string k_class = "1.2.840.10008.5.1.4.1.1.2";

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
  void message(Level level, std::string_view text) override {
    if (level <= Level::warning) {
      warnings.emplace_back(text);
    }
  }
  void progress(const Progress&) override {}
  std::vector<std::string> warnings;
};

Json stored(const std::string& uid) {
  Json record = make_record("instance", "kuva-send", outcome::stored, true);
  record["SOPClassUID"] = k_class;
  record["SOPInstanceUID"] = uid;
  return record;
}

struct Fixture {
  test::TemporaryDirectory directory;
  Records sink;
  Silent observer;
  TransactionStore store{directory.path()};
  Custody custody{sink, observer, store};
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a full report: each instance is committed, and nothing is left behind") {
  const std::string uid = custody.open({stored("1.1"), stored("1.2")});
  CHECK(store.list().size() == 1);
  const auto request = custody.request_of(uid);
  CHECK(request.references.size() == 2);
  custody.report({uid, request.references, {}, "ARCHIVE"});
  CHECK(sink.outcomes() == "1.1:committed 1.2:committed ");
  CHECK(sink.records[0]["commit"]["transactionUID"] == uid);
  CHECK(sink.records[0]["commit"]["retrieveAETitle"] == "ARCHIVE");
  CHECK(custody.all_settled());
  CHECK(store.list().empty());
}

TEST_CASE_FIXTURE(Fixture, "each instance ends in exactly one of committed, failed and pending") {
  const std::string uid = custody.open({stored("1.1"), stored("1.2"), stored("1.3"), stored("1.4"), stored("1.5")});
  // 1.2 failed; 1.3 in both lists; 1.4 committed under another class; 1.5 not mentioned; 9.9 never asked for.
  custody.report({uid,
                  {{k_class, "1.1"}, {k_class, "1.3"}, {"1.2.3", "1.4"}, {k_class, "9.9"}},
                  {{{k_class, "1.2"}, 0x0112}, {{k_class, "1.3"}, 0x0110}},
                  ""});
  CHECK(sink.outcomes() == "1.1:committed 1.2:failed 1.3:failed 1.4:failed ");
  REQUIRE(observer.warnings.size() == 1);
  CHECK(observer.warnings.front().find("1 instances that were not asked for") != std::string::npos);
  CHECK(custody.wait(Deadline::after(std::chrono::milliseconds(0)), {}));  // it has its report
  custody.leave_pending();
  CHECK(sink.outcomes() == "1.1:committed 1.2:failed 1.3:failed 1.4:failed 1.5:pending ");
  CHECK(sink.records[1]["error"]["code"] == "commit.failed.no-such-instance");
  CHECK(string_at(sink.records[2]["error"], "message").find("calls it committed") != std::string::npos);
  CHECK(sink.records[3]["error"]["code"] == "commit.failed.class-conflict");
  CHECK(sink.records[4]["error"]["code"] == "commit.not-mentioned");
  REQUIRE(store.list().size() == 1);  // what was not mentioned, for a later run
  CHECK(store.load(store.list().front())->records.size() == 1);
  custody.report({uid, {{k_class, "1.5"}}, {}, ""});  // too late: nothing leaves twice, and the next run knows
  CHECK(sink.records.size() == 5);
  REQUIRE(store.load(uid)->report.has_value());
}

TEST_CASE_FIXTURE(Fixture, "a second report settles what the first left out") {
  const std::string uid = custody.open({stored("1.1"), stored("1.2"), stored("1.3")});
  custody.report({uid, {{k_class, "1.1"}}, {}, ""});
  CHECK(sink.outcomes() == "1.1:committed ");
  custody.report({uid, {{k_class, "1.1"}, {k_class, "1.2"}}, {{{k_class, "1.3"}, 0x0112}}, ""});
  CHECK(sink.outcomes() == "1.1:committed 1.2:committed 1.3:failed ");
  CHECK(store.list().empty());
  custody.leave_pending();
  CHECK(sink.records.size() == 3);
}

TEST_CASE_FIXTURE(Fixture, "what the archive failed for a passing reason is pending, and asked again by a later run") {
  const std::string uid = custody.open({stored("1.1"), stored("1.2"), stored("1.3")});
  custody.report({uid, {}, {{{k_class, "1.1"}, 0x0131}, {{k_class, "1.2"}, 0x0213}}, ""});
  CHECK(sink.outcomes() == "1.1:pending 1.2:pending ");
  CHECK(sink.records[0]["error"]["code"] == "commit.failed.duplicate-transaction");
  CHECK(sink.records[1]["error"]["code"] == "commit.failed.resources");
  custody.leave_pending();
  CHECK(sink.outcomes() == "1.1:pending 1.2:pending 1.3:pending ");
  REQUIRE(store.load(uid).has_value());
  CHECK(store.load(uid)->records.size() == 3);
}

TEST_CASE_FIXTURE(Fixture, "a UID that is asked for twice is in the request once, and both records leave") {
  const std::string uid = custody.open({stored("1.1"), stored("1.1")});
  CHECK(custody.request_of(uid).references.size() == 1);
  custody.report({uid, {{k_class, "1.1"}}, {}, ""});
  CHECK(sink.outcomes() == "1.1:committed 1.1:committed ");
}

TEST_CASE_FIXTURE(Fixture, "a request that was sent again has another UID, and the report of either settles it") {
  const std::string first = custody.open({stored("1.1")});
  const std::string second = custody.renew(first);
  CHECK(second != first);
  CHECK(store.list() == std::vector<std::string>{second});
  custody.report({first, {{k_class, "1.1"}}, {}, ""});
  CHECK(sink.outcomes() == "1.1:committed ");
  CHECK(custody.renew(second) == second);  // nothing left to ask
  CHECK_FALSE(custody.is_open(second));
}

TEST_CASE_FIXTURE(Fixture, "what a report left out is awaited anew when it is asked for again") {
  const std::string first = custody.open({stored("1.1"), stored("1.2"), stored("1.3")});
  custody.report(
      {first, {{k_class, "1.1"}}, {{{k_class, "1.2"}, 0x0213}}, ""});  // before the response, which never comes
  const std::string second = custody.renew(first);
  CHECK(custody.is_open(second));
  CHECK_FALSE(custody.wait(Deadline::after(std::chrono::milliseconds(0)), {}));
  custody.report({second, {{k_class, "1.2"}, {k_class, "1.3"}}, {}, ""});
  CHECK(sink.outcomes() == "1.1:committed 1.2:pending 1.3:committed ");
  CHECK(custody.all_settled());
}

TEST_CASE_FIXTURE(Fixture, "what an earlier run asked for is settled by its late report") {
  const std::string now = custody.open({stored("1.1")}, "2.25.77");
  const std::string more = custody.open({stored("1.2")}, "2.25.77");
  custody.report({"2.25.77", {{k_class, "1.1"}, {k_class, "1.2"}}, {}, ""});
  CHECK(sink.records.size() == 2);
  CHECK(custody.all_settled());
  CHECK(observer.warnings.empty());
}

TEST_CASE_FIXTURE(Fixture, "a report for somebody else's transaction is told and changes nothing") {
  custody.open({stored("1.1")});
  custody.report({"2.25.404", {{k_class, "1.1"}}, {}, ""});
  CHECK(sink.records.empty());
  REQUIRE(observer.warnings.size() == 1);
  CHECK(observer.warnings.front().find("2.25.404") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "the report of an earlier run's transaction is kept for the next") {
  store.save({"2.25.5", "2026-11-21T08:00:00.000Z", {stored("1.1"), stored("1.2")}, std::nullopt});
  custody.report({"2.25.5", {{k_class, "1.1"}}, {}, ""});
  CHECK(sink.records.empty());
  const std::vector<Json> left = custody.settle_earlier(*store.load("2.25.5"));
  CHECK(sink.outcomes() == "1.1:committed ");
  REQUIRE(left.size() == 1);
  CHECK(left.front()["SOPInstanceUID"] == "1.2");
}

TEST_CASE_FIXTURE(Fixture,
                  "without a report all is pending and stays in the store; a refusal for good is failed and does not") {
  const std::string uid = custody.open({stored("1.1")});
  custody.acknowledged(uid);
  const std::string refused = custody.open({stored("1.2")});
  custody.request_failed(refused, Error(kind("dimse.not-authorised"), "0124"));
  custody.leave_pending();
  CHECK(sink.outcomes() == "1.2:failed 1.1:pending ");
  CHECK(sink.records[1]["error"]["code"] == "commit.no-report");
  CHECK(store.list() == std::vector<std::string>{uid});
}
