#pragma once

#include <kuva/dicom/data_set.hpp>
#include <kuva/sandbox/query_attributes.hpp>
#include <kuva/sandbox/rejection.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kuva::sandbox {

// What the archive knows of an instance.
struct StoredObject {
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string study_instance_uid;
  std::string series_instance_uid;
  std::string transfer_syntax_uid;
  std::string patient_id;
  std::string issuer_of_patient_id;
  std::string source_ae;
  std::uint64_t size = 0;     // of the file
  std::int64_t modified = 0;  // ns since 1970, of the file
  std::string digest;         // SHA-256 of the file, as it came; empty: not known
  Rejection rejection = Rejection::none;
};

// Which rejected instances are seen all the same: bits of Rejection.
using RejectionView = unsigned;

struct IndexedStudy {
  std::string study_instance_uid;
  std::string patient_id;
  std::string issuer_of_patient_id;
  dicom::DataSet attributes;
};
struct IndexedSeries {
  std::string series_instance_uid;
  dicom::DataSet attributes;
};
struct IndexedInstance {
  StoredObject object;
  dicom::DataSet attributes;
};
// Of what can be seen.
struct Totals {
  std::uint64_t studies = 0;
  std::uint64_t series = 0;
  std::uint64_t instances = 0;
};

// The index of an archive in SQLite: it repeats what the files say, and is made again when it is lost, damaged or of
// another version. In the hands of one thread at a time. Errors: local.write.
class Index {
 public:
  explicit Index(const std::filesystem::path& path);
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  void begin();
  void commit();

  std::optional<StoredObject> find(const std::string& sop_instance_uid);
  std::optional<StoredObject> any_of_study(const std::string& study_uid);
  // The next one in the order of the SOP Instance UID.
  std::optional<StoredObject> next(const std::string& after);
  void put(const StoredObject& object, const QueryAttributes& attributes);
  void erase(const std::string& sop_instance_uid);
  void set_rejection(const std::string& sop_instance_uid, Rejection rejection);
  void clear_rejections();
  // What a study shows of its patient, instead of what it was stored with.
  void set_patient(const std::string& study_uid, const std::string& patient_id, const std::string& issuer,
                   const dicom::DataSet& attributes);
  // A study as it was stored: by its UID, or the next one of a patient.
  std::optional<IndexedStudy> find_stored_study(const std::string& study_uid);
  std::optional<IndexedStudy> next_stored_study(const std::string& patient_id, const std::string& after);
  // Studies and series that have no instance any more.
  void forget_empty();
  // False when it was there.
  bool note_transaction(const std::string& transaction_uid);
  std::uint64_t count();

  // For queries: one after the other, in the order of their UIDs.
  std::optional<IndexedStudy> next_study(const std::string& after);
  std::optional<IndexedStudy> find_study(const std::string& study_uid);
  // The first study of the first or next patient, by identifier and issuer.
  std::optional<IndexedStudy> first_patient();
  std::optional<IndexedStudy> next_patient(const std::string& after_id, const std::string& after_issuer);
  std::optional<IndexedStudy> next_study_of_patient(const std::string& patient_id, const std::string& after);
  std::optional<IndexedSeries> next_series(const std::string& study_uid, const std::string& after);
  std::optional<IndexedInstance> next_instance(const std::string& study_uid, const std::string& series_uid,
                                               const std::string& after, RejectionView view);
  // Through all series of a study; the objects alone.
  std::optional<StoredObject> next_object(const std::string& study_uid, const std::string& after_series,
                                          const std::string& after_instance, RejectionView view);
  Totals totals_of_patient(const std::string& patient_id, const std::string& issuer, RejectionView view);
  Totals totals_of_study(const std::string& study_uid, RejectionView view);
  Totals totals_of_series(const std::string& study_uid, const std::string& series_uid, RejectionView view);
  std::vector<std::string> modalities_in_study(const std::string& study_uid, RejectionView view);
  std::vector<std::string> sop_classes_in_study(const std::string& study_uid, RejectionView view);
  // ns since 1970 of the file that came last.
  std::int64_t last_modified_of_study(const std::string& study_uid);

 private:
  class Database;
  std::unique_ptr<Database> m_database;
};

}  // namespace kuva::sandbox
