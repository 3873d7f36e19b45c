#include <kuva/cli/failure_summary.hpp>
#include <kuva/core/record.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kuva;
using cli::FailureSummary;

namespace {

Json failed(std::string_view path, std::string_view code, std::string_view status = {}) {
  Json record = make_record("instance", "kuva-send", "failed", false);
  record["path"] = path;
  record["StudyInstanceUID"] = "1.2";
  record["SOPInstanceUID"] = "1.2.3";
  record["error"] = {{"code", code}, {"message", "said " + std::string(path)}, {"hint", "mend it"}};
  if (!status.empty()) {
    record["error"]["status"] = status;
    record["error"]["offendingElements"] = {"0008,1030"};
  }
  return record;
}

}  // namespace

TEST_CASE("nothing is said where all went well") {
  FailureSummary summary("kuva-send");
  summary.note(make_record("instance", "kuva-send", "stored", true));
  Json earlier = make_record("instance", "kuva-validate", "invalid", false);
  summary.note(earlier);
  CHECK(summary.lines("kuva-send -t archive").empty());
}

TEST_CASE("failures are told by kind, the commonest first, each with its example") {
  FailureSummary summary("kuva-send");
  summary.note(make_record("instance", "kuva-send", "stored", true));
  summary.note(make_record("summary", "kuva-send", "failed", false));
  summary.note(make_record("instance", "kuva-validate", "invalid", false));
  summary.note(failed("/z", "store.no-response"));
  summary.note(failed("/b c", "store.data-set-mismatch", "A900"));
  summary.note(failed("/a'b", "store.data-set-mismatch", "A900"));
  const auto lines = summary.lines("kuva-send -t archive");
  REQUIRE(lines.size() == 9);
  CHECK(
      lines[0] ==
      "3 of 5 not ok: 2 x store.data-set-mismatch (A900, offending (0008,1030)), 1 x store.no-response; 1 failed in an "
      "earlier stage");
  CHECK(lines[1] == "2 x store.data-set-mismatch (A900, offending (0008,1030)): said /a'b");
  CHECK(lines[2] == "  e.g. /a'b, study 1.2, instance 1.2.3");
  CHECK(lines[3] == "  mend it");
  CHECK(lines[4] == "  this one again: kuva-send -t archive '/a'\\''b'");
  CHECK(lines[5] == "1 x store.no-response: said /z");
}

TEST_CASE("an object without an error is of the kind of its first error finding") {
  FailureSummary summary("kuva-validate");
  Json record = make_record("instance", "kuva-validate", "invalid", false);
  record["findings"] = Json::array({{{"severity", "warning"}, {"rule", "a"}, {"message", "mild"}},
                                    {{"severity", "error"}, {"rule", "structure.truncated"}, {"message", "cut"}}});
  summary.note(record);
  const auto lines = summary.lines("");
  REQUIRE(lines.size() == 2);  // no path and no UID: no example
  CHECK(lines[0] == "1 of 1 not ok: 1 x structure.truncated");
  CHECK(lines[1] == "1 x structure.truncated: cut");
}

TEST_CASE("kinds beyond the limit are counted and said to be") {
  FailureSummary summary("kuva-send");
  for (std::size_t i = 0; i < 3 * FailureSummary::k_most_kinds; ++i) {
    summary.note(failed("/x", fmt::format("code-{:04}", i)));
  }
  const auto lines = summary.lines("");
  CHECK(lines.size() == 1 + 3 * FailureSummary::k_most_shown);
  CHECK(lines[0].starts_with("192 of 192 not ok: 1 x code-0000, "));
  CHECK(lines[0].ends_with("and 182 of other kinds (see the records)"));
}
