#include <kuva/core/file.hpp>
#include <kuva/core/record.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>

namespace kuva {

namespace {

std::string errno_text(int error_number) { return std::generic_category().message(error_number); }

// Unique in this process and between processes; O_EXCL tells when it is not.
std::filesystem::path temporary_beside(std::filesystem::path path) {
  static std::atomic<unsigned> counter{0};
  path += fmt::format(".part-{}-{}", ::getpid(), counter.fetch_add(1));
  return path;
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    reset();
    m_fd = other.release();
  }
  return *this;
}

void FileDescriptor::reset() {
  if (m_fd >= 0) {
    ::close(m_fd);
    m_fd = -1;
  }
}

Error read_error(const std::filesystem::path& path, int error_number) {
  return Error(kind("local.read"), fmt::format("cannot read {}: {}", path.string(), errno_text(error_number)));
}

Error write_error(const std::filesystem::path& path, int error_number) {
  return Error(kind("local.write"), fmt::format("cannot write {}: {}", path.string(), errno_text(error_number)));
}

void write_all(const FileDescriptor& file, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file.get(), bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      throw write_error(path, errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

AtomicFile::AtomicFile(std::filesystem::path path, unsigned mode)
    : m_path(std::move(path)),
      m_temporary(temporary_beside(m_path)),
      m_fd(::open(m_temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)) {
  if (!m_fd) {
    throw write_error(m_temporary, errno);
  }
}

AtomicFile::~AtomicFile() {
  if (m_fd) {
    m_fd.reset();
    ::unlink(m_temporary.c_str());
  }
}

void AtomicFile::write(std::span<const std::byte> bytes) { write_all(m_fd, bytes, m_path); }

void AtomicFile::write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }

void AtomicFile::commit(bool durable) {
  if (durable && ::fsync(m_fd.get()) != 0) {
    throw write_error(m_path, errno);
  }
  if (::rename(m_temporary.c_str(), m_path.c_str()) != 0) {
    throw write_error(m_path, errno);
  }
  m_fd.reset();
  if (durable) {
    const std::filesystem::path directory = m_path.has_parent_path() ? m_path.parent_path() : ".";
    const FileDescriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) {
      throw write_error(m_path, errno);
    }
  }
}

std::string read_small_file(const std::filesystem::path& path, std::uint64_t limit) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    throw read_error(path, errno);
  }
  std::string text;
  char buffer[16384];
  for (;;) {
    const ssize_t count = ::read(fd.get(), buffer, sizeof buffer);
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      throw read_error(path, errno);
    }
    if (count == 0) {
      return text;
    }
    if (text.size() + static_cast<std::size_t>(count) > limit) {
      throw Error(kind("local.read"), fmt::format("{} is larger than {} bytes", path.string(), limit));
    }
    text.append(buffer, static_cast<std::size_t>(count));
  }
}

}  // namespace kuva
