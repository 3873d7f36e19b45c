#include <kuva/core/record.hpp>
#include <kuva/dicom/inspection.hpp>
#include <kuva/workflow/batch_state.hpp>
#include <kuva/workflow/instance_record.hpp>
#include <kuva/workflow/inventory.hpp>
#include <kuva/workflow/ledger_send.hpp>
#include <kuva/workflow/send.hpp>
#include <kuva/workflow/store_queue.hpp>
#include <kuva/workflow/store_worker.hpp>

#include <fmt/format.h>

#include <deque>
#include <limits>
#include <thread>
#include <unordered_map>

namespace kuva::workflow {

namespace {

// Reads the input, decides what is to be sent, and hands it to the workers.
class Dispatcher {
 public:
  Dispatcher(StoreRun& run, std::deque<StoreQueue>& queues) : m_run(run), m_queues(queues) {}

  void take(const InventoryItem& item) {
    if (std::optional<Json> passing = record_of_passing_item(item, k_send_tool)) {
      m_run.emit(*passing);
      return;
    }
    StoreJob job;
    job.record = start_record(item, k_send_tool);
    job.path = item.path;
    if (m_run.ending()) {
      m_run.finish_unsent(std::move(job));
      return;
    }
    try {
      const dicom::Header header = dicom::read_header(item.path);
      if (const std::string reason = skip_reason(header.meta); !reason.empty()) {
        skip(std::move(job.record), reason);
        return;
      }
      take_instance(std::move(job), header);
    } catch (const Error& error) {
      if (&error.kind() == &kind("file.not-dicom")) {
        skip(std::move(job.record), error.message());
      } else {
        m_run.finish_failed(std::move(job), error);
      }
    }
  }

 private:
  void take_instance(StoreJob job, const dicom::Header& header) {
    const dicom::InstanceAttributes& attributes = header.attributes;
    const std::string expected = string_at(job.record, "SOPInstanceUID");
    if (!expected.empty() && expected != attributes.sop_instance_uid) {
      m_run.finish_failed(std::move(job),
                          Error(kind("file.changed"), fmt::format("the file now holds {}, an earlier stage saw {}",
                                                                  attributes.sop_instance_uid, expected)));
      return;
    }
    put_header(job.record, header);
    job.kind = {attributes.sop_class_uid, attributes.transfer_syntax_uid};
    job.sop_instance_uid = attributes.sop_instance_uid;
    job.study_instance_uid = attributes.study_instance_uid;
    job.size = header.size;
    if (const std::optional<BatchState::Known> first = m_batch.remember(header, job.path)) {
      take_second(std::move(job), header, *first);
      return;
    }
    if (m_run.settings().dry_run) {
      set_outcome(job.record, k_send_tool, outcome::planned, true);
      m_run.emit(job.record);
      return;
    }
    m_queues[worker_of(job.study_instance_uid)].push(std::move(job), m_run);
  }

  // The UID came before: the same object is sent once, another one stops the study.
  void take_second(StoreJob job, const dicom::Header& header, const BatchState::Known& first) {
    bool is_same = false;
    try {
      is_same = is_same_data_set(header, job.path, first);
    } catch (const Error& error) {
      m_run.finish_failed(std::move(job), error);
      return;
    }
    if (is_same) {
      job.record["duplicateOf"] = path_to_json(first.path);
      set_outcome(job.record, k_send_tool, outcome::duplicate, true);
      m_run.emit(job.record);
      return;
    }
    job.record["clashesWith"] = path_to_json(first.path);
    const Error error(
        kind("batch.uid-clash"),
        fmt::format("SOP Instance UID {} stands for two objects with different content", job.sop_instance_uid));
    m_run.stop_study(job.study_instance_uid, error);
    if (first.study_instance_uid != job.study_instance_uid) {
      m_run.stop_study(first.study_instance_uid, error);
    }
    m_run.finish_failed(std::move(job), error);
  }

  void skip(Json record, const std::string& reason) {
    set_outcome(record, k_send_tool, outcome::skipped, true);
    record["reason"] = reason;
    m_run.emit(record);
  }

  // A study stays with the worker that got its first instance: the one with the least to do.
  std::size_t worker_of(const std::string& study) {
    const std::size_t key = std::hash<std::string>()(study);
    const auto known = m_workers.find(key);
    if (known != m_workers.end()) {
      return known->second;
    }
    std::size_t best = 0;
    std::size_t least = std::numeric_limits<std::size_t>::max();
    for (std::size_t i = 0; i < m_queues.size(); ++i) {
      const std::size_t load = m_queues[i].load();
      if (load < least) {
        least = load;
        best = i;
      }
    }
    m_workers.emplace(key, best);
    return best;
  }

