#include <kuva/core/record.hpp>
#include <kuva/kos/codes.hpp>
#include <kuva/kos/read.hpp>
#include <kuva/workflow/instance_record.hpp>
#include <kuva/workflow/ledger_records.hpp>
#include <kuva/workflow/ledger_rows.hpp>
#include <kuva/workflow/manifest_query.hpp>
#include <kuva/workflow/reconcile.hpp>
#include <kuva/workflow/registry_client.hpp>
#include <kuva/workflow/sample_check.hpp>
#include <kuva/workflow/study_listing.hpp>

#include <fmt/format.h>

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

namespace kuva::workflow {

namespace {

using ledger::Ledger;
using Where = StudyListing::Where;

constexpr std::size_t k_study_page = 200;
constexpr std::size_t k_row_page = 500;
constexpr std::size_t k_sought_at_once = 100;
constexpr std::size_t k_verdicts_at_once = 500;
constexpr std::size_t k_elements_shown = 20;  // of an instance whose content differs

// The next study would fail in the same way.
bool is_of_the_run(const Error& error) {
  const std::string_view code = error.kind().code;
  return code.starts_with("ledger.") || code == "usage.target" || code == "tls.config" || code == "listen.failed" ||
         error.kind().exit_code == ExitCode::local_io;
}

// What the ledger says of a study besides its instances.
struct LedgerStudy {
  std::string patient_key;
  std::string accession_number;
  std::string study_date;
};

Error difference_error(std::string message) { return Error(kind("reconcile.difference"), std::move(message)); }

// A sentence for each kind of difference; no identifier of a patient.
std::string sentence(InstanceDifference difference, const ledger::Instance& row, const ArchiveInstance* listed,
                     std::string_view lister) {
  const auto state = ledger::to_string(row.state);
  switch (difference) {
    case InstanceDifference::missing:
      return fmt::format("the ledger has it as {}, {} does not list it, asked by study and by instance", state, lister);
    case InstanceDifference::committed_gone:
      return fmt::format(
          "the ledger has it as {}: the archive took responsibility for it; {} does not list it, asked by study and by "
          "instance",
          state, lister);
    case InstanceDifference::rejected:
      return fmt::format("the ledger has it as {}, and a rejection note hides it: it is not to be sent again", state);
    case InstanceDifference::extra:
      return fmt::format("{} lists it, the ledger does not know it", lister);
    case InstanceDifference::present_unsent:
      return fmt::format("the ledger has it as {}, {} lists it", state, lister);
    case InstanceDifference::present_failed:
      return fmt::format("the ledger has it as {} ({}), {} lists it", state, row.error_code, lister);
    case InstanceDifference::other_study:
      return fmt::format("{} lists it in the study {}", lister, listed->study_instance_uid);
    case InstanceDifference::other_series:
      return fmt::format("{} lists it in the series {}, it was sent in {}", lister, listed->series_instance_uid,
                         row.series_instance_uid);
    case InstanceDifference::other_class:
      return fmt::format("{} lists it as SOP class {}, it was sent as {}", lister, listed->sop_class_uid,
                         row.sop_class_uid);
    case InstanceDifference::unavailable:
      return fmt::format("{} lists it and says that it is UNAVAILABLE", lister);
    case InstanceDifference::not_in_manifest:
      return "the archive has it, the registered manifest does not refer to it";
    case InstanceDifference::only_in_manifest:
      return "the registered manifest refers to it, archive and ledger do not have it";
    case InstanceDifference::content:
      return "what was retrieved is not what the file holds";
  }
  return {};
}

Json element_json(const dicom::ElementDifference& difference, bool phi_plain) {
  using Kind = dicom::ElementDifference::Kind;
  Json element;
  element["tagPath"] = difference.tag_path;
  element["kind"] = difference.kind == Kind::only_left    ? "only-source"
                    : difference.kind == Kind::only_right ? "only-archive"
                                                          : "value";
  element["vr"] = dicom::to_string(difference.vr);
  if (difference.left_length) {
    element["sourceLength"] = *difference.left_length;
  }
  if (difference.right_length) {
    element["archiveLength"] = *difference.right_length;
  }
  put_text(element, "sourceDigest", difference.left_digest);
  put_text(element, "archiveDigest", difference.right_digest);
  if (phi_plain) {
    put_text(element, "sourceValue", difference.left_value);
    put_text(element, "archiveValue", difference.right_value);
  }
  return element;
}

// The studies that are to be looked at, one at a time, in the order of the ledger or of the list.
class StudyFeed {
 public:
  StudyFeed(Ledger& ledger, const std::vector<std::string>& listed) : m_ledger(ledger), m_is_listed(!listed.empty()) {
    m_next.assign(listed.begin(), listed.end());
  }

