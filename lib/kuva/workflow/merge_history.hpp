#pragma once

#include <kuva/core/file.hpp>
#include <kuva/core/time.hpp>
#include <kuva/hl7/data_types.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::workflow {

// The merges that were sent to one archive, in a small database of its state directory (0600; it holds identifiers). A
// merge is on disk before its message goes out, and its end is on disk before it is reported: a process that is killed
// at any moment leaves a merge unknown, sent, or applied. One process at a time. Errors: local.read (a row that cannot
// be read: nobody knows what it forbids), local.write.
class MergeHistory {
 public:
  // Whose merges these are: what one archive did says nothing of another.
  struct Archive {
    std::string address;   // HOST:PORT
    std::string receiver;  // APPLICATION|FACILITY, MSH-5 and MSH-6

    bool operator==(const Archive&) const = default;
    std::string to_string() const;
  };
  struct Opening {
    bool dry = false;           // what is added is forgotten with the object
    bool same_archive = false;  // somebody says that it is the same archive under another address
  };
  // Makes the directory. Errors also: usage.state-in-use; usage.argument where the history is of another archive.
  MergeHistory(const std::filesystem::path& directory, const Archive& archive, const Opening& opening);
  ~MergeHistory();

  enum class State { sent, applied };
  struct Entry {
    hl7::PatientIdentifier from;
    hl7::PatientIdentifier into;
    std::string event;       // A40, A47; empty in histories that did not note it: such an entry forbids, no more
    std::string control_id;  // MSH-10, which a repetition keeps
    State state = State::sent;
  };

  // This very merge: equal identifiers, and the same event.
  std::optional<Entry> find(const hl7::PatientIdentifier& from, const hl7::PatientIdentifier& into,
                            std::string_view event) const;
  // The merges in which this patient disappeared, or may have: as archives match patients, may_be_same_patient(). Those
  // with equal identifiers first, then the newest.
  std::vector<Entry> disappeared(const hl7::PatientIdentifier& patient) const;
  // The merges into this patient that were sent and not answered, in the same order.
  std::vector<Entry> awaited(const hl7::PatientIdentifier& patient) const;
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

// The same id of the same authority, as they are written.
bool is_equal_patient(const hl7::PatientIdentifier& a, const hl7::PatientIdentifier& b);

}  // namespace kuva::workflow
