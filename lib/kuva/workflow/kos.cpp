#include <kuva/core/record.hpp>
#include <kuva/dicom/part10.hpp>
#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/kos/codes.hpp>
#include <kuva/kos/compare.hpp>
#include <kuva/kos/read.hpp>
#include <kuva/kos/write.hpp>
#include <kuva/workflow/instance_record.hpp>
#include <kuva/workflow/inventory.hpp>
#include <kuva/workflow/kos.hpp>
#include <kuva/workflow/kos_records.hpp>
#include <kuva/workflow/ordered_parallel.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <thread>
#include <unordered_set>
#include <utility>

namespace kuva::workflow {

namespace {

// What a file of the input turned out to be.
struct Read {
  std::optional<kos::SourceObject> object;
  std::string skip_reason;
  std::optional<Error> error;
};

std::string_view reason_to_leave_out(const kos::Code& title) {
  return kos::is_manifest_title(title) ? "a manifest" : kos::is_rejection_title(title) ? "a rejection note" : "";
}

Read read_object(const std::string& path) {
  Read read;
  try {
    read.object = kos::read_source_object(path);
    if (read.object->sop_class_uid == kos::k_key_object_selection) {
      read.skip_reason = reason_to_leave_out(kos::read(path).title);
    }
  } catch (const Error& error) {
    if (&error.kind() == &kind("file.not-dicom")) {
      read.skip_reason = error.message();
    } else if (&error.kind() == &kind("file.incomplete") &&
               dicom::open_part10(std::filesystem::path(path)).meta.media_storage_sop_class_uid ==
                   dicom::uids::media_storage_directory) {
      read.skip_reason = "DICOMDIR";
    } else {
      read.error = error;
    }
  }
  return read;
}

// The identifiers of a record without a file, from a query or from kuva-kos show; nothing where some are missing.
std::optional<kos::SourceObject> object_of_record(const Json& record) {
  const auto ok = record.find("ok");
  if (string_at(record, "type") != "instance" || record.contains("path") || ok == record.end() || !ok->is_boolean() ||
      !ok->get<bool>()) {
    return std::nullopt;
  }
  kos::SourceObject object;
  object.study_instance_uid = string_at(record, "StudyInstanceUID");
  object.series_instance_uid = string_at(record, "SeriesInstanceUID");
  object.sop_instance_uid = string_at(record, "SOPInstanceUID");
  object.sop_class_uid = string_at(record, "SOPClassUID");
  object.modality = string_at(record, "Modality");
  object.from_file = false;
  const bool complete = !object.study_instance_uid.empty() && !object.series_instance_uid.empty() &&
                        !object.sop_instance_uid.empty() && !object.sop_class_uid.empty();
  return complete ? std::optional(std::move(object)) : std::nullopt;
}

// Where an earlier stage says that the object can be had.
kos::Retrieval retrieval_of_record(const std::optional<Json>& record) {
  kos::Retrieval retrieval;
  if (!record) {
    return retrieval;
  }
  const auto part = [&](const char* key, const char* name) {
    const auto found = record->find(key);
    return found == record->end() ? std::string() : string_at(*found, name);
  };
  for (const auto& [key, name] : {std::pair("registration", "retrieveAETitle"), std::pair("commit", "retrieveAETitle"),
                                  std::pair("retrieveFrom", "aeTitle")}) {
    if (retrieval.ae_title.empty()) {
      retrieval.ae_title = part(key, name);
    }
  }
  retrieval.location_uid = part("retrieveFrom", "locationUID");
  const std::string url = part("retrieveFrom", "url");
  retrieval.url = url.substr(0, url.find("/studies/"));
  return retrieval;
}

// A record of the input that waits for the verdict on its study; as text, since there may be many.
struct Waiting {
  std::string line;
  std::string study_instance_uid;  // empty: the record is as it will leave
};

class DocumentBuilding {
 public:
  DocumentBuilding(RecordSink& sink, Observer& observer, Accounting& accounting, const KosBuildSettings& settings)
      : m_sink(sink),
        m_observer(observer),
        m_accounting(accounting),
        m_settings(settings),
        m_series(settings.series.begin(), settings.series.end()),
        m_instances(settings.instances.begin(), settings.instances.end()) {
    for (const std::filesystem::path& path : settings.rejected) {
      const kos::Document note = kos::read(path);
      for (const kos::Reference& reference : kos::references(note)) {
        m_rejected.insert(reference.sop_instance_uid);
      }
    }
  }

