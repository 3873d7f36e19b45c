#include <kuva/rules/checks.hpp>

#include <algorithm>
#include <array>

namespace kuva::rules {

namespace {

using Family = Check::Family;

constexpr auto k_checks = std::to_array<Check>({
#include <kuva/rules/checks.inc>
});

}  // namespace

std::span<const Check> checks() { return k_checks; }

const Check* find_check(std::string_view id) {
  const auto found = std::ranges::find(k_checks, id, &Check::id);
  return found == k_checks.end() ? nullptr : &*found;
}

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::error:
      return "error";
    case Severity::warning:
      return "warning";
    case Severity::info:
      return "info";
  }
  return "error";
}

}  // namespace kuva::rules
