#include <kuva/cli/text_renderer.hpp>
#include <kuva/core/record.hpp>

#include <doctest/doctest.h>

using kuva::Json;
using kuva::cli::printable;
using kuva::cli::render_text;

TEST_CASE("nothing in a record steers the terminal") {
  CHECK(printable("a\x1b[2Jb\n") == "a\\x1b[2Jb\\x0a");
  CHECK(printable("p\xC3\xA4\xC2\x9B") == "p\xC3\xA4\\u009b");
  CHECK(printable("\xE4") == "\xEF\xBF\xBD");
  Json record = Json::parse(R"({"type":"instance","outcome":"valid","ok":true})");
  record["path"] = kuva::path_to_json("x\x1b\xE4");
  CHECK(render_text(record, false) == "valid               x\\x1b\xEF\xBF\xBD\n");
}

TEST_CASE("an instance with its error and findings") {
  const Json record = Json::parse(R"({"type":"instance","outcome":"failed","ok":false,"path":"a.dcm",
    "store":{"status":"A777","statusName":"Refused","bytes":1234567},
    "findings":[{"severity":"error","rule":"uid.syntax","message":"bad","tagPath":"0008,0018","offset":3}],
    "error":{"code":"store.patient-id-missing","message":"no Patient ID","hint":"Fill it in."}})");
  CHECK(render_text(record, false) ==
        "failed              a.dcm  A777  Refused  1.2 MB\n"
        "    store.patient-id-missing: no Patient ID\n"
        "    Fill it in.\n"
        "    error uid.syntax 0008,0018: bad\n");
  CHECK(render_text(record, true).starts_with("\x1b[31mfailed              \x1b[0ma.dcm"));
}

TEST_CASE("study, summary and what is not known") {
  CHECK(render_text(Json::parse(R"({"type":"study","outcome":"valid","ok":true,"StudyInstanceUID":"1.2","instances":5,
    "series":2,"bytes":900,"modalities":["CT","DX"]})"),
                    false) == "valid               study 1.2  5 instances in 2 series  CT/DX  900 B\n");
  CHECK(render_text(Json::parse(R"({"type":"summary","outcome":"failed","ok":false,"seen":3,"outcomes":{"stored":2,
    "failed":1},"bytes":0,"elapsed":1200,"exitCode":3,"interrupted":true})"),
                    false) == "failed              3 seen: 2 stored, 1 failed  1.2 s  exit 3  interrupted\n");
  CHECK(render_text(Json::parse(R"({"type":"sandbox","outcome":"ready","ok":true,"plainPort":104})"), false) ==
        "ready               sandbox  plainPort=104\n");
  CHECK(render_text(Json::parse(R"({"type":"instance","outcome":5,"findings":3,"error":"x","store":[]})"), false) ==
        "5                   \n");
}