  // Documents whose references are objects like those of files.
  void take_manifests() {
    for (const std::filesystem::path& path : m_settings.manifests) {
      const kos::Document document = kos::read(path);
      for (const kos::Reference& reference : kos::references(document)) {
        kos::SourceObject object;
        object.study_instance_uid = reference.study_instance_uid;
        object.series_instance_uid = reference.series_instance_uid;
        object.sop_class_uid = reference.sop_class_uid;
        object.sop_instance_uid = reference.sop_instance_uid;
        object.modality = reference.modality;
        object.from_file = false;
        if (reason_to_skip(object).empty()) {
          m_collection.add(object, {reference.retrieve_ae_title, reference.retrieve_location_uid,
                                    reference.retrieve_url.substr(0, reference.retrieve_url.find("/studies/"))});
        }
      }
      m_collection.set_attributes(document.study_instance_uid, kos::study_attributes(document));
    }
  }

  void take(InventoryItem& item, Read&& read) {
    ++m_progress.done;
    m_observer.progress(m_progress);
    if (item.record && item.path.empty()) {
      if (std::optional<kos::SourceObject> object = object_of_record(*item.record)) {
        collect(std::move(*item.record), *object, {});
        return;
      }
    }
    if (std::optional<Json> passing = record_of_passing_item(item, k_kos_tool)) {
      hold(*passing, {});
      return;
    }
    Json record = start_record(item, k_kos_tool);
    if (read.error) {
      fail(std::move(record), *read.error);
    } else if (!read.skip_reason.empty()) {
      skip(std::move(record), read.skip_reason);
    } else {
      put_identifiers(record, *read.object);
      const kos::Retrieval retrieval = retrieval_of_record(item.record);
      collect(std::move(record), *read.object, retrieval);
    }
  }

  // The run was stopped: nothing is written, and no object is called referenced.
  void abandon() {
    for (Waiting& waiting : m_waiting) {
      Json record = Json::parse(waiting.line);
      if (!waiting.study_instance_uid.empty()) {
        set_outcome(record, k_kos_tool, outcome::failed, false);
        set_error(record, Error(kind("interrupted"), "the run was stopped before the document was made"));
      }
      m_sink.emit(record);
    }
  }

  // The documents, after which nothing is open. False when there was nothing to refer to.
  bool finish() {
    copy_attributes();
    std::map<std::string, Error> failures;
    std::vector<kos::Document> documents;
    for (const std::string& study : m_collection.study_instance_uids()) {
      if (m_broken.contains(study)) {
        failures.emplace(study, Error(kind("kos.study-failed"), "another object of the study is at fault"));
        continue;
      }
      try {
        documents.push_back(m_settings.rejection
                                ? m_collection.rejection_note(study, *m_settings.rejection, m_settings.document)
                                : m_collection.manifest(study, m_settings.document));
        if (!m_settings.dry_run) {
          write(documents.back());
        } else {
          m_written.push_back({{}, kos::encode(documents.back()).size()});
        }
      } catch (const Error& error) {
        if (&error.kind() == &kind("local.write")) {
          throw;
        }
        failures.emplace(study, error);
      }
    }
    release(failures);
    for (std::size_t i = 0; i < m_written.size(); ++i) {
      emit_document(documents[i], m_written[i]);
    }
    return !m_collection.empty();
  }

 private:
  struct Written {
    std::filesystem::path path;
    std::uint64_t size = 0;
  };

  std::string reason_to_skip(const kos::SourceObject& object) const {
    if (m_rejected.contains(object.sop_instance_uid)) {
      return "rejected";
    }
    const bool all = m_series.empty() && m_instances.empty();
    return all || m_series.contains(object.series_instance_uid) || m_instances.contains(object.sop_instance_uid)
               ? std::string()
               : "not selected";
  }

  static void put_identifiers(Json& record, const kos::SourceObject& object) {
    record["StudyInstanceUID"] = object.study_instance_uid;
    record["SeriesInstanceUID"] = object.series_instance_uid;
    record["SOPInstanceUID"] = object.sop_instance_uid;
    record["SOPClassUID"] = object.sop_class_uid;
    if (!object.modality.empty()) {
      record["Modality"] = object.modality;
    }
  }

