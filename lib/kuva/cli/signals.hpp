#pragma once

#include <kuva/core/file.hpp>

#include <atomic>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>

namespace kuva::cli {

// Turns the first SIGINT, SIGTERM or SIGHUP into a stop request; the second ends the process at once with 128 + its
// number. SIGUSR1 asks how far it is. Made before any other thread, because those inherit the blocked signals. SIGPIPE
// is ignored.
class Signals {
 public:
  // `on_first` is told the signal, in the watching thread, before the stop is requested.
  explicit Signals(std::function<void(int)> on_first);
  ~Signals();

  // Called for each SIGUSR1, in the watching thread; nothing: it is ignored.
  void on_status(std::function<void()> report);

  std::stop_token stop_token() const { return m_stop.get_token(); }
  std::stop_source& stop_source() { return m_stop; }
  // The signal that came, or 0.
  int received() const { return m_received.load(); }

 private:
  void watch(const std::function<void(int)>& on_first);

  std::stop_source m_stop;
  std::atomic<int> m_received{0};
  std::mutex m_mutex;
  std::function<void()> m_on_status;
  FileDescriptor m_signals;
  FileDescriptor m_end;
  std::thread m_thread;
};

}  // namespace kuva::cli
