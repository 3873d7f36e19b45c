#include <kuva/core/digest.hpp>
#include <kuva/core/error.hpp>
#include <kuva/core/file.hpp>

#include <fmt/format.h>
#include <openssl/evp.h>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

namespace kuva {

namespace {

constexpr std::size_t k_piece = 1U << 18U;

}  // namespace

void Digest::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Digest::Digest(DigestAlgorithm algorithm) : m_context(EVP_MD_CTX_new()) {
  const EVP_MD* const method = algorithm == DigestAlgorithm::sha1 ? EVP_sha1() : EVP_sha256();
  if (!m_context || EVP_DigestInit_ex(m_context.get(), method, nullptr) != 1) {
    throw Error(kind("local.resource"), "no memory for a digest");
  }
}

void Digest::add(std::span<const std::byte> bytes) {
  if (EVP_DigestUpdate(m_context.get(), bytes.data(), bytes.size()) != 1) {
    throw Error(kind("local.resource"), "a digest cannot be made");
  }
}

std::string Digest::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_DigestFinal_ex(m_context.get(), digest.data(), &size) != 1) {
    throw Error(kind("local.resource"), "a digest cannot be made");
  }
  return {reinterpret_cast<const char*>(digest.data()), size};
}

std::string to_hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  }
  return text;
}

std::string digest_of(std::string_view bytes, DigestAlgorithm algorithm) {
  Digest digest(algorithm);
  digest.add(bytes);
  return digest.finish();
}

std::string digest_of_file(const std::filesystem::path& path, DigestAlgorithm algorithm) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    throw read_error(path, errno);
  }
  Digest digest(algorithm);
  std::vector<std::byte> piece(k_piece);
  for (;;) {
    const auto count = ::read(fd.get(), piece.data(), piece.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      throw read_error(path, errno);
    }
    if (count == 0) {
      return digest.finish();
    }
    digest.add(std::span(piece).first(static_cast<std::size_t>(count)));
  }
}

}  // namespace kuva
