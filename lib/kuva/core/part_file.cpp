#include <kuva/core/part_file.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>

namespace kuva {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view k_prefix = ".kuva-";
constexpr std::string_view k_suffix = ".part";

}  // namespace

// The lock says that the file has a living owner. Where the file system has no locks, nothing is swept.
PartFile::PartFile(const fs::path& directory) {
  for (;;) {
    std::string name = fmt::format("{}/{}XXXXXX{}", directory.string(), k_prefix, k_suffix);
    m_fd = FileDescriptor(::mkostemps(name.data(), static_cast<int>(k_suffix.size()), O_CLOEXEC));
    if (!m_fd) {
      throw write_error(directory, errno);
    }
    m_path = name;
    static_cast<void>(::flock(m_fd.get(), LOCK_EX | LOCK_NB));
    struct stat status {};
    if (::fstat(m_fd.get(), &status) != 0) {
      throw write_error(m_path, errno);
    }
    if (status.st_nlink != 0) {
      static_cast<void>(::fchmod(m_fd.get(), 0640));
      return;
    }
    m_path.clear();  // swept between its making and the lock
  }
}

PartFile::PartFile(PartFile&& other) noexcept
    : m_path(std::move(other.m_path)), m_fd(std::move(other.m_fd)), m_size(other.m_size) {
  other.m_path.clear();
}

PartFile::~PartFile() {
  if (!m_path.empty()) {
    ::unlink(m_path.c_str());
  }
}

void PartFile::write(std::span<const std::byte> bytes) {
  m_size += bytes.size();
  write_all(m_fd, bytes, m_path);
}

void PartFile::close(bool durable) {
  if (durable && ::fsync(m_fd.get()) != 0) {
    throw write_error(m_path, errno);
  }
  // Network file systems tell of a full disk only now.
  if (const int copy = ::dup(m_fd.get()); copy < 0 || ::close(copy) != 0) {
    throw write_error(m_path, errno);
  }
}

bool PartFile::place(const fs::path& name, bool replace) {
  int result = -1;
  if (!replace) {
    result = ::renameat2(AT_FDCWD, m_path.c_str(), AT_FDCWD, name.c_str(), RENAME_NOREPLACE);
    if (result != 0 && errno == EEXIST) {
      return false;
    }
    if (result != 0 && (errno == EINVAL || errno == ENOSYS)) {  // a file system that cannot
      if (::link(m_path.c_str(), name.c_str()) == 0) {
        result = ::unlink(m_path.c_str());
      } else if (errno == EEXIST) {
        return false;
      }
    }
  } else {
    result = ::rename(m_path.c_str(), name.c_str());
  }
  if (result != 0) {
    throw write_error(name, errno);
  }
  m_path.clear();
  return true;
}

void PartFile::sweep(const fs::path& directory) {
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(k_prefix) || !name.ends_with(k_suffix)) {
      continue;
    }
    const FileDescriptor fd(::open(it->path().c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
      ::unlink(it->path().c_str());
    }
  }
}

}  // namespace kuva
