#include <kuva/core/record.hpp>
#include <kuva/dicom/inspection.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/workflow/commit.hpp>
#include <kuva/workflow/commit_requester.hpp>
#include <kuva/workflow/custody.hpp>
#include <kuva/workflow/instance_record.hpp>
#include <kuva/workflow/inventory.hpp>
#include <kuva/workflow/ledger_rows.hpp>
#include <kuva/workflow/ledger_sink.hpp>
#include <kuva/workflow/registration.hpp>
#include <kuva/workflow/report_listener.hpp>
#include <kuva/workflow/uncommitted_rows.hpp>

#include <fmt/format.h>

#include <functional>
#include <utility>

namespace kuva::workflow {

namespace {

// A record whose instance is asked for. Indeterminate ones too: all was sent and no answer came, and the archive's word
// on custody is what settles them.
bool is_to_be_asked(const Json& record) {
  const std::string state = string_at(record, "outcome");
  if (record.contains("resumed") && (state == outcome::committed || state == outcome::registered)) {
    return false;
  }
  return is_actionable(record) ||
         (string_at(record, "type") == "instance" && string_at(record, "outcome") == outcome::indeterminate);
}

// Reads the input, fills chunks, and has them asked for.
class Collector {
 public:
  // `ask` gets each chunk; without it nothing is asked for (--dry-run).
  using Ask = std::function<void(std::vector<Json>)>;
  Collector(RecordSink& sink, std::size_t chunk, Ask ask) : m_sink(sink), m_chunk(chunk), m_ask(std::move(ask)) {}

  // `limit`: why nothing more is asked for; the item then leaves as it came, but pending.
  void take(InventoryItem item, const std::optional<Error>& limit = {}) {
    if (limit && (!item.path.empty() || (item.record && is_to_be_asked(*item.record)))) {
      Json record = start_record(item, k_commit_tool);
      set_outcome(record, k_commit_tool, outcome::pending, false);
      set_error(record, *limit);
      m_sink.emit(record);
      return;
    }
    if (item.record && is_to_be_asked(*item.record)) {
      take_record(std::move(*item.record));
      return;
    }
    if (std::optional<Json> passing = record_of_passing_item(item, k_commit_tool)) {
      m_sink.emit(*passing);
      return;
    }
    take_file(item);
  }

  void flush() {
    if (!m_records.empty()) {
      m_ask(std::exchange(m_records, {}));
    }
  }

 private:
  void take_record(Json record) {
    const std::string sop_class = string_at(record, "SOPClassUID");
    const std::string instance = string_at(record, "SOPInstanceUID");
    if (sop_class.empty() || instance.empty()) {
      set_outcome(record, k_commit_tool, outcome::failed, false);
      set_error(record, Error(kind("file.incomplete"), "the record has no SOPClassUID or SOPInstanceUID"));
      m_sink.emit(record);
      return;
    }
    if (!m_ask) {
      set_outcome(record, k_commit_tool, outcome::planned, true);
      m_sink.emit(record);
      return;
    }
    m_records.push_back(std::move(record));
    if (m_records.size() >= m_chunk) {
      flush();
    }
  }

  void take_file(const InventoryItem& item) {
    Json record = start_record(item, k_commit_tool);
    try {
      const dicom::Header header = dicom::read_header(item.path);
      put_header(record, header);
      if (const std::string reason = skip_reason(header.meta); !reason.empty()) {
        skip(std::move(record), reason);
        return;
      }
    } catch (const Error& error) {
      if (&error.kind() == &kind("file.not-dicom")) {
        skip(std::move(record), error.message());
        return;
      }
      set_outcome(record, k_commit_tool, outcome::failed, false);
      set_error(record, error);
      m_sink.emit(record);
      return;
    }
    take_record(std::move(record));
  }

  void skip(Json record, const std::string& reason) {
    set_outcome(record, k_commit_tool, outcome::skipped, true);
    record["reason"] = reason;
    m_sink.emit(record);
  }

