#pragma once

#include <kuva/soap/assertion.hpp>

#include <filesystem>

namespace kuva::cli {

// Who asks: the user file of kuva.toml(5). What is missing is found when an assertion is made. Errors: usage.config.
soap::AssertionUser load_user(const std::filesystem::path& file);

}  // namespace kuva::cli
