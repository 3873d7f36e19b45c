#pragma once

#include <kuva/workflow/items.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace kuva::workflow {

// One item of the inventory: a file, or a record that passes through.
struct InventoryItem {
  std::string path;            // of a file to act on; empty otherwise
  std::optional<Json> record;  // the earlier stage's record, if it came from one
  std::optional<Error> error;  // the path cannot be read, or a line was not a record
  std::string skip_reason;     // not a regular file
  // Of a file that was found by walking or given by its path, as it was then.
  struct Facts {
    std::uint64_t size = 0;     // bytes
    std::int64_t mtime_ns = 0;  // since 1970
  };
  std::optional<Facts> facts;
};

// Turns input into files. Directories are walked: sorted by name, symbolic links to files followed, to directories not,
// hidden files included. One directory's names are held at a time for each level; a directory with more than
// k_sorted_directory_limit entries is taken in the order of the disk. Records of instances that the stage acts on
// become files by their path; all others pass.
class Inventory {
 public:
  explicit Inventory(InputSource& source);
  ~Inventory();
  Inventory(const Inventory&) = delete;
  Inventory& operator=(const Inventory&) = delete;

  // Nothing at the end. A failure of one path or line is an item, and the next call goes on behind it.
  // Errors: local.read when the input itself cannot be read any more.
  std::optional<InventoryItem> next();

  static constexpr std::size_t k_sorted_directory_limit = 100'000;

 private:
  class Directory;
  std::optional<InventoryItem> enter(std::string path, bool given);

  InputSource& m_source;
  std::vector<std::unique_ptr<Directory>> m_stack;
};

// The record of an inventory item that goes no further in this tool: an error, a skip, or a record that passes.
// Nothing when the item is a file to act on.
std::optional<Json> record_of_passing_item(const InventoryItem& item, std::string_view tool);

// True for what Accounting counts: everything but records of other types than instance.
bool counts_as_item(const InventoryItem& item);
// The next item, counted as entered where it counts.
std::optional<InventoryItem> next_counted(Inventory& inventory, Accounting& accounting);

// The record to start from for a file: the earlier stage's, or a new one with type and path.
Json start_record(const InventoryItem& item, std::string_view tool);

}  // namespace kuva::workflow