  std::optional<std::string> next() {
    const std::scoped_lock lock(m_mutex);
    if (m_next.empty() && !m_is_listed) {
      for (const ledger::StudyRow& row : m_ledger.next_studies(m_position, k_study_page)) {
        if (row.instances > row.skipped) {
          m_next.push_back(row.study_instance_uid);
        }
      }
    }
    if (m_next.empty()) {
      return std::nullopt;
    }
    std::string study = std::move(m_next.front());
    m_next.pop_front();
    return study;
  }

 private:
  std::mutex m_mutex;
  Ledger& m_ledger;
  bool m_is_listed;
  std::deque<std::string> m_next;
  Ledger::Position m_position;
};

// What the threads of a run share. Thread-safe.
class ReconcileRun {
 public:
  ReconcileRun(Ledger& ledger, RecordSink& sink, Observer& observer, Accounting& accounting, const Target& target,
               const ReconcileSettings& settings, std::stop_token stop)
      : m_ledger(ledger),
        m_sink(sink),
        m_observer(observer),
        m_accounting(accounting),
        m_target(target),
        m_settings(settings),
        m_stop(std::move(stop)),
        m_feed(ledger, settings.studies) {
    using By = ReconcileSettings::By;
    const bool has_archive = !target.endpoint.host.empty() && target.endpoint.port != 0 && !target.called_ae.empty();
    const bool has_registry = target.xds.has_value() && !target.xds->query_url.empty();
    m_asks_archive =
        settings.by == By::find || settings.by == By::both || (settings.by == By::automatic && has_archive);
    m_asks_registry =
        settings.by == By::registry || settings.by == By::both || (settings.by == By::automatic && has_registry);
    if (m_asks_archive && !has_archive) {
      throw Error(kind("usage.target"),
                  fmt::format("target '{}' has no host, port or called_ae, and C-FIND needs them", target.name));
    }
    if (m_asks_registry) {
      xds_of(target);
    }
    if (!m_asks_archive && !m_asks_registry) {
      throw Error(kind("usage.target"), fmt::format("target '{}' has neither an archive nor a registry", target.name));
    }
    if (settings.studies.empty()) {
      m_total = ledger.study_counts().studies;
    } else {
      m_total = settings.studies.size();
    }
    accounting.expect(m_total);
  }

  Ledger& ledger() { return m_ledger; }
  Observer& observer() { return m_observer; }
  const Target& target() const { return m_target; }
  const ReconcileSettings& settings() const { return m_settings; }
  const std::stop_token& stop() const { return m_stop; }
  StudyFeed& feed() { return m_feed; }
  bool asks_archive() const { return m_asks_archive; }
  bool asks_registry() const { return m_asks_registry; }
  bool has_failed() {
    const std::scoped_lock lock(m_mutex);
    return m_failure != nullptr;
  }
  void fail(std::exception_ptr failure) {
    const std::scoped_lock lock(m_mutex);
    if (!m_failure) {
      m_failure = std::move(failure);
    }
  }
  void rethrow() {
    if (m_failure) {
      std::rethrow_exception(m_failure);
    }
  }

  // Made when it is first needed. Errors: local.write.
  SampleCheck& samples() {
    const std::scoped_lock lock(m_mutex);
    if (!m_samples) {
      SampleCheck::Settings settings;
      settings.via = m_settings.via;
      settings.destination = m_settings.destination;
      settings.directory = m_settings.directory;
      if (m_settings.assertions) {
        settings.security = UserAssertions::provider(m_settings.assertions, {});
      }
      settings.comparison.keep_values = m_settings.phi_plain;
      settings.comparison.digest_key.resize(16);
      if (::getrandom(settings.comparison.digest_key.data(), settings.comparison.digest_key.size(), 0) !=
          static_cast<ssize_t>(settings.comparison.digest_key.size())) {
        throw Error(kind("local.resource"), "the system gives no random numbers");
      }
      m_samples.emplace(m_target, std::move(settings), m_observer, m_stop);
    }
    return *m_samples;
  }

