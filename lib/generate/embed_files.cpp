// Runs while kuva is built: embed_files OUTPUT FILE... writes the text of the files as C++ literals,
// {"name", "text"} a piece, since compilers need not take a literal of more than 65536 characters.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

namespace {

constexpr std::size_t k_piece = 8000;

std::string literal(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    switch (c) {
      case '\n':
        result += "\\n\"\n\"";
        break;
      case '"':
        result += "\\\"";
        break;
      case '\\':
        result += "\\\\";
        break;
      default:
        result += c;
    }
  }
  return result + "\"";
}

}  // namespace

int main(int argc, char** argv) {
  std::ofstream out(argc > 1 ? argv[1] : "");
  for (int i = 2; i < argc; ++i) {
    const std::filesystem::path path(argv[i]);
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    const std::string all = text.str();
    if (!in || all.empty()) {
      std::cerr << "embed_files: cannot read " << path << "\n";
      return 1;
    }
    for (std::size_t at = 0; at < all.size(); at += k_piece) {
      out << "{" << literal(path.filename().string()) << ", " << literal(all.substr(at, k_piece)) << "},\n";
    }
  }
  out.close();
  return out ? 0 : 1;
}
