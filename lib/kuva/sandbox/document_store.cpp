#include <kuva/core/digest.hpp>
#include <kuva/core/error.hpp>
#include <kuva/core/file.hpp>
#include <kuva/sandbox/document_store.hpp>

#include <algorithm>

namespace kuva::sandbox {

namespace fs = std::filesystem;

DocumentStore::DocumentStore(fs::path directory, bool durable) : m_directory(std::move(directory)), m_durable(durable) {
  std::error_code error;
  fs::create_directories(m_directory, error);
  if (error) {
    throw write_error(m_directory, error.value());
  }
}

// A unique id is a UID mostly, but may be anything.
fs::path DocumentStore::path_of(std::string_view unique_id) const {
  constexpr std::size_t k_longest_uid = 64;
  const bool is_uid =
      !unique_id.empty() && unique_id.size() <= k_longest_uid &&
      std::all_of(unique_id.begin(), unique_id.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; }) &&
      unique_id.front() != '.';
  return m_directory /
         (is_uid ? std::string(unique_id) : "sha256-" + to_hex(digest_of(unique_id, DigestAlgorithm::sha256)));
}

DocumentStore::Stored DocumentStore::put(std::string_view unique_id, std::string_view bytes) {
  AtomicFile file(path_of(unique_id), 0600);
  file.write(bytes);
  file.commit(m_durable);
  return {bytes.size(), to_hex(digest_of(bytes, DigestAlgorithm::sha1))};
}

std::optional<fs::path> DocumentStore::find(std::string_view unique_id) const {
  fs::path path = path_of(unique_id);
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) ? std::optional(std::move(path)) : std::nullopt;
}

}  // namespace kuva::sandbox
