#include <kuva/core/record.hpp>
#include <kuva/dicom/inspection.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/workflow/batch_state.hpp>
#include <kuva/workflow/instance_record.hpp>
#include <kuva/workflow/inventory.hpp>
#include <kuva/workflow/ordered_parallel.hpp>
#include <kuva/workflow/validate.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace kuva::workflow {

namespace {

constexpr std::string_view k_tool = "kuva-validate";

using dicom::Defect;

// What one file turned out to be.
struct Checked {
  std::optional<dicom::Inspection> inspection;
  std::optional<Error> error;
};

Checked check(const InventoryItem& item) {
  Checked checked;
  if (item.path.empty() || item.error || !item.skip_reason.empty()) {
    return checked;
  }
  try {
    checked.inspection = dicom::inspect(item.path);
  } catch (const Error& error) {
    checked.error = error;
  }
  return checked;
}

// One attribute that must not differ within a study.
struct StudyRule {
  std::string_view rule;
  std::string_view attribute;
  Defect::Severity severity;
  std::string BatchState::StudyFacts::*first;
  std::string dicom::InstanceAttributes::*here;
};

constexpr Defect::Severity k_error = Defect::Severity::error;
constexpr Defect::Severity k_warning = Defect::Severity::warning;

// An archive refuses the second patient of a study (A778, A779); the others are worth a look.
const StudyRule k_study_rules[] = {
    {"study.patient-id-differs", "Patient ID", k_error, &BatchState::StudyFacts::patient_id,
     &dicom::InstanceAttributes::patient_id},
    {"study.issuer-differs", "Issuer of Patient ID", k_error, &BatchState::StudyFacts::issuer_of_patient_id,
     &dicom::InstanceAttributes::issuer_of_patient_id},
    {"study.patient-name-differs", "Patient's Name", k_warning, &BatchState::StudyFacts::patient_name,
     &dicom::InstanceAttributes::patient_name},
    {"study.birth-date-differs", "Patient's Birth Date", k_warning, &BatchState::StudyFacts::patient_birth_date,
     &dicom::InstanceAttributes::patient_birth_date},
    {"study.sex-differs", "Patient's Sex", k_warning, &BatchState::StudyFacts::patient_sex,
     &dicom::InstanceAttributes::patient_sex},
    {"study.accession-number-differs", "Accession Number", k_warning, &BatchState::StudyFacts::accession_number,
     &dicom::InstanceAttributes::accession_number},
    {"study.study-date-differs", "Study Date", k_warning, &BatchState::StudyFacts::study_date,
     &dicom::InstanceAttributes::study_date},
};

class Validation {
 public:
  Validation(RecordSink& sink, Observer& observer, const ValidateSettings& settings)
      : m_sink(sink), m_observer(observer), m_settings(settings) {}

  void take(const InventoryItem& item, Checked&& checked) {
    Json record = to_record(item, std::move(checked));
    ++m_progress.done;
    m_sink.emit(record);
    m_observer.progress(m_progress);
  }

  void emit_studies() {
    m_batch.for_each_study([this](const BatchState::Study& study) { m_sink.emit(to_record(study)); });
  }

 private:
  Json to_record(const InventoryItem& item, Checked&& checked) {
    if (std::optional<Json> passing = record_of_passing_item(item, k_tool)) {
      if (m_settings.strict && !item.skip_reason.empty()) {
        fail_skipped(*passing);
      }
      return std::move(*passing);
    }
    Json record = start_record(item, k_tool);
    if (checked.error) {
      return of_error(std::move(record), *checked.error);
    }
    dicom::Inspection& inspection = *checked.inspection;
    put_header(record, inspection.header);
    if (const std::string reason = skip_reason(inspection.header.meta); !reason.empty()) {
      return skipped(std::move(record), reason);
    }
    m_progress.bytes += inspection.header.size;
    return of_inspection(std::move(record), item.path, inspection);
  }

  Json of_error(Json record, const Error& error) {
    if (&error.kind() == &kind("file.not-dicom")) {
      return skipped(std::move(record), error.message());
    }
    const bool unreadable = error.kind().exit_code == ExitCode::local_io;
    set_outcome(record, k_tool, unreadable ? outcome::failed : outcome::invalid, false);
    set_error(record, error);
    ++m_progress.failed;
    return record;
  }

  Json skipped(Json record, const std::string& reason) {
    set_outcome(record, k_tool, outcome::skipped, true);
    record["reason"] = reason;
    if (m_settings.strict) {
      fail_skipped(record);
    }
    return record;
  }

  void fail_skipped(Json& record) {
    record["ok"] = false;
    set_error(record, Error(kind("file.not-dicom"), record["reason"].get<std::string>()));
    ++m_progress.failed;
  }

  Json of_inspection(Json record, const std::string& path, dicom::Inspection& inspection) {
    const dicom::InstanceAttributes& attributes = inspection.header.attributes;
    std::vector<Defect> defects = std::move(inspection.defects);
    check_known_uids(attributes, defects);
    if (!attributes.sop_instance_uid.empty()) {
      if (const std::optional<BatchState::Known> first = m_batch.remember(attributes, path)) {
        if (first->path == path || same_data_set(path, first->path)) {
          set_outcome(record, k_tool, outcome::duplicate, true);
          record["duplicateOf"] = path_to_json(first->path);
          return record;
        }
        defects.push_back({k_error, "batch.uid-clash",
                           "another object of this batch has the same SOP Instance UID and other content",
                           dicom::to_string(dicom::tags::sop_instance_uid), 0});
        record["clashesWith"] = path_to_json(first->path);
      }
    }
    const std::vector<Defect> study_defects = check_study(attributes, inspection.header.size, defects);
    defects.insert(defects.end(), study_defects.begin(), study_defects.end());
    finish(record, defects);
    return record;
  }

