#pragma once

#include <string_view>

namespace kuva {

// The version of the suite, e.g. "0.1.0".
std::string_view version();

}  // namespace kuva
