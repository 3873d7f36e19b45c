#include <kuva/core/command.hpp>

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using kuva::run_command;

TEST_CASE("a command's input and output") {
  const auto result = run_command({"cat"}, std::string(300'000, 'x'));
  CHECK(result.exit_status == 0);
  CHECK(result.output == std::string(300'000, 'x'));
  CHECK(run_command({"sh", "-c", "echo out; echo trouble >&2; exit 3"}, "ignored").exit_status == 3);
  CHECK(run_command({"sh", "-c", "echo trouble >&2"}, "").messages == "trouble\n");
  CHECK(run_command({"sh", "-c", "kill -9 $$"}, "").exit_status == 137);
  CHECK(run_command({"true"}, std::string(1'000'000, 'x')).exit_status == 0);
  CHECK_THROWS_AS(run_command({"/nowhere/at-all"}, ""), kuva::Error);
  CHECK_THROWS_AS(run_command({}, ""), kuva::Error);
}

TEST_CASE("a command's bounds") {
  const auto slow = run_command({"sleep", "30"}, "", {200ms, 100});
  CHECK(slow.timed_out);
  const auto silent = run_command({"sh", "-c", "exec >&- 2>&-; sleep 30"}, "", {200ms, 100});
  CHECK(silent.timed_out);
  const auto large = run_command({"yes"}, "", {10s, 1000});
  CHECK(large.too_large);
  CHECK_FALSE(large.timed_out);
}
