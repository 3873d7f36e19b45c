#pragma once

#include <kuva/core/error_catalogue.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <exception>
#include <optional>
#include <string>

namespace kuva {

// Ordered, so that records and goldens are stable.
using Json = nlohmann::ordered_json;

// The other side of a connection, as far as it is known.
struct Peer {
  std::string host;
  std::uint16_t port = 0;
  std::string address;  // the IP address that the name resolved to
  std::string called_ae;
  std::string calling_ae;
  std::string implementation_class_uid;  // PS3.7 D.3.3.2, names the product
  std::string implementation_version_name;
  std::string tls;  // e.g. "TLSv1.3 TLS_AES_256_GCM_SHA384", empty for plain

  Json to_json() const;
};

// What went wrong, as a value that can also be thrown. The kind fixes code, phase, side, class, hint and exit code;
// the message says what happened here, with the peer's own words. A message never holds a patient's name or identifier.
class Error : public std::exception {
 public:
  // `kind` comes from kuva::kind("code"), which checks the code when compiling.
  Error(const ErrorKind& kind, std::string message);

  const ErrorKind& kind() const { return *m_kind; }
  const std::string& message() const { return m_message; }
  const char* what() const noexcept override { return m_message.c_str(); }

  // Where the same kind can happen in several phases (a time-out while sending or while waiting).
  Error& in_phase(Phase phase);
  Phase phase() const { return m_phase.value_or(m_kind->phase); }

  // Facts beside the message, e.g. status, errorComment, offendingElement; keys are lowerCamelCase.
  Error& with(std::string key, Json value);
  const Json& details() const { return m_details; }

  Error& with_peer(Peer peer);
  const std::optional<Peer>& peer() const { return m_peer; }

  // The `error` object of a record: code, phase, side, class, message, hint, peer, then the details.
  Json to_json() const;

 private:
  const ErrorKind* m_kind;
  std::string m_message;
  std::optional<Phase> m_phase;
  std::optional<Peer> m_peer;
  Json m_details = Json::object();
};

}  // namespace kuva
