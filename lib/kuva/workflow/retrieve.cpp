#include <kuva/core/record.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/kos/read.hpp>
#include <kuva/workflow/inventory.hpp>
#include <kuva/workflow/retrieve.hpp>
#include <kuva/workflow/retrieve_ledger.hpp>
#include <kuva/workflow/retrieve_manifest.hpp>
#include <kuva/workflow/retrieve_move.hpp>
#include <kuva/workflow/retrieve_study.hpp>
#include <kuva/workflow/retrieve_wado.hpp>
#include <kuva/workflow/retrieve_xds.hpp>

#include <fmt/format.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <set>
#include <thread>
#include <variant>

namespace kuva::workflow {

namespace {

// Records of one study that are held before its retrieval begins.
constexpr std::size_t k_most_instances = 10'000;

std::optional<std::uint64_t> number_at(const Json& record, const char* key) {
  const auto value = record.find(key);
  if (value == record.end() || !value->is_number_unsigned()) {
    return std::nullopt;
  }
  return value->get<std::uint64_t>();
}

void check_uid(const std::string& uid, std::string_view option) {
  if (const auto defect = dicom::uid_defect(uid)) {
    throw Error(kind("usage.argument"), fmt::format("{}: '{}' is no UID: {}", option, uid, *defect));
  }
}

using Order = std::variant<StudyOrder, DocumentOrder>;

// Studies and documents on their way to the threads that retrieve them: a few at a time.
class OrderQueue {
 public:
  explicit OrderQueue(std::size_t limit) : m_limit(limit) {}

  // False when the run has failed.
  bool push(Order order) {
    std::unique_lock lock(m_mutex);
    m_changed.wait(lock, [this] { return m_failure || m_orders.size() < m_limit; });
    if (m_failure) {
      return false;
    }
    m_orders.push_back(std::move(order));
    m_changed.notify_all();
    return true;
  }
  std::optional<Order> pop() {
    std::unique_lock lock(m_mutex);
    m_changed.wait(lock, [this] { return m_failure || m_closed || !m_orders.empty(); });
    if (m_failure || m_orders.empty()) {
      return std::nullopt;
    }
    Order order = std::move(m_orders.front());
    m_orders.pop_front();
    m_changed.notify_all();
    return order;
  }
  void close() {
    const std::lock_guard lock(m_mutex);
    m_closed = true;
    m_changed.notify_all();
  }
  void fail(std::exception_ptr failure) {
    const std::lock_guard lock(m_mutex);
    if (!m_failure) {
      m_failure = std::move(failure);
    }
    m_changed.notify_all();
  }
  void rethrow() {
    const std::lock_guard lock(m_mutex);
    if (m_failure) {
      std::rethrow_exception(m_failure);
    }
  }

 private:
  std::size_t m_limit;
  std::mutex m_mutex;
  std::condition_variable m_changed;
  std::deque<Order> m_orders;
  bool m_closed = false;
  std::exception_ptr m_failure;
};

// The ways of this run; each is made when a study first takes it.
class Transports {
 public:
  explicit Transports(RetrieveRun& run) : m_run(run) {}

  // Errors: usage.target, listen.failed, tls.config.
  RetrieveTransport& get(RetrieveVia via) {
    const std::lock_guard lock(m_mutex);
    std::unique_ptr<RetrieveTransport>& transport = m_transports[via];
    if (!transport) {
      transport = make(via);
    }
    return *transport;
  }

  XdsTransport& xds() { return static_cast<XdsTransport&>(get(RetrieveVia::rad69)); }

  // By what the order says and the target has.
  RetrieveVia choose(const StudyOrder& order) const {
    const RetrieveVia asked = m_run.settings().via;
    if (asked != RetrieveVia::automatic) {
      return asked;
    }
    const Target& target = m_run.target();
    const bool is_of_xds =
        !order.repository.empty() || std::any_of(order.instances.begin(), order.instances.end(),
                                                 [](const WantedInstance& one) { return !one.location.empty(); });
    if (target.xds && is_of_xds) {
      return RetrieveVia::rad69;
    }
    if (target.wado && !target.wado->base_url.empty()) {
      return RetrieveVia::wado;
    }
    return target.xds && !target.listener && order.closed ? RetrieveVia::rad69 : RetrieveVia::cmove;
  }

 private:
  std::unique_ptr<RetrieveTransport> make(RetrieveVia via) {
    switch (via) {
      case RetrieveVia::rad69:
        return std::make_unique<XdsTransport>(m_run);
      case RetrieveVia::wado:
        return std::make_unique<WadoTransport>(m_run);
      case RetrieveVia::cmove:
      case RetrieveVia::automatic:
        break;
    }
    return std::make_unique<MoveTransport>(m_run);
  }

