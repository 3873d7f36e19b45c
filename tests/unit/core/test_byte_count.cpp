#include <kuva/core/byte_count.hpp>

#include <doctest/doctest.h>

TEST_CASE("bytes") {
  CHECK(kuva::format_bytes(0) == "0 B");
  CHECK(kuva::format_bytes(999) == "999 B");
  CHECK(kuva::format_bytes(999'999) == "1.0 MB");
  CHECK(kuva::format_bytes(5'368'709'120) == "5.4 GB");
}
