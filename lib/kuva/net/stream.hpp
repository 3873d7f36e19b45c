#pragma once

#include <kuva/core/error.hpp>
#include <kuva/core/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kuva::net {

struct Endpoint {
  std::string host;
  std::uint16_t port = 0;
};

class TlsContext;

// A part of an open file. Whoever made it keeps the descriptor open.
struct FileRange {
  int descriptor = -1;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

// A connected byte stream, TCP or TLS over TCP. One thread reads and writes; shutdown() may come from any.
// Every wait ends at its deadline. Errors are Error with a Peer of host, port, address and tls filled in:
// connection.lost, connection.timeout, tls.client-certificate-refused (TLS 1.3 tells late), tls.truncated, ...
// TCP: TCP_NODELAY, keepalive and TCP_USER_TIMEOUT are set, TCP_QUICKACK is re-armed around every read.
class Stream {
 public:
  virtual ~Stream() = default;

  // At least one byte, at most buffer.size(); 0 when the peer closed in good order; nothing at the deadline.
  virtual std::optional<std::size_t> try_read(std::span<std::byte> buffer, Deadline deadline) = 0;
  // The same, with the deadline as an Error connection.timeout.
  std::size_t read_some(std::span<std::byte> buffer, Deadline deadline);
  // All pieces in order, with as few system calls as can be. The deadline is for progress: it starts anew when bytes
  // move.
  virtual void write_all(std::span<const std::span<const std::byte>> pieces, std::chrono::milliseconds stall_limit) = 0;
  // `head`, then the bytes of the file. Errors: also local.read, when the file has become shorter or cannot be read.
  virtual void write_file(std::span<const std::byte> head, const FileRange& range,
                          std::chrono::milliseconds stall_limit);
  // True where write_file() gives the file's pages to the kernel; elsewhere it reads them into memory first.
  virtual bool takes_files() const { return false; }
  // True when read_some would not wait (bytes, end or error); false at the deadline.
  virtual bool wait_readable(Deadline deadline) = 0;
  // Ends the stream in good order (TLS close_notify) and closes it; errors are ignored.
  virtual void close(Deadline deadline) noexcept = 0;
  // Ends the connection at once, with a TCP reset.
  virtual void reset() noexcept = 0;
  // From any thread: every wait and every later call fails with connection.lost.
  virtual void shutdown() noexcept = 0;

  // host, port, address, tls of the other side.
  virtual const Peer& peer() const = 0;
  virtual std::string local_address() const = 0;  // "127.0.0.1:40001", to find the connection in the peer's log
};

// TLS as a target or a listener asks for it. Files are PEM; or one PKCS#12 file instead of certificate, key and CAs.
struct TlsSettings {
  std::string ca_file;           // empty: the system's CAs (client), no client certificates asked for (server)
  std::string certificate_file;  // leaf first, then intermediates
  std::string key_file;
  std::string pkcs12_file;
  std::string passphrase_file;             // first line; for key_file or pkcs12_file
  bool verify_host = true;                 // client: the certificate is for the host (or server_name)
  std::string server_name;                 // client: instead of the host, for SNI and the check
  bool require_client_certificate = true;  // server
  std::string minimum_version = "1.2";     // "1.2" or "1.3"
  std::string maximum_version;             // the same; empty: what OpenSSL has
  std::string cipher_suites;               // TLS 1.2 list in OpenSSL's form; empty: BCP 195 (PS3.15 B.12)
};

// Loaded keys and certificates, shared by all connections of a target; immutable and thread-safe.
class TlsContext {
 public:
  // Errors: tls.config naming the file and OpenSSL's reason; tls.own-certificate-expired.
  static std::shared_ptr<const TlsContext> client(const TlsSettings& settings);
  static std::shared_ptr<const TlsContext> server(const TlsSettings& settings);
  virtual ~TlsContext() = default;

  // When our own certificate ends, if there is one.
  virtual std::optional<std::chrono::system_clock::time_point> certificate_expiry() const = 0;
};

struct ConnectSettings {
  Endpoint endpoint;
  std::shared_ptr<const TlsContext> tls;  // null: plain
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds tls_timeout{10'000};
};

// Resolves, connects (every address in turn) and does the TLS handshake.
// Errors: resolve.*, connect.*, tls.* (first cause; a peer that answers plain DICOM is tls.peer-speaks-plain).
std::unique_ptr<Stream> connect(const ConnectSettings& settings);

// A connection that was accepted and whose TLS handshake, if any, is still to be done - in the connection's own thread.
class Incoming {
 public:
  virtual ~Incoming() = default;
  virtual const Peer& peer() const = 0;
  // Does the handshake (server side). A ClientHello on a plain port and plain bytes on a TLS port are named as such
  // (tls.peer-wants-tls, tls.peer-speaks-plain). Call once.
  virtual std::unique_ptr<Stream> open(const std::shared_ptr<const TlsContext>& tls, Deadline deadline) = 0;
  // From any thread: ends a handshake that is under way.
  virtual void shutdown() noexcept = 0;
};

// A listening socket. SO_REUSEADDR is set.
class Listener {
 public:
  // Port 0 takes a free one. Errors: listen.failed, resolve.*.
  static std::unique_ptr<Listener> open(const Endpoint& bind);
  virtual ~Listener() = default;
  virtual std::uint16_t port() const = 0;
  // The next connection; nullptr at the deadline or after close().
  virtual std::unique_ptr<Incoming> accept(Deadline deadline) = 0;
  // From any thread: no more connections, accept() returns nullptr at once.
  virtual void close() noexcept = 0;
};

// When a certificate that the peer showed, or our own, ends; for the expiry warning.
std::optional<std::chrono::system_clock::time_point> peer_certificate_expiry(const Stream& stream);

// "host:port" for messages, an IPv6 address in brackets.
std::string to_string(const Endpoint& endpoint);
std::string name_of(const Peer& peer);

}  // namespace kuva::net
