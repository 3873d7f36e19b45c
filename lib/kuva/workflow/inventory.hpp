#pragma once

#include <kuva/workflow/items.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace kuva::workflow {

// One item of the inventory.
struct InventoryItem {
  std::string path;            // of a file; empty for a record without a path
  std::optional<Json> record;  // the earlier stage's record, if it came from one
  std::optional<Error> error;  // the path could not be read (missing, permission)
};

// Turns input into files: directories are walked (sorted by name, symbolic links to files followed, to directories
// not, hidden files included), files given as they are. One directory's names are held at a time; a directory of more than
// k_sorted_directory_limit entries is taken in the order of the disk.
class Inventory {
 public:
  explicit Inventory(InputSource& source);
  ~Inventory();
  // Nothing at the end. Errors: stream.record.
  std::optional<InventoryItem> next();

  static constexpr std::size_t k_sorted_directory_limit = 100'000;

 private:
  struct Walk;
  InputSource& m_source;
  std::unique_ptr<Walk> m_walk;
};

// The keys of an instance that a scan knows; added to (or replaced in) a record.
struct ScannedInstance;

}  // namespace kuva::workflow
