#include <kuva/workflow/adt_message.hpp>

#include <doctest/doctest.h>

using kuva::Error;
using kuva::workflow::Hl7Target;
using kuva::workflow::is_free;
using kuva::workflow::PatientData;
using kuva::workflow::read_patient_row;
using Columns = std::map<std::string, std::string>;

namespace {

// A target whose identifiers are temporary ones unless they say otherwise.
Hl7Target temporary_target() {
  Hl7Target target;
  target.authority = *kuva::hl7::AssigningAuthority::parse("1.2.246.10.12345671.22.2026");
  return target;
}

std::string identifier(const std::string& text) {
  return read_patient_row({{"id", text}}, "id", temporary_target()).identifier.to_string();
}

std::string row_refusal(const Columns& columns, const std::string& column = "id") {
  try {
    read_patient_row(columns, column, temporary_target());
    return {};
  } catch (const Error& error) {
    CHECK(error.kind().code == "hl7.row");
    return error.message();
  }
}

bool is_free_place(const char* place) { return is_free(*kuva::hl7::Position::parse(place)); }

}  // namespace

TEST_CASE("what is meant as a personal identity code never gets the authority of temporary identifiers") {
  CHECK(identifier("131052-308T") == "131052-308T^^^&1.2.246.21&ISO");
  CHECK(identifier("131052-308t") == "131052-308T^^^&1.2.246.21&ISO");
  CHECK(identifier("131052-308U") == "131052-308U^^^&1.2.246.21&ISO");  // and so fails its check
  CHECK(identifier("131052-308U^^^^NNFIN") == "131052-308U^^^&1.2.246.21&ISO^NNFIN");
  CHECK(identifier("T1") == "T1^^^&1.2.246.10.12345671.22.2026&ISO");
  CHECK(identifier("131052-308U@1.2.3") == "131052-308U^^^&1.2.3&ISO");  // said by name
  CHECK(!row_refusal({{"id", "131052-308T "}}).empty());
  CHECK(!row_refusal({{"id", " 131052-308T"}}).empty());
}

TEST_CASE("the null value identifies nobody") {
  for (const char* text : {"\"\"", "\"\"@1.2.3", "T1^^^\"\"", "T1^^^X&\"\"&ISO", "T1^^^X^\"\""}) {
    CAPTURE(text);
    CHECK(!row_refusal({{"id", text}}).empty());
  }
  CHECK(!row_refusal({{"id", "T1"}, {"authority", "\"\""}}).empty());
  CHECK(!row_refusal({{"id", "T1"}, {"idType", "\"\""}}).empty());
  CHECK(read_patient_row({{"id", "T1"}, {"name", "\"\""}}, "id", {}).name->empty());
}

TEST_CASE("no column replaces whom a message is about") {
  for (const char* place : {"MRG-1", "MRG-1[2]", "MRG-1.4", "PID-3", "PID-3.4", "PID(2)-3", "MSH-1", "MSH-2", "MSH-9.2",
                            "MSH-10", "MSH-18", "BHS-3", "FHS-1"}) {
    CAPTURE(place);
    CHECK_FALSE(is_free_place(place));
    CHECK(!row_refusal({{"id", "T1"}, {place, "X"}}).empty());
    CHECK(!row_refusal({{"into", "T1"}, {place, "X"}}, "into").empty());
  }
  CHECK(is_free_place("PID-3[2]"));
  CHECK(is_free_place("MSH-11"));
  CHECK(is_free_place("PID-11.3"));
  CHECK(is_free_place("MRG-7"));
  CHECK(read_patient_row({{"id", "T1"}, {"PID-3[2]", "X"}}, "id", {}).more.size() == 1);
}

TEST_CASE("columns of the patient that disappears are those two, and a misspelt one is told") {
  CHECK(row_refusal({{"into", "T1"}, {"from", "T2"}, {"fromAuthority", "1.2.3"}}, "into").empty());
  CHECK(row_refusal({{"into", "T1"}, {"fromauthority", "1.2.3"}}, "into").find("fromauthority") != std::string::npos);
  CHECK(!row_refusal({{"into", "T1"}, {"from_authority", "1.2.3"}}, "into").empty());
  CHECK(!row_refusal({{"id", "T1"}, {"from", "T2"}}).empty());
  for (const char* type : {"A^B", "A&B", "A|B", "A~B", "A\\B", "A\rB"}) {
    CHECK(!row_refusal({{"id", "T1"}, {"idType", type}}).empty());
  }
  CHECK(read_patient_row({{"id", "T1"}, {"idType", "PI"}}, "id", {}).identifier.type_code == "PI");
}
