#include <kuva/net/socket.hpp>
#include <kuva/net/stream.hpp>

namespace kuva::net {

std::size_t Stream::read_some(std::span<std::byte> buffer, Deadline deadline) {
  const auto count = try_read(buffer, deadline);
  if (!count) {
    throw timeout_error(peer(), "waiting for bytes");
  }
  return *count;
}

}  // namespace kuva::net
