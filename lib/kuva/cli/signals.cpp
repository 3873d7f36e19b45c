#include <kuva/cli/signals.hpp>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <utility>

namespace kuva::cli {

namespace {

// The controlling one, wherever standard streams go.
bool has_terminal() { return static_cast<bool>(FileDescriptor(::open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC))); }

bool is_ignored(int number) {
  struct sigaction action {};
  return ::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

Signals::Signals(std::function<void(int)> on_first) : m_had_terminal(has_terminal()) {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a limit on the size of files is an error of the write, as a full disk is
  sigset_t watched;
  ::sigemptyset(&watched);
  for (const int number : {SIGINT, SIGTERM, SIGUSR1}) {
    ::sigaddset(&watched, number);
  }
  // A signal that is blocked is delivered to a descriptor though it is ignored.
  if (!is_ignored(SIGHUP)) {
    ::sigaddset(&watched, SIGHUP);
  }
  ::pthread_sigmask(SIG_BLOCK, &watched, nullptr);
  m_signals = FileDescriptor(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
  m_end = FileDescriptor(::eventfd(0, EFD_CLOEXEC));
  m_thread = std::thread([this, on_first = std::move(on_first)] { watch(on_first); });
}

Signals::~Signals() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(m_end.get(), &one, sizeof one);
  m_thread.join();
}

void Signals::on_status(std::function<void()> report) {
  const std::lock_guard lock(m_mutex);
  m_on_status = std::move(report);
}

void Signals::on_reopen(std::function<void()> reopen) {
  const std::lock_guard lock(m_mutex);
  m_on_reopen = std::move(reopen);
}

// The shell's signal may come while the kernel still takes the terminal away.
bool Signals::has_lost_terminal() const {
  constexpr std::chrono::milliseconds k_while{100};
  for (int attempt = 0; m_had_terminal && attempt < 2; ++attempt) {
    if (!has_terminal()) {
      return true;
    }
    if (attempt == 0) {
      std::this_thread::sleep_for(k_while);
    }
  }
  return false;
}

void Signals::watch(const std::function<void(int)>& on_first) {
  for (;;) {
    std::array<pollfd, 2> waits{{{m_signals.get(), POLLIN, 0}, {m_end.get(), POLLIN, 0}}};
    ::poll(waits.data(), waits.size(), -1);
    signalfd_siginfo info{};
    while (::read(m_signals.get(), &info, sizeof info) == sizeof info) {
      const int number = static_cast<int>(info.ssi_signo);
      if (number == SIGUSR1) {
        const std::lock_guard lock(m_mutex);
        if (m_on_status) {
          m_on_status();
        }
        continue;
      }
      if (number == SIGHUP) {
        // A terminal that goes away says so more than once, which is no reason to hurry.
        if (m_received.load() != 0) {
          continue;
        }
        if (!has_lost_terminal()) {
          const std::lock_guard lock(m_mutex);
          if (m_on_reopen) {
            m_on_reopen();
          }
          continue;
        }
      } else if (m_received.load() != 0) {
        ::_exit(128 + number);
      }
      m_received.store(number);
      on_first(number);
      m_stop.request_stop();
    }
    if ((waits[1].revents & POLLIN) != 0) {
      return;
    }
  }
}

}  // namespace kuva::cli
