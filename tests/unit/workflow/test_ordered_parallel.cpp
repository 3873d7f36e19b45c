#include <kuva/workflow/ordered_parallel.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>

using kuva::workflow::ordered_parallel;

namespace {

std::function<std::optional<int>()> count_to(int limit) {
  return [n = 0, limit]() mutable -> std::optional<int> { return n < limit ? std::optional<int>(n++) : std::nullopt; };
}

}  // namespace

TEST_CASE("results come in the order of the items, whoever is quicker") {
  for (const unsigned threads : {1U, 3U, 8U}) {
    std::vector<int> results;
    ordered_parallel<int, int>(
        threads, count_to(1000),
        [](int& item) {
          if (item % 7 == 0) {
            std::this_thread::sleep_for(std::chrono::microseconds(100));
          }
          return item * 2;
        },
        [&](int&& item, int&& result) {
          CHECK(result == 2 * item);
          results.push_back(item);
        });
    REQUIRE(results.size() == 1000);
    for (int i = 0; i < 1000; ++i) {
      CHECK(results[static_cast<std::size_t>(i)] == i);
    }
  }
}

TEST_CASE("no more items are under way than the window holds") {
  std::atomic<int> produced{0};
  int consumed = 0;
  int most = 0;
  ordered_parallel<int, int>(
      2, [&]() -> std::optional<int> { return produced < 500 ? std::optional<int>(produced++) : std::nullopt; },
      [](int& item) { return item; },
      [&](int&&, int&&) {
        most = std::max(most, produced - consumed);
        ++consumed;
        std::this_thread::sleep_for(std::chrono::microseconds(50));
      });
  CHECK(consumed == 500);
  CHECK(most <= 32 + 16 + 2);
}

TEST_CASE("a failure of any part ends the run and reaches the caller") {
  const auto keep = [](int& item) { return item; };
  const auto drop = [](int&&, int&&) {};
  CHECK_THROWS_AS((ordered_parallel<int, int>(
                      2, []() -> std::optional<int> { throw std::runtime_error("p"); }, keep, drop)),
                  std::runtime_error);
  CHECK_THROWS_AS(
      (ordered_parallel<int, int>(
          2, count_to(100000), [](int& item) { return item == 50 ? throw std::runtime_error("w") : item; }, drop)),
      std::runtime_error);
  CHECK_THROWS_AS((ordered_parallel<int, int>(2, count_to(100000), keep,
                                              [](int&& item, int&&) {
                                                if (item == 50) {
                                                  throw std::runtime_error("c");
                                                }
                                              })),
                  std::runtime_error);
}
