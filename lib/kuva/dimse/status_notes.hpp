#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace kuva::dimse {

// What a status means to those who look for the cause; for kuva-errors(7) and --explain.
struct StatusNote {
  // Where the number stands: one number means different things there.
  enum class Of { all, store, commitment_request, commitment_failure };
  Of of;
  std::uint16_t status;
  std::string_view code;  // of the error that it becomes; empty where it is none
  std::string_view note;
};
std::string_view to_string(StatusNote::Of of);  // "C-STORE response"

std::span<const StatusNote> status_notes();

}  // namespace kuva::dimse
