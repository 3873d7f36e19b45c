#pragma once

#include <kuva/net/resolver.hpp>
#include <kuva/net/socket.hpp>

#include <memory>
#include <span>

namespace kuva::net {

// The steps of connect() after resolve(), for who reports each of them.

// Tries the addresses in turn, each with its share of the time. Errors: connect.*.
std::shared_ptr<Socket> connect_tcp(const Endpoint& endpoint, std::span<const Address> addresses, Deadline deadline);
// With TLS the handshake is done; null is plain. Errors: tls.*, connection.lost.
std::unique_ptr<Stream> open_stream(std::shared_ptr<Socket> socket, const std::shared_ptr<const TlsContext>& tls,
                                    Deadline deadline);

}  // namespace kuva::net
