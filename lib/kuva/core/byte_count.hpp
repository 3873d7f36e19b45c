#pragma once

#include <cstdint>
#include <string>

namespace kuva {

// "1.5 MB": powers of 1000.
std::string format_bytes(std::uint64_t bytes);

}  // namespace kuva
