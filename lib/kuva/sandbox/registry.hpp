#pragma once

#include <kuva/xds/model.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::sandbox {

// The kinds of objects that a registry has, by patient.
enum class RegistryKind { document, submission_set, folder };

// Metadata Update's (ITI-57): how the sandbox says that a document has no successor and is gone. Not answered to
// queries.
inline constexpr std::string_view k_availability_update = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus";

// The index of a registry in SQLite, in the hands of one thread at a time: it repeats what the submissions say.
// UUIDs are lower case with their urn:uuid:. Errors: local.write.
class RegistryIndex {
 public:
  // Who a patient is now, id^^^&OID&ISO both ways.
  using PatientNow = std::function<std::string(const std::string&)>;
  RegistryIndex(const std::filesystem::path& path, PatientNow patient_now);
  ~RegistryIndex();
  RegistryIndex(const RegistryIndex&) = delete;
  RegistryIndex& operator=(const RegistryIndex&) = delete;

  // The number of the last submission that is in it.
  std::uint64_t last_submission();
  void add(std::uint64_t number, const xds::RegistryObjects& submission);

  // Goes through the objects of a kind, in the order of their registration: of a patient (id and authority), or of all
  // for an empty id. Ends early when `take` returns false.
  using Take = std::function<bool(xds::RegistryObjects)>;
  void each(RegistryKind kind, const std::string& patient, const Take& take);
  // Adds what is there under an entryUUID or a uniqueId.
  void get(RegistryKind kind, const std::string& entry_uuid, xds::RegistryObjects& into);
  void get_by_unique_id(RegistryKind kind, const std::string& unique_id, xds::RegistryObjects& into);
  // The associations whose source or target the object is.
  std::vector<xds::Association> associations(const std::string& entry_uuid);
  // The approved manifest of a study.
  std::optional<xds::DocumentEntry> manifest_of(const std::string& study_instance_uid);
  // Whether any manifest of it was ever registered.
  bool knows_study(const std::string& study_instance_uid);
  std::uint64_t count(RegistryKind kind);
  // All that is registered for this patient is the one's that it is now (ITI TF-2 3.8, 3.30: merge).
  void move_patient(const std::string& patient);

 private:
  class Database;
  std::unique_ptr<Database> m_database;
  PatientNow m_patient_now;
};

// A document registry on disk. Each submission is a file, STORAGE/.registry/<number>.xml (a rim:RegistryObjectList),
// and they are the truth: what replaces what follows from going through them in their order; the index is made again
// when it is lost. All members may be called from any thread.
class Registry {
 public:
  // Errors: local.read, local.write; a submission that cannot be read is local.read.
  Registry(const std::filesystem::path& directory, bool durable, RegistryIndex::PatientNow patient_now = {});

  // Adds a submission whose objects have their entryUUIDs. RPLC and XFRM_RPLC deprecate their target (ITI TF-2
  // 3.42.4.1.3.5). On disk on return when the registry is durable. Errors: local.write.
  void submit(const xds::RegistryObjects& submission);

  // A look into the index, which is locked meanwhile.
  template <typename Look>
  auto look(const Look& look_into) {
    const std::lock_guard lock(m_mutex);
    return look_into(*m_index);
  }

 private:
  std::filesystem::path file_of(std::uint64_t number) const;

  std::filesystem::path m_directory;
  bool m_durable;
  std::mutex m_mutex;
  std::unique_ptr<RegistryIndex> m_index;
};

// A patient as the index knows it: id^^^&OID&ISO, without a name of the authority.
std::string normal_patient_id(std::string_view cx);
// urn:uuid: and lower case.
std::string normal_uuid(std::string_view uuid);
// A fresh one.
std::string make_entry_uuid();

}  // namespace kuva::sandbox
