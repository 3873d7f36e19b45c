#include <kuva/cli/messages.hpp>
#include <kuva/cli/text_renderer.hpp>
#include <kuva/core/byte_count.hpp>

#include <fmt/format.h>

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace kuva::cli {

namespace {

constexpr std::chrono::milliseconds k_redraw_interval{100};

int rank(workflow::Observer::Level level) {
  switch (level) {
    case workflow::Observer::Level::error:
      return -1;
    case workflow::Observer::Level::warning:
      return 0;
    case workflow::Observer::Level::info:
      return 1;
    case workflow::Observer::Level::detail:
      return 2;
  }
  return 0;
}

std::size_t terminal_width(int fd) {
  winsize size{};
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

std::string format_clock(std::chrono::seconds time) {
  const auto hours = std::chrono::floor<std::chrono::hours>(time);
  const auto minutes = std::chrono::floor<std::chrono::minutes>(time - hours);
  return fmt::format("{}:{:02}:{:02}", hours.count(), minutes.count(), (time - hours - minutes).count());
}

Messages::Messages(Settings settings) : m_settings(std::move(settings)) {}

Messages::~Messages() { clear(); }

void Messages::message(Level level, std::string_view text) {
  if (rank(level) <= m_settings.verbosity) {
    say(text);
  }
}

void Messages::say(std::string_view text) {
  const std::lock_guard lock(m_mutex);
  clear_locked();
  write(fmt::format("{}: {}\n", m_settings.tool, printable(text)));
}

void Messages::progress(const Progress& progress) {
  if (!m_settings.progress) {
    return;
  }
  const std::lock_guard lock(m_mutex);
  const auto now = std::chrono::steady_clock::now();
  if (m_shown && now - m_last < k_redraw_interval) {
    return;
  }
  const double seconds = std::chrono::duration<double>(now - m_started).count();
  std::string line = fmt::format("{}: {}", progress.doing, progress.done);
  if (const std::uint64_t of = std::max(progress.total, progress.seen); of != 0) {
    line += fmt::format(" of {}", of);
  }
  if (progress.failed != 0) {
    line += fmt::format(", {} failed", progress.failed);
  }
  if (progress.bytes != 0 && seconds > 0) {
    line += fmt::format(", {}, {}/s", format_bytes(progress.bytes),
                        format_bytes(static_cast<std::uint64_t>(static_cast<double>(progress.bytes) / seconds)));
  }
  if (progress.total > progress.done && progress.done != 0 && seconds > 0) {
    const double rest =
        seconds * static_cast<double>(progress.total - progress.done) / static_cast<double>(progress.done);
    line += fmt::format(", {} left", format_clock(std::chrono::seconds(static_cast<std::int64_t>(rest))));
  }
  // The last column stays free, or some terminals begin a new line.
  line.resize(std::min(line.size(), terminal_width(m_settings.standard_error) - 1));
  write("\r" + line + "\x1b[K");
  m_shown = true;
  m_last = now;
}

void Messages::clear() {
  const std::lock_guard lock(m_mutex);
  clear_locked();
}

void Messages::clear_locked() {
  if (m_shown) {
    write("\r\x1b[K");
    m_shown = false;
  }
}

void Messages::write(std::string_view text) const {
  // Nobody is left to be told when this fails.
  while (!text.empty()) {
    const ssize_t count = ::write(m_settings.standard_error, text.data(), text.size());
    if (count < 0 && errno != EINTR) {
      return;
    }
    text.remove_prefix(count < 0 ? 0 : static_cast<std::size_t>(count));
  }
}

}  // namespace kuva::cli
