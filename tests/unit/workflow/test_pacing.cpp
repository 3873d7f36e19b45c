#include <kuva/workflow/pacing.hpp>

#include <doctest/doctest.h>

#include <thread>
#include <vector>

using namespace kuva::workflow;
using namespace std::chrono_literals;

TEST_CASE("delays double up to the limit, with jitter in the upper half") {
  for (int i = 0; i < 200; ++i) {
    const auto first = retry_delay(1, 1000ms, 8000ms);
    CHECK(first >= 500ms);
    CHECK(first <= 1000ms);
    const auto third = retry_delay(3, 1000ms, 8000ms);
    CHECK(third >= 2000ms);
    CHECK(third <= 4000ms);
    CHECK(retry_delay(50, 1000ms, 8000ms) <= 8000ms);
    CHECK(retry_delay(4'000'000'000U, 1000ms, 8000ms) >= 4000ms);
  }
}

TEST_CASE("a stop ends the sleep") {
  std::stop_source stop;
  stop.request_stop();
  const auto start = std::chrono::steady_clock::now();
  CHECK_FALSE(sleep_unless_stopped(10s, stop.get_token()));
  CHECK(std::chrono::steady_clock::now() - start < 5s);
  CHECK(sleep_unless_stopped(1ms, {}));
}

TEST_CASE("a limit of bytes a second holds over several threads") {
  BandwidthLimit limit(1'000'000);
  const auto start = std::chrono::steady_clock::now();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&limit] {
        for (int n = 0; n < 10; ++n) {
          limit.take(5'000);
        }
      });
    }
  }
  // 200,000 bytes at 1 MB/s; the last piece may go as soon as its turn begins.
  CHECK(std::chrono::steady_clock::now() - start >= 190ms);
}
