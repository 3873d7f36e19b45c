#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace kuva {

enum class DigestAlgorithm {
  sha1,  // where a standard wants it (ITI TF-3 4.2.3.2.10); it proves nothing
  sha256,
};

// The digest of bytes as they come. Errors: local.resource.
class Digest {
 public:
  explicit Digest(DigestAlgorithm algorithm);

  void add(std::span<const std::byte> bytes);
  void add(std::string_view text) { add(std::as_bytes(std::span(text))); }
  // The bytes of the digest; once.
  std::string finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> m_context;
};

// Hexadecimal, lower case.
std::string to_hex(std::string_view bytes);

// The bytes of the digest of a text.
std::string digest_of(std::string_view bytes, DigestAlgorithm algorithm);
// Of a file, read in pieces. Errors: local.read.
std::string digest_of_file(const std::filesystem::path& path, DigestAlgorithm algorithm);

}  // namespace kuva
