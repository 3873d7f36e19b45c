#include <kuva/cli/query_table.hpp>

#include <doctest/doctest.h>

namespace kuva::cli {

namespace {

Json document(const char* local, const char* title, const char* code) {
  Json record;
  record["type"] = "document";
  record["kind"] = "manifest";
  record["title"] = title;
  record["serviceStartTime"] = Json{{"value", "x"}, {"utc", local}, {"local", local}};
  record["eventCodeList"] = Json::array({Json{{"code", code}}});
  record["availabilityStatus"] = "Approved";
  return record;
}

std::vector<Json> sample() {
  std::vector<Json> records{document("2024-02-29T23:20:00+02:00", "Pään TT", "CT"),
                            document("2023-12-01T08:00:00+02:00", "Thorax", "DX"),
                            document("2024-01-15T10:30:00+02:00", "Vatsan TT", "CT")};
  records[1]["preliminary"] = true;
  records[2]["availabilityStatus"] = "Deprecated";
  Json study;
  study["type"] = "study";
  records.push_back(study);
  return records;
}

}  // namespace

TEST_CASE("a table is aligned, also with letters of two bytes, and cuts what is too long") {
  auto records = sample();
  records[1]["title"] = std::string(80, 'x');
  CHECK(render_table(records, {{"title", "time"}, ""}) ==
        "title                                             time\n"
        "Pään TT                                           2024-02-29 23:20\n"
        "[PRELIMINARY] xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx+  2023-12-01 08:00\n"
        "[Deprecated] Vatsan TT                            2024-01-15 10:30\n");
  CHECK(render_table({}, {}).empty());
  CHECK(render_table({document("2024-01-01", "a\x1b[1m", "CT")}, {{"title"}, ""}) == "title\na\\x1b[1m\n");
}

TEST_CASE("groups stand in the order of their first documents") {
  const auto records = in_groups(sample(), "codes");
  CHECK(render_table(records, {{"codes", "title"}, "codes"}) ==
        "codes  title\n"
        "-- codes CT\n"
        "CT     Pään TT\n"
        "CT     [Deprecated] Vatsan TT\n"
        "-- codes DX\n"
        "DX     [PRELIMINARY] Thorax\n");
  CHECK(records.back()["type"] == "study");
  CHECK(render_table(in_groups(sample(), "year"), {{"title"}, "year"}).find("-- year 2023\n[PRELIMINARY]") !=
        std::string::npos);
}

TEST_CASE("along time, with gaps") {
  CHECK(render_timeline(sample()) ==
        "2023\n"
        "   |  12-01 08:00  DX          manifest  [PRELIMINARY] Thorax\n"
        "   :  45 days\n"
        "2024\n"
        "   |  01-15 10:30  CT          manifest  [Deprecated] Vatsan TT\n"
        "   :  45 days\n"
        "   |  02-29 23:20  CT          manifest  Pään TT\n");
}

}  // namespace kuva::cli