  // A study leaves: its record, then those of its instances, together.
  void leave(const Json& study, const StudyTally& tally, StudyListing& listing) {
    const std::scoped_lock lock(m_leaving);
    const bool is_equal = tally.sign() == StudySign::equal && !study.contains("error");
    m_accounting.entered();
    if (is_equal && m_settings.only_differences) {
      m_accounting.left(study);
    } else {
      m_sink.emit(study);
      listing.for_each_record([this](const Json& record) { m_sink.emit(record); });
    }
    m_source += tally.source;
    m_destination += tally.destination;
    ++m_done;
    m_failed += is_equal ? 0 : 1;
    Observer::Progress progress;
    progress.seen = m_done;
    progress.done = m_done;
    progress.failed = m_failed;
    progress.doing = "comparing";
    progress.total = m_total;
    m_observer.progress(progress);
  }
  Json totals() const { return Json{{"source", m_source}, {"archive", m_destination}}; }

  // How a study's question to the archive went. Errors: that of the archive, after too many in a row.
  void asked(const std::optional<Error>& error) {
    const std::scoped_lock lock(m_mutex);
    if (!error || error->kind().error_class != ErrorClass::temporary || m_stop.stop_requested()) {
      m_failures_in_a_row = 0;
    } else if (++m_failures_in_a_row >= std::max(1U, m_target.failures_in_a_row) && !m_failure) {
      m_failure = std::make_exception_ptr(*error);
    }
  }

 private:
  Ledger& m_ledger;
  RecordSink& m_sink;
  Observer& m_observer;
  Accounting& m_accounting;
  const Target& m_target;
  const ReconcileSettings& m_settings;
  std::stop_token m_stop;
  StudyFeed m_feed;
  bool m_asks_archive = false;
  bool m_asks_registry = false;
  std::uint64_t m_total = 0;
  std::mutex m_mutex;
  std::exception_ptr m_failure;
  unsigned m_failures_in_a_row = 0;
  std::optional<SampleCheck> m_samples;
  std::mutex m_leaving;
  std::uint64_t m_source = 0;
  std::uint64_t m_destination = 0;
  std::uint64_t m_done = 0;
  std::uint64_t m_failed = 0;
};

// One thread's work, study by study.
class StudyReconciler {
 public:
  explicit StudyReconciler(ReconcileRun& run) : m_run(run) {
    if (run.asks_archive()) {
      m_archive.emplace(run.target(), run.observer(), run.stop());
    }
    if (run.asks_registry()) {
      m_registry.emplace(run.target(), run.settings().assertions, run.settings().directory, run.observer(), run.stop());
    }
    m_primary = m_archive ? Where::archive : Where::manifest;
    m_lister = m_archive ? "the archive" : "the registered manifest";
  }

  void work() {
    while (!m_run.stop().stop_requested() && !m_run.has_failed()) {
      const std::optional<std::string> study = m_run.feed().next();
      if (!study) {
        break;
      }
      reconcile_study(*study);
    }
  }

 private:
  void reconcile_study(const std::string& study) {
    m_listing.clear();
    m_study = study;
    m_tally = {};
    m_of_ledger = {};
    m_attributes = Json::array();
    m_content = {};
    m_asked_again = 0;
    m_missing = 0;
    m_notes = 0;
    m_has_asked_again = false;
    m_has_rows = false;
    m_manifests = std::nullopt;
    m_verdicts.clear();
    std::optional<Error> error;
    try {
      look_at_ledger();
      ask();
      m_run.asked(std::nullopt);
      seek_missing();
      look_for_rejections();
      judge_rows();
      judge_others();
      m_tally.destination = m_listing.count(m_primary) - m_notes;
    } catch (const Error& failure) {
      if (is_of_the_run(failure)) {
        throw;
      }
      error = failure;
      m_run.asked(error);
      m_listing.clear();  // what is known in part is no finding
    }
    if (!error) {
      update_ledger();
    }
    leave(error);
  }

  // A manifest does not refer to itself, nor to other key objects.
  bool is_compared(const ledger::Instance& row) const {
    return row.state != ledger::State::skipped &&
           (m_archive.has_value() || row.sop_class_uid != kos::k_key_object_selection);
  }