  void check_known_uids(const dicom::InstanceAttributes& attributes, std::vector<Defect>& defects) {
    if (!attributes.sop_class_uid.empty() && !dicom::is_storage_sop_class(attributes.sop_class_uid)) {
      const bool registered = !dicom::uid_name(attributes.sop_class_uid).empty();
      defects.push_back(
          {registered ? k_error : k_warning, registered ? "sop-class.not-storage" : "sop-class.unknown",
           registered
               ? fmt::format("{} is not the SOP class of a stored object", dicom::uid_name(attributes.sop_class_uid))
               : fmt::format("SOP class {} is private or newer than the dictionary", attributes.sop_class_uid),
           dicom::to_string(dicom::tags::sop_class_uid), 0});
    }
  }

  std::vector<Defect> check_study(const dicom::InstanceAttributes& attributes, std::uint64_t size,
                                  const std::vector<Defect>& so_far) {
    std::vector<Defect> defects;
    if (attributes.study_instance_uid.empty()) {
      return defects;
    }
    const auto first = m_batch.add_to_study(attributes, size, !fails(so_far));
    if (!first) {
      return defects;
    }
    for (const StudyRule& rule : k_study_rules) {
      const std::string& expected = (*first).*rule.first;
      const std::string& actual = attributes.*rule.here;
      if (expected == actual) {
        continue;
      }
      std::string message = fmt::format("{} differs from that of the study's first instance", rule.attribute);
      if (m_settings.phi_plain) {
        message += fmt::format(": \"{}\" here, \"{}\" there", actual, expected);
      }
      defects.push_back({rule.severity, std::string(rule.rule), message, {}, 0});
      m_batch.add_study_finding(attributes.study_instance_uid, std::string(rule.rule));
    }
    return defects;
  }

  bool fails(const std::vector<Defect>& defects) const {
    if (m_settings.fail_on == ValidateSettings::FailOn::never) {
      return false;
    }
    const Defect::Severity limit =
        m_settings.fail_on == ValidateSettings::FailOn::warning ? Defect::Severity::warning : Defect::Severity::error;
    return std::any_of(defects.begin(), defects.end(),
                       [limit](const Defect& defect) { return defect.severity <= limit; });
  }

  void finish(Json& record, const std::vector<Defect>& defects) {
    const bool failed = fails(defects);
    set_outcome(record, k_tool, failed ? outcome::invalid : outcome::valid, !failed);
    record.erase("findings");
    if (!defects.empty()) {
      Json findings = Json::array();
      for (const Defect& defect : defects) {
        findings.push_back(to_json(defect));
      }
      record["findings"] = std::move(findings);
    }
    if (failed) {
      ++m_progress.failed;
    }
  }

  Json to_record(const BatchState::Study& study) const {
    bool broken = study.invalid_instances != 0;
    Json findings = Json::array();
    for (const StudyRule& rule : k_study_rules) {
      if (std::find(study.broken_rules.begin(), study.broken_rules.end(), rule.rule) == study.broken_rules.end()) {
        continue;
      }
      const Defect defect{rule.severity,
                          std::string(rule.rule),
                          fmt::format("{} is not the same in all instances", rule.attribute),
                          {},
                          0};
      broken = broken || fails({defect});
      findings.push_back(to_json(defect));
    }
    Json record = make_record("study", k_tool, broken ? outcome::invalid : outcome::valid, !broken);
    record["StudyInstanceUID"] = study.study_instance_uid;
    record["instances"] = study.instances;
    record["invalidInstances"] = study.invalid_instances;
    record["series"] = study.series;
    record["bytes"] = study.bytes;
    record["modalities"] = study.modalities;
    if (!findings.empty()) {
      record["findings"] = std::move(findings);
    }
    return record;
  }

  RecordSink& m_sink;
  Observer& m_observer;
  const ValidateSettings& m_settings;
  BatchState m_batch;
  Observer::Progress m_progress{0, 0, 0, 0, "checking"};
};

}  // namespace

void validate(InputSource& source, RecordSink& sink, Observer& observer, Accounting& accounting,
              const ValidateSettings& settings, std::stop_token stop) {
  Inventory inventory(source);
  Validation validation(sink, observer, settings);
  const unsigned threads = settings.jobs != 0 ? settings.jobs : std::max(1U, std::thread::hardware_concurrency());
  ordered_parallel<InventoryItem, Checked>(
      threads,
      [&]() -> std::optional<InventoryItem> {
        return stop.stop_requested() ? std::nullopt : next_counted(inventory, accounting);
      },
      [](InventoryItem& item) { return check(item); },
      [&](InventoryItem&& item, Checked&& checked) { validation.take(item, std::move(checked)); });
  if (settings.studies) {
    validation.emit_studies();
  }
}

}  // namespace kuva::workflow
