#pragma once

#include <kuva/workflow/target.hpp>

#include <string>

namespace kuva::workflow {

// SHA-256, in hexadecimal, of what a run that sends or asks for commitment takes from a target: addresses, AE titles,
// TLS and where its files are, negotiation, timeouts, limits, the listener. The same settings have the same digest on
// every machine and in every version that knows the same keys. No secret goes into it: neither passwords nor tokens nor
// the content of files.
std::string configuration_digest(const Target& target);

}  // namespace kuva::workflow
