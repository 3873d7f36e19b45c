#include <kuva/core/file.hpp>
#include <kuva/core/record.hpp>
#include <kuva/workflow/inventory.hpp>

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace kuva::workflow {

// The entries of one directory that are still to come.
class Inventory::Directory {
 public:
  explicit Directory(std::string path) : m_path(std::move(path)), m_dir(::opendir(m_path.c_str())) {
    if (!m_dir) {
      throw read_error(m_path, errno);
    }
    while (m_names.size() <= k_sorted_directory_limit) {
      std::optional<std::string> name = read_name();
      if (!name) {
        m_dir.reset();
        break;
      }
      m_names.push_back(std::move(*name));
    }
    if (m_dir) {
      return;  // too many to sort: these first, the rest as the disk gives them
    }
    // From the back, so that taking the next one is cheap.
    std::sort(m_names.begin(), m_names.end(), std::greater<>());
  }

  std::optional<std::string> next() {
    if (!m_names.empty()) {
      std::string name = std::move(m_names.back());
      m_names.pop_back();
      return join(name);
    }
    if (m_dir) {
      if (std::optional<std::string> name = read_name()) {
        return join(*name);
      }
      m_dir.reset();
    }
    return std::nullopt;
  }

 private:
  struct CloseDir {
    void operator()(DIR* dir) const { ::closedir(dir); }
  };

  std::optional<std::string> read_name() {
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(m_dir.get());
      if (entry == nullptr) {
        if (errno != 0) {
          throw read_error(m_path, errno);
        }
        return std::nullopt;
      }
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") {
        return std::string(name);
      }
    }
  }

  std::string join(const std::string& name) const {
    return m_path.ends_with('/') ? m_path + name : m_path + '/' + name;
  }

  std::string m_path;
  std::unique_ptr<DIR, CloseDir> m_dir;
  std::vector<std::string> m_names;
};

Inventory::Inventory(InputSource& source) : m_source(source) {}

Inventory::~Inventory() = default;

std::optional<InventoryItem> Inventory::next() {
  for (;;) {
    if (!m_stack.empty()) {
      std::optional<std::string> path;
      try {
        path = m_stack.back()->next();
      } catch (const Error& error) {
        m_stack.pop_back();
        return InventoryItem{{}, {}, error, {}, {}};
      }
      if (!path) {
        m_stack.pop_back();
        continue;
      }
      if (std::optional<InventoryItem> item = enter(std::move(*path), false)) {
        return item;
      }
      continue;
    }
    std::optional<Input> input;
    try {
      input = m_source.next();
    } catch (const Error& error) {
      if (&error.kind() != &kind("stream.record")) {
        throw;
      }
      return InventoryItem{{}, {}, error, {}, {}};
    }
    if (!input) {
      return std::nullopt;
    }
    if (input->record) {
      InventoryItem item;
      if (is_actionable(*input->record)) {
        const auto path = input->record->find("path");
        if (path != input->record->end()) {
          item.path = path_from_json(*path);
        }
      }
      item.record = std::move(input->record);
      return item;
    }
    if (std::optional<InventoryItem> item = enter(std::move(input->path), true)) {
      return item;
    }
  }
}

// A file is an item; a directory is put on the stack.
std::optional<InventoryItem> Inventory::enter(std::string path, bool given) {
  struct stat status {};
  // A link to a directory is followed only where the user named it: a walk must end.
  if (::lstat(path.c_str(), &status) != 0) {
    return InventoryItem{path, {}, read_error(path, errno), {}, {}};
  }
  if (S_ISLNK(status.st_mode)) {
    if (::stat(path.c_str(), &status) != 0) {
      return InventoryItem{path, {}, read_error(path, errno), {}, {}};
    }
    if (S_ISDIR(status.st_mode) && !given) {
      return InventoryItem{path, {}, {}, "symbolic link to a directory", {}};
    }
  }
  if (S_ISDIR(status.st_mode)) {
    try {
      m_stack.push_back(std::make_unique<Directory>(path));
    } catch (const Error& error) {
      return InventoryItem{path, {}, error, {}, {}};
    }
    return std::nullopt;
  }
  if (!S_ISREG(status.st_mode)) {
    return InventoryItem{path, {}, {}, "not a regular file", {}};
  }
  return InventoryItem{
      std::move(path),
      {},
      {},
      {},
      InventoryItem::Facts{static_cast<std::uint64_t>(status.st_size),
                           std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec}};
}

std::optional<Json> record_of_passing_item(const InventoryItem& item, std::string_view tool) {
  if (item.error) {
    Json record = make_record("instance", tool, outcome::failed, false);
    if (!item.path.empty()) {
      record["path"] = path_to_json(item.path);
    }
    set_error(record, *item.error);
    return record;
  }
  if (!item.skip_reason.empty()) {
    Json record = make_record("instance", tool, outcome::skipped, true);
    record["path"] = path_to_json(item.path);
    record["reason"] = item.skip_reason;
    return record;
  }
  if (item.record && item.path.empty()) {
    return item.record;
  }
  return std::nullopt;
}

bool counts_as_item(const InventoryItem& item) { return !item.record || string_at(*item.record, "type") == "instance"; }

std::optional<InventoryItem> next_counted(Inventory& inventory, Accounting& accounting) {
  std::optional<InventoryItem> item = inventory.next();
  if (item && counts_as_item(*item)) {
    accounting.entered();
  }
  return item;
}

Json start_record(const InventoryItem& item, std::string_view tool) {
  if (item.record) {
    return *item.record;
  }
  Json record = make_record("instance", tool, {}, false);
  record["path"] = path_to_json(item.path);
  return record;
}

}  // namespace kuva::workflow
