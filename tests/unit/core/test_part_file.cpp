#include "cli/temp_directory.hpp"

#include <kuva/core/part_file.hpp>

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <string>

using namespace kuva;
namespace fs = std::filesystem;

namespace {

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(PartFile& file, std::string_view text) { file.write(std::as_bytes(std::span(text.data(), text.size()))); }

}  // namespace

TEST_CASE("a part file gets its name whole, or is gone") {
  const TempDirectory directory;
  fs::path part;
  {
    PartFile file(directory.path());
    part = file.path();
    write(file, "one");
    CHECK(fs::exists(part));
  }
  CHECK_FALSE(fs::exists(part));
  PartFile file(directory.path());
  write(file, "one");
  write(file, "two");
  CHECK(file.size() == 6);
  file.close(true);
  CHECK(file.place(directory.path() / "name", false));
  CHECK(text_of(directory.path() / "name") == "onetwo");
}

TEST_CASE("a name that is taken is left alone, unless it is to be replaced") {
  const TempDirectory directory;
  std::ofstream(directory.path() / "name") << "old";
  PartFile file(directory.path());
  write(file, "new");
  file.close(false);
  CHECK_FALSE(file.place(directory.path() / "name", false));
  CHECK(text_of(directory.path() / "name") == "old");
  CHECK(fs::exists(file.path()));
  CHECK(file.place(directory.path() / "name", true));
  CHECK(text_of(directory.path() / "name") == "new");
}

TEST_CASE("what a dead process left is swept, what a living one writes is not") {
  const TempDirectory directory;
  std::ofstream(directory.path() / ".kuva-aaaaaa.part") << "left";
  std::ofstream(directory.path() / "other.part") << "not ours";
  const PartFile file(directory.path());
  PartFile::sweep(directory.path());
  CHECK_FALSE(fs::exists(directory.path() / ".kuva-aaaaaa.part"));
  CHECK(fs::exists(directory.path() / "other.part"));
  CHECK(fs::exists(file.path()));
}
