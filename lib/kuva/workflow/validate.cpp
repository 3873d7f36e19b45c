#include <kuva/core/record.hpp>
#include <kuva/core/time.hpp>
#include <kuva/dicom/dictionary.hpp>
#include <kuva/dicom/inspection.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/rules/checker.hpp>
#include <kuva/workflow/batch_state.hpp>
#include <kuva/workflow/failure_facts.hpp>
#include <kuva/workflow/instance_record.hpp>
#include <kuva/workflow/inventory.hpp>
#include <kuva/workflow/ledger_rows.hpp>
#include <kuva/workflow/ordered_parallel.hpp>
#include <kuva/workflow/validate.hpp>
#include <kuva/workflow/validation_report.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <utility>

namespace kuva::workflow {

namespace {

constexpr std::string_view k_validate_tool = "kuva-validate";
constexpr std::size_t k_ledger_batch = 500;

using dicom::Defect;

// What one file turned out to be.
struct Checked {
  std::optional<ledger::FileIdentity> file;  // before it was read; with a ledger alone
  std::string digest;                        // of the data set, where it is asked for
  std::optional<dicom::Inspection> inspection;
  std::optional<rules::Checker::Result> result;  // with a profile: the inspection's defects are in it
  std::optional<Error> error;
};

// What is to be looked at.
struct Candidate {
  InventoryItem item;
  std::optional<ledger::Instance> known;  // by the ledger, and needs no second look
};

// The input, with what the ledger knows of it. One thread.
class Candidates {
 public:
  Candidates(InputSource& source, Accounting& accounting, const ValidateSettings& settings)
      : m_inventory(source),
        m_accounting(accounting),
        m_settings(settings),
        m_may_skip(settings.ledger != nullptr && !settings.studies && settings.profile.empty() &&
                   settings.waivers.empty() && !settings.strict) {}

  std::optional<Candidate> next() {
    if (!m_may_skip) {
      std::optional<InventoryItem> item = next_counted(m_inventory, m_accounting);
      return item ? std::optional(Candidate{*std::move(item), {}}) : std::nullopt;
    }
    if (m_next == m_page.size() && !fill()) {
      return std::nullopt;
    }
    Candidate& candidate = m_page[m_next++];
    if (counts_as_item(candidate.item)) {
      m_accounting.entered();
    }
    return std::move(candidate);
  }

 private:
  bool fill() {
    m_page.clear();
    m_next = 0;
    std::vector<std::string> paths;
    while (m_page.size() < k_ledger_batch) {
      std::optional<InventoryItem> item = m_inventory.next();
      if (!item) {
        break;
      }
      paths.push_back(item->path.empty() ? std::string() : ledger_path(item->path));
      m_page.push_back(Candidate{*std::move(item), {}});
    }
    std::vector<std::optional<ledger::Instance>> known = m_settings.ledger->find(paths);
    for (std::size_t i = 0; i < m_page.size(); ++i) {
      InventoryItem& item = m_page[i].item;
      const bool is_file = !item.path.empty() && !item.error && item.skip_reason.empty();
      if (is_file && known[i] && needs_no_look(*known[i]) && identity_of(item) == known[i]->file) {
        m_page[i].known = std::move(known[i]);
      }
    }
    return !m_page.empty();
  }

  bool needs_no_look(const ledger::Instance& row) {
    if (row.state == ledger::State::skipped) {
      return true;
    }
    if ((row.state != ledger::State::valid && row.state != ledger::State::stored &&
         row.state != ledger::State::stored_with_warning && row.state != ledger::State::committed &&
         row.state != ledger::State::registered) ||
        (m_settings.with_digests && row.digest.empty()) ||
        (m_settings.fail_on == ValidateSettings::FailOn::warning && !row.record.empty())) {
      return false;
    }
    // One of each study is read: new ones are held against it.
    return std::exchange(m_study, row.study_instance_uid) == row.study_instance_uid;
  }

