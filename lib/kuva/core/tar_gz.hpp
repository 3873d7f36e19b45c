#pragma once

#include <kuva/core/file.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace kuva {

// Regular files packed as tar (POSIX.1 ustar) in gzip, for a file that people attach to a message. It appears whole,
// with mode 0600, at commit(). Names are of at most 100 bytes. Errors: local.write, local.read of what is packed.
class TarGzWriter {
 public:
  explicit TarGzWriter(std::filesystem::path path);
  ~TarGzWriter();

  void add(std::string_view name, std::string_view content);
  // As many bytes as the descriptor's file has now, from its start.
  void add_file(std::string_view name, int fd);
  void commit();

 private:
  struct Deflater;
  void put_header(std::string_view name, std::uint64_t size);
  void put_padding(std::uint64_t size);
  void put(std::string_view bytes, bool last = false);

  AtomicFile m_file;
  std::unique_ptr<Deflater> m_deflater;
};

}  // namespace kuva
