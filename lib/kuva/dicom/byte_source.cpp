#include <kuva/core/error.hpp>
#include <kuva/dicom/byte_source.hpp>

#include <fmt/format.h>
#include <zlib.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace kuva::dicom {

namespace {

// Bytes that were read and not yet used, in a buffer that grows only as far as a caller peeks.
class Window {
 public:
  std::size_t size() const { return m_end - m_begin; }
  std::span<const std::byte> view(std::size_t size) const {
    return {m_buffer.get() + m_begin, std::min(size, this->size())};
  }
  void drop(std::size_t size) { m_begin += size; }

  // Room for `size` bytes in all, those that are there first.
  std::span<std::byte> room(std::size_t size) {
    if (size > m_capacity) {
      auto larger = std::make_unique_for_overwrite<std::byte[]>(size);
      if (this->size() > 0) {
        std::memcpy(larger.get(), m_buffer.get() + m_begin, this->size());
      }
      m_buffer = std::move(larger);
      m_capacity = size;
    } else if (m_begin > 0) {
      std::memmove(m_buffer.get(), m_buffer.get() + m_begin, this->size());
    }
    m_end -= m_begin;
    m_begin = 0;
    return {m_buffer.get() + m_end, m_capacity - m_end};
  }
  void add(std::size_t size) { m_end += size; }

 private:
  std::unique_ptr<std::byte[]> m_buffer;
  std::size_t m_capacity = 0;
  std::size_t m_begin = 0;
  std::size_t m_end = 0;
};

class FileSource final : public ByteSource {
 public:
  explicit FileSource(const std::filesystem::path& path) : m_path(path) {
    // O_NONBLOCK: a FIFO without a writer must not hold us up; it has no effect on a regular file.
    m_fd = FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!m_fd) {
      throw read_error(path, errno);
    }
    struct stat status {};
    if (::fstat(m_fd.get(), &status) != 0) {
      throw read_error(path, errno);
    }
    if (!S_ISREG(status.st_mode)) {
      throw Error(kind("local.read"), fmt::format("cannot read {}: it is not a regular file", path.string()));
    }
    m_size = static_cast<std::uint64_t>(status.st_size);
  }

  std::span<const std::byte> peek(std::size_t size) override {
    size = std::min(size, k_largest_peek);
    if (m_window.size() < size) {
      fill(size);
    }
    return m_window.view(size);
  }

  std::uint64_t skip(std::uint64_t size) override {
    size = std::min(size, m_size - m_position);
    m_window.drop(static_cast<std::size_t>(std::min<std::uint64_t>(size, m_window.size())));
    m_position += size;
    return size;
  }

  std::uint64_t position() const override { return m_position; }
  std::optional<std::uint64_t> remaining() const override { return m_size - m_position; }
  int descriptor() const override { return m_fd.get(); }

 private:
  // Most headers fit in the first; scanning thousands of files should not read more of each.
  static constexpr std::size_t k_first_read = 8 * 1024;
  static constexpr std::size_t k_later_read = 64 * 1024;

  void fill(std::size_t size) {
    const std::uint64_t left = m_size - m_position;
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(size, left));
    if (m_window.size() >= wanted) {
      return;
    }
    const std::span<std::byte> room = m_window.room(std::max(size, m_reads++ == 0 ? k_first_read : k_later_read));
    std::size_t used = 0;
    while (m_window.size() < wanted) {
      const std::uint64_t offset = m_position + m_window.size();
      const std::size_t most = static_cast<std::size_t>(std::min<std::uint64_t>(room.size() - used, m_size - offset));
      const ssize_t count = ::pread(m_fd.get(), room.data() + used, most, static_cast<off_t>(offset));
      if (count < 0) {
        if (errno == EINTR) {
          continue;
        }
        throw read_error(m_path, errno);
      }
      if (count == 0) {
        throw Error(kind("local.read"),
                    fmt::format("cannot read {}: it became shorter while it was read", m_path.string()));
      }
      used += static_cast<std::size_t>(count);
      m_window.add(static_cast<std::size_t>(count));
    }
  }

  std::filesystem::path m_path;
  FileDescriptor m_fd;
  std::uint64_t m_size = 0;
  std::uint64_t m_position = 0;
  unsigned m_reads = 0;
  Window m_window;
};

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::span<const std::byte> bytes) : m_bytes(bytes) {}

  std::span<const std::byte> peek(std::size_t size) override {
    return m_bytes.subspan(m_position, std::min({size, k_largest_peek, m_bytes.size() - m_position}));
  }
  std::uint64_t skip(std::uint64_t size) override {
    size = std::min<std::uint64_t>(size, m_bytes.size() - m_position);
    m_position += static_cast<std::size_t>(size);
    return size;
  }
  std::uint64_t position() const override { return m_position; }
  std::optional<std::uint64_t> remaining() const override { return m_bytes.size() - m_position; }

 private:
  std::span<const std::byte> m_bytes;
  std::size_t m_position = 0;
};

