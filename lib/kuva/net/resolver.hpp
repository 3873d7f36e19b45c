#pragma once

#include <kuva/core/time.hpp>
#include <kuva/net/stream.hpp>

#include <sys/socket.h>

#include <vector>

namespace kuva::net {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

enum class ResolveFor { connecting, listening };

// The addresses of a host in the system's order; numeric hosts ask no name server. Listening: an empty host is every
// address of this machine. Errors: resolve.unknown-host, resolve.failed (also at the deadline).
std::vector<Address> resolve(const Endpoint& endpoint, ResolveFor purpose, Deadline deadline);

}  // namespace kuva::net
