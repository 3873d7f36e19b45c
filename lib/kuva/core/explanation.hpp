#pragma once

#include <kuva/core/error_catalogue.hpp>

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace kuva {

// What the tools themselves do about an error.
enum class Retry {
  no,      // it stays until somebody changes something
  tool,    // tried again within the run, with growing pauses
  once,    // tried once more within the run
  rerun,   // the same command continues, later
  resume,  // kuva-commit --resume asks again
  settle,  // never sent again blindly: it may have been done
};
// A sentence.
std::string_view to_string(Retry retry);

// What kuva-errors(7) and --explain say besides the row of the catalogue. Apart from it, since only those who explain
// need it.
struct Explanation {
  static constexpr std::size_t k_most_causes = 4;
  std::string_view code;
  Retry retry;
  std::array<std::string_view, k_most_causes> causes;  // the likeliest first; the rest is empty

  std::span<const std::string_view> given_causes() const;
};

std::span<const Explanation> explanations();
// nullptr for a code that is not known.
const Explanation* find_explanation(std::string_view code);

}  // namespace kuva
