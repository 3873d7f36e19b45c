#pragma once

#include <kuva/sandbox/faults.hpp>
#include <kuva/sandbox/transcript.hpp>
#include <kuva/ul/association.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace kuva::sandbox {

// Writes that a rule fired. `facts` go into the same line.
void write_fault(Transcript& transcript, std::uint64_t association, const FaultRule& rule, const Json& facts = {});

// The faults of one connection, from TCP to its end, in the hands of its thread. Each that fires is a line of the
// transcript.
class ConnectionFaults {
 public:
  ConnectionFaults(FaultPlan& plan, Transcript& transcript, std::uint64_t number, bool tls);

  // Before TLS: what is to be done is the caller's.
  std::vector<FaultRule> at_connect();
  // Changes what is answered to an association request.
  void at_associate(const ul::AssociateRequest& request, ul::Association::Decision& decision);

 private:
  std::vector<FaultRule> fire(FaultPoint point, FaultScope& scope, const FaultOccasion& occasion);

  FaultPlan& m_plan;
  Transcript& m_transcript;
  std::uint64_t m_number;
  bool m_tls;
  std::string m_calling_ae;
  FaultScope m_scope;
};

}  // namespace kuva::sandbox