  RetrieveRun& m_run;
  std::mutex m_mutex;
  std::map<RetrieveVia, std::unique_ptr<RetrieveTransport>> m_transports;
};

// Reads the input and makes orders of it.
class OrderDispatcher {
 public:
  OrderDispatcher(RetrieveRun& run, OrderQueue& queue) : m_run(run), m_queue(queue) {}

  void take_options() {
    const RetrieveSettings& settings = m_run.settings();
    for (const std::string& study : settings.studies) {
      check_uid(study, "--study-uid");
      StudyOrder order;
      order.study = study;
      order.series = settings.series;
      for (const std::string& uid : settings.instances) {
        check_uid(uid, "--instance");
        WantedInstance instance;
        instance.sop_instance_uid = uid;
        instance.series = settings.series.size() == 1 ? settings.series.front() : std::string();
        order.instances.push_back(std::move(instance));
        order.closed = true;
      }
      m_queue.push(std::move(order));
    }
    for (const std::string& uid : settings.documents) {
      DocumentOrder order;
      order.request = {settings.home, settings.repository, uid};
      m_queue.push(std::move(order));
    }
  }

  void take(InventoryItem item) {
    if (!item.record) {
      take_other(item);
      return;
    }
    const std::string type = string_at(*item.record, "type");
    if (type == "instance" && is_actionable(*item.record)) {
      take_instance(std::move(*item.record));
    } else if (type == "study") {
      take_study(*item.record);
    } else if (type == "document") {
      take_document(std::move(*item.record));
    } else {
      if (type == "instance") {
        m_run.accounting().entered();
      }
      m_run.sink().emit(*item.record);
    }
  }

  void flush() {
    if (!m_instances.instances.empty()) {
      m_instances.closed = true;
      m_queue.push(std::exchange(m_instances, {}));
    }
  }

 private:
  // A file is a manifest.
  void take_other(const InventoryItem& item) {
    if (const std::optional<Json> passing = record_of_passing_item(item, k_retrieve_tool)) {
      m_run.accounting().entered();
      m_run.sink().emit(*passing);
      return;
    }
    try {
      for (StudyOrder& order : orders_of(kos::read(item.path), m_run.settings().series)) {
        order.home = m_run.settings().home;
        order.repository = m_run.settings().repository;
        m_queue.push(std::move(order));
      }
    } catch (const Error& error) {
      m_run.accounting().entered();
      Json record = start_record(item, k_retrieve_tool);
      set_outcome(record, k_retrieve_tool, outcome::failed, false);
      set_error(record, error);
      m_run.sink().emit(record);
    }
  }

  void take_document(Json record) {
    flush();
    if (const auto named = record.find("StudyInstanceUIDs"); named != record.end() && named->is_array()) {
      for (const Json& study : *named) {
        m_named.insert(study.is_string() ? study.get<std::string>() : std::string());
      }
    }
    DocumentOrder order;
    order.request = {string_at(record, "homeCommunityId"), string_at(record, "repositoryUniqueId"),
                     string_at(record, "uniqueId")};
    const auto ok = record.find("ok");
    if (order.request.document.empty() || (ok != record.end() && *ok == false)) {
      m_run.sink().emit(record);
      return;
    }
    const bool is_manifest = string_at(record, "kind") == "manifest";
    const RetrieveSettings& settings = m_run.settings();
    // Where images do not come through XDS, the manifest's metadata says of which studies they are.
    const auto studies = record.find("StudyInstanceUIDs");
    const bool has_other_way = settings.via == RetrieveVia::cmove || settings.via == RetrieveVia::wado ||
                               (settings.via == RetrieveVia::automatic && !m_run.target().xds);
    if (is_manifest && has_other_way && !settings.kos_only && !settings.documents_only && studies != record.end() &&
        studies->is_array()) {
      for (const Json& study : *studies) {
        StudyOrder one;
        one.study = study.is_string() ? study.get<std::string>() : std::string();
        one.series = settings.series;
        if (!dicom::uid_defect(one.study)) {
          m_queue.push(std::move(one));
        }
      }
      return;
    }
    if ((is_manifest && settings.documents_only) || (string_at(record, "kind") == "document" && settings.kos_only)) {
      set_outcome(record, k_retrieve_tool, outcome::skipped, true);
      record["reason"] = is_manifest ? "a manifest" : "no manifest";
      m_run.count_document(outcome::skipped);
      m_run.sink().emit(record);
      return;
    }
    order.mime_type = string_at(record, "mimeType");
    order.hash = string_at(record, "hash");
    order.size = number_at(record, "size");
    order.record = std::move(record);
    m_queue.push(std::move(order));
  }

