#include <kuva/core/record.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/workflow/inventory.hpp>
#include <kuva/workflow/retrieve.hpp>
#include <kuva/workflow/retrieve_move.hpp>
#include <kuva/workflow/retrieve_study.hpp>

#include <fmt/format.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <thread>

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

// Studies on their way to the threads that retrieve them: a few at a time.
class OrderQueue {
 public:
  explicit OrderQueue(std::size_t limit) : m_limit(limit) {}

  // False when the run has failed.
  bool push(StudyOrder order) {
    std::unique_lock lock(m_mutex);
    m_changed.wait(lock, [this] { return m_failure || m_orders.size() < m_limit; });
    if (m_failure) {
      return false;
    }
    m_orders.push_back(std::move(order));
    m_changed.notify_all();
    return true;
  }
  std::optional<StudyOrder> pop() {
    std::unique_lock lock(m_mutex);
    m_changed.wait(lock, [this] { return m_failure || m_closed || !m_orders.empty(); });
    if (m_failure || m_orders.empty()) {
      return std::nullopt;
    }
    StudyOrder order = std::move(m_orders.front());
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
  std::deque<StudyOrder> m_orders;
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

  RetrieveVia choose(const StudyOrder&) const {
    const RetrieveVia asked = m_run.settings().via;
    return asked == RetrieveVia::automatic ? RetrieveVia::cmove : asked;
  }

 private:
  std::unique_ptr<RetrieveTransport> make(RetrieveVia via) {
    switch (via) {
      case RetrieveVia::cmove:
      case RetrieveVia::automatic:
      case RetrieveVia::rad69:
      case RetrieveVia::wado:
        break;
    }
    return std::make_unique<MoveTransport>(m_run);
  }

  RetrieveRun& m_run;
  std::mutex m_mutex;
  std::map<RetrieveVia, std::unique_ptr<RetrieveTransport>> m_transports;
};

// Reads the input and makes orders of it.
class Dispatcher {
 public:
  Dispatcher(RetrieveRun& run, OrderQueue& queue) : m_run(run), m_queue(queue) {}

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
  void take_other(const InventoryItem& item) {
    m_run.accounting().entered();
    if (const std::optional<Json> passing = record_of_passing_item(item, k_retrieve_tool)) {
      m_run.sink().emit(*passing);
      return;
    }
    Json record = start_record(item, k_retrieve_tool);
    set_outcome(record, k_retrieve_tool, outcome::failed, false);
    set_error(record, Error(kind("retrieve.manifest"), "the file is no manifest"));
    m_run.sink().emit(record);
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
    instance.series = string_at(record, "SeriesInstanceUID");
    instance.sop_class_uid = string_at(record, "SOPClassUID");
    instance.transfer_syntax_uid = string_at(record, "TransferSyntaxUID");
    instance.record = std::move(record);
    m_instances.instances.push_back(std::move(instance));
  }

  void take_study(const Json& record) {
    flush();
    StudyOrder order;
    order.study = string_at(record, "StudyInstanceUID");
    const auto ok = record.find("ok");
    if (dicom::uid_defect(order.study) || (ok != record.end() && *ok == false)) {
      m_run.sink().emit(record);
      return;
    }
    order.series = m_run.settings().series;
    if (order.series.empty()) {
      order.expected = number_at(record, "instances");
      order.bytes = number_at(record, "bytes");
    }
    m_queue.push(std::move(order));
  }

  RetrieveRun& m_run;
  OrderQueue& m_queue;
  StudyOrder m_instances;
};

void work(RetrieveRun& run, OrderQueue& queue, Transports& transports) {
  try {
    while (std::optional<StudyOrder> order = queue.pop()) {
      const RetrieveVia via = transports.choose(*order);
      const auto retrieval = std::make_shared<StudyRetrieval>(run, std::move(*order), via);
      if (run.settings().dry_run) {
        retrieval->conclude_planned();
      } else {
        run.slots().acquire();
        try {
          transports.get(via).retrieve(retrieval);
        } catch (...) {
          run.slots().release();
          throw;
        }
        run.slots().release();
      }
    }
  } catch (...) {
    queue.fail(std::current_exception());
  }
}

}  // namespace

void retrieve(InputSource* source, RecordSink& sink, Observer& observer, Accounting& accounting, const Target& target,
              const RetrieveSettings& settings, std::stop_token stop) {
  for (const std::string& series : settings.series) {
    check_uid(series, "--series");
  }
  RetrieveRun run(sink, observer, accounting, target, settings, stop);
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
      workers.emplace_back([&] { work(run, queue, transports); });
    }
    try {
      Dispatcher dispatcher(run, queue);
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
  accounting.add_to_summary("retrieved", run.totals());
  queue.rethrow();
}

}  // namespace kuva::workflow
