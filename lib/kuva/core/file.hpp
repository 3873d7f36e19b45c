#pragma once

#include <kuva/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace kuva {

// An open file descriptor, closed with its owner.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : m_fd(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : m_fd(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor() { reset(); }

  int get() const { return m_fd; }
  explicit operator bool() const { return m_fd >= 0; }
  int release() {
    const int fd = m_fd;
    m_fd = -1;
    return fd;
  }
  void reset();

 private:
  int m_fd = -1;
};

// All of the bytes, through short writes and interruptions. Errors: Error local.write, which names the file `path`.
void write_all(const FileDescriptor& file, std::span<const std::byte> bytes, const std::filesystem::path& path);

// A file that appears under its name whole or not at all: written beside it, then fsync and rename. Without commit()
// the temporary file is removed. Errors: Error local.write.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path, unsigned mode = 0644);
  AtomicFile(AtomicFile&&) = default;
  ~AtomicFile();

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  // Durable: the bytes and the name are on disk when it returns; otherwise the kernel writes them when it likes.
  void commit(bool durable = true);

 private:
  std::filesystem::path m_path;
  std::filesystem::path m_temporary;
  FileDescriptor m_fd;
};

// The whole of a small file, e.g. a configuration. Errors: Error local.read, also when it is larger than `limit` bytes.
std::string read_small_file(const std::filesystem::path& path, std::uint64_t limit);

// Error local.read or local.write with the text of errno.
Error read_error(const std::filesystem::path& path, int error_number);
Error write_error(const std::filesystem::path& path, int error_number);

}  // namespace kuva