  // Records of one study that follow each other become one order.
  void take_instance(Json record) {
    const std::string study = string_at(record, "StudyInstanceUID");
    WantedInstance instance;
    instance.sop_instance_uid = string_at(record, "SOPInstanceUID");
    if (dicom::uid_defect(study) || dicom::uid_defect(instance.sop_instance_uid)) {
      m_run.accounting().entered();
      set_outcome(record, k_retrieve_tool, outcome::failed, false);
      set_error(record, Error(kind("file.incomplete"), "the record has no StudyInstanceUID or no SOPInstanceUID"));
      m_run.sink().emit(record);
      return;
    }
    if (m_instances.study != study || m_instances.instances.size() >= k_most_instances) {
      flush();
      m_instances.study = study;
      m_instances.series = m_run.settings().series;
    }
    m_named.insert(study);
    instance.series = string_at(record, "SeriesInstanceUID");
    instance.sop_class_uid = string_at(record, "SOPClassUID");
    instance.transfer_syntax_uid = string_at(record, "TransferSyntaxUID");
    instance.location = string_at(record, "RetrieveLocationUID");
    instance.record = std::move(record);
    m_instances.instances.push_back(std::move(instance));
  }

  // What sums up records before it (of kuva-validate, kuva-query) asks for nothing more.
  void take_study(const Json& record) {
    flush();
    StudyOrder order;
    order.study = string_at(record, "StudyInstanceUID");
    const auto ok = record.find("ok");
    const RetrieveSettings& settings = m_run.settings();
    if (dicom::uid_defect(order.study) || (ok != record.end() && *ok == false) || m_named.contains(order.study) ||
        settings.documents_only || settings.kos_only) {
      m_run.sink().emit(record);
      return;
    }
    order.series = settings.series;
    if (order.series.empty()) {
      order.expected = number_at(record, "instances");
      order.bytes = number_at(record, "bytes");
    }
    m_queue.push(std::move(order));
  }

  RetrieveRun& m_run;
  OrderQueue& m_queue;
  StudyOrder m_instances;
  std::set<std::string> m_named;  // studies of the instances and documents that came
};

constexpr std::string_view k_document_directory = "documents";

std::string_view extension_of(std::string_view mime_type) {
  static constexpr std::pair<std::string_view, std::string_view> k_extensions[] = {
      {"text/xml", "xml"},   {"application/xml", "xml"}, {"application/pdf", "pdf"}, {"text/plain", "txt"},
      {"text/html", "html"}, {"image/jpeg", "jpg"},      {"image/png", "png"},       {"application/dicom", "dcm"},
      {"text/rtf", "rtf"},   {"application/rtf", "rtf"}, {"image/tiff", "tif"}};
  mime_type = mime_type.substr(0, mime_type.find(';'));
  for (const auto& [type, extension] : k_extensions) {
    if (type == mime_type) {
      return extension;
    }
  }
  return "bin";
}

// One thread's work: studies, documents, and the studies of documents that are manifests.
class Worker {
 public:
  Worker(RetrieveRun& run, Transports& transports) : m_run(run), m_transports(transports) {}

  void work(OrderQueue& queue) {
    while (std::optional<Order> order = queue.pop()) {
      m_run.slots().acquire();
      try {
        std::visit([this](auto& one) { retrieve(std::move(one)); }, *order);
      } catch (...) {
        m_run.slots().release();
        throw;
      }
      m_run.slots().release();
    }
  }

 private:
  void retrieve(StudyOrder order) {
    const RetrieveVia via = m_transports.choose(order);
    order.key_images = m_run.settings().key_images;
    const auto retrieval = std::make_shared<StudyRetrieval>(m_run, std::move(order), via);
    if (m_run.settings().dry_run) {
      retrieval->conclude_planned();
    } else if (!retrieval->conclude_without_asking()) {
      m_transports.get(via).retrieve(retrieval);
    }
  }

