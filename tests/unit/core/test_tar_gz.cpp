#include "../support/temporary_directory.hpp"

#include <kuva/core/tar_gz.hpp>

#include <doctest/doctest.h>
#include <zlib.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <fstream>
#include <string>
#include <vector>

namespace {

std::string unpacked(const std::filesystem::path& path) {
  const auto file = ::gzopen(path.c_str(), "rb");
  REQUIRE(file != nullptr);
  std::string text;
  std::vector<char> buffer(4096);
  for (int count = 0; (count = ::gzread(file, buffer.data(), static_cast<unsigned>(buffer.size()))) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  CHECK(::gzclose(file) == Z_OK);
  return text;
}

}  // namespace

TEST_CASE("files are packed as ustar in gzip, for the owner alone") {
  const kuva::test::TemporaryDirectory directory;
  const auto path = directory.path() / "a.tar.gz";
  const auto large = directory.path() / "large";
  std::ofstream(large) << std::string(100'000, 'l');
  {
    kuva::TarGzWriter writer(path);
    writer.add("b/one.txt", "content");
    writer.add("empty", "");
    const kuva::FileDescriptor fd(::open(large.c_str(), O_RDONLY | O_CLOEXEC));
    writer.add_file("large", fd.get());
    CHECK_FALSE(std::filesystem::exists(path));
    CHECK_THROWS_AS(writer.add(std::string(101, 'x'), ""), kuva::Error);
    writer.commit();
  }
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0600);
  const std::string tar = unpacked(path);
  CHECK(tar.size() == 512 + 512 + 512 + 512 + 100'352 + 1024);
  CHECK(tar.substr(0, 9) == "b/one.txt");
  CHECK(tar.substr(257, 5) == "ustar");
  CHECK(tar.substr(512, 7) == "content");
  CHECK(tar.substr(1024, 5) == "empty");
  CHECK(tar.substr(1536 + 124, 11) == "00000303240");
}

TEST_CASE("what is not committed leaves nothing") {
  const kuva::test::TemporaryDirectory directory;
  { kuva::TarGzWriter(directory.path() / "a.tar.gz").add("x", "y"); }
  CHECK(std::filesystem::is_empty(directory.path()));
}
