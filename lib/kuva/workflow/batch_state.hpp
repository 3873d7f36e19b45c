#pragma once

#include <kuva/dicom/inspection.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kuva::workflow {

// What a batch must remember of the instances that went by: which UIDs, and what their studies look like. Kept in a
// private temporary database, so that memory does not grow with the number of files; gone with the process. In the
// hands of one thread. Errors: Error local.write (no space for temporary files).
class BatchState {
 public:
  BatchState();
  ~BatchState();
  BatchState(const BatchState&) = delete;
  BatchState& operator=(const BatchState&) = delete;

  struct Known {
    std::string path;
    std::string study_instance_uid;
    std::uint64_t data_set_size = 0;  // bytes, without file meta information
  };
  // Remembers an instance; when its SOP Instance UID is known already, nothing is stored and the first one is returned.
  std::optional<Known> remember(const dicom::Header& header, const std::string& path);

  // The attributes of a study that must be the same in all its instances, as the first one had them.
  struct StudyFacts {
    std::string patient_id;
    std::string issuer_of_patient_id;
    std::string patient_name;
    std::string patient_birth_date;
    std::string patient_sex;
    std::string accession_number;
    std::string study_date;
  };
  // Adds an instance to its study. Returns the facts of the study's first instance when the study was known.
  std::optional<StudyFacts> add_to_study(const dicom::InstanceAttributes& attributes, std::uint64_t size);
  // Counts one of the study's instances as invalid.
  void note_invalid(const std::string& study_instance_uid);
  // Notes a rule that the study breaks (each once), with why that was accepted; empty where it was not, and that stays.
  void add_study_finding(const std::string& study_instance_uid, const std::string& rule, const std::string& waived);

  // A value that must be the same for every instance of `scope` under a rule. The first one is kept; false where this
  // one differs from it.
  bool agrees(const std::string& rule, const std::string& scope, const std::string& value);
  // What the view of a study is made of, of an instance that was added to its study.
  void note_for_view(const dicom::InstanceAttributes& attributes);
  // An instance that a rejection note of the batch names.
  void note_rejected(const std::string& sop_instance_uid);

  // Of all instances of a study.
  struct View {
    std::uint64_t missing_instance_numbers = 0;  // between the lowest and the highest of each series
    std::uint64_t repeated_instance_numbers = 0;
    std::uint64_t key_objects = 0;
    std::vector<std::string> character_sets;
    std::uint64_t issuers = 0;
    std::uint64_t rejected = 0;  // instances of the batch that a rejection note of the batch names
  };
  View view_of(const std::string& study_instance_uid);

  struct Study {
    std::string study_instance_uid;
    std::uint64_t instances = 0;
    std::uint64_t invalid_instances = 0;
    std::uint64_t series = 0;
    std::uint64_t bytes = 0;
    std::vector<std::string> modalities;
    struct BrokenRule {
      std::string rule;
      std::string waived;  // the reason, where it was accepted for every instance
    };
    std::vector<BrokenRule> broken_rules;
  };
  // All studies in the order of their first instance.
  void for_each_study(const std::function<void(const Study&)>& visit);

 private:
  struct Database;
  std::unique_ptr<Database> m_database;
};

}  // namespace kuva::workflow