  Inventory m_inventory;
  Accounting& m_accounting;
  const ValidateSettings& m_settings;
  bool m_may_skip;
  std::vector<Candidate> m_page;
  std::size_t m_next = 0;
  std::string m_study;  // of the last file
};

Checked check(const Candidate& candidate, const rules::Profile* profile, const ValidateSettings& settings) {
  const InventoryItem& item = candidate.item;
  Checked checked;
  if (item.path.empty() || item.error || !item.skip_reason.empty() || candidate.known) {
    return checked;
  }
  if (settings.ledger != nullptr) {
    checked.file = identity_of(item.path);
  }
  try {
    if (profile == nullptr) {
      checked.inspection = dicom::inspect(item.path);
    } else {
      rules::Checker checker(*profile);
      checked.inspection = dicom::inspect(item.path, &checker);
      checked.result = checker.finish(*checked.inspection);
    }
    if (checked.file && settings.with_digests) {
      checked.digest = dicom::data_set_digest(item.path);
    }
  } catch (const Error& error) {
    checked.error = error;
  } catch (const std::bad_alloc&) {
    checked.error = Error(kind("local.resource"), "not enough memory for the checks of this file");
  } catch (const std::exception& error) {
    checked.error = Error(kind("internal"), error.what());
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

// What a run goes by besides its settings.
struct Rules {
  std::optional<rules::Profile> profile;
  std::vector<rules::Waiver> waivers;  // those that hold today

  const rules::Profile* get() const { return profile ? &*profile : nullptr; }
};

Rules load_rules(const ValidateSettings& settings, Observer& observer) {
  Rules loaded;
  const std::string today = to_rfc3339(std::chrono::system_clock::now()).substr(0, 10);
  if (!settings.profile.empty()) {
    loaded.profile = rules::load_profile(settings.profile);
    if (const auto warning = rules::validity_warning(*loaded.profile, today)) {
      observer.message(Observer::Level::warning, *warning);
    }
  }
  if (!settings.waivers.empty()) {
    for (rules::Waiver& waiver : rules::load_waivers(settings.waivers)) {
      if (rules::find_check(waiver.rule) == nullptr &&
          (!loaded.profile || loaded.profile->find(waiver.rule) == nullptr)) {
        observer.message(Observer::Level::warning,
                         fmt::format("a waiver is for {}, and there is no such rule", waiver.rule));
      }
      if (waiver.expires < today) {
        observer.message(Observer::Level::warning,
                         fmt::format("the waiver for {} expired on {}", waiver.rule, waiver.expires));
      } else {
        loaded.waivers.push_back(std::move(waiver));
      }
    }
  }
  return loaded;
}

// A finding on its way into a record.
struct Noted {
  rules::Finding finding;
  std::string waived;  // the reason, where somebody has accepted it
};

class Validation {
 public:
  Validation(RecordSink& sink, Observer& observer, const ValidateSettings& settings, const Rules& rules)
      : m_sink(sink),
        m_observer(observer),
        m_settings(settings),
        m_rules(rules),
        m_report(settings.reports, settings.profile) {}

  void take(Candidate&& candidate, Checked&& checked) {
    const InventoryItem& item = candidate.item;
    ledger::Instance row;
    if (checked.file) {
      if (checked.inspection) {
        row = row_of(checked.inspection->header.attributes);
      }
      row.file = *checked.file;
      row.digest = std::move(checked.digest);
    }
    Json record =
        candidate.known ? known_record(item, *std::move(candidate.known)) : to_record(item, std::move(checked));
    ++m_progress.done;
    if (m_settings.ledger != nullptr) {
      if (!row.file.path.empty()) {
        note_in_ledger(record, std::move(row));
      }
      m_records.push_back(std::move(record));
      if (m_records.size() >= k_ledger_batch) {
        flush();
      }
    } else {
      leave(record);
    }
    m_observer.progress(m_progress);
  }

  // What was taken so far is in the ledger, then its records leave.
  void flush() {
    const std::vector<ledger::Instance> rows = std::exchange(m_rows, {});
    const std::vector<std::size_t> places = std::exchange(m_places, {});
    std::vector<Json> records = std::exchange(m_records, {});
    if (!rows.empty()) {
      const auto recorded = m_settings.ledger->record(rows, data_set_comparison(*m_settings.ledger));
      for (std::size_t i = 0; i < recorded.size(); ++i) {
        // The ledger knows of other files with this UID.
        const ledger::State state = recorded[i].state;
        if (recorded[i].file == rows[i].file && state != rows[i].state && rows[i].state == ledger::State::valid &&
            (state == ledger::State::skipped || state == ledger::State::failed_permanent)) {
          Json& record = records[places[i]];
          Json path = record["path"];
          record = ended_record(std::move(record), recorded[i], k_validate_tool);
          record["path"] = std::move(path);
          m_progress.failed += state == ledger::State::failed_permanent ? 1 : 0;
        }
      }
    }
    for (const Json& record : records) {
      leave(record);
    }
  }

  void emit_studies() {
    m_batch.for_each_study([this](const BatchState::Study& study) {
      const Json record = to_record(study);
      m_report.take(record);
      m_sink.emit(record);
    });
  }

  void finish_report() { m_report.finish(); }

 private:
  void leave(const Json& record) {
    m_report.take(record);
    m_sink.emit(record);
  }

  static Json known_record(const InventoryItem& item, ledger::Instance&& row) {
    if (row.state != ledger::State::skipped) {
      row.state = ledger::State::valid;  // however far it has come since
    }
    Json record = ended_record(item.record ? *item.record : Json(), row, k_validate_tool);
    record["path"] = path_to_json(item.path);
    record["resumed"] = true;
    return record;
  }

  void note_in_ledger(const Json& record, ledger::Instance row) {
    const std::optional<ledger::State> state = state_of_record(record);
    const auto error = record.find("error");
    const bool has_error = error != record.end() && error->is_object();
    if (!state || (has_error && find_kind(string_at(*error, "code"))->exit_code == ExitCode::local_io)) {
      return;  // it could not be read, which says nothing of the object
    }
    row.state = *state;
    if (has_error) {
      row.error_code = string_at(*error, "code");
      row.error_message = string_at(*error, "message");
    } else if (*state == ledger::State::skipped) {
      row.error_message = string_at(record, "reason");
    } else if (*state == ledger::State::failed_permanent) {
      put_first_finding(row, record);
    }
    if (*state == ledger::State::failed_permanent) {
      row.error_class = to_string(ErrorClass::permanent);
    }
    if (record.contains("findings")) {
      row.record = to_line(record);
    }
    m_rows.push_back(std::move(row));
    m_places.push_back(m_records.size());
  }

  // The rule that makes it invalid stands for the error.
  static void put_first_finding(ledger::Instance& row, const Json& record) {
    for (const std::string_view severity : {"error", "warning", "info"}) {
      for (const Json& finding : record.value("findings", Json::array())) {
        if (string_at(finding, "severity") == severity && !finding.contains("waived")) {
          row.error_code = string_at(finding, "rule");
          row.error_message = string_at(finding, "message");
          return;
        }
      }
    }
  }

  Json to_record(const InventoryItem& item, Checked&& checked) {
    if (std::optional<Json> passing = record_of_passing_item(item, k_validate_tool)) {
      if (m_settings.strict && !item.skip_reason.empty()) {
        fail_skipped(*passing);
      }
      return std::move(*passing);
    }
    Json record = start_record(item, k_validate_tool);
    if (checked.error) {
      return of_error(std::move(record), *checked.error);
    }
    dicom::Inspection& inspection = *checked.inspection;
    put_header(record, inspection.header);
    if (const std::string reason = skip_reason(inspection.header.meta); !reason.empty()) {
      return skipped(std::move(record), reason);
    }
    m_progress.bytes += inspection.header.size;
    return of_inspection(std::move(record), item.path, checked);
  }

  Json of_error(Json record, const Error& error) {
    if (&error.kind() == &kind("file.not-dicom")) {
      return skipped(std::move(record), error.message());
    }
    const bool unreadable = error.kind().exit_code == ExitCode::local_io;
    set_outcome(record, k_validate_tool, unreadable ? outcome::failed : outcome::invalid, false);
    set_error(record, error);
    ++m_progress.failed;
    return record;
  }

  Json skipped(Json record, const std::string& reason) {
    set_outcome(record, k_validate_tool, outcome::skipped, true);
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

  Json of_inspection(Json record, const std::string& path, Checked& checked) {
    dicom::Inspection& inspection = *checked.inspection;
    const dicom::InstanceAttributes& attributes = inspection.header.attributes;
    std::vector<Noted> found;
    const auto note = [&](rules::Finding finding) {
      Noted noted{std::move(finding), {}};
      if (m_rules.profile && !rules::complete(noted.finding, *m_rules.profile)) {
        return;
      }
      waive(noted, attributes);
      found.push_back(std::move(noted));
    };
    if (checked.result) {
      for (rules::Finding& finding : checked.result->findings) {
        Noted noted{std::move(finding), {}};
        waive(noted, attributes);
        found.push_back(std::move(noted));
      }
    } else {
      for (const Defect& defect : inspection.defects) {
        note(rules::to_finding(defect));
      }
    }
    std::vector<Defect> defects;
    check_known_uids(attributes, defects);
    if (!attributes.sop_instance_uid.empty()) {
      if (const std::optional<BatchState::Known> first = m_batch.remember(inspection.header, path)) {
        bool is_same = false;
        try {
          is_same = is_same_data_set(inspection.header, path, *first);
        } catch (const Error& error) {
          return of_error(std::move(record), error);
        }
        if (is_same) {
          set_outcome(record, k_validate_tool, outcome::duplicate, true);
          record["duplicateOf"] = path_to_json(first->path);
          return record;
        }
        defects.push_back({k_error, "batch.uid-clash",
                           "another object of this batch has the same SOP Instance UID and other content",
                           dicom::to_string(dicom::tags::sop_instance_uid), 0});
        record["clashesWith"] = path_to_json(first->path);
      }
    }
    if (checked.result) {
      check_facts(attributes, checked.result->facts, note);
    }
    for (const Defect& defect : defects) {
      note(rules::to_finding(defect));
    }
    for (const Defect& defect : check_study(attributes, inspection.header.size)) {
      note(rules::to_finding(defect));
    }
    if (m_rules.profile && m_settings.studies && !attributes.study_instance_uid.empty()) {
      m_batch.note_for_view(attributes);
      for (const std::string& rejected : checked.result ? checked.result->rejected : std::vector<std::string>()) {
        m_batch.note_rejected(rejected);
      }
    }
    drop_repeated(found);
    note_in_study(attributes, found);
    finish(record, found);
    return record;
  }

  // What the study's record will say of this instance: after all of its findings and waivers are known.
  void note_in_study(const dicom::InstanceAttributes& attributes, const std::vector<Noted>& found) {
    if (attributes.study_instance_uid.empty()) {
      return;
    }
    for (const Noted& noted : found) {
      if (std::ranges::find(k_study_rules, noted.finding.rule, &StudyRule::rule) != std::end(k_study_rules)) {
        m_batch.add_study_finding(attributes.study_instance_uid, noted.finding.rule, noted.waived);
      }
    }
    if (fails(found)) {
      m_batch.note_invalid(attributes.study_instance_uid);
    }
  }

  // What differs within the study differs for the patient too, and is said once.
  static void drop_repeated(std::vector<Noted>& found) {
    constexpr std::string_view k_patient = "patient.";
    const auto is_said = [&found](const std::string& rule) {
      return std::ranges::any_of(found, [&rule](const Noted& other) { return other.finding.rule == rule; });
    };
    std::vector<std::string> repeated;
    for (const Noted& noted : found) {
      if (noted.finding.rule.starts_with(k_patient) &&
          is_said("study." + noted.finding.rule.substr(k_patient.size()))) {
        repeated.push_back(noted.finding.rule);
      }
    }
    std::erase_if(found, [&repeated](const Noted& noted) {
      return std::ranges::find(repeated, noted.finding.rule) != repeated.end();
    });
  }

  // Rules about what must be the same in a series, a study, of a patient, in the batch.
  template <typename Note>
  void check_facts(const dicom::InstanceAttributes& attributes, const std::vector<rules::Fact>& facts,
                   const Note& note) {
    for (const rules::Fact& fact : facts) {
      const rules::Rule& rule = *fact.rule;
      std::string scope;
      switch (rule.scope) {
        case rules::Rule::Scope::series:
          scope = attributes.series_instance_uid;
          break;
        case rules::Rule::Scope::study:
          scope = attributes.study_instance_uid;
          break;
        case rules::Rule::Scope::patient:
          scope = attributes.patient_id.empty() ? "" : attributes.patient_id + "\\" + attributes.issuer_of_patient_id;
          break;
        case rules::Rule::Scope::batch:
          scope = "batch";
          break;
      }
      if (!scope.empty() && !m_batch.agrees(rule.id, scope, fact.value)) {
        rules::Finding finding;
        finding.severity = rule.severity;
        finding.rule = rule.id;
        finding.message = rule.message;
        finding.tag = rule.path.tags.back();
        finding.tag_path = dicom::to_string(finding.tag);
        note(std::move(finding));
      }
    }
  }

  void waive(Noted& noted, const dicom::InstanceAttributes& attributes) const {
    for (const rules::Waiver& waiver : m_rules.waivers) {
      if (waiver.rule == noted.finding.rule && (waiver.tag_path.empty() || waiver.tag_path == noted.finding.tag_path) &&
          (waiver.sop_class.empty() || waiver.sop_class == attributes.sop_class_uid) &&
          (waiver.study.empty() || waiver.study == attributes.study_instance_uid)) {
        noted.waived = waiver.reason;
        return;
      }
    }
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

  std::vector<Defect> check_study(const dicom::InstanceAttributes& attributes, std::uint64_t size) {
    std::vector<Defect> defects;
    if (attributes.study_instance_uid.empty()) {
      return defects;
    }
    const auto first = m_batch.add_to_study(attributes, size);
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
    }
    return defects;
  }

  bool fails(Defect::Severity severity) const {
    if (m_settings.fail_on == ValidateSettings::FailOn::never) {
      return false;
    }
    return severity <= (m_settings.fail_on == ValidateSettings::FailOn::warning ? Defect::Severity::warning
                                                                                : Defect::Severity::error);
  }

  bool fails(const std::vector<Noted>& found) const {
    return std::ranges::any_of(
        found, [this](const Noted& noted) { return noted.waived.empty() && fails(noted.finding.severity); });
  }

  // Without a profile only what the check itself says.
  Json to_json(const Noted& noted) const {
    const rules::Finding& finding = noted.finding;
    Json json;
    json["severity"] = rules::to_string(finding.severity);
    json["rule"] = finding.rule;
    json["message"] = finding.message;
    if (!finding.tag_path.empty()) {
      json["tagPath"] = finding.tag_path;
      if (finding.has_offset) {
        json["offset"] = finding.offset;
      }
    }
    if (m_rules.profile) {
      const auto put = [&json](const char* key, std::string_view value) {
        if (!value.empty()) {
          json[key] = value;
        }
      };
      if (const dicom::DictionaryEntry* entry = dicom::find_entry(finding.tag);
          entry != nullptr && !finding.tag_path.empty()) {
        put("keyword", entry->keyword);
      }
      if (!finding.value.empty()) {
        put("value", m_settings.phi_plain && dicom::is_string(finding.vr)
                         ? finding.value
                         : masked_value(finding.tag, finding.vr, finding.value));
      }
      put("section", finding.section);
      put("hint", finding.hint);
      put("code", finding.code);
    }
    if (!noted.waived.empty()) {
      json["waived"] = noted.waived;
    }
    return json;
  }

  void finish(Json& record, const std::vector<Noted>& found) {
    const bool failed = fails(found);
    set_outcome(record, k_validate_tool, failed ? outcome::invalid : outcome::valid, !failed);
    record.erase("findings");
    if (!found.empty()) {
      Json findings = Json::array();
      for (const Noted& noted : found) {
        findings.push_back(to_json(noted));
      }
      record["findings"] = std::move(findings);
    }
    if (failed) {
      ++m_progress.failed;
    }
  }

  Json to_record(const BatchState::Study& study) {
    bool broken = study.invalid_instances != 0;
    Json findings = Json::array();
    dicom::InstanceAttributes attributes;
    attributes.study_instance_uid = study.study_instance_uid;
    const auto note = [&](Defect::Severity severity, std::string_view rule, std::string message,
                          const std::string& waived = {}) {
      Noted noted{rules::to_finding({severity, std::string(rule), std::move(message), {}, 0}), waived};
      if (m_rules.profile && !rules::complete(noted.finding, *m_rules.profile)) {
        return;
      }
      if (noted.waived.empty()) {
        waive(noted, attributes);
      }
      broken = broken || fails({noted});
      findings.push_back(to_json(noted));
    };
    for (const StudyRule& rule : k_study_rules) {
      const auto broken_rule = std::ranges::find(study.broken_rules, rule.rule, &BatchState::Study::BrokenRule::rule);
      if (broken_rule != study.broken_rules.end()) {
        note(rule.severity, rule.rule, fmt::format("{} is not the same in all instances", rule.attribute),
             broken_rule->waived);
      }
    }
    const BatchState::View view = m_rules.profile ? m_batch.view_of(study.study_instance_uid) : BatchState::View{};
    if (view.rejected != 0) {
      note(k_warning, "study.rejected-instances",
           fmt::format("{} instances are in the batch that a rejection note of the batch rejects", view.rejected));
    }
    Json record = make_record("study", k_validate_tool, broken ? outcome::invalid : outcome::valid, !broken);
    record["StudyInstanceUID"] = study.study_instance_uid;
    record["instances"] = study.instances;
    record["invalidInstances"] = study.invalid_instances;
    record["series"] = study.series;
    record["bytes"] = study.bytes;
    record["modalities"] = study.modalities;
    if (m_rules.profile) {
      record["missingInstanceNumbers"] = view.missing_instance_numbers;
      record["repeatedInstanceNumbers"] = view.repeated_instance_numbers;
      record["characterSets"] = view.character_sets;
      record["issuers"] = view.issuers;
      record["keyObjects"] = view.key_objects;
      record["rejectedInstances"] = view.rejected;
    }
    if (!findings.empty()) {
      record["findings"] = std::move(findings);
    }
    return record;
  }

  RecordSink& m_sink;
  Observer& m_observer;
  const ValidateSettings& m_settings;
  const Rules& m_rules;
  ValidationReport m_report;
  BatchState m_batch;
  std::vector<ledger::Instance> m_rows;
  std::vector<Json> m_records;        // that wait for them
  std::vector<std::size_t> m_places;  // of each row's record
  Observer::Progress m_progress{0, 0, 0, 0, "checking"};
};

}  // namespace

void validate(InputSource& source, RecordSink& sink, Observer& observer, Accounting& accounting,
              const ValidateSettings& settings, std::stop_token stop) {
  const Rules rules = load_rules(settings, observer);
  Candidates candidates(source, accounting, settings);
  Validation validation(sink, observer, settings, rules);
  const unsigned threads = settings.jobs != 0 ? settings.jobs : std::max(1U, std::thread::hardware_concurrency());
  ordered_parallel<Candidate, Checked>(
      threads, [&]() -> std::optional<Candidate> { return stop.stop_requested() ? std::nullopt : candidates.next(); },
      [&](Candidate& candidate) { return check(candidate, rules.get(), settings); },
      [&](Candidate&& candidate, Checked&& checked) { validation.take(std::move(candidate), std::move(checked)); });
  validation.flush();
  if (settings.studies) {
    validation.emit_studies();
  }
  validation.finish_report();
}

std::string list_rules(std::string_view profile) { return rules::list_rules(rules::load_profile(profile)); }

std::optional<std::string> explain_rule(std::string_view id) {
  std::vector<std::string> names = rules::profile_names();
  std::stable_partition(names.begin(), names.end(), [](const std::string& name) { return name == "dicom"; });
  for (const std::string& name : names) {
    if (auto found = rules::explain_rule(rules::load_profile(name), id)) {
      return found;
    }
  }
  return std::nullopt;
}

}  // namespace kuva::workflow
