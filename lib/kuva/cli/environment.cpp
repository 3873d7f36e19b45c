#include <kuva/cli/environment.hpp>

#include <cstdlib>

namespace kuva::cli {

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') {
    return std::nullopt;
  }
  return std::string(value);
}

std::optional<std::filesystem::path> xdg_directory(const char* variable, const char* below_home) {
  if (const auto directory = environment(variable); directory && directory->front() == '/') {
    return std::filesystem::path(*directory);
  }
  if (const auto home = environment("HOME")) {
    return std::filesystem::path(*home) / below_home;
  }
  return std::nullopt;
}

}  // namespace kuva::cli
