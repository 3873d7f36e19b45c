#pragma once

#include <kuva/rules/finding.hpp>

#include <span>
#include <string_view>

namespace kuva::rules {

// A check that is code: those of the file's structure, which always run, and the families that a profile switches on.
struct Check {
  enum class Family { always, batch, values, iod };
  std::string_view id;
  Family family = Family::always;
  Severity severity = Severity::error;  // the usual one; a check may give a milder one where it says so
  std::string_view meaning;
  std::string_view section;
  std::string_view hint;
};

std::span<const Check> checks();
const Check* find_check(std::string_view id);

}  // namespace kuva::rules