  void retrieve(DocumentOrder order) {
    const RetrieveSettings& settings = m_run.settings();
    Json record =
        order.record.is_object() ? order.record : make_record("document", k_retrieve_tool, outcome::failed, false);
    record["uniqueId"] = order.request.document;
    record["repositoryUniqueId"] = order.request.repository;
    if (settings.dry_run) {
      finish(std::move(record), outcome::planned, std::nullopt);
      return;
    }
    std::vector<StudyOrder> orders;
    try {
      XdsTransport::Document document = m_transports.xds().fetch(order);
      std::optional<kos::Document> manifest = read_manifest(document);
      Json facts{{"bytes", document.file.size()}};
      if (document.digest_differs) {
        facts["digestDiffers"] = true;
      }
      if ((manifest && settings.documents_only) || (!manifest && settings.kos_only)) {
        record["reason"] = manifest ? "a manifest" : "no manifest";
        finish(std::move(record), outcome::skipped, std::nullopt);
        return;
      }
      record["path"] = path_to_json(place(document, order).string());
      record["retrieve"] = std::move(facts);
      finish(std::move(record), "retrieved", std::nullopt);
      if (manifest && !settings.kos_only) {
        orders = orders_of(*manifest, settings.series);
      }
    } catch (const Error& error) {
      finish(std::move(record), outcome::failed, error);
      return;
    }
    for (StudyOrder& one : orders) {
      one.home = order.request.home;
      one.repository = order.request.repository;
      retrieve(std::move(one));
    }
  }

  static std::optional<kos::Document> read_manifest(const XdsTransport::Document& document) {
    if (!document.is_dicom) {
      return std::nullopt;
    }
    try {
      return kos::read(document.file.path());
    } catch (const Error& error) {
      if (&error.kind() == &kind("kos.not-kos")) {
        return std::nullopt;
      }
      throw;
    }
  }

  // DICOM objects get the names of instances, other documents those of their ids.
  std::filesystem::path place(XdsTransport::Document& document, const DocumentOrder& order) {
    Landing& landing = m_run.landing();
    if (document.is_dicom) {
      return landing.place(document.file, landing.verify(document.file, {})).path;
    }
    const std::string& type = document.mime_type.empty() ? order.mime_type : document.mime_type;
    return landing.place_as(document.file,
                            std::filesystem::path(k_document_directory) /
                                fmt::format("{}.{}", safe_name(order.request.document), extension_of(type)));
  }

  void finish(Json record, std::string_view state, const std::optional<Error>& error) {
    set_outcome(record, k_retrieve_tool, state, !error);
    if (error) {
      set_error(record, *error);
    }
    m_run.count_document(state);
    m_run.sink().emit(record);
  }

  RetrieveRun& m_run;
  Transports& m_transports;
};

}  // namespace

void retrieve(InputSource* source, RecordSink& final_sink, Observer& observer, Accounting& accounting,
              const Target& target, const RetrieveSettings& settings, std::stop_token outer_stop) {
  for (const std::string& series : settings.series) {
    check_uid(series, "--series");
  }
  RunLimits limits(settings.limits);
  LimitWatch watch(limits, outer_stop);
  const std::stop_token stop = watch.stop_token();
  std::optional<RetrieveLedger> ledger;
  if (settings.ledger != nullptr) {
    ledger.emplace(*settings.ledger, retrieval_source(target), final_sink, observer,
                   [&watch] { watch.request_stop(); });
  }
  RecordSink& sink = ledger ? *ledger : final_sink;
  RetrieveRun run(sink, observer, accounting, target, settings, stop, &limits, ledger ? &*ledger : nullptr);
  Transports transports(run);
  if (!settings.dry_run) {
    run.landing().prepare();
  }
  if (!settings.dry_run && settings.via == RetrieveVia::cmove) {
    transports.get(RetrieveVia::cmove);  // a port that is taken is an error of the run, not of each study
  }
  const unsigned jobs = run.jobs();
  OrderQueue queue(jobs);
  {
    std::vector<std::jthread> workers;
    for (unsigned i = 0; i < jobs; ++i) {
      workers.emplace_back([&] {
        try {
          Worker(run, transports).work(queue);
        } catch (...) {
          queue.fail(std::current_exception());
        }
      });
    }
    try {
      OrderDispatcher dispatcher(run, queue);
      dispatcher.take_options();
      if (source != nullptr) {
        Inventory inventory(*source);
        while (!stop.stop_requested()) {
          std::optional<InventoryItem> item = inventory.next();
          if (!item) {
            break;
          }
          dispatcher.take(std::move(*item));
        }
      }
      dispatcher.flush();
    } catch (...) {
      queue.fail(std::current_exception());
    }
    queue.close();
  }
  if (stop.stop_requested() && !outer_stop.stop_requested()) {
    if (const auto reached = limits.reached()) {  // else the ledger is lost
      accounting.note(*reached);
    }
  }
  accounting.add_to_summary("retrieved", run.totals());
  if (const Json documents = run.documents(); !documents.empty()) {
    accounting.add_to_summary("documents", documents);
  }
  if (ledger) {
    try {
      ledger->flush();
    } catch (...) {
      queue.fail(std::current_exception());
    }
  }
  queue.rethrow();
}

}  // namespace kuva::workflow
