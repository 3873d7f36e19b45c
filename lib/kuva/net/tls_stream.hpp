#pragma once

#include <kuva/net/socket.hpp>

#include <memory>

namespace kuva::net {

class TlsStream {
 public:
  static std::unique_ptr<Stream> connect(std::shared_ptr<Socket> socket, std::shared_ptr<const TlsContext> context,
                                         Deadline deadline);
  static std::unique_ptr<Stream> accept(std::shared_ptr<Socket> socket, std::shared_ptr<const TlsContext> context,
                                        Deadline deadline);
};

}  // namespace kuva::net
