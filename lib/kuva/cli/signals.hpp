#pragma once

#include <kuva/core/file.hpp>

#include <atomic>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>

namespace kuva::cli {

// Turns the first SIGINT or SIGTERM into a stop request; the second ends the process at once with 128 + its number.
// SIGHUP is such a request where the process has lost its terminal; else logs are to be opened anew, and where there
// are none nothing happens. Where SIGHUP was ignored (nohup) it stays so. SIGUSR1 asks how far it is. Made before any
// other thread, because those inherit the blocked signals. SIGPIPE is ignored.
class Signals {
 public:
  // `on_first` is told the signal, in the watching thread, before the stop is requested.
  explicit Signals(std::function<void(int)> on_first);
  ~Signals();

  // Called for each SIGUSR1, in the watching thread; nothing: it is ignored.
  void on_status(std::function<void()> report);
  // Called for each SIGHUP that does not stop, in the watching thread; nothing: it is ignored.
  void on_reopen(std::function<void()> reopen);

  std::stop_token stop_token() const { return m_stop.get_token(); }
  std::stop_source& stop_source() { return m_stop; }
  // The signal that came, or 0.
  int received() const { return m_received.load(); }

 private:
  void watch(const std::function<void(int)>& on_first);
  bool has_lost_terminal() const;

  std::stop_source m_stop;
  std::atomic<int> m_received{0};
  std::mutex m_mutex;
  std::function<void()> m_on_status;
  std::function<void()> m_on_reopen;
  bool m_had_terminal;
  FileDescriptor m_signals;
  FileDescriptor m_end;
  std::thread m_thread;
};

}  // namespace kuva::cli