  void collect(Json record, const kos::SourceObject& object, const kos::Retrieval& retrieval) {
    if (std::string reason = reason_to_skip(object); !reason.empty()) {
      skip(std::move(record), std::move(reason));
      return;
    }
    try {
      const kos::Retrieval own = retrieval.ae_title.empty() && retrieval.location_uid.empty() && retrieval.url.empty()
                                     ? retrieval_of_record(record)
                                     : retrieval;
      m_collection.add(object, own);
    } catch (const Error& error) {
      m_broken.insert(object.study_instance_uid);
      fail(std::move(record), error);
      return;
    }
    set_outcome(record, k_kos_tool, k_referenced, true);
    hold(record, object.study_instance_uid);
  }

  void skip(Json record, std::string reason) {
    set_outcome(record, k_kos_tool, outcome::skipped, true);
    record["reason"] = std::move(reason);
    hold(record, {});
  }

  void fail(Json record, const Error& error) {
    set_outcome(record, k_kos_tool, outcome::failed, false);
    set_error(record, error);
    ++m_progress.failed;
    hold(record, {});
  }

  void hold(const Json& record, std::string study_instance_uid) {
    m_waiting.push_back({to_line(record), std::move(study_instance_uid)});
  }

  void copy_attributes() {
    if (m_settings.attributes.empty()) {
      return;
    }
    kos::SourceObject object = kos::read_source_object(m_settings.attributes);
    m_collection.set_attributes(object.study_instance_uid, std::move(object.attributes));
  }

  void write(const kos::Document& document) {
    std::filesystem::path path = m_settings.directory / (document.sop_instance_uid + ".dcm");
    const std::uint64_t size = kos::write(document, path);
    m_written.push_back({std::move(path), size});
  }

  void release(const std::map<std::string, Error>& failures) {
    for (Waiting& waiting : m_waiting) {
      Json record = Json::parse(waiting.line);
      if (const auto failure = failures.find(waiting.study_instance_uid); failure != failures.end()) {
        set_outcome(record, k_kos_tool, outcome::failed, false);
        set_error(record, failure->second);
      }
      m_sink.emit(record);
      waiting.line = {};
    }
    // A study without a waiting record (of --manifest) fails as a whole.
    for (const auto& [study, error] : failures) {
      const bool said = std::any_of(m_waiting.begin(), m_waiting.end(), [&uid = study](const Waiting& waiting) {
        return waiting.study_instance_uid == uid;
      });
      if (!said && &error.kind() != &kind("kos.study-failed")) {
        throw error;
      }
    }
  }

  void emit_document(kos::Document& document, const Written& written) {
    Json record = make_record("instance", k_kos_tool, m_settings.dry_run ? outcome::planned : k_written, true);
    if (!written.path.empty()) {
      record["path"] = path_to_json(written.path.string());
    }
    record["size"] = written.size;
    document.transfer_syntax_uid = dicom::k_explicit_vr_little_endian;
    put_document(record, document, m_settings.phi_plain);
    m_accounting.entered();
    m_sink.emit(record);
  }

  RecordSink& m_sink;
  Observer& m_observer;
  Accounting& m_accounting;
  const KosBuildSettings& m_settings;
  std::set<std::string, std::less<>> m_series;
  std::set<std::string, std::less<>> m_instances;
  std::unordered_set<std::string> m_rejected;
  kos::Collection m_collection;
  std::set<std::string, std::less<>> m_broken;  // studies with objects that do not fit
  std::vector<Waiting> m_waiting;
  std::vector<Written> m_written;
  Observer::Progress m_progress{0, 0, 0, 0, "reading"};
};

// Calls `take` for each document of the input; whatever is none leaves as the record of its failure.
template <class Take>
void for_each_document(InputSource& source, RecordSink& sink, Accounting& accounting, std::stop_token stop,
                       const Take& take) {
  Inventory inventory(source);
  while (!stop.stop_requested()) {
    std::optional<InventoryItem> item = next_counted(inventory, accounting);
    if (!item) {
      return;
    }
    if (const std::optional<Json> passing = record_of_passing_item(*item, k_kos_tool)) {
      sink.emit(*passing);
      continue;
    }
    Json record = start_record(*item, k_kos_tool);
    std::optional<kos::Document> document;
    try {
      document = kos::read(item->path);
    } catch (const Error& error) {
      const bool not_dicom = &error.kind() == &kind("file.not-dicom");
      set_outcome(record, k_kos_tool, outcome::failed, false);
      set_error(record, not_dicom ? Error(kind("kos.not-kos"), error.message()) : error);
      sink.emit(record);
      continue;
    }
    std::error_code ignored;
    if (const auto size = std::filesystem::file_size(item->path, ignored); !ignored) {
      record["size"] = size;
    }
    take(std::move(record), *document);
  }
}

// One path as an input.
class OnePath : public InputSource {
 public:
  explicit OnePath(std::string path) : m_path(std::move(path)) {}
  std::optional<Input> next() override {
    return m_path.empty() ? std::nullopt : std::optional(Input{std::exchange(m_path, {}), {}});
  }

