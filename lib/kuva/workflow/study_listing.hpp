#pragma once

#include <kuva/ledger/ledger.hpp>
#include <kuva/workflow/archive_query.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace kuva::workflow {

// What may be the matter with an instance, when the ledger is held against the archive.
enum class InstanceDifference {
  missing,           // stored, and the archive does not list it
  committed_gone,    // the archive had taken responsibility, and does not list it
  rejected,          // a rejection note (IHE IOCM) hides it
  extra,             // listed, and the ledger does not know it
  present_unsent,    // listed, and the ledger says that it was not sent, or does not know
  present_failed,    // listed, and the ledger says that it was refused
  other_study,       // listed under another Study Instance UID
  other_series,      // listed under another Series Instance UID
  other_class,       // listed with another SOP class
  unavailable,       // listed, and said to be unavailable
  not_in_manifest,   // the registered manifest does not refer to it
  only_in_manifest,  // the registered manifest refers to it, and neither archive nor ledger have it
  content,           // what was retrieved is not what the file holds
};
std::string_view to_string(InstanceDifference difference);
// How its record has it: "-", "+" or "!".
std::string_view sign_of(InstanceDifference difference);

// The archive should have it: it was stored, and what follows that.
bool is_expected_in_archive(ledger::State state);

// What is wrong with an instance of the ledger; nothing where all is well. `listed`: as the archive has it; null: it
// does not. `rejected`: a rejection note refers to it.
std::optional<InstanceDifference> judge(const ledger::Instance& row, const ArchiveInstance* listed, bool rejected);

// How a study stands.
enum class StudySign { equal, more, missing, different, not_checked };
std::string_view to_string(StudySign sign);     // "equal", as the record's outcome
std::string_view character_of(StudySign sign);  // "=", "+", "-", "!", "?"

struct StudyTally {
  std::uint64_t source = 0;       // instances that the archive should have
  std::uint64_t destination = 0;  // that it has
  std::map<InstanceDifference, std::uint64_t> differences;
  std::uint64_t attributes = 0;  // of the study that differ

  std::uint64_t count(InstanceDifference difference) const;
  // Missing and more at the same time is different, as is everything that is not a matter of number.
  StudySign sign() const;
};

// What is known of one study while it is compared: what the archive and the manifest list, what is rejected, and the
// records of what differs. In a temporary database, so that memory does not grow with the study. For one thread.
// Errors: local.write.
class StudyListing {
 public:
  enum class Where { archive, manifest };

  StudyListing();
  ~StudyListing();
  StudyListing(const StudyListing&) = delete;
  StudyListing& operator=(const StudyListing&) = delete;

  // Another study begins.
  void clear();
  // False where it was there already.
  bool add(Where where, const ArchiveInstance& instance);
  std::optional<ArchiveInstance> find(Where where, const std::string& sop_instance_uid);
  std::uint64_t count(Where where);
  // The ledger knows it.
  void mark(const std::string& sop_instance_uid);
  // Those that the ledger does not know, of this SOP class or of all where it is empty, in the order of their UIDs.
  void for_each_unmarked(Where where, const std::string& sop_class_uid,
                         const std::function<void(const ArchiveInstance&)>& visit);

  void reject(const std::string& sop_instance_uid);
  bool is_rejected(const std::string& sop_instance_uid);

  void keep_record(const Json& record);
  void for_each_record(const std::function<void(const Json&)>& visit);

 private:
  struct Database;
  std::unique_ptr<Database> m_database;
};

}  // namespace kuva::workflow