class InflateSource final : public ByteSource {
 public:
  explicit InflateSource(std::unique_ptr<ByteSource> deflated) : m_deflated(std::move(deflated)) {
    // Negative window bits: a raw stream without zlib's header.
    if (::inflateInit2(&m_stream, -MAX_WBITS) != Z_OK) {
      throw Error(kind("local.resource"), "no memory for inflating a data set");
    }
  }
  InflateSource(const InflateSource&) = delete;
  InflateSource& operator=(const InflateSource&) = delete;
  ~InflateSource() override { ::inflateEnd(&m_stream); }

  std::span<const std::byte> peek(std::size_t size) override {
    size = std::min(size, k_largest_peek);
    fill(size);
    return m_window.view(size);
  }

  std::uint64_t skip(std::uint64_t size) override {
    std::uint64_t done = 0;
    while (done < size) {
      fill(static_cast<std::size_t>(std::min<std::uint64_t>(size - done, k_chunk)));
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(size - done, m_window.size()));
      if (count == 0) {
        break;
      }
      m_window.drop(count);
      m_position += count;
      done += count;
    }
    return done;
  }

  std::uint64_t position() const override { return m_position; }
  std::optional<std::uint64_t> remaining() const override {
    return m_state == State::ended ? std::optional<std::uint64_t>(m_window.size()) : std::nullopt;
  }

 private:
  enum class State { running, ended, cut, broken };
  static constexpr std::size_t k_chunk = 32 * 1024;

  // What was inflated before the stream broke is still given; the error comes when somebody asks for more than that.
  void fill(std::size_t size) {
    while (m_window.size() < size && m_state == State::running) {
      inflate_some(size);
    }
    if (m_window.size() == 0 && size > 0) {
      if (m_state == State::cut) {
        throw Error(kind("file.truncated"), "the deflated data set ends before its stream does");
      }
      if (m_state == State::broken) {
        throw Error(kind("file.malformed"), "the deflated data set is not a deflate stream (RFC 1951)");
      }
    }
  }

  void inflate_some(std::size_t size) {
    const std::span<std::byte> room = m_window.room(std::max(size, m_window.size() + k_chunk));
    const std::span<const std::byte> input = m_deflated->peek(k_chunk);
    // zlib does not write through next_in; its type lacks const.
    m_stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(input.data()));
    m_stream.avail_in = static_cast<uInt>(input.size());
    m_stream.next_out = reinterpret_cast<Bytef*>(room.data());
    m_stream.avail_out = static_cast<uInt>(room.size());
    const int result = ::inflate(&m_stream, Z_NO_FLUSH);
    const std::size_t eaten = input.size() - m_stream.avail_in;
    const std::size_t made = room.size() - m_stream.avail_out;
    m_deflated->skip(eaten);
    m_window.add(made);
    if (result == Z_STREAM_END) {
      m_state = State::ended;
    } else if (result == Z_BUF_ERROR || (result == Z_OK && eaten == 0 && made == 0)) {
      m_state = State::cut;
    } else if (result != Z_OK) {
      m_state = State::broken;
    }
  }

  std::unique_ptr<ByteSource> m_deflated;
  z_stream m_stream{};
  State m_state = State::running;
  std::uint64_t m_position = 0;
  Window m_window;
};

}  // namespace

std::unique_ptr<ByteSource> open_file_source(const std::filesystem::path& path) {
  return std::make_unique<FileSource>(path);
}

std::unique_ptr<ByteSource> make_memory_source(std::span<const std::byte> bytes) {
  return std::make_unique<MemorySource>(bytes);
}

std::unique_ptr<ByteSource> make_inflate_source(std::unique_ptr<ByteSource> deflated) {
  return std::make_unique<InflateSource>(std::move(deflated));
}

}  // namespace kuva::dicom