 private:
  std::string m_path;
};

// What a manifest of a directory's objects would refer to. Retrieval is left out.
kos::Document document_of_directory(const std::filesystem::path& directory, const kos::Document& like, RecordSink& sink,
                                    Accounting& accounting, std::stop_token stop) {
  OnePath source(directory.string());
  Inventory inventory(source);
  kos::Collection collection;
  while (!stop.stop_requested()) {
    std::optional<InventoryItem> item = inventory.next();
    if (!item) {
      break;
    }
    std::optional<Error> failure = item->error;
    if (!failure && item->skip_reason.empty()) {
      Read read = read_object(item->path);
      failure = read.error;
      if (!failure && read.skip_reason.empty()) {
        try {
          collection.add(*read.object);
        } catch (const Error& error) {
          failure = error;
        }
      }
    }
    if (failure) {
      Json record = make_record("instance", k_kos_tool, outcome::failed, false);
      record["path"] = path_to_json(item->path);
      set_error(record, *failure);
      accounting.entered();
      sink.emit(record);
    }
  }
  if (stop.stop_requested()) {
    throw Error(kind("interrupted"), "the run was stopped before the directory was read");
  }
  const std::vector<std::string> studies = collection.study_instance_uids();
  if (std::find(studies.begin(), studies.end(), like.study_instance_uid) == studies.end()) {
    throw Error(kind("kos.empty"), "the directory has no object of the document's study");
  }
  kos::Document document = collection.manifest(like.study_instance_uid, {});
  document.title = like.title;
  for (const std::string& study : studies) {
    if (study != like.study_instance_uid) {
      const kos::Document other = collection.manifest(study, {});
      document.evidence.insert(document.evidence.end(), other.evidence.begin(), other.evidence.end());
    }
  }
  return document;
}

void forget_retrieval(kos::Document& document) {
  for (kos::SeriesReference& series : document.evidence) {
    series.retrieve_ae_title.clear();
    series.retrieve_location_uid.clear();
    series.retrieve_url.clear();
    for (kos::InstanceReference& instance : series.instances) {
      instance.retrieve_url.clear();
    }
  }
}

std::string listed(std::span<const kos::CodeEntry> entries) {
  std::string text;
  for (const kos::CodeEntry& entry : entries) {
    text += fmt::format("{}{}{}", text.empty() ? "" : ", ", entry.value,
                        entry.name.empty() ? std::string() : fmt::format(" ({})", entry.name));
  }
  return text;
}

}  // namespace

kos::Code rejection_reason(std::string_view text) {
  if (text.empty()) {
    throw Error(kind("usage.argument"), fmt::format("--reason is one of {}", listed(kos::rejection_reasons())));
  }
  if (std::optional<kos::Code> code = kos::find_rejection_reason(text)) {
    return *std::move(code);
  }
  throw Error(kind("usage.argument"),
              fmt::format("--reason: '{}' is not one of {}", text, listed(kos::rejection_reasons())));
}

kos::Code quality_modifier(std::string_view text) {
  if (std::optional<kos::Code> code = kos::find_quality_modifier(text)) {
    return *std::move(code);
  }
  throw Error(kind("usage.argument"),
              fmt::format("--modifier: '{}' is not one of {}", text, listed(kos::quality_modifiers())));
}

void retrieve_from(kos::Retrieval& retrieval, const Target& target) {
  if (retrieval.ae_title.empty()) {
    retrieval.ae_title = target.called_ae;
  }
  if (retrieval.location_uid.empty() && target.xds && target.xds->imaging_sources.size() == 1) {
    retrieval.location_uid = target.xds->imaging_sources.begin()->first;
  }
  if (retrieval.url.empty() && target.wado) {
    retrieval.url = target.wado->base_url;
  }
}

void build_documents(InputSource& source, RecordSink& sink, Observer& observer, Accounting& accounting,
                     const KosBuildSettings& settings, std::stop_token stop) {
  Inventory inventory(source);
  DocumentBuilding building(sink, observer, accounting, settings);
  building.take_manifests();
  const unsigned threads = settings.jobs != 0 ? settings.jobs : std::max(1U, std::thread::hardware_concurrency());
  ordered_parallel<InventoryItem, Read>(
      threads,
      [&]() -> std::optional<InventoryItem> {
        return stop.stop_requested() ? std::nullopt : next_counted(inventory, accounting);
      },
      [](InventoryItem& item) {
        return item.path.empty() || item.error || !item.skip_reason.empty() ? Read{} : read_object(item.path);
      },
      [&](InventoryItem&& item, Read&& read) { building.take(item, std::move(read)); });
  if (stop.stop_requested()) {
    building.abandon();
    return;
  }
  if (!building.finish()) {
    throw Error(kind("kos.empty"), "no object of the input is one to refer to");
  }
}

void show_documents(InputSource& source, RecordSink& sink, Accounting& accounting, bool phi_plain,
                    const std::function<void(const Json&)>& resource, std::stop_token stop) {
  for_each_document(source, sink, accounting, stop, [&](Json record, const kos::Document& document) {
    set_outcome(record, k_kos_tool, k_shown, true);
    put_document(record, document, phi_plain);
    sink.emit(record);
    if (resource) {
      for (const Json& study : imaging_studies(document, phi_plain)) {
        resource(study);
      }
      return;
    }
    for (const kos::Reference& reference : kos::references(document, true)) {
      if (stop.stop_requested()) {
        return;
      }
      accounting.entered();
      sink.emit(reference_record(reference, document));
    }
  });
}

void check_documents(InputSource& source, RecordSink& sink, Accounting& accounting, const KosCheckSettings& settings,
                     std::stop_token stop) {
  for_each_document(source, sink, accounting, stop, [&](Json record, const kos::Document& document) {
    const std::vector<dicom::Defect> findings = kos::check(document, settings.check);
    const bool invalid = std::any_of(findings.begin(), findings.end(), [&](const dicom::Defect& defect) {
      return defect.severity == dicom::Defect::Severity::error ||
             (settings.fail_on_warning && defect.severity == dicom::Defect::Severity::warning);
    });
    set_outcome(record, k_kos_tool, invalid ? outcome::invalid : outcome::valid, !invalid);
    put_document(record, document, settings.phi_plain);
    record.erase("findings");
    if (!findings.empty()) {
      Json list = Json::array();
      for (const dicom::Defect& finding : findings) {
        Json entry = to_json(finding);
        if (finding.offset == 0) {
          entry.erase("offset");  // of what is not there
        }
        list.push_back(std::move(entry));
      }
      record["findings"] = std::move(list);
    }
    sink.emit(record);
  });
}

void compare_documents(const std::filesystem::path& left, const std::filesystem::path& right, RecordSink& sink,
                       Accounting& accounting, bool phi_plain, std::stop_token stop) {
  kos::Document ours = kos::read(left);
  std::error_code ignored;
  const bool directory = std::filesystem::is_directory(right, ignored);
  const kos::Document theirs =
      directory ? document_of_directory(right, ours, sink, accounting, stop) : kos::read(right);
  if (directory) {
    forget_retrieval(ours);
  }
  const kos::Comparison comparison = kos::compare(ours, theirs);
  sink.emit(comparison_record(comparison.document, phi_plain));
  std::map<std::string, std::uint64_t> counts;
  for (const kos::Difference& difference : comparison.differences) {
    if (stop.stop_requested()) {
      return;
    }
    const Json record = comparison_record(difference);
    ++counts[string_at(record, "outcome")];
    sink.emit(record);
  }
  Json by_outcome = Json::object();
  for (const auto& [outcome, count] : counts) {
    by_outcome[outcome] = count;
  }
  accounting.add_to_summary("compared", std::move(by_outcome));
}

}  // namespace kuva::workflow