  template <typename Visit>
  void for_each_row(const Visit& visit) {
    ledger::Filter filter;
    filter.study_instance_uid = m_study;
    Ledger::Position position;
    for (;;) {
      const auto page = m_run.ledger().next_instances(position, k_row_page, filter);
      if (page.empty()) {
        return;
      }
      for (const ledger::Instance& row : page) {
        visit(row);
      }
    }
  }

  // What is to be there, and what our own rejection notes say.
  void look_at_ledger() {
    for_each_row([this](const ledger::Instance& row) {
      if (!is_compared(row)) {
        return;
      }
      if (!std::exchange(m_has_rows, true)) {
        m_of_ledger = {row.patient_key, row.accession_number, row.study_date};
      }
      m_listing.mark(row.sop_instance_uid);
      if (is_expected_in_archive(row.state)) {
        ++m_tally.source;
        if (row.sop_class_uid == kos::k_key_object_selection) {
          take_rejections(row.file.path);
        }
      }
    });
    if (!m_has_rows && !m_run.settings().studies.empty()) {
      throw Error(kind("usage.argument"), fmt::format("the ledger has no instance of the study {}", m_study));
    }
  }

  // The instances that a key object rejects, where it is a rejection note. False where it is none, or cannot be read.
  bool take_rejections(const std::filesystem::path& path) {
    try {
      const kos::Document document = kos::read(path);
      if (!kos::is_rejection_title(document.title)) {
        return false;
      }
      for (const kos::Reference& reference : kos::references(document)) {
        m_listing.reject(reference.sop_instance_uid);
      }
      return true;
    } catch (const Error& error) {
      m_run.observer().message(Observer::Level::detail, fmt::format("a key object of the study {} cannot be read: {}",
                                                                    m_study, error.message()));
      return false;
    }
  }

  void ask() {
    if (m_archive) {
      compare_attributes(m_archive->study(m_study));
      m_archive->list(m_study, [this](const ArchiveInstance& instance) { m_listing.add(Where::archive, instance); });
    }
    if (m_registry) {
      m_manifests = m_registry->list(m_study, m_of_ledger.patient_key, [this](const ArchiveInstance& instance) {
        m_listing.add(Where::manifest, instance);
      });
    }
  }

  void compare_attributes(const std::optional<ArchiveStudy>& there) {
    if (!there) {
      return;
    }
    const PatientKey patient = split_patient_key(m_of_ledger.patient_key);
    const auto compare = [this](const char* keyword, const std::string& here, const std::optional<std::string>& value) {
      if (!value || *value == here) {
        return;
      }
      const bool plain = m_run.settings().phi_plain;
      m_attributes.push_back(Json{{"attribute", keyword},
                                  {"source", plain || here.empty() ? here : "***"},
                                  {"archive", plain || value->empty() ? *value : "***"}});
      ++m_tally.attributes;
    };
    compare("PatientID", patient.patient_id, there->patient_id);
    // Archives give an issuer of their own to patients that came without one.
    if (!patient.issuer.empty() && there->issuer_of_patient_id && !there->issuer_of_patient_id->empty()) {
      compare("IssuerOfPatientID", patient.issuer, there->issuer_of_patient_id);
    }
    compare("AccessionNumber", m_of_ledger.accession_number, there->accession_number);
    compare("StudyDate", m_of_ledger.study_date, there->study_date);
  }

  // What was not listed is asked for in other ways before it is called missing.
  void seek_missing() {
    if (!m_archive) {
      return;
    }
    std::vector<ArchiveQuery::Sought> sought;
    for_each_row([&](const ledger::Instance& row) {
      if (!is_expected_in_archive(row.state) || m_listing.find(Where::archive, row.sop_instance_uid)) {
        return;
      }
      if (!std::exchange(m_has_asked_again, true)) {
        m_archive->list_again(m_study, [this](const ArchiveInstance& instance) { take_again(instance); });
        if (m_listing.find(Where::archive, row.sop_instance_uid)) {
          return;
        }
      }
      sought.push_back({row.sop_instance_uid, row.series_instance_uid});
      if (sought.size() == k_sought_at_once) {
        seek(sought);
        sought.clear();
      }
    });
    if (!sought.empty()) {
      seek(sought);
    }
  }

