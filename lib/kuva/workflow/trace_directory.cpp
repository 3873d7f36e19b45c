#include <kuva/core/file.hpp>
#include <kuva/core/time.hpp>
#include <kuva/core/version.hpp>
#include <kuva/dimse/trace_stream.hpp>
#include <kuva/workflow/trace_directory.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

namespace kuva::workflow {

struct TraceDirectory::File {
  std::mutex mutex;
  FileDescriptor fd;
  std::filesystem::path path;
  TraceDirectory* owner = nullptr;

  void line(std::string_view text) {
    const std::lock_guard lock(mutex);
    if (!fd || owner->m_broken) {
      return;
    }
    std::string whole;
    for (const char c : text) {  // a peer's text must not make lines of its own
      whole += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
    }
    whole += '\n';
    std::string_view rest = whole;
    while (!rest.empty()) {
      const ssize_t count = ::write(fd.get(), rest.data(), rest.size());
      if (count < 0 && errno != EINTR) {
        if (!owner->m_broken.exchange(true)) {
          owner->m_observer.message(Observer::Level::warning,
                                    write_error(path, errno).message() + "; nothing more is traced");
        }
        return;
      }
      rest.remove_prefix(count < 0 ? 0 : static_cast<std::size_t>(count));
    }
  }
};

TraceDirectory::TraceDirectory(std::filesystem::path directory, bool phi_plain, Observer& observer)
    : m_directory(std::move(directory)), m_phi_plain(phi_plain), m_observer(observer) {
  if (::mkdir(m_directory.c_str(), 0700) != 0 && errno != EEXIST) {
    throw write_error(m_directory, errno);
  }
  if (!std::filesystem::is_directory(m_directory)) {
    throw write_error(m_directory, ENOTDIR);
  }
}

std::shared_ptr<TraceDirectory::File> TraceDirectory::open(Direction direction) {
  std::string time = to_rfc3339(std::chrono::system_clock::now());
  std::erase_if(time, [](char c) { return c == '-' || c == ':'; });
  auto file = std::make_shared<File>();
  file->owner = this;
  file->path = m_directory / fmt::format("{}-{}-{:04}-{}.trace", time, ::getpid(), ++m_count,
                                         direction == Direction::out ? "out" : "in");
  file->fd = FileDescriptor(::open(file->path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file->fd && !m_broken.exchange(true)) {
    m_observer.message(Observer::Level::warning, write_error(file->path, errno).message() + "; nothing more is traced");
  }
  file->line(fmt::format("kuva {}, > is what this side sends, < what it takes; patient data are {}", version(),
                         m_phi_plain ? "as they are" : "masked"));
  return file;
}

std::unique_ptr<net::Stream> TraceDirectory::wrap(std::unique_ptr<net::Stream> stream, Direction direction) {
  return dimse::traced(
      std::move(stream), [file = open(direction)](std::string_view text) { file->line(text); }, m_phi_plain);
}

void TraceDirectory::failed(const Error& error, Direction direction) {
  open(direction)->line(dimse::trace_line(fmt::format("! {}: {}", error.kind().code, error.message())));
}

}  // namespace kuva::workflow
