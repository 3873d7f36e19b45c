#pragma once

#include <kuva/core/file.hpp>
#include <kuva/dimse/commitment.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kuva::workflow {

// The commitment transactions of one target that are not settled, a file each, so that a later run can finish what this
// one began. A transaction is saved before its request goes out and removed once all its records have left. One process
// at a time (the directory is locked). Thread-safe. Errors: local.read, local.write.
class TransactionStore {
 public:
  // Makes the directory (0700). Errors also: usage.state-in-use, naming the pid of the other process.
  explicit TransactionStore(std::filesystem::path directory);

  struct Transaction {
    std::string transaction_uid;
    std::string requested_at;                       // RFC 3339
    std::vector<Json> records;                      // of the instances asked for
    std::optional<dimse::CommitmentReport> report;  // that came when nobody was waiting for it
  };

  void save(const Transaction& transaction);
  std::optional<Transaction> load(const std::string& transaction_uid) const;
  bool contains(const std::string& transaction_uid) const;
  // Keeps a report for the next run. Durable when it returns.
  void save_report(const dimse::CommitmentReport& report);
  void remove(const std::string& transaction_uid);
  // The UIDs of all transactions, oldest first.
  std::vector<std::string> list() const;

 private:
  std::filesystem::path path_of(const std::string& transaction_uid) const;
  std::filesystem::path report_path_of(const std::string& transaction_uid) const;

  std::filesystem::path m_directory;
  FileDescriptor m_lock;
};

}  // namespace kuva::workflow
