#include <kuva/sandbox/rejection.hpp>

#include <doctest/doctest.h>

using namespace kuva::sandbox;

TEST_CASE("rejections by their codes") {
  for (const char* code : {"113001", "113037", "113038", "113039"}) {
    CHECK(to_string(*rejection_of(code)) == code);
  }
  CHECK_FALSE(rejection_of("113000").has_value());
  CHECK(to_string(Rejection::none).empty());
}

TEST_CASE("what may take the place of what") {
  using enum Rejection;
  CHECK(may_override(quality, patient_safety));
  CHECK(may_override(quality, worklist));
  CHECK(may_override(patient_safety, worklist));
  CHECK_FALSE(may_override(worklist, patient_safety));
  CHECK_FALSE(may_override(patient_safety, quality));
  for (const Rejection earlier : {quality, patient_safety, worklist}) {
    CHECK(may_override(earlier, retention));
    CHECK_FALSE(may_override(retention, earlier));
  }
}
