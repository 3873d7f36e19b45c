#pragma once

#include <kuva/core/error.hpp>

#include <string>
#include <string_view>

namespace kuva::cli {

// Control characters as \xNN, so that a file name cannot steer the terminal; invalid UTF-8 as U+FFFD.
std::string printable(std::string_view text);

// A record as people read it: one line, and lines below it for its error and findings. Ends with a newline.
std::string render_text(const Json& record, bool color);

}  // namespace kuva::cli
