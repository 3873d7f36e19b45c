#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace kuva::workflow {

// Work on a stream of items in parallel, with the results in the order of the items and a bounded number of items under
// way. `produce` runs on a thread of its own (it may block), `work` on `threads` threads, `consume` on the caller's. An
// exception of any of them ends the run and is thrown to the caller once all threads have ended; `produce` must then
// come to its end by itself.
template <typename Item, typename Result>
void ordered_parallel(unsigned threads, const std::function<std::optional<Item>()>& produce,
                      const std::function<Result(Item&)>& work, const std::function<void(Item&&, Result&&)>& consume) {
  struct Slot {
    Item item;
    std::optional<Result> result;
  };

  const std::size_t window = 32 + 8 * static_cast<std::size_t>(threads);
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Slot> slots;  // in order; references stay valid while others come and go at the ends
  std::size_t untaken = 0;
  bool ended = false;
  std::exception_ptr failure;

  const auto fail = [&] {
    const std::lock_guard lock(mutex);
    if (!failure) {
      failure = std::current_exception();
    }
    changed.notify_all();
  };

  std::vector<std::jthread> pool;
  pool.emplace_back([&] {
    try {
      for (;;) {
        {
          std::unique_lock lock(mutex);
          changed.wait(lock, [&] { return failure || slots.size() < window; });
          if (failure) {
            return;
          }
        }
        std::optional<Item> item = produce();
        const std::lock_guard lock(mutex);
        if (!item) {
          ended = true;
          changed.notify_all();
          return;
        }
        slots.push_back(Slot{std::move(*item), std::nullopt});
        ++untaken;
        changed.notify_all();
      }
    } catch (...) {
      fail();
    }
  });
  for (unsigned i = 0; i < threads; ++i) {
    pool.emplace_back([&] {
      try {
        for (;;) {
          Slot* slot = nullptr;
          {
            std::unique_lock lock(mutex);
            changed.wait(lock, [&] { return failure || untaken > 0 || ended; });
            if (failure || untaken == 0) {
              return;
            }
            slot = &slots[slots.size() - untaken];
            --untaken;
          }
          Result result = work(slot->item);
          const std::lock_guard lock(mutex);
          slot->result = std::move(result);
          if (slot == &slots.front()) {
            changed.notify_all();
          }
        }
      } catch (...) {
        fail();
      }
    });
  }
  try {
    for (;;) {
      std::unique_lock lock(mutex);
      changed.wait(lock,
                   [&] { return failure || (!slots.empty() && slots.front().result) || (ended && slots.empty()); });
      if (failure || slots.empty()) {
        break;
      }
      Slot slot = std::move(slots.front());
      slots.pop_front();
      changed.notify_all();
      lock.unlock();
      consume(std::move(slot.item), std::move(*slot.result));
    }
  } catch (...) {
    fail();
  }
  pool.clear();
  if (failure) {
    std::rethrow_exception(failure);
  }
}

}  // namespace kuva::workflow
