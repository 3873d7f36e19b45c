#pragma once

#include <cstdint>

namespace kuva::sandbox {

// Statuses that C-FIND, C-MOVE and C-GET have in common (PS3.4 C.4).
inline constexpr std::uint16_t k_pending = 0xFF00;
inline constexpr std::uint16_t k_identifier_does_not_match = 0xA900;
inline constexpr std::uint16_t k_cancelled = 0xFE00;
inline constexpr std::uint16_t k_not_authorised = 0x0124;

}  // namespace kuva::sandbox
