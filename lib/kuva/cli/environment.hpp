#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace kuva::cli {

// A variable of the environment; nothing when it is absent or empty.
std::optional<std::string> environment(const char* name);

// A directory of the XDG base directory specification: the variable if it is an absolute path, else below the home
// directory; nothing when there is neither.
std::optional<std::filesystem::path> xdg_directory(const char* variable, const char* below_home);

}  // namespace kuva::cli
