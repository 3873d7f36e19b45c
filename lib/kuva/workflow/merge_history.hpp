#pragma once

#include <kuva/core/file.hpp>
#include <kuva/core/time.hpp>
#include <kuva/hl7/data_types.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace kuva::workflow {

// The merges that were sent to one target, in a small database of its state directory (0700; it holds identifiers). A
// merge is on disk before its message goes out, and its end is on disk before it is reported: a process that is killed
// at any moment leaves a merge unknown, sent, or applied. One process at a time. Errors: local.read, local.write.
class MergeHistory {
 public:
  // Makes the directory. `dry`: what is added is forgotten with the object. Errors also: usage.state-in-use.
  MergeHistory(const std::filesystem::path& directory, bool dry);
  ~MergeHistory();

  enum class State { sent, applied };
  struct Entry {
    hl7::PatientIdentifier from;
    hl7::PatientIdentifier into;
    std::string control_id;  // MSH-10, which a repetition keeps
    State state = State::sent;
  };

  // The merge in which this patient disappeared, or is about to. As archives match patients: may_be_same_patient().
  std::optional<Entry> disappeared(const hl7::PatientIdentifier& patient) const;
  // Before the message goes out. Durable.
  void save_sent(const Entry& entry);
  // After its own acknowledgement. Durable.
  void save_applied(const Entry& entry);
  // It was refused, or never went out: as if it had not been.
  void forget(const Entry& entry);

 private:
  struct Database;
  FileDescriptor m_lock;
  std::unique_ptr<Database> m_database;
};

}  // namespace kuva::workflow
