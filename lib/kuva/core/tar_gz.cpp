#include <kuva/core/tar_gz.hpp>

#include <fmt/format.h>
#include <zlib.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <new>

namespace kuva {

namespace {

constexpr std::size_t k_block = 512;
constexpr std::size_t k_longest_name = 100;
constexpr int k_gzip = 15 + 16;  // window bits, and gzip's own header

}  // namespace

struct TarGzWriter::Deflater {
  z_stream stream{};

  Deflater() {
    if (::deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, k_gzip, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  ~Deflater() { ::deflateEnd(&stream); }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
};

TarGzWriter::TarGzWriter(std::filesystem::path path)
    : m_file(std::move(path), 0600), m_deflater(std::make_unique<Deflater>()) {}

TarGzWriter::~TarGzWriter() = default;

void TarGzWriter::put(std::string_view bytes, bool last) {
  std::array<unsigned char, 16384> packed;
  z_stream& stream = m_deflater->stream;
  std::string input(bytes);  // zlib's interface wants bytes that may be changed
  stream.next_in = reinterpret_cast<unsigned char*>(input.data());
  stream.avail_in = static_cast<unsigned>(input.size());
  do {
    stream.next_out = packed.data();
    stream.avail_out = packed.size();
    ::deflate(&stream, last ? Z_FINISH : Z_NO_FLUSH);
    m_file.write(std::string_view(reinterpret_cast<const char*>(packed.data()), packed.size() - stream.avail_out));
  } while (stream.avail_out == 0);
}

void TarGzWriter::put_header(std::string_view name, std::uint64_t size) {
  if (name.empty() || name.size() > k_longest_name) {
    throw Error(kind("internal"), "a name that does not fit into a tar header");
  }
  std::string header(k_block, '\0');
  const auto put_field = [&header](std::size_t at, std::string_view text) { header.replace(at, text.size(), text); };
  put_field(0, name);
  put_field(100, "0000600");  // mode
  put_field(108, "0000000");  // owner and group
  put_field(116, "0000000");
  put_field(124, fmt::format("{:011o}", size));
  put_field(136, fmt::format("{:011o}", static_cast<std::uint64_t>(std::time(nullptr))));
  put_field(148, "        ");  // the sum counts itself as spaces
  put_field(156, "0");         // a regular file
  put_field(257, std::string_view("ustar\0"
                                  "00",
                                  8));
  unsigned sum = 0;
  for (const char c : header) {
    sum += static_cast<unsigned char>(c);
  }
  put_field(148, fmt::format("{:06o}", sum));
  header[154] = '\0';
  put(header);
}

void TarGzWriter::put_padding(std::uint64_t size) { put(std::string((k_block - size % k_block) % k_block, '\0')); }

void TarGzWriter::add(std::string_view name, std::string_view content) {
  put_header(name, content.size());
  put(content);
  put_padding(content.size());
}

void TarGzWriter::add_file(std::string_view name, int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) {
    throw read_error(name, errno);
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  put_header(name, size);
  std::array<char, 65536> buffer;
  std::uint64_t done = 0;
  while (done < size) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size - done));
    const ssize_t count = ::pread(fd, buffer.data(), wanted, static_cast<off_t>(done));
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      throw read_error(name, count == 0 ? EIO : errno);
    }
    put({buffer.data(), static_cast<std::size_t>(count)});
    done += static_cast<std::uint64_t>(count);
  }
  put_padding(size);
}

void TarGzWriter::commit() {
  put(std::string(2 * k_block, '\0'), true);
  m_file.commit();
}

}  // namespace kuva
