#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace kuva::sandbox {

// The documents of the repository: a file each, never changed once it is there.
class DocumentStore {
 public:
  // Errors: local.write.
  DocumentStore(std::filesystem::path directory, bool durable);

  struct Stored {
    std::uint64_t size = 0;
    std::string sha1;  // hexadecimal, lower case, as metadata has it
  };
  // On disk on return when the store is durable. Errors: local.write.
  Stored put(std::string_view unique_id, std::string_view bytes);
  // Nothing where there is no such document.
  std::optional<std::filesystem::path> find(std::string_view unique_id) const;

 private:
  std::filesystem::path path_of(std::string_view unique_id) const;

  std::filesystem::path m_directory;
  bool m_durable;
};

}  // namespace kuva::sandbox
