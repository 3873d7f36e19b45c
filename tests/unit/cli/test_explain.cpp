#include <kuva/cli/explain.hpp>
#include <kuva/core/error_catalogue.hpp>
#include <kuva/dimse/status.hpp>

#include <doctest/doctest.h>

using kuva::cli::explain;

namespace {

bool says(std::string_view what, std::string_view word) {
  const auto text = explain(what);
  return text && text->find(word) != std::string::npos;
}

}  // namespace

TEST_CASE("every code is explained with its causes and with what is done about it") {
  for (const auto& kind : kuva::error_catalogue()) {
    CAPTURE(std::string(kind.code));
    CHECK(says(kind.code, kind.meaning));
    CHECK(says(kind.code, kind.hint));
    CHECK(says(kind.code, "the likeliest first:\n  - "));
  }
}

TEST_CASE("statuses are found in each form that they are written in") {
  for (const char* form : {"A771", "a771", "0xA771", "A771H", "A771h"}) {
    CAPTURE(form);
    CHECK(says(form, "store.rejected-before"));
    CHECK(says(form, "dcm4chee-arc"));
  }
  CHECK(says("0000", "success"));
  CHECK(says("B007", "Stored"));
  CHECK(says("A7FF", "store.out-of-resources"));
  CHECK(says("C123", "store.cannot-understand"));
}

TEST_CASE("a number that means different things in different places is explained for each") {
  CHECK(says("0110", "dimse.processing-failure"));
  CHECK(says("0110", "commit.refused"));
  CHECK(says("0110", "commit.failed.processing"));
  CHECK_FALSE(says("A900", "commit."));
}

TEST_CASE("rejections and aborts by their numbers") {
  CHECK(says("rj-1-1-7", "associate.rejected.called-ae"));
  CHECK(says("1/1/3", "associate.rejected.calling-ae"));
  CHECK(says("RJ-2-3-2", "associate.rejected.transient"));
  CHECK(says("1/2/1", "associate.rejected.identity"));
  CHECK(says("abort-2-6", "invalid PDU parameter value"));
  CHECK(says("abort-0-0", "association.aborted"));
}

TEST_CASE("what is nothing of these is not explained") {
  for (const char* form :
       {"", "nonsense", "A77", "A7711", "G000", "1/1", "rj-1-1", "rj-11-1-7", "abort-2", "0x", "H"}) {
    CAPTURE(form);
    CHECK_FALSE(explain(form));
  }
}
