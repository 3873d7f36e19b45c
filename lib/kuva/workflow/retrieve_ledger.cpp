#include <kuva/core/record.hpp>
#include <kuva/workflow/ledger_records.hpp>
#include <kuva/workflow/ledger_rows.hpp>
#include <kuva/workflow/retrieve.hpp>
#include <kuva/workflow/retrieve_ledger.hpp>

#include <fmt/format.h>

#include <set>
#include <utility>

namespace kuva::workflow {

namespace {

// The next archive has it: its file may be deleted.
bool has_gone_on(ledger::State state) {
  return state == ledger::State::stored || state == ledger::State::stored_with_warning ||
         state == ledger::State::committed || state == ledger::State::registered;
}

}  // namespace

std::string retrieval_source(const Target& target) {
  if (!target.endpoint.host.empty() && !target.called_ae.empty()) {
    return fmt::format("{}@{}:{}", target.called_ae, target.endpoint.host, target.endpoint.port);
  }
  if (target.wado) {
    return target.wado->base_url;
  }
  return target.xds ? target.xds->query_url : target.name;
}

Json resumed_instance_record(Json earlier, const RetrieveLedger::Known& known) {
  Json record = earlier.is_object() ? std::move(earlier) : Json::object();
  record.update(instance_record(known.row, k_retrieve_tool, true));
  set_outcome(record, k_retrieve_tool, known.is_there ? k_already_there : outcome::skipped, true);
  if (!known.is_there) {
    record["reason"] = fmt::format("its file is gone, and the ledger has it as {}", ledger::to_string(known.row.state));
  }
  record["resumed"] = true;
  return record;
}

RetrieveLedger::RetrieveLedger(ledger::Ledger& ledger, std::string source, RecordSink& sink, Observer& observer,
                               std::function<void()> on_lost)
    : m_ledger(ledger),
      m_source(std::move(source)),
      m_sink(sink),
      m_observer(observer),
      m_on_lost(std::move(on_lost)),
      m_thread([this] { run(); }) {}

RetrieveLedger::~RetrieveLedger() {
  {
    const std::lock_guard lock(m_mutex);
    m_ended = true;
  }
  m_wake.notify_all();
  m_thread.join();
}

RetrieveLedger::Study RetrieveLedger::find(const std::string& study_instance_uid) {
  Study study;
  const std::optional<ledger::Retrieval> retrieval = m_ledger.find_retrieval(m_source, study_instance_uid);
  if (!retrieval) {
    return study;
  }
  study.retrieval = retrieval->id;
  std::set<std::string> came;
  for (ledger::Instance& row : m_ledger.retrieved_instances(*retrieval)) {
    came.insert(row.sop_instance_uid);
    if (row.state == ledger::State::superseded) {
      continue;
    }
    const std::optional<ledger::FileIdentity> file = identity_of(row.file.path);
    if (file ? *file == row.file : has_gone_on(row.state)) {
      const std::string uid = row.sop_instance_uid;
      study.instances.insert_or_assign(uid, Known{std::move(row), file.has_value()});
    }
  }
  study.is_complete =
      retrieval->complete && study.instances.size() == came.size() && study.instances.size() >= retrieval->retrieved;
  return study;
}

std::int64_t RetrieveLedger::begin(const std::string& study_instance_uid) {
  return m_ledger.begin_retrieval(m_source, study_instance_uid);
}

void RetrieveLedger::pass_on(Json&& record) {
  Waiting waiting;
  waiting.record = std::move(record);
  add(std::move(waiting));
}

void RetrieveLedger::landed(Json record, ledger::Instance row, std::int64_t retrieval) {
  add(Waiting{std::move(record), std::move(row), retrieval, std::nullopt});
}

void RetrieveLedger::ended(Json record, ledger::Retrieval retrieval) {
  add(Waiting{std::move(record), std::nullopt, 0, std::move(retrieval)});
}

void RetrieveLedger::add(Waiting waiting) {
  std::unique_lock lock(m_mutex);
  m_waiting.push_back(std::move(waiting));
  if (m_waiting.size() >= k_most) {
    m_wake.notify_one();
    m_written.wait(lock, [this] { return m_waiting.size() < k_full; });
  }
}

void RetrieveLedger::flush() {
  write_out();
  const std::lock_guard lock(m_writing);
  if (m_failure) {
    std::rethrow_exception(m_failure);
  }
}

void RetrieveLedger::run() {
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

void RetrieveLedger::note(std::exception_ptr failure) {
  if (!m_failure) {
    m_failure = std::move(failure);
    m_on_lost();
  }
}

void RetrieveLedger::write_out() {
  const std::lock_guard writing(m_writing);
  std::vector<Waiting> batch;
  {
    const std::lock_guard lock(m_mutex);
    batch.swap(m_waiting);
    m_written.notify_all();
  }
  if (!m_ledger_is_lost) {
    try {
      write(batch);
    } catch (...) {
      m_ledger_is_lost = true;
      note(std::current_exception());
    }
  }
  for (Waiting& waiting : batch) {
    try {
      m_sink.pass_on(std::move(waiting.record));
    } catch (...) {
      note(std::current_exception());
    }
  }
}

// Files before the end of their retrieval: what is complete has all of its rows.
void RetrieveLedger::write(const std::vector<Waiting>& batch) {
  std::vector<ledger::Instance> rows;
  std::vector<std::int64_t> retrievals;
  for (const Waiting& waiting : batch) {
    if (waiting.row) {
      rows.push_back(*waiting.row);
      retrievals.push_back(waiting.retrieval);
    }
  }
  const std::vector<ledger::Instance> recorded = m_ledger.record(rows, data_set_comparison(m_ledger));
  std::map<std::int64_t, std::vector<std::int64_t>> by_retrieval;
  for (std::size_t i = 0; i < recorded.size(); ++i) {
    by_retrieval[retrievals[i]].push_back(recorded[i].id);
    if (recorded[i].error_code == kind("batch.uid-clash").code) {
      m_observer.message(Observer::Level::warning,
                         fmt::format("{}: {}", recorded[i].sop_instance_uid, recorded[i].error_message));
    }
  }
  for (const auto& [retrieval, instances] : by_retrieval) {
    m_ledger.mark_retrieved(retrieval, instances);
  }
  for (const Waiting& waiting : batch) {
    if (waiting.end) {
      m_ledger.end_retrieval(*waiting.end);
    }
  }
}

}  // namespace kuva::workflow
