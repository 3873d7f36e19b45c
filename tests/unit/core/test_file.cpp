#include "support/temporary_directory.hpp"

#include <kuva/core/file.hpp>

#include <doctest/doctest.h>

using namespace kuva;

TEST_CASE("an atomic file is there whole or not at all") {
  const test::TemporaryDirectory directory;
  const auto path = directory.path() / "a";
  {
    AtomicFile file(path);
    file.write("half");
  }
  CHECK(std::filesystem::is_empty(directory.path()));
  {
    AtomicFile file(path, 0600);
    file.write("whole");
    file.commit();
  }
  CHECK(read_small_file(path, 100) == "whole");
  CHECK((std::filesystem::status(path).permissions() & std::filesystem::perms::all) ==
        (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
  CHECK(std::distance(std::filesystem::directory_iterator(directory.path()), {}) == 1);
}

TEST_CASE("reading has a limit, and failures name the file") {
  const test::TemporaryDirectory directory;
  const auto path = directory.path() / "a";
  AtomicFile file(path);
  file.write("0123456789");
  file.commit(false);
  CHECK_THROWS_AS(read_small_file(path, 9), Error);
  CHECK_THROWS_WITH(read_small_file(directory.path() / "none", 9), doctest::Contains("none: No such file"));
  CHECK_THROWS_AS(AtomicFile(directory.path() / "no" / "dir"), Error);
}
