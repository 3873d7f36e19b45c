#include <kuva/workflow/store_queue.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kuva;
using namespace kuva::workflow;

namespace {

const std::string k_compressed = "1.2.840.10008.1.2.4.90";
const std::string k_ct = "1.2.840.10008.5.1.4.1.1.2";
const std::string k_mr = "1.2.840.10008.5.1.4.1.1.4";

struct Silent final : Observer, RecordSink {
  void message(Level, std::string_view) override {}
  void progress(const Progress&) override {}
  void emit(const Json& record) override { records.push_back(record); }
  std::vector<Json> records;
};

struct Fixture {
  Silent silent;
  Target target;
  SendSettings settings;
  StoreRun run;
  StoreQueue queue;

  Fixture() : run(silent, silent, plain(target), settings, {}) {}
  static const Target& plain(Target& target) {
    target.tls = false;
    return target;
  }

  void push(const std::string& uid, const std::string& study, const StorageKind& kind) {
    StoreJob job;
    job.sop_instance_uid = uid;
    job.study_instance_uid = study;
    job.kind = kind;
    queue.push(std::move(job), run);
  }
  std::string pop(const StoreQueue::Preference& preference) {
    const auto job = queue.pop(std::chrono::steady_clock::now(), preference);
    return job ? job->sop_instance_uid : std::string("none");
  }
};

StorageKind kind_number(std::size_t number) { return {fmt::format("1.2.{}", number), k_compressed}; }

}  // namespace

TEST_CASE("jobs come in their order while the association has contexts for them, or there is none") {
  Fixture fixture;
  fixture.push("a", "1", {k_ct, k_compressed});
  fixture.push("b", "1", {k_mr, k_compressed});
  fixture.push("c", "2", {k_ct, k_compressed});
  CHECK(fixture.queue.kinds() == std::vector<StorageKind>{{k_ct, k_compressed}, {k_mr, k_compressed}});
  PresentationPlan plan;
  plan.add({k_ct, k_compressed});
  plan.add({k_mr, k_compressed});
  CHECK(fixture.pop({}) == "a");
  CHECK(fixture.pop({&plan, "1"}) == "b");
  CHECK(fixture.pop({&plan, "1"}) == "c");
  CHECK(fixture.pop({&plan, "1"}) == "none");
}

TEST_CASE("the study at hand is finished before an association with more contexts is made") {
  Fixture fixture;
  fixture.push("a", "1", {k_mr, k_compressed});
  fixture.push("b", "2", {k_ct, k_compressed});
  fixture.push("c", "1", {k_ct, k_compressed});
  PresentationPlan plan;
  plan.add({k_ct, k_compressed});
  CHECK(fixture.pop({&plan, "1"}) == "c");
  CHECK(fixture.pop({&plan, "1"}) == "a");
}

TEST_CASE("300 kinds, 40 objects of each, need few associations") {
  Fixture fixture;
  constexpr std::size_t k_kinds = 300;
  constexpr std::size_t k_objects = k_kinds * 40;
  std::size_t pushed = 0;
  std::size_t popped = 0;
  std::size_t associations = 0;
  std::set<StorageKind> recent;
  std::optional<PresentationPlan> plan;
  const auto refill = [&] {
    while (pushed < k_objects && fixture.queue.load() < fixture.queue.capacity()) {
      fixture.push(std::to_string(pushed), "1", kind_number(pushed % k_kinds));
      ++pushed;
    }
  };
  for (refill(); popped < k_objects; refill()) {
    const auto job = fixture.queue.pop(std::chrono::steady_clock::now(), {plan ? &*plan : nullptr, "1"});
    REQUIRE(job);
    ++popped;
    if (!plan || !plan->covers(job->kind)) {
      ++associations;
      plan.emplace();
      plan->add(job->kind);
      for (const StorageKind& waiting : fixture.queue.kinds()) {
        if (!plan->add(waiting)) {
          fixture.queue.hold_more();
        }
      }
    }
  }
  // Three would do for who could see all of it at once.
  CHECK(associations <= 7);

  Fixture one_of_each;
  for (std::size_t i = 0; i < 250; ++i) {
    one_of_each.push(std::to_string(i), "1", kind_number(i));
  }
  plan.reset();
  associations = 0;
  while (const auto job = one_of_each.queue.pop(std::chrono::steady_clock::now(), {plan ? &*plan : nullptr, "1"})) {
    if (!plan || !plan->covers(job->kind)) {
      ++associations;
      plan.emplace();
      plan->add(job->kind);
      for (const StorageKind& waiting : one_of_each.queue.kinds()) {
        plan->add(waiting);
      }
    }
  }
  CHECK(associations == 2);
}

TEST_CASE("a SOP class is stopped after its refusals, never one that was taken") {
  Fixture fixture;
  const Error refusal(kind("dimse.not-authorised"), "0124");
  StoreJob ct;
  ct.kind = {k_ct, k_compressed};
  StoreJob mr;
  mr.kind = {k_mr, k_compressed};
  fixture.run.class_refused(k_ct, refusal, 3);
  fixture.run.class_refused(k_ct, refusal, 3);
  CHECK_FALSE(fixture.run.stopped(ct));
  fixture.run.class_refused(k_ct, refusal, 3);
  REQUIRE(fixture.run.stopped(ct));
  CHECK(&fixture.run.stopped(ct)->kind() == &kind("dimse.not-authorised"));
  CHECK_FALSE(fixture.run.stopped(mr));
  fixture.run.class_worked(k_mr);
  CHECK(fixture.run.has_class_worked(k_mr));
  fixture.run.class_refused(k_mr, refusal, 1);
  CHECK_FALSE(fixture.run.stopped(mr));
}

TEST_CASE("a record of a failure says which run, how often it was tried, and what helps") {
  Fixture fixture;
  StoreJob job;
  job.record = Json{{"type", "instance"}};
  job.attempts = 2;
  job.first_failure = std::make_shared<const Json>(Json{{"code", "connection.lost"}});
  fixture.run.finish_failed(std::move(job), Error(kind("store.out-of-resources"), "A700"));
  REQUIRE(fixture.silent.records.size() == 1);
  const Json& error = fixture.silent.records[0]["error"];
  CHECK(error["run"] == fixture.run.id());
  CHECK(error["next"] == "run-again");
  CHECK(error["tries"] == Json{{"made", 2}, {"first", {{"code", "connection.lost"}}}});
}