  void seek(const std::vector<ArchiveQuery::Sought>& sought) {
    m_archive->seek(m_study, sought, [&](const ArchiveInstance& instance) {
      // Archives that do not look at a key they should match by give more.
      if (std::any_of(sought.begin(), sought.end(),
                      [&](const auto& one) { return one.sop_instance_uid == instance.sop_instance_uid; })) {
        take_again(instance);
      }
    });
    for (const ArchiveQuery::Sought& one : sought) {
      m_missing += m_listing.find(Where::archive, one.sop_instance_uid) ? 0 : 1;
    }
  }

  void take_again(const ArchiveInstance& instance) { m_asked_again += m_listing.add(Where::archive, instance) ? 1 : 0; }

  // A rejection note that somebody else has stored hides what it refers to, and is listed itself.
  void look_for_rejections() {
    if (!m_archive || m_missing == 0) {
      return;
    }
    std::vector<ArchiveInstance> notes;
    m_listing.for_each_unmarked(Where::archive, std::string(kos::k_key_object_selection),
                                [&](const ArchiveInstance& instance) { notes.push_back(instance); });
    for (const ArchiveInstance& note : notes) {
      try {
        m_run.samples().look_at(m_study, note.series_instance_uid, note.sop_class_uid, note.sop_instance_uid,
                                [&](const std::filesystem::path& path) {
                                  if (take_rejections(path)) {
                                    m_listing.mark(note.sop_instance_uid);
                                    ++m_notes;
                                  }
                                });
      } catch (const Error& error) {
        m_run.observer().message(
            Observer::Level::info,
            fmt::format("study {}: the archive has a key object that may be a rejection note, and it cannot be "
                        "retrieved: {}",
                        m_study, error.message()));
      }
    }
  }

  void judge_rows() {
    const ReconcileSettings& settings = m_run.settings();
    const bool is_sampled = settings.sample > 0 && is_in_sample(m_study, settings.sample, settings.sample_seed);
    std::vector<ledger::Instance> sample;
    for_each_row([&](const ledger::Instance& row) {
      if (!is_compared(row)) {
        return;
      }
      const std::optional<ArchiveInstance> listed = m_listing.find(m_primary, row.sop_instance_uid);
      const std::optional<InstanceDifference> difference =
          judge(row, listed ? &*listed : nullptr, m_listing.is_rejected(row.sop_instance_uid));
      if (difference) {
        note(*difference, row, listed ? &*listed : nullptr);
      } else if (m_archive && m_manifests.value_or(0) != 0 && is_expected_in_archive(row.state) &&
                 row.sop_class_uid != kos::k_key_object_selection &&
                 !m_listing.find(Where::manifest, row.sop_instance_uid)) {
        note(InstanceDifference::not_in_manifest, row, &*listed);
      }
      const bool can_compare = listed && (!difference || *difference == InstanceDifference::present_unsent ||
                                          *difference == InstanceDifference::present_failed);
      if (is_sampled && can_compare) {
        sample.push_back(row);
        if (sample.size() == SampleCheck::k_most_at_once) {
          compare_content(sample);
          sample.clear();
        }
      } else if (can_compare) {
        settle_doubt(row, ledger::State::stored_with_warning);
      }
    });
    if (!sample.empty()) {
      compare_content(sample);
    }
  }

  void compare_content(const std::vector<ledger::Instance>& sample) {
    if (m_run.stop().stop_requested()) {
      throw Error(kind("interrupted"), "stopped before the sample was compared");
    }
    // Else by what the target has.
    const bool by_manifest = m_registry && (!m_archive || m_run.settings().via == RetrieveVia::rad69);
    const std::string location = by_manifest ? m_registry->location() : std::string();
    m_run.samples().compare(m_study, location, sample,
                            [this](const ledger::Instance& row, const SampleCheck::Verdict& verdict) {
                              if (verdict.error) {
                                ++m_content.failed;
                                m_content.error = m_content.error ? m_content.error : verdict.error;
                                return;
                              }
                              ++m_content.compared;
                              m_content.elements += verdict.comparison->elements;
                              m_content.elements_not_compared += verdict.comparison->not_compared;
                              m_content.pixels_not_compared += verdict.comparison->pixel_data_not_compared ? 1 : 0;
                              if (verdict.comparison->is_same()) {
                                settle_doubt(row, ledger::State::stored);
                              } else {
                                note(InstanceDifference::content, row, nullptr, &*verdict.comparison);
                              }
                            });
  }

