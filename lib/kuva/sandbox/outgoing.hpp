#pragma once

#include <kuva/net/stream.hpp>
#include <kuva/sandbox/sandbox.hpp>
#include <kuva/ul/association.hpp>

#include <memory>
#include <string_view>
#include <vector>

namespace kuva::sandbox {

// Opens an association from the sandbox to a known AE with an endpoint, for these contexts. `tls` is for those that
// want it. Errors: as net::connect and ul::Association::request.
std::unique_ptr<ul::Association> open_association(const Settings& settings, const KnownAe& known,
                                                  const std::shared_ptr<const net::TlsContext>& tls,
                                                  std::vector<ul::PresentationContext> contexts);

}  // namespace kuva::sandbox
