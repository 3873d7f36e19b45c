#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kuva::rules {

// The files of share/profiles as they were when kuva was built: the tools need nothing beside them.
// Errors: Error internal for a name that is not there.
std::string embedded_file(std::string_view name);
std::vector<std::string_view> embedded_files();

}  // namespace kuva::rules