  // What is listed and the ledger does not have.
  void judge_others() {
    if (m_registry && m_archive && m_tally.source != 0 && m_manifests.value_or(0) == 0) {
      m_attributes.push_back(Json{{"attribute", "registered"}, {"source", "yes"}, {"archive", "no"}});
      ++m_tally.attributes;
    }
    m_listing.for_each_unmarked(m_primary, {},
                                [this](const ArchiveInstance& instance) { note(InstanceDifference::extra, instance); });
    if (m_registry && m_archive) {
      m_listing.for_each_unmarked(Where::manifest, {}, [this](const ArchiveInstance& instance) {
        if (!m_listing.find(Where::archive, instance.sop_instance_uid)) {
          note(InstanceDifference::only_in_manifest, instance);
        }
      });
    }
  }

  void note(InstanceDifference difference, const ledger::Instance& row, const ArchiveInstance* listed,
            const dicom::Comparison* comparison = nullptr) {
    const bool is_again = m_run.settings().again && (difference == InstanceDifference::missing ||
                                                     difference == InstanceDifference::committed_gone);
    Json record = instance_record(row, k_ledger_tool, is_again);
    Json facts{{"sign", sign_of(difference)}, {"difference", to_string(difference)}};
    if (comparison != nullptr) {
      facts["different"] = comparison->different;
      Json elements = Json::array();
      for (const dicom::ElementDifference& one : comparison->differences) {
        if (elements.size() == k_elements_shown) {
          break;
        }
        elements.push_back(element_json(one, m_run.settings().phi_plain));
      }
      facts["elements"] = std::move(elements);
    }
    record["reconcile"] = std::move(facts);
    if (!is_again) {
      set_outcome(record, k_ledger_tool, outcome::failed, false);
      set_error(record, difference_error(sentence(difference, row, listed, m_lister)));
    }
    ++m_tally.differences[difference];
    m_listing.keep_record(record);
    if (difference == InstanceDifference::missing && m_archive) {
      ledger::Verdict verdict;
      verdict.instance = row.id;
      verdict.state = ledger::State::failed_temporary;
      verdict.error_code = kind("reconcile.difference").code;
      verdict.error_class = to_string(kind("reconcile.difference").error_class);
      verdict.error_message = sentence(difference, row, listed, m_lister);
      m_verdicts.push_back(std::move(verdict));
      bound_verdicts();
    }
  }

  void note(InstanceDifference difference, const ArchiveInstance& instance) {
    Json record = make_record("instance", k_ledger_tool, outcome::failed, false);
    record["StudyInstanceUID"] = m_study;
    put_text(record, "SeriesInstanceUID", instance.series_instance_uid);
    record["SOPInstanceUID"] = instance.sop_instance_uid;
    put_text(record, "SOPClassUID", instance.sop_class_uid);
    record["reconcile"] = Json{{"sign", sign_of(difference)}, {"difference", to_string(difference)}};
    set_error(record, difference_error(sentence(difference, {}, &instance, m_lister)));
    ++m_tally.differences[difference];
    m_listing.keep_record(record);
  }

  // In doubt, and listed: the archive has it. A listing says nothing of the bytes.
  void settle_doubt(const ledger::Instance& row, ledger::State state) {
    if (m_archive && row.state == ledger::State::indeterminate) {
      ledger::Verdict verdict;
      verdict.instance = row.id;
      verdict.state = state;
      m_verdicts.push_back(std::move(verdict));
      bound_verdicts();
    }
  }

  // Verdicts of a study that is large go into the ledger before it has been looked at to its end: each is true by
  // itself.
  void bound_verdicts() {
    if (m_verdicts.size() >= k_verdicts_at_once) {
      update_ledger();
    }
  }

  void update_ledger() {
    if (m_run.settings().update && !m_verdicts.empty()) {
      m_run.ledger().finish(m_verdicts);
    }
    m_verdicts.clear();
  }

