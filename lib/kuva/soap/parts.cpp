#include <kuva/core/file.hpp>
#include <kuva/soap/parts.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>

namespace kuva::soap {

namespace {

constexpr std::uint64_t k_space_check = 64U << 20U;  // bytes between two looks at the free space

std::filesystem::path fresh_name(const std::filesystem::path& directory) {
  static std::atomic<std::uint64_t> counter{0};
  return directory / fmt::format("part-{}-{}.part", ::getpid(), counter.fetch_add(1));
}

void sync(const std::filesystem::path& path, int flags) {
  const FileDescriptor fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) {
    throw write_error(path, errno);
  }
}

}  // namespace

class FileParts::File final : public PartStore::Output {
 public:
  File(std::filesystem::path path, std::uint64_t minimum_free)
      : m_path(std::move(path)),
        m_minimum_free(minimum_free),
        m_fd(::open(m_path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) {
    if (!m_fd) {
      throw write_error(m_path, errno);
    }
  }

  void write(std::span<const std::byte> bytes) override {
    check_space(bytes.size());
    write_all(m_fd, bytes, m_path);
  }

  void finish(StoredPart& stored) override {
    // Some file systems (NFS) tell only now that bytes did not reach the disk.
    if (::close(m_fd.release()) != 0) {
      throw write_error(m_path, errno);
    }
    stored.path = m_path;
  }

 private:
  void check_space(std::size_t more) {
    if (m_minimum_free == 0 || m_unchecked < more) {
      if (m_minimum_free != 0) {
        struct statvfs facts {};
        if (::fstatvfs(m_fd.get(), &facts) == 0 && facts.f_bavail * facts.f_frsize < m_minimum_free + k_space_check) {
          throw Error(kind("local.write"), fmt::format("{}: fewer than {} bytes would stay free on its file system",
                                                       m_path.string(), m_minimum_free));
        }
        m_unchecked = std::max<std::uint64_t>(k_space_check, more);
      } else {
        return;
      }
    }
    m_unchecked -= more;
  }

  std::filesystem::path m_path;
  std::uint64_t m_minimum_free;
  std::uint64_t m_unchecked = 0;
  FileDescriptor m_fd;
};

FileParts::FileParts(std::filesystem::path directory, std::uint64_t minimum_free)
    : m_directory(std::move(directory)), m_minimum_free(minimum_free) {}

FileParts::~FileParts() { discard(); }

std::unique_ptr<PartStore::Output> FileParts::open(const Part&) {
  m_files.push_back(fresh_name(m_directory));
  return std::make_unique<File>(m_files.back(), m_minimum_free);
}

void FileParts::discard() noexcept {
  for (const auto& file : m_files) {
    ::unlink(file.c_str());
  }
  m_files.clear();
}

void FileParts::take(const StoredPart& stored, const std::filesystem::path& name, bool durable) {
  if (durable) {
    sync(stored.path, O_RDONLY);
  }
  if (std::rename(stored.path.c_str(), name.c_str()) != 0) {
    throw write_error(name, errno);
  }
  m_files.erase(std::remove(m_files.begin(), m_files.end(), stored.path), m_files.end());
  if (durable) {
    sync(name.has_parent_path() ? name.parent_path() : std::filesystem::path("."), O_RDONLY | O_DIRECTORY);
  }
}

class MemoryParts::Buffer final : public PartStore::Output {
 public:
  Buffer(MemoryParts& store, std::size_t index) : m_store(store), m_index(index) {}

  void write(std::span<const std::byte> bytes) override {
    m_store.m_used += bytes.size();
    if (m_store.m_used > m_store.m_limit) {
      throw Error(kind("mime.limit"), fmt::format("the parts of the message have more than {} bytes", m_store.m_limit));
    }
    m_store.m_bytes[m_index].append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  void finish(StoredPart&) override {}

 private:
  MemoryParts& m_store;
  std::size_t m_index;
};

std::unique_ptr<PartStore::Output> MemoryParts::open(const Part& part) {
  m_ids.push_back(part.content_id);
  m_bytes.emplace_back();
  return std::make_unique<Buffer>(*this, m_bytes.size() - 1);
}

void MemoryParts::discard() noexcept {
  m_ids.clear();
  m_bytes.clear();
  m_used = 0;
}

const std::string* MemoryParts::find(std::string_view content_id) const {
  const auto found = std::find(m_ids.begin(), m_ids.end(), content_id);
  return found == m_ids.end() ? nullptr : &m_bytes[static_cast<std::size_t>(found - m_ids.begin())];
}

namespace {

class Nowhere final : public PartStore::Output {
 public:
  void write(std::span<const std::byte>) override {}
  void finish(StoredPart&) override {}
};

}  // namespace

std::unique_ptr<PartStore::Output> NoParts::open(const Part&) { return std::make_unique<Nowhere>(); }

const StoredPart* find_part(const std::vector<StoredPart>& parts, std::string_view href) {
  const auto with_id = [&parts](std::string_view id) -> const StoredPart* {
    const auto found = std::find_if(parts.begin(), parts.end(),
                                    [id](const StoredPart& stored) { return stored.part.content_id == id; });
    return found == parts.end() || id.empty() ? nullptr : &*found;
  };
  const auto id = from_cid_url(href);
  if (!id) {
    return with_id(href);
  }
  const StoredPart* const found = with_id(*id);
  // Some write the id into the URL with its escapes, and the same into the header.
  return found != nullptr ? found : with_id(href.substr(href.find(':') + 1));
}

}  // namespace kuva::soap
