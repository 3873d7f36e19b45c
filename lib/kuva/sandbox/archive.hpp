#pragma once

#include <kuva/core/digest.hpp>
#include <kuva/core/file.hpp>
#include <kuva/dimse/commitment.hpp>
#include <kuva/sandbox/coercion.hpp>
#include <kuva/sandbox/index.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kuva::sandbox {

// An object that is coming in: a temporary file in the archive, removed with its owner unless it was placed.
class IncomingFile {
 public:
  IncomingFile(std::filesystem::path path, FileDescriptor fd);
  IncomingFile(const IncomingFile&) = delete;
  IncomingFile& operator=(const IncomingFile&) = delete;
  ~IncomingFile();

  // Errors: local.write.
  void write(std::span<const std::byte> bytes);
  // Flushed to the disk when `durable`; nothing can be written afterwards.
  void close(bool durable);

  const std::filesystem::path& path() const { return m_path; }
  std::uint64_t size() const { return m_size; }
  std::int64_t modified() const { return m_modified; }
  const std::string& digest() const { return m_digest; }  // once it is closed
  void disown() { m_path.clear(); }

 private:
  std::filesystem::path m_path;
  FileDescriptor m_fd;
  std::uint64_t m_size = 0;
  std::int64_t m_modified = 0;
  Digest m_hash{DigestAlgorithm::sha256};
  std::string m_digest;
};

// The files STORAGE/<study>/<series>/<sop instance>.dcm and an index of them in SQLite. The files are the truth: the
// index is checked against them at the start and made again when it is lost or damaged, so it is never waited for (no
// fsync). A rejected instance has a file beside its own, <sop instance>.rejected, with the code of its rejection.
// Memory does not grow with what is stored. All members may be called from any thread.
class Archive {
 public:
  // Removes what an earlier run left half-received, and brings the index up to date.
  // Errors: local.read, local.write, also when another process has the storage.
  Archive(const std::filesystem::path& storage, bool durable);
  ~Archive();

  std::unique_ptr<IncomingFile> receive();

  enum class Overwrite { never, same_source, always };
  enum class Verdict {
    stored,
    replaced,
    ignored,           // kept what was there, by the overwrite policy
    class_conflict,    // the UID is stored with another SOP class
    study_conflict,    // ... in another study
    series_conflict,   // ... in another series
    patient_conflict,  // the study is stored for another patient
    rejected_before,   // the instance was rejected, and may not come back
  };
  struct Placed {
    Verdict verdict = Verdict::stored;
    StoredObject other;  // what the object is in conflict with
  };
  // Decides and moves the closed file to its place, as one step. The UIDs are sound (they become path names).
  // On disk on return when the archive is durable. Errors: local.write.
  // An instance that was rejected: for its quality, it is ignored; for the end of its retention, it is restored.
  Placed place(IncomingFile& file, StoredObject object, const QueryAttributes& attributes, Overwrite policy);

  // What is to be rejected is not there, or may not be.
  enum class RejectVerdict { done, no_such_instance, no_such_series, class_conflict, already_rejected };
  // Rejects an instance, or restores it (Rejection::none). Durable on return, each by itself. Errors: local.write.
  RejectVerdict reject(const std::string& study_uid, const std::string& series_uid,
                       const dimse::SopReference& reference, Rejection rejection);
  std::filesystem::path path_of(const StoredObject& object) const;

  // Who the patient of an object is now, by its Patient ID and issuer; nothing: who it was stored for.
  using Identify =
      std::function<std::optional<PatientIdentity>(const std::string& patient_id, const std::string& issuer)>;
  // Before anything is asked or stored. Stored files are never changed: queries and what goes out show the identity.
  void set_identities(Identify identify) { m_identify = std::move(identify); }
  // Brings the studies that were stored under this Patient ID up to date; their UIDs. Errors: local.write.
  std::vector<std::string> identify(const std::string& patient_id);
  std::optional<PatientIdentity> identity_of(const StoredObject& object) const;

  // A look into the index, which is locked meanwhile.
  template <typename Look>
  auto look(const Look& look_into) {
    const std::lock_guard lock(m_mutex);
    return look_into(*m_index);
  }

  // False when the Transaction UID has been used before.
  bool note_transaction(const std::string& transaction_uid);

  // 0 when the instance is on disk as it was stored (its bytes by their digest), otherwise the Failure Reason of PS3.3
  // C.14.1.1.
  std::uint16_t check(const dimse::SopReference& reference);

  std::uint64_t instances();
  const std::filesystem::path& storage() const { return m_storage; }

 private:
  std::filesystem::path rejection_file_of(const StoredObject& object) const;
  void identify_study(const IndexedStudy& stored);
  void set_rejection(const StoredObject& object, Rejection rejection);
  void make_directories(const StoredObject& object) const;
  void bring_up_to_date();
  void index_series(const std::filesystem::path& directory);
  void index_file(const std::filesystem::path& file);

  std::filesystem::path m_storage;
  bool m_durable;
  FileDescriptor m_lock;
  std::mutex m_mutex;  // of the index and of the step from decision to rename
  std::unique_ptr<Index> m_index;
  Identify m_identify;
  std::uint64_t m_next_file = 0;
};

}  // namespace kuva::sandbox
