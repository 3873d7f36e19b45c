#include <kuva/core/digest.hpp>
#include <kuva/core/file.hpp>
#include <kuva/core/record.hpp>
#include <kuva/workflow/instance_record.hpp>
#include <kuva/workflow/ledger_rows.hpp>
#include <kuva/workflow/sample_check.hpp>

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

namespace kuva::workflow {

namespace {

Json wanted_record(const std::string& study, const std::string& series, const std::string& sop_class,
                   const std::string& sop_instance, const std::string& transfer_syntax) {
  Json record = make_record("instance", k_retrieve_tool, outcome::stored, true);
  record["StudyInstanceUID"] = study;
  put_text(record, "SeriesInstanceUID", series);
  record["SOPInstanceUID"] = sop_instance;
  put_text(record, "SOPClassUID", sop_class);
  put_text(record, "TransferSyntaxUID", transfer_syntax);
  return record;
}

// The error of a record, as far as a later report needs it.
Error error_of(const Json& record) {
  const auto error = record.find("error");
  if (error == record.end() || !error->is_object()) {
    return Error(kind("retrieve.not-received"), "it has not come");
  }
  const ErrorKind* const known = find_kind(string_at(*error, "code"));
  return Error(known == nullptr ? kind("retrieve.not-received") : *known, string_at(*error, "message"));
}

}  // namespace

bool is_in_sample(std::string_view study_instance_uid, double percent, std::string_view seed) {
  const std::string digest = digest_of(fmt::format("{}\n{}", seed, study_instance_uid), DigestAlgorithm::sha256);
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < 6; ++i) {
    number = number << 8U | static_cast<unsigned char>(digest[i]);
  }
  return static_cast<double>(number) / static_cast<double>(std::uint64_t{1} << 48U) * 100 < percent;
}

// Gives the records of what is wanted, then ends.
class SampleCheck::Wanted final : public InputSource {
 public:
  explicit Wanted(std::vector<Json> records) : m_records(std::move(records)) {}
  std::optional<Input> next() override {
    if (m_next == m_records.size()) {
      return std::nullopt;
    }
    Input input;
    input.record = std::move(m_records[m_next++]);
    return input;
  }

 private:
  std::vector<Json> m_records;
  std::size_t m_next = 0;
};

// What came, by SOP Instance UID.
class SampleCheck::Collector final : public RecordSink {
 public:
  void emit(const Json& record) override {
    if (string_at(record, "type") != "instance") {
      return;
    }
    Arrived arrived;
    const auto ok = record.find("ok");
    const auto path = record.find("path");
    if (ok != record.end() && *ok == true && path != record.end()) {
      arrived.path = path_from_json(*path);
    } else {
      arrived.error = error_of(record);
    }
    const std::scoped_lock lock(m_mutex);
    m_arrived.insert_or_assign(string_at(record, "SOPInstanceUID"), std::move(arrived));
  }
  std::map<std::string, Arrived> take() { return std::move(m_arrived); }

 private:
  std::mutex m_mutex;
  std::map<std::string, Arrived> m_arrived;
};

// The progress that people see is that of the comparison.
class SampleCheck::QuietObserver final : public Observer {
 public:
  explicit QuietObserver(Observer& observer) : m_observer(observer) {}
  void message(Level level, std::string_view text) override {
    m_observer.message(level == Level::error || level == Level::warning ? level : Level::detail, text);
  }
  void progress(const Progress&) override {}

 private:
  Observer& m_observer;
};

SampleCheck::SampleCheck(const Target& target, Settings settings, Observer& observer, std::stop_token stop)
    : m_target(target), m_settings(std::move(settings)), m_observer(observer), m_stop(std::move(stop)) {
  std::string name = (m_settings.directory / "kuva-sample-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    throw write_error(name, errno);
  }
  m_directory = name;
}

SampleCheck::~SampleCheck() {
  std::error_code ignored;
  std::filesystem::remove_all(m_directory, ignored);
}

std::map<std::string, SampleCheck::Arrived> SampleCheck::retrieve_all(std::vector<Json> records) {
  RetrieveSettings settings;
  settings.landing.directory = m_directory;
  settings.landing.sync = Landing::Sync::none;
  settings.via = m_settings.via;
  settings.destination = m_settings.destination;
  settings.security = m_settings.security;
  settings.jobs = 1;
  settings.list = false;
  Wanted wanted(std::move(records));
  Collector collector;
  QuietObserver observer(m_observer);
  Accounting accounting;
  retrieve(&wanted, collector, observer, accounting, m_target, settings, m_stop);
  return collector.take();
}

void SampleCheck::compare(const std::string& study_instance_uid, const std::string& location,
                          const std::vector<ledger::Instance>& instances,
                          const std::function<void(const ledger::Instance&, const Verdict&)>& sink) {
  const std::scoped_lock lock(m_mutex);
  std::vector<Json> records;
  for (const ledger::Instance& instance : instances) {
    records.push_back(wanted_record(study_instance_uid, instance.series_instance_uid, instance.sop_class_uid,
                                    instance.sop_instance_uid, instance.transfer_syntax_uid));
    put_text(records.back(), "RetrieveLocationUID", location);
  }
  const std::map<std::string, Arrived> arrived = retrieve_all(std::move(records));
  for (const ledger::Instance& instance : instances) {
    const auto found = arrived.find(instance.sop_instance_uid);
    if (found == arrived.end()) {
      sink(instance,
           Verdict{std::nullopt, m_stop.stop_requested() ? Error(kind("interrupted"), "stopped before it was retrieved")
                                                         : Error(kind("retrieve.not-received"), "it has not come")});
      continue;
    }
    sink(instance, compare_one(instance, found->second));
    std::error_code ignored;
    std::filesystem::remove(found->second.path, ignored);
  }
}

SampleCheck::Verdict SampleCheck::compare_one(const ledger::Instance& instance, const Arrived& arrived) const {
  if (arrived.error) {
    return {std::nullopt, arrived.error};
  }
  try {
    const std::optional<ledger::FileIdentity> file = identity_of(instance.file.path);
    if (!file) {
      throw read_error(instance.file.path, errno);
    }
    if (*file != instance.file) {
      throw Error(kind("file.changed"), "the file is no longer the one that was sent");
    }
    return {dicom::compare_objects(instance.file.path, arrived.path, m_settings.comparison), std::nullopt};
  } catch (const Error& error) {
    return {std::nullopt, error};
  }
}

void SampleCheck::look_at(const std::string& study_instance_uid, const std::string& series_instance_uid,
                          const std::string& sop_class_uid, const std::string& sop_instance_uid,
                          const std::function<void(const std::filesystem::path&)>& look) {
  const std::scoped_lock lock(m_mutex);
  const std::map<std::string, Arrived> arrived =
      retrieve_all({wanted_record(study_instance_uid, series_instance_uid, sop_class_uid, sop_instance_uid, {})});
  const auto found = arrived.find(sop_instance_uid);
  if (found == arrived.end() || found->second.error) {
    throw found == arrived.end() ? Error(kind("retrieve.not-received"), "it has not come") : *found->second.error;
  }
  look(found->second.path);
  std::error_code ignored;
  std::filesystem::remove(found->second.path, ignored);
}

}  // namespace kuva::workflow
