#include "support/temporary_directory.hpp"

#include <kuva/core/digest.hpp>
#include <kuva/core/error.hpp>

#include <doctest/doctest.h>

#include <fstream>

using namespace kuva;

TEST_CASE("digests of FIPS 180-4") {
  CHECK(to_hex(digest_of("abc", DigestAlgorithm::sha1)) == "a9993e364706816aba3e25717850c26c9cd0d89d");
  CHECK(to_hex(digest_of("abc", DigestAlgorithm::sha256)) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Digest pieces(DigestAlgorithm::sha256);
  pieces.add("a");
  pieces.add("");
  pieces.add("bc");
  CHECK(pieces.finish() == digest_of("abc", DigestAlgorithm::sha256));
}

TEST_CASE("the digest of a file") {
  const test::TemporaryDirectory directory;
  const std::string text(600'000, 'x');
  const auto file = directory.path() / "file";
  std::ofstream(file) << text;
  CHECK(digest_of_file(file, DigestAlgorithm::sha1) == digest_of(text, DigestAlgorithm::sha1));
  CHECK_THROWS_AS(digest_of_file(directory.path() / "none", DigestAlgorithm::sha1), Error);
}
