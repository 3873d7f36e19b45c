#include <kuva/core/error.hpp>
#include <kuva/rules/embedded.hpp>

#include <fmt/format.h>

#include <array>
#include <span>

namespace kuva::rules {

namespace {

struct Piece {
  std::string_view file;
  std::string_view text;
};

// Written while kuva is built; a file is in pieces that compilers take as literals.
constexpr auto k_pieces = std::to_array<Piece>({
#include <profiles.inc>
});

}  // namespace

std::string embedded_file(std::string_view name) {
  std::string text;
  bool found = false;
  for (const Piece& piece : k_pieces) {
    if (piece.file == name) {
      text += piece.text;
      found = true;
    }
  }
  if (!found) {
    throw Error(kind("internal"), fmt::format("there is no embedded file {}", name));
  }
  return text;
}

std::vector<std::string_view> embedded_files() {
  std::vector<std::string_view> names;
  for (const Piece& piece : k_pieces) {
    if (names.empty() || names.back() != piece.file) {
      names.push_back(piece.file);
    }
  }
  return names;
}

}  // namespace kuva::rules
