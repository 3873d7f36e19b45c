#pragma once

#include <kuva/sandbox/faults.hpp>

#include <filesystem>

namespace kuva::cli {

// Reads the faults of a sandbox (kuva-faults(5)). An action that the sandbox cannot do there, and a key that the action
// does not use, are errors. Errors: usage.config (file, line, key).
sandbox::FaultSettings load_faults(const std::filesystem::path& file);

}  // namespace kuva::cli
