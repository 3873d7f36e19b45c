#include <kuva/core/byte_count.hpp>

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace kuva {

std::string format_bytes(std::uint64_t bytes) {
  static constexpr std::array<std::string_view, 5> k_units{"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < k_units.size()) {
    value /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, k_units[unit]);
}

}  // namespace kuva
