#pragma once

#include <kuva/sandbox/sandbox.hpp>
#include <kuva/ul/association.hpp>

namespace kuva::sandbox {

// What the sandbox answers to an association request (PS3.8 9.3.3 and 9.3.4); `is_full`: no more associations now.
ul::Association::Decision negotiate(const Settings& settings, const ul::AssociateRequest& request, bool is_full);

// nullptr when the AE title is not known.
const KnownAe* find_ae(const Settings& settings, std::string_view ae_title);

}  // namespace kuva::sandbox
