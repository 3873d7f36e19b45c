#pragma once

#include <kuva/core/error.hpp>
#include <kuva/net/stream.hpp>
#include <kuva/workflow/items.hpp>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string_view>

namespace kuva::workflow {

// Traces of associations (dimse::traced), a file each: <time>-<number>-<out|in>.trace, mode 0600, in a directory of
// mode 0700. Written as they come. A file that cannot be written is told once and ends the tracing, not the run.
// Thread-safe.
class TraceDirectory {
 public:
  enum class Direction { out, in };

  // Makes the directory. Errors: local.write.
  TraceDirectory(std::filesystem::path directory, bool phi_plain, Observer& observer);

  std::unique_ptr<net::Stream> wrap(std::unique_ptr<net::Stream> stream, Direction direction);
  // A connection that did not come about.
  void failed(const Error& error, Direction direction);

  const std::filesystem::path& directory() const { return m_directory; }

 private:
  struct File;
  std::shared_ptr<File> open(Direction direction);

  std::filesystem::path m_directory;
  bool m_phi_plain;
  Observer& m_observer;
  std::atomic<unsigned> m_count{0};
  std::atomic<bool> m_broken{false};
};

}  // namespace kuva::workflow
