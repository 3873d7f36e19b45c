#include <kuva/core/record.hpp>
#include <kuva/workflow/items.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::workflow;

namespace {

Json instance(std::string_view outcome, bool ok, const ErrorKind* error = nullptr) {
  Json record = make_record("instance", "t", outcome, ok);
  record["size"] = 10U;
  if (error != nullptr) {
    set_error(record, Error(*error, "m"));
  }
  return record;
}

}  // namespace

TEST_CASE("a sound run: what entered left, all ok, exit 0") {
  Accounting accounting;
  accounting.entered();
  accounting.entered();
  accounting.left(instance(outcome::stored, true));
  accounting.left(instance(outcome::skipped, true));
  CHECK(accounting.exit_code() == ExitCode::done);
  const Json summary = accounting.summary("kuva-send", std::chrono::milliseconds(5), false);
  CHECK(summary["seen"] == 2);
  CHECK(summary["outcomes"].dump() == R"({"skipped":1,"stored":1})");
  CHECK(summary["bytes"] == 20);
  CHECK(summary["exitCode"] == 0);
  CHECK(summary["ok"] == true);
  CHECK_FALSE(summary.contains("missing"));
}

TEST_CASE("an item that got lost is never exit 0, and the summary says so") {
  Accounting accounting;
  accounting.entered();
  CHECK(accounting.exit_code() == ExitCode::internal);
  CHECK(accounting.summary("t", {}, false)["missing"] == 1);
}

TEST_CASE("an item that left twice is a fault too") {
  Accounting accounting;
  accounting.entered();
  accounting.left(instance(outcome::stored, true));
  accounting.left(instance(outcome::stored, true));
  CHECK(accounting.exit_code() == ExitCode::internal);
}

TEST_CASE("the exit code is that of the worst item, not of the last") {
  Accounting accounting;
  const auto pass = [&](const Json& record) {
    accounting.entered();
    accounting.left(record);
  };
  pass(instance(outcome::invalid, false));
  CHECK(accounting.exit_code() == ExitCode::item_failed);
  pass(instance(outcome::pending, false));
  CHECK(accounting.exit_code() == ExitCode::temporary);
  pass(instance(outcome::failed, false, &kind("tls.untrusted")));
  CHECK(accounting.exit_code() == ExitCode::security);
  pass(instance(outcome::failed, false, &kind("local.read")));
  pass(instance(outcome::stored, true));
  CHECK(accounting.exit_code() == ExitCode::local_io);
}

TEST_CASE("a record with an error code of a newer version still counts as failed") {
  Json record = instance(outcome::failed, false);
  record["error"] = Json{{"code", "store.from-the-future"}};
  CHECK(exit_code_of(record) == ExitCode::item_failed);
}

TEST_CASE("only instances that are ok, and neither skipped nor duplicate, are acted on") {
  CHECK(is_actionable(instance(outcome::valid, true)));
  CHECK_FALSE(is_actionable(instance(outcome::invalid, false)));
  CHECK_FALSE(is_actionable(instance(outcome::skipped, true)));
  CHECK_FALSE(is_actionable(instance(outcome::duplicate, true)));
  CHECK_FALSE(is_actionable(make_record("study", "t", outcome::valid, true)));
  CHECK_FALSE(is_actionable(Json::object()));
}
