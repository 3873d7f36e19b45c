#include <kuva/net/tls_stream.hpp>

namespace kuva::net {

std::unique_ptr<Stream> TlsStream::connect(std::shared_ptr<Socket>, std::shared_ptr<const TlsContext>, Deadline) {
  throw Error(kind("tls.config"), "TLS is not part of this build");
}
std::unique_ptr<Stream> TlsStream::accept(std::shared_ptr<Socket>, std::shared_ptr<const TlsContext>, Deadline) {
  throw Error(kind("tls.config"), "TLS is not part of this build");
}
std::shared_ptr<const TlsContext> TlsContext::client(const TlsSettings&) {
  throw Error(kind("tls.config"), "TLS is not part of this build");
}
std::shared_ptr<const TlsContext> TlsContext::server(const TlsSettings&) {
  throw Error(kind("tls.config"), "TLS is not part of this build");
}
std::optional<std::chrono::system_clock::time_point> peer_certificate_expiry(const Stream&) { return std::nullopt; }

}  // namespace kuva::net
