#pragma once

#include <kuva/sandbox/xds_settings.hpp>
#include <kuva/soap/message.hpp>
#include <kuva/xds/stored_query.hpp>

#include <chrono>

namespace kuva::sandbox {

// Verifies the assertion of a request as the rules have it (ITI TF-2 3.40.4.1.3); where it names a patient, a `query`
// may be for that one alone. Errors: RequestRefused with a fault
// of WS-Security, subcode FailedAuthentication, FailedCheck, InvalidSecurity, InvalidSecurityToken or
// UnsupportedAlgorithm.
void check_assertion(const AssertionRules& rules, const soap::Message& request, const xds::StoredQuery* query,
                     std::chrono::system_clock::time_point now);

}  // namespace kuva::sandbox