  RecordSink& m_sink;
  std::size_t m_chunk;
  Ask m_ask;
  std::vector<Json> m_records;
};

// Takes out what the ledger knows; how many these were.
std::size_t leave_to_ledger(std::vector<Json>& records, ledger::Ledger& ledger) {
  std::vector<std::string> paths;
  for (const Json& record : records) {
    const auto path = record.find("path");
    paths.push_back(path == record.end() ? std::string() : ledger_path(path_from_json(*path)));
  }
  const std::vector<std::optional<ledger::Instance>> known = ledger.find(paths);
  std::vector<Json> left;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (!known[i]) {
      left.push_back(std::move(records[i]));
    }
  }
  const std::size_t count = records.size() - left.size();
  records = std::move(left);
  return count;
}

// Takes up what earlier runs left. Instances whose report came meanwhile leave at once, the others are asked for anew:
// the archive may have given up reporting, and asking twice does no harm.
// `asked_before` tells the collector's asking which transaction the records come from. What a ledger has comes again
// from there, and is not asked for twice.
void resume(TransactionStore& store, Custody& custody, Collector& collector, Accounting& accounting,
            std::string& asked_before, ledger::Ledger* ledger) {
  for (const std::string& uid : store.list()) {
    std::optional<TransactionStore::Transaction> transaction = store.load(uid);
    if (!transaction) {
      continue;
    }
    for (std::size_t i = 0; i < transaction->records.size(); ++i) {
      accounting.entered();
    }
    asked_before = uid;
    std::vector<Json> open = custody.settle_earlier(*transaction);
    if (ledger != nullptr) {
      accounting.entered_not(leave_to_ledger(open, *ledger));
    }
    for (Json& record : open) {
      InventoryItem item;
      item.record = std::move(record);
      collector.take(std::move(item));
    }
    collector.flush();
    store.remove(uid);
  }
  asked_before.clear();
}

// What would be asked: no state, no network.
void plan(Inventory& inventory, RecordSink& sink, Accounting& accounting, const std::stop_token& stop) {
  Collector collector(sink, 1, {});
  while (!stop.stop_requested()) {
    std::optional<InventoryItem> item = next_counted(inventory, accounting);
    if (!item) {
      return;
    }
    collector.take(std::move(*item));
  }
}

}  // namespace

namespace {

void commit_items(InputSource& source, RecordSink& final_sink, Observer& observer, Accounting& accounting,
                  const Target& target, const CommitSettings& settings, const std::stop_token& stop) {
  Inventory inventory(source);
  if (settings.dry_run) {
    plan(inventory, final_sink, accounting, stop);
    return;
  }
  const std::size_t chunk = settings.chunk != 0 ? settings.chunk : std::max(1U, target.commit_chunk);
  TransactionStore store(settings.state);
  std::optional<Registrations> registrations;
  if (settings.ian) {
    if (!target.listener) {
      throw Error(kind("usage.target"), "--ian needs a listener: notifications come on associations of the archive");
    }
    registrations.emplace(final_sink, observer, store, settings.state / "notifications");
  }
  RecordSink& sink = registrations ? *registrations : final_sink;
  Custody custody(sink, observer, store);
  std::optional<ReportListener> listener;
  if (target.listener) {
    listener.emplace(target, custody, observer, registrations ? &*registrations : nullptr);
  } else {
    observer.message(Observer::Level::warning,
                     "the target has no listener: reports can come on our own association alone");
  }
  RunLimits limits(settings.limits);
  const LimitWatch watch(limits, stop);
  CommitRequester requester(target, settings, custody, observer, limits, watch.stop_token());
  std::string asked_before;
  Collector collector(sink, chunk, [&](std::vector<Json> records) {
    requester.request(custody.open(std::move(records), asked_before));
  });
  if (settings.resume || settings.ledger != nullptr) {
    resume(store, custody, collector, accounting, asked_before, settings.ledger);
  } else if (const std::size_t left = store.list().size(); left != 0) {
    observer.message(
        Observer::Level::info,
        fmt::format("{} transactions of earlier runs are not settled: kuva-commit --resume takes them up", left));
  }
  while (!stop.stop_requested()) {
    std::optional<InventoryItem> item = next_counted(inventory, accounting);
    if (!item) {
      break;
    }
    collector.take(std::move(*item), watch.ending() ? limits.reached() : std::nullopt);
  }
  collector.flush();
  requester.finish();
  const Deadline patience = Deadline::after(settings.wait);
  custody.wait(patience, watch.stop_token());
  custody.wait_for_rest(earlier(patience, Deadline::after(settings.grace)), watch.stop_token());
  if (registrations) {
    registrations->wait(patience, watch.stop_token());
  }
  requester.close();
  if (listener) {
    listener->stop();
  }
  custody.leave_pending();
  if (registrations) {
    registrations->leave_pending();
  }
}

}  // namespace

void commit(InputSource& source, RecordSink& sink, Observer& observer, Accounting& accounting, const Target& target,
            const CommitSettings& settings, std::stop_token stop) {
  if (settings.ledger == nullptr || settings.dry_run) {
    commit_items(source, sink, observer, accounting, target, settings, stop);
    return;
  }
  UncommittedRows rows(source, *settings.ledger, target.settle == Target::Settle::commit);
  std::stop_source ending;  // by a signal, or because the ledger is lost
  const std::stop_callback on_stop(stop, [&ending] { ending.request_stop(); });
  LedgerSink verdicts(*settings.ledger, sink, [&ending](const std::exception_ptr&) { ending.request_stop(); });
  verdicts.take_all_of(k_commit_tool);
  try {
    commit_items(rows, verdicts, observer, accounting, target, settings, ending.get_token());
  } catch (...) {
    verdicts.leave_all();
    throw;
  }
  verdicts.flush();
}

}  // namespace kuva::workflow