  void leave(const std::optional<Error>& error) {
    const StudySign sign =
        error || (m_content.error && m_tally.sign() == StudySign::equal) ? StudySign::not_checked : m_tally.sign();
    const bool ok = sign == StudySign::equal;
    Json record = make_record("reconciliation", k_ledger_tool, to_string(sign), ok);
    record["sign"] = character_of(sign);
    record["StudyInstanceUID"] = m_study;
    Json by = Json::array();
    if (m_archive) {
      by.push_back("find");
    }
    if (m_registry) {
      by.push_back("registry");
    }
    record["by"] = std::move(by);
    record["source"] = m_tally.source;
    if (error) {
      set_error(record, *error);
      m_run.leave(record, m_tally, m_listing);
      return;
    }
    record["archive"] = m_tally.destination;
    if (!m_tally.differences.empty()) {
      Json differences = Json::object();
      for (const auto& [difference, number] : m_tally.differences) {
        differences[std::string(to_string(difference))] = number;
      }
      record["differences"] = std::move(differences);
    }
    if (!m_attributes.empty()) {
      record["attributes"] = m_attributes;
    }
    if (m_asked_again != 0) {
      record["foundWhenAskedAgain"] = m_asked_again;
    }
    if (m_notes != 0) {
      record["rejectionNotes"] = m_notes;
    }
    if (m_manifests) {
      record["manifests"] = *m_manifests;
      record["inManifests"] = m_listing.count(Where::manifest);
    }
    if (m_content.compared + m_content.failed != 0) {
      record["content"] = m_content.to_json();
    }
    if (sign == StudySign::not_checked) {
      set_error(record, *m_content.error);
    } else if (!ok) {
      set_error(record, difference_error(summary()));
    }
    m_run.leave(record, m_tally, m_listing);
  }

  std::string summary() const {
    std::string text;
    for (const auto& [difference, number] : m_tally.differences) {
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", number, to_string(difference));
    }
    for (const Json& attribute : m_attributes) {
      text += fmt::format("{}{} differs", text.empty() ? "" : ", ", string_at(attribute, "attribute"));
    }
    return text;
  }

  struct Content {
    std::uint64_t compared = 0;
    std::uint64_t failed = 0;
    std::uint64_t elements = 0;
    std::uint64_t elements_not_compared = 0;
    std::uint64_t pixels_not_compared = 0;
    std::optional<Error> error;

    Json to_json() const {
      Json content{{"compared", compared}, {"elements", elements}};
      for (const auto& [key, value] :
           {std::pair("notRetrieved", failed), std::pair("elementsNotCompared", elements_not_compared),
            std::pair("pixelDataNotCompared", pixels_not_compared)}) {
        if (value != 0) {
          content[key] = value;
        }
      }
      if (error) {
        content["error"] = error->to_json();
      }
      return content;
    }
  };

  ReconcileRun& m_run;
  std::optional<FindQuery> m_archive;
  std::optional<ManifestQuery> m_registry;
  Where m_primary = Where::archive;
  std::string_view m_lister;
  StudyListing m_listing;
  // Of the study that is looked at.
  std::string m_study;
  StudyTally m_tally;
  LedgerStudy m_of_ledger;
  Json m_attributes = Json::array();
  Content m_content;
  std::uint64_t m_asked_again = 0;
  std::uint64_t m_missing = 0;  // still not listed then
  std::uint64_t m_notes = 0;
  bool m_has_asked_again = false;
  bool m_has_rows = false;
  std::optional<std::uint64_t> m_manifests;
  std::vector<ledger::Verdict> m_verdicts;
};

}  // namespace

void reconcile(Ledger& ledger, RecordSink& sink, Observer& observer, Accounting& accounting, const Target& target,
               const ReconcileSettings& settings, std::stop_token outer_stop) {
  RunLimits limits(settings.limits);
  const LimitWatch watch(limits, outer_stop);
  ReconcileRun run(ledger, sink, observer, accounting, target, settings, watch.stop_token());
  const unsigned jobs = std::max(1U, settings.jobs != 0 ? settings.jobs : target.associations);
  {
    std::vector<std::jthread> workers;
    for (unsigned i = 0; i < jobs; ++i) {
      workers.emplace_back([&run] {
        try {
          StudyReconciler(run).work();
        } catch (...) {
          run.fail(std::current_exception());
        }
      });
    }
  }
  if (watch.ending() && !outer_stop.stop_requested()) {
    accounting.note(limits.reached().value());
  }
  accounting.add_to_summary("reconciled", run.totals());
  run.rethrow();
}

}  // namespace kuva::workflow
