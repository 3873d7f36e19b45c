#pragma once

#include <kuva/sandbox/patients.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kuva::sandbox {

// The receiver of HL7 messages. What is not said is as dcm4chee-arc has it by default.
struct Hl7Settings {
  std::optional<std::uint16_t> plain_port;  // 0 takes a free one; neither: nothing is received
  std::optional<std::uint16_t> tls_port;
  std::vector<std::string> receiving;  // APPLICATION|FACILITY of MSH-5 and MSH-6; empty: any
  std::vector<std::string> sending;    // the same of MSH-3 and MSH-4
  std::vector<std::string> events{"A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A10",
                                  "A11", "A12", "A13", "A28", "A31", "A38", "A40", "A47"};
  std::vector<std::string> trusted_authorities;  // namespaces and OIDs; empty: any, and none at all
  MergedPolicy merged_patients = MergedPolicy::reject;
  std::string default_character_set = "8859/1";  // of messages without MSH-18
  std::size_t most_message_bytes = 16U << 20U;
};

}  // namespace kuva::sandbox
