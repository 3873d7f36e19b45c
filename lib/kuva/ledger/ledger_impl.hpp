#pragma once

#include <kuva/core/file.hpp>
#include <kuva/ledger/connection.hpp>
#include <kuva/ledger/ledger.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace kuva::ledger {

// What the parts of the ledger share. Whoever uses it holds `mutex`.
class Ledger::Impl {
 public:
  Impl(const std::string& where, Role role);

  // `work` in a transaction; done again where another worker was there first.
  void transact(Connection::Durability durability, const std::function<void()>& work);

  // The live rows of these paths (as they are stored).
  std::vector<std::optional<Instance>> rows_at(std::span<const std::string> stored_paths);

  static constexpr int k_attempts = 10;

  std::mutex mutex;
  std::string name;
  Role role;
  std::vector<FileDescriptor> locks;  // before the connection: closed after it
  std::unique_ptr<Connection> connection;
  std::string tool;  // of the run

  // Of the pass over the selection.
  Selection selection;
  bool lists_loaded = false;
  std::int64_t last_study = 0;
  std::int64_t last_position = 0;
  std::string last_date;
  bool pass_begun = false;

  // Studies by their UID, as many as fit; only what is committed.
  std::unordered_map<std::string, std::int64_t> studies;
};

}  // namespace kuva::ledger
