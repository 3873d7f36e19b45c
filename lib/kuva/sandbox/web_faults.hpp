#pragma once

#include <kuva/sandbox/faults.hpp>
#include <kuva/sandbox/web_server.hpp>

#include <functional>
#include <vector>

namespace kuva::sandbox {

// The rule with this action, of those that fired for a request; null when there is none.
const FaultRule* web_fault(const std::vector<FaultRule>& faults, FaultAction action);
inline bool has_fault(const std::vector<FaultRule>& faults, FaultAction action) {
  return web_fault(faults, action) != nullptr;
}

// What is answered instead of serving the request: an HTML page of an HTTP error. Nothing where no rule says so.
std::optional<WebResponse> instead_of_serving(const std::vector<FaultRule>& faults);

// What happens to an answer on its way: silence, delay, a closed connection, a cut, a slow drip, a wrong clock.
void apply_faults(const std::vector<FaultRule>& faults, WebResponse& response);

// Writes a document, with one byte of it changed where a rule wants the digest to be wrong.
void with_faults(const std::vector<FaultRule>& faults, const WebSink& sink,
                 const std::function<void(const WebSink&)>& write);

}  // namespace kuva::sandbox