  StoreRun& m_run;
  std::deque<StoreQueue>& m_queues;
  BatchState m_batch;
  std::unordered_map<std::size_t, std::size_t> m_workers;  // study (hashed) to worker
};

// An exception must not leave a thread: it ends the run.
void work_safely(StoreRun& run, StoreQueue& queue, BandwidthLimit& bandwidth) {
  try {
    StoreWorker(run, queue, bandwidth).work();
  } catch (...) {
    run.fail(std::current_exception());
  }
}

// The workers of a run, one a queue; they have ended when it has.
class Workers {
 public:
  Workers(StoreRun& run, std::deque<StoreQueue>& queues)
      : m_queues(queues), m_bandwidth([&run] { return run.limits().bandwidth(); }) {
    for (StoreQueue& queue : m_queues) {
      m_threads.emplace_back([this, &run, &queue] { work_safely(run, queue, m_bandwidth); });
    }
  }
  ~Workers() {
    for (StoreQueue& queue : m_queues) {
      queue.close();
    }
  }

 private:
  std::deque<StoreQueue>& m_queues;
  BandwidthLimit m_bandwidth;
  std::vector<std::jthread> m_threads;
};

unsigned count_of_workers(const Target& target, const SendSettings& settings) {
  return settings.associations != 0 ? settings.associations : std::max(1U, target.associations);
}

// Into the ledger with all of the input.
void take_inventory(StoreRun& run, LedgerSink& sink, InputSource& source, Accounting& accounting) {
  LedgerInventory known(run, sink, accounting);
  Inventory inventory(source);
  while (!run.stopping()) {
    std::optional<InventoryItem> item = inventory.next();
    if (!item) {
      break;
    }
    known.take(std::move(*item));
  }
  known.flush();
  const ledger::Selection& selection = run.settings().batch.selection;
  if (!selection.only_failed && selection.studies.empty() && selection.patients.empty()) {
    const std::uint64_t waiting = run.settings().batch.ledger->waiting();
    accounting.expect(known.left() + waiting);
    run.expect(waiting);
  }
}

void send_with_ledger(InputSource& source, RecordSink& final_sink, Observer& observer, Accounting& accounting,
                      const Target& target, const SendSettings& settings, const std::stop_token& stop) {
  std::optional<StoreRun> run;
  LedgerSink sink(*settings.batch.ledger, final_sink, [&run](std::exception_ptr lost) { run->fail(std::move(lost)); });
  run.emplace(sink, observer, target, settings, stop);
  std::deque<StoreQueue> queues(count_of_workers(target, settings));
  LedgerDispatcher dispatcher(*run, sink, accounting, queues);
  run->check_lease([&dispatcher](const std::string& study) { return dispatcher.lost_lease(study); });
  try {
    take_inventory(*run, sink, source, accounting);
    {
      const Workers workers(*run, queues);
      dispatcher.work();
    }
    dispatcher.finish();
  } catch (...) {
    run->fail(std::current_exception());
  }
  try {
    sink.flush();
  } catch (...) {
    run->fail(std::current_exception());
  }
  accounting.add_to_summary("run", run->id());
  accounting.add_to_summary("associations", run->gate().facts());
  run->rethrow_failure();
}

}  // namespace

void send(InputSource& source, RecordSink& sink, Observer& observer, Accounting& accounting, const Target& target,
          const SendSettings& settings, std::stop_token stop) {
  if (settings.batch.ledger != nullptr) {
    send_with_ledger(source, sink, observer, accounting, target, settings, stop);
    return;
  }
  StoreRun run(sink, observer, target, settings, stop);
  std::deque<StoreQueue> queues(count_of_workers(target, settings));
  {
    std::optional<Workers> workers;
    if (!settings.dry_run) {
      workers.emplace(run, queues);
    }
    try {
      Dispatcher dispatcher(run, queues);
      Inventory inventory(source);
      while (!run.stopping()) {
        const std::optional<InventoryItem> item = next_counted(inventory, accounting);
        if (!item) {
          break;
        }
        dispatcher.take(*item);
      }
    } catch (...) {
      run.fail(std::current_exception());
    }
  }
  accounting.add_to_summary("run", run.id());
  if (!settings.dry_run) {
    accounting.add_to_summary("associations", run.gate().facts());
  }
  run.rethrow_failure();
}

}  // namespace kuva::workflow
