#include <kuva/core/error.hpp>

namespace kuva {

Json Peer::to_json() const {
  Json json = Json::object();
  const auto put = [&json](const char* key, const std::string& value) {
    if (!value.empty()) {
      json[key] = value;
    }
  };
  put("host", host);
  if (port != 0) {
    json["port"] = port;
  }
  put("address", address);
  put("calledAE", called_ae);
  put("callingAE", calling_ae);
  put("implementationClassUID", implementation_class_uid);
  put("implementationVersionName", implementation_version_name);
  put("tls", tls);
  return json;
}

Error::Error(const ErrorKind& kind, std::string message) : m_kind(&kind), m_message(std::move(message)) {}

Error& Error::in_phase(Phase phase) {
  m_phase = phase;
  return *this;
}

Error& Error::with(std::string key, Json value) {
  m_details[std::move(key)] = std::move(value);
  return *this;
}

Error& Error::with_peer(Peer peer) {
  m_peer = std::move(peer);
  return *this;
}

Json Error::to_json() const {
  Json json;
  json["code"] = m_kind->code;
  json["phase"] = to_string(phase());
  json["side"] = to_string(m_kind->side);
  json["class"] = to_string(m_kind->error_class);
  json["message"] = m_message;
  json["hint"] = m_kind->hint;
  if (m_peer) {
    json["peer"] = m_peer->to_json();
  }
  json.update(m_details);
  return json;
}

}  // namespace kuva
