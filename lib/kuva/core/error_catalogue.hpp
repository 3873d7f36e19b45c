#pragma once

#include <kuva/core/exit_code.hpp>

#include <array>
#include <span>
#include <stdexcept>
#include <string_view>

namespace kuva {

// What the tool was doing.
enum class Phase {
  usage,
  config,
  scan,
  read,
  validate,
  resolve,
  connect,
  tls,
  associate,
  negotiate,
  send,
  wait,
  release,
  request,
  listen,
  write,
  internal
};

// Whose side it was on.
enum class Side { local, network, peer };

// What a retry loop looks at.
enum class ErrorClass {
  temporary,      // the same thing may work later
  permanent,      // it will fail again until somebody changes something
  indeterminate,  // all was sent, no answer came: it may have been done
  usage,          // the command or the configuration is wrong
};

std::string_view to_string(Phase phase);
std::string_view to_string(Side side);
std::string_view to_string(ErrorClass error_class);

// One row of the catalogue. The code is stable; meaning and hint are sentences for people.
struct ErrorKind {
  std::string_view code;
  Phase phase;
  Side side;
  ErrorClass error_class;
  ExitCode exit_code;
  std::string_view meaning;
  std::string_view hint;
};

namespace detail {
inline constexpr auto k_catalogue = std::to_array<ErrorKind>({
#include <kuva/core/error_catalogue.inc>
});
}  // namespace detail

// Every kind of error, in the order of the catalogue. kuva-errors(7) and --explain are made from it.
constexpr std::span<const ErrorKind> error_catalogue() { return detail::k_catalogue; }

// The kind with this code; a code that is not in the catalogue does not compile.
consteval const ErrorKind& kind(std::string_view code) {
  for (const ErrorKind& entry : detail::k_catalogue) {
    if (entry.code == code) {
      return entry;
    }
  }
  throw std::logic_error("no such error code");
}

// The kind with this code, or nullptr: for codes that come from outside (--explain, records).
const ErrorKind* find_kind(std::string_view code);

}  // namespace kuva
