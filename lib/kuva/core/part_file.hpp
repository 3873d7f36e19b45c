#pragma once

#include <kuva/core/file.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace kuva {

// A file that is coming in and whose name is known only once it has been read: ".kuva-XXXXXX.part" in a directory,
// moved to its name at the end, removed with its owner otherwise. Errors: Error local.write.
class PartFile {
 public:
  // The directory is there.
  explicit PartFile(const std::filesystem::path& directory);
  PartFile(PartFile&& other) noexcept;
  PartFile& operator=(PartFile&&) = delete;
  ~PartFile();

  void write(std::span<const std::byte> bytes);
  // Nothing can be written afterwards. Durable: the bytes are on disk when it returns.
  void close(bool durable);
  // Moves it to a name on the same file system; false, and still here, when that name is taken and `replace` is not
  // said. Never in two places and never half.
  bool place(const std::filesystem::path& name, bool replace);

  const std::filesystem::path& path() const { return m_path; }
  std::uint64_t size() const { return m_size; }

  // Removes what processes that are gone have left in a directory.
  static void sweep(const std::filesystem::path& directory);

 private:
  std::filesystem::path m_path;
  FileDescriptor m_fd;
  std::uint64_t m_size = 0;
};

}  // namespace kuva
