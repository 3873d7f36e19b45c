#include <kuva/core/file.hpp>
#include <kuva/net/socket.hpp>
#include <kuva/net/stream.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

namespace kuva::net {

std::size_t Stream::read_some(std::span<std::byte> buffer, Deadline deadline) {
  const auto count = try_read(buffer, deadline);
  if (!count) {
    throw timeout_error(peer(), "waiting for bytes");
  }
  return *count;
}

void Stream::write_file(std::span<const std::byte> head, const FileRange& range,
                        std::chrono::milliseconds stall_limit) {
  constexpr std::size_t k_buffer = 64U * 1024U;
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(range.size, k_buffer));
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(size);
  FileRange left = range;
  do {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(left.size, size));
    ssize_t count = 0;
    do {
      count = wanted == 0 ? 0 : ::pread(left.descriptor, buffer.get(), wanted, static_cast<off_t>(left.offset));
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
      throw read_error("the file that is being sent", errno);
    }
    if (count == 0 && wanted != 0) {
      throw Error(kind("file.truncated"), "the file became shorter while it was sent");
    }
    const auto moved = static_cast<std::size_t>(count);
    const std::array<std::span<const std::byte>, 2> pieces{head, std::span<const std::byte>(buffer.get(), moved)};
    write_all(pieces, stall_limit);
    head = {};
    left.offset += moved;
    left.size -= moved;
  } while (left.size != 0);
}

}  // namespace kuva::net
