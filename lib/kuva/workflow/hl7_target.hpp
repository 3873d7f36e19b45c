#pragma once

#include <kuva/hl7/check.hpp>
#include <kuva/net/stream.hpp>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace kuva::workflow {

// The HL7 side of a peer: [target.NAME.hl7] of kuva.toml(5).
struct Hl7Target {
  std::string name;  // of the target
  net::Endpoint endpoint;
  bool tls = true;
  net::TlsSettings tls_settings;
  std::string sending_application = "KUVA";  // MSH-3 to MSH-6
  std::string sending_facility;
  std::string receiving_application;
  std::string receiving_facility;
  std::string version = "2.5.1";
  std::string processing_id = "P";
  std::string character_set = "UNICODE UTF-8";  // MSH-18
  hl7::AssigningAuthority authority;            // of identifiers that are given without one
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds tls_timeout{10'000};
  std::chrono::milliseconds acknowledgement_timeout{60'000};
  std::chrono::milliseconds stall_timeout{60'000};
  std::chrono::milliseconds min_interval{0};  // between two messages

  // What the archive's own annex says of segments, which is not public: dcm4chee's defaults and IHE PAM unless a
  // profile says more.
  hl7::CheckProfile profile;
  std::vector<std::pair<hl7::Position, std::string>> values;  // put into every message that is made
};

}  // namespace kuva::workflow
