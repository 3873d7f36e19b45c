#pragma once

#include <kuva/workflow/hl7_target.hpp>
#include <kuva/workflow/target.hpp>

#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace kuva::cli {

// A target as it stands in kuva.toml; the secrets of its user identity are still in their files.
struct ConfiguredTarget {
  workflow::Target target;
  std::optional<workflow::Hl7Target> hl7;
  std::string passcode_file;
  std::string token_file;
};

// A kuva.toml (kuva.toml(5)).
struct Config {
  std::filesystem::path file;
  std::map<std::string, ConfiguredTarget> targets;
};

// Reads and checks the whole file, also the targets that are not used. Errors: usage.config (file, line, key),
// local.read.
Config load_config(const std::filesystem::path& file);

// `named` if it is not empty, else the first that exists of ./kuva.toml, $XDG_CONFIG_HOME/kuva/kuva.toml (or
// ~/.config/...), /etc/kuva/kuva.toml.
std::optional<std::filesystem::path> find_config(const std::string& named);

// Fills the user identity from its files. Errors: local.read, usage.config.
void load_secrets(ConfiguredTarget& target);

}  // namespace kuva::cli
