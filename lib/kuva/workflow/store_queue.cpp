#include <kuva/core/record.hpp>
#include <kuva/workflow/store_queue.hpp>

namespace kuva::workflow {

StoreRun::StoreRun(RecordSink& sink, Observer& observer, const Target& target, const SendSettings& settings,
                   std::stop_token stop)
    : m_sink(sink),
      m_observer(observer),
      m_target(target),
      m_settings(settings),
      m_tls(settings.dry_run ? nullptr : client_tls(target)),
      m_on_outer_stop(stop, [this] { m_stop.request_stop(); }) {}

void StoreRun::fail(std::exception_ptr failure) {
  {
    const std::lock_guard lock(m_mutex);
    if (!m_failure) {
      m_failure = std::move(failure);
    }
  }
  m_stop.request_stop();
}

void StoreRun::rethrow_failure() {
  const std::lock_guard lock(m_mutex);
  if (m_failure) {
    std::rethrow_exception(m_failure);
  }
}

void StoreRun::emit(const Json& record) {
  try {
    m_sink.emit(record);
  } catch (...) {
    fail(std::current_exception());
  }
}

void StoreRun::finish_failed(StoreJob job, const Error& error) {
  finish_with_error(std::move(job), outcome::failed, error);
  if (m_settings.fail_fast) {
    m_stop.request_stop();
  }
}

void StoreRun::finish_indeterminate(StoreJob job, const Error& error) {
  finish_with_error(std::move(job), outcome::indeterminate, error);
}

void StoreRun::finish_with_error(StoreJob job, std::string_view state, const Error& error) {
  set_outcome(job.record, k_send_tool, state, false);
  set_error(job.record, error);
  emit(job.record);
  const std::lock_guard lock(m_mutex);
  ++m_progress.done;
  ++m_progress.failed;
  m_observer.progress(m_progress);
}

void StoreRun::finish_unsent(StoreJob job) {
  set_outcome(job.record, k_send_tool, outcome::unsent, false);
  const std::optional<Error> reason = given_up();
  set_error(job.record,
            reason ? *reason : Error(kind("interrupted"), "the run was stopped before this instance was sent"));
  emit(job.record);
}

void StoreRun::finish_stored(StoreJob job, bool with_warning, std::uint64_t bytes) {
  set_outcome(job.record, k_send_tool, with_warning ? outcome::stored_with_warning : outcome::stored, true);
  emit(job.record);
  const std::lock_guard lock(m_mutex);
  ++m_progress.done;
  m_progress.bytes += bytes;
  m_observer.progress(m_progress);
}

void StoreRun::stop_study(const std::string& study_instance_uid, const Error& error) {
  const std::lock_guard lock(m_mutex);
  m_stopped_studies.emplace(study_instance_uid, error);
}

std::optional<Error> StoreRun::study_stopped(const std::string& study_instance_uid) const {
  const std::lock_guard lock(m_mutex);
  const auto stopped = m_stopped_studies.find(study_instance_uid);
  return stopped == m_stopped_studies.end() ? std::nullopt : std::optional<Error>(stopped->second);
}

void StoreRun::give_up(const Error& error) {
  const std::lock_guard lock(m_mutex);
  if (!m_given_up) {
    m_given_up = error;
  }
}

std::optional<Error> StoreRun::given_up() const {
  const std::lock_guard lock(m_mutex);
  return m_given_up;
}

void StoreRun::association_opened() {
  const std::lock_guard lock(m_mutex);
  ++m_open_associations;
}

void StoreRun::association_closed() {
  const std::lock_guard lock(m_mutex);
  --m_open_associations;
}

bool StoreRun::another_association_works() const {
  const std::lock_guard lock(m_mutex);
  return m_open_associations != 0;
}

void StoreRun::association_broke(const Error& error) {
  const std::lock_guard lock(m_mutex);
  if (++m_breaks >= k_most_breaks && !m_given_up) {
    m_given_up = error;
  }
}

void StoreRun::response_came() {
  const std::lock_guard lock(m_mutex);
  m_breaks = 0;
}

void StoreQueue::push(StoreJob job, StoreRun& run) {
  std::unique_lock lock(m_mutex);
  if (!m_changed.wait(lock, run.stop_token(), [this] { return m_jobs.size() < k_capacity; }) || run.stopping()) {
    lock.unlock();
    run.finish_unsent(std::move(job));
    return;
  }
  m_jobs.push_back(std::move(job));
  m_changed.notify_all();
}

void StoreQueue::close() {
  const std::lock_guard lock(m_mutex);
  m_closed = true;
  m_changed.notify_all();
}

std::optional<StoreJob> StoreQueue::pop(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(m_mutex);
  m_changed.wait_until(lock, deadline, [this] { return m_closed || !m_jobs.empty(); });
  if (m_jobs.empty()) {
    return std::nullopt;
  }
  StoreJob job = std::move(m_jobs.front());
  m_jobs.pop_front();
  m_changed.notify_all();
  return job;
}

bool StoreQueue::ended() const {
  const std::lock_guard lock(m_mutex);
  return m_closed && m_jobs.empty();
}

std::size_t StoreQueue::load() const {
  const std::lock_guard lock(m_mutex);
  return m_jobs.size();
}

std::set<StorageKind> StoreQueue::kinds() const {
  const std::lock_guard lock(m_mutex);
  std::set<StorageKind> kinds;
  for (const StoreJob& job : m_jobs) {
    kinds.insert(job.kind);
  }
  return kinds;
}

}  // namespace kuva::workflow
