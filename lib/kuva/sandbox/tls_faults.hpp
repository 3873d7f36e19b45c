#pragma once

#include <kuva/net/stream.hpp>
#include <kuva/sandbox/faults.hpp>

#include <map>
#include <memory>
#include <mutex>
#include <utility>

namespace kuva::sandbox {

// The server side of TLS with a fault, made when it is first asked for and kept. Thread-safe.
class TlsFaults {
 public:
  // The sandbox's own settings. The CA that issues what needs an issuer is ca_file, with its key beside it (ca.pem,
  // ca.key).
  explicit TlsFaults(net::TlsSettings settings) : m_settings(std::move(settings)) {}

  // What the connection is to be opened with; null: plain. Errors: tls.config, local.read, when the sandbox has no
  // certificate or the CA's key is not there.
  std::shared_ptr<const net::TlsContext> context(TlsFault fault);

 private:
  std::shared_ptr<const net::TlsContext> make(TlsFault fault) const;

  net::TlsSettings m_settings;
  std::mutex m_mutex;
  std::map<TlsFault, std::shared_ptr<const net::TlsContext>> m_made;
};

}  // namespace kuva::sandbox
