#pragma once

#include <kuva/dimse/commitment.hpp>
#include <kuva/sandbox/archive.hpp>
#include <kuva/sandbox/faults.hpp>
#include <kuva/sandbox/report_queue.hpp>

#include <string>
#include <vector>

namespace kuva::sandbox {

// The rule with this action, of those that fired for a report; null when there is none.
const FaultRule* find_fault(const std::vector<FaultRule>& faults, FaultAction action);

// The N-EVENT-REPORTs of a request, in their order: one, that says of every reference what is on disk now, unless the
// faults of the request want it otherwise.
std::vector<dimse::CommitmentReport> make_reports(Archive& archive, const DueReport& due,
                                                  const std::string& retrieve_ae_title);

}  // namespace kuva::sandbox
