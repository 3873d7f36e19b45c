#include <kuva/core/record.hpp>
#include <kuva/core/time.hpp>
#include <kuva/workflow/ledger_rows.hpp>
#include <kuva/workflow/ledger_sink.hpp>

#include <utility>

namespace kuva::workflow {

namespace {

std::int64_t milliseconds_at(const Json& record, const char* key) {
  const auto store = record.find("store");
  if (store == record.end() || !store->is_object()) {
    return 0;
  }
  const auto value = store->find(key);
  return value != store->end() && value->is_number() ? value->get<std::int64_t>() : 0;
}

ledger::Verdict verdict_of(const Json& record, ledger::State state) {
  ledger::Verdict verdict;
  verdict.state = state;
  if (const auto error = record.find("error"); error != record.end() && error->is_object()) {
    verdict.error_code = string_at(*error, "code");
    verdict.error_class = string_at(*error, "class");
    verdict.error_message = string_at(*error, "message");
  }
  const auto commit = record.find("commit");
  if (commit != record.end() && commit->is_object()) {
    verdict.transaction_uid = string_at(*commit, "transactionUID");
  }
  const auto now = std::chrono::system_clock::now();
  const std::chrono::milliseconds took(milliseconds_at(record, "sendMs") + milliseconds_at(record, "waitMs"));
  verdict.started = to_rfc3339(now - took);
  verdict.ended = to_rfc3339(now);
  return verdict;
}

Json record_of(LedgerSink::Left&& left, std::string_view tool) {
  if (left.why != LedgerSink::Left::Why::not_selected) {
    Json record = ended_record(std::move(left.record), left.row, tool);
    if (left.why == LedgerSink::Left::Why::resumed) {
      record["resumed"] = true;
    }
    return record;
  }
  Json record = left.record.is_null() ? record_of_row(left.row, tool) : std::move(left.record);
  set_outcome(record, tool, outcome::skipped, true);
  record["reason"] = "not selected";
  record["path"] = path_to_json(left.row.file.path);
  return record;
}

std::string path_in(const Json& record) {
  const auto path = record.find("path");
  return path == record.end() ? std::string() : path_from_json(*path);
}

}  // namespace

LedgerSink::LedgerSink(ledger::Ledger& ledger, RecordSink& sink, std::function<void(std::exception_ptr)> on_lost)
    : m_ledger(ledger), m_sink(sink), m_on_lost(std::move(on_lost)), m_thread([this] { run(); }) {}

LedgerSink::~LedgerSink() {
  {
    const std::lock_guard lock(m_mutex);
    m_ended = true;
  }
  m_wake.notify_all();
  m_thread.join();
}

void LedgerSink::took(std::span<const ledger::Instance> instances) {
  const std::lock_guard lock(m_mutex);
  for (const ledger::Instance& instance : instances) {
    m_taken.insert_or_assign(instance.file.path, Taken{instance.id, instance.study_instance_uid});
    ++m_outstanding[instance.study_instance_uid];
  }
}

void LedgerSink::pass_on(Json&& record) {
  Waiting waiting;
  std::unique_lock lock(m_mutex);
  if (string_at(record, "type") == "instance") {
    const auto taken = m_taken.extract(path_in(record));
    const std::optional<ledger::State> state = state_of_record(record);
    if (!taken.empty()) {
      waiting.study = taken.mapped().study;
      if (state) {
        waiting.verdict = verdict_of(record, *state);
        waiting.verdict->instance = taken.mapped().id;
      } else {
        waiting.put_back = taken.mapped().id;
      }
    } else if (!m_tool.empty() && state && string_at(record, "tool") == m_tool) {
      waiting.verdict = verdict_of(record, *state);
      waiting.verdict->path = ledger_path(path_in(record));
      if (waiting.verdict->path.empty()) {
        waiting.verdict.reset();
      }
    }
  }
  waiting.record = std::move(record);
  m_waiting.push_back(std::move(waiting));
  if (m_waiting.size() >= k_most) {
    m_wake.notify_one();
    m_changed.wait(lock, [this] { return m_waiting.size() < k_full; });
  }
}

void LedgerSink::leave(std::vector<Left>&& files, std::string_view tool) {
  std::unique_lock lock(m_mutex);
  for (Left& file : files) {
    Waiting waiting;
    waiting.left = std::move(file);
    waiting.tool = tool;
    m_waiting.push_back(std::move(waiting));
  }
  m_wake.notify_one();
  m_changed.wait(lock, [this] { return m_waiting.size() < k_full; });
}

void LedgerSink::flush() {
  write_out();
  const std::lock_guard lock(m_writing);
  if (m_failure) {
    std::rethrow_exception(m_failure);
  }
}

std::uint64_t LedgerSink::outstanding(const std::string& study_instance_uid) const {
  const std::lock_guard lock(m_mutex);
  const auto found = m_outstanding.find(study_instance_uid);
  return found == m_outstanding.end() ? 0 : found->second;
}

void LedgerSink::wait_changed(std::chrono::milliseconds time) {
  std::unique_lock lock(m_mutex);
  m_changed.wait_for(lock, time);
}

void LedgerSink::run() {
  std::unique_lock lock(m_mutex);
  while (!m_ended) {
    m_wake.wait_for(lock, k_longest, [this] { return m_ended || m_waiting.size() >= k_most; });
    if (!m_waiting.empty()) {
      lock.unlock();
      write_out();
      lock.lock();
    }
  }
}

void LedgerSink::write_out() {
  const std::lock_guard writing(m_writing);
  std::vector<Waiting> batch;
  batch.reserve(k_full);
  {
    const std::lock_guard lock(m_mutex);
    batch.swap(m_waiting);
    m_changed.notify_all();
  }
  if (batch.empty()) {
    return;
  }
  const auto note = [this](std::exception_ptr failure) {
    if (!m_failure) {
      m_failure = failure;
      m_on_lost(std::move(failure));
    }
  };
  if (!m_ledger_is_lost) {
    try {
      std::vector<ledger::Verdict> verdicts;
      std::vector<std::int64_t> put_back;
      for (Waiting& waiting : batch) {
        if (waiting.verdict) {
          verdicts.push_back(std::move(*waiting.verdict));
        } else if (waiting.put_back != 0) {
          put_back.push_back(waiting.put_back);
        }
      }
      if (!verdicts.empty()) {
        m_ledger.finish(verdicts);
      }
      if (!put_back.empty()) {
        m_ledger.put_back(put_back);
      }
    } catch (...) {
      m_ledger_is_lost = true;
      note(std::current_exception());
    }
  }
  std::vector<Json> records;
  records.reserve(batch.size());
  for (Waiting& waiting : batch) {
    records.push_back(waiting.left ? record_of(*std::move(waiting.left), waiting.tool) : std::move(waiting.record));
  }
  try {
    m_sink.emit_all(records);
  } catch (...) {
    note(std::current_exception());
  }
  const std::lock_guard lock(m_mutex);
  for (const Waiting& waiting : batch) {
    const auto study = waiting.study.empty() ? m_outstanding.end() : m_outstanding.find(waiting.study);
    if (study != m_outstanding.end() && --study->second == 0) {
      m_outstanding.erase(study);
    }
  }
  m_changed.notify_all();
}

}  // namespace kuva::workflow
