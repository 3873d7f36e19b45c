#include <kuva/core/record.hpp>
#include <kuva/workflow/failure_facts.hpp>
#include <kuva/workflow/store_queue.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <random>

namespace kuva::workflow {

namespace {

// Short enough to be read out over the telephone, long enough not to meet another.
std::string make_run_id() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

AssociationGate::Settings gate_settings(const Target& target, const SendSettings& settings) {
  AssociationGate::Settings gate;
  gate.most = settings.associations != 0 ? settings.associations : std::max(1U, target.associations);
  gate.concurrency.recovery = target.recovery;
  gate.breaker.failures = target.failures_in_a_row;
  gate.breaker.probes = std::max(1U, settings.retries);
  gate.breaker.wait = 8 * settings.retry_delay;
  gate.breaker.longest_wait = settings.retry_delay_limit;
  return gate;
}

std::string_view next_step(const Error& error, std::string_view state) {
  if (state == outcome::indeterminate) {
    return "settle";
  }
  return state == outcome::unsent || error.kind().error_class == ErrorClass::temporary ? "run-again" : "none";
}

}  // namespace

StoreRun::StoreRun(RecordSink& sink, Observer& observer, const Target& target, const SendSettings& settings,
                   std::stop_token stop)
    : m_sink(sink),
      m_observer(observer),
      m_target(target),
      m_settings(settings),
      m_tls(settings.dry_run ? nullptr : client_tls(target)),
      m_id(make_run_id()),
      m_gate(gate_settings(target, settings)),
      m_on_outer_stop(stop, [this] { m_stop.request_stop(); }),
      m_limits(settings.limits),
      m_object_rate(settings.limits.objects_a_second),
      m_watch(m_limits, m_stop.get_token()) {}

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

void StoreRun::emit(Json record) {
  try {
    m_sink.pass_on(std::move(record));
  } catch (...) {
    fail(std::current_exception());
  }
}

void StoreRun::finish_failed(StoreJob job, const Error& error) {
  finish_with_error(std::move(job), outcome::failed, error);
  count_ended(true);
  if (m_settings.fail_fast) {
    m_stop.request_stop();
  }
}

void StoreRun::finish_indeterminate(StoreJob job, const Error& error) {
  finish_with_error(std::move(job), outcome::indeterminate, error);
  count_ended(true);
}

void StoreRun::finish_with_error(StoreJob job, std::string_view state, const Error& error) {
  Error full = error;
  full.with("run", m_id).with("next", next_step(error, state));
  if (job.attempts != 0) {
    Json tries{{"made", job.attempts}};
    if (job.first_failure) {
      tries["first"] = *job.first_failure;
    }
    full.with("tries", std::move(tries));
  }
  if (!job.kind.sop_class_uid.empty()) {
    full.with("object",
              object_facts(job.path, job.kind.sop_class_uid, job.sop_instance_uid, job.kind.transfer_syntax_uid));
    full.with("reproduce", command_for(m_target.name, m_target.calling_ae, m_target.tls, job.path));
  }
  set_outcome(job.record, k_send_tool, state, false);
  set_error(job.record, full);
  emit(std::move(job.record));
  const std::lock_guard lock(m_mutex);
  ++m_progress.done;
  ++m_progress.failed;
  m_observer.progress(m_progress);
}

void StoreRun::count_ended(bool failed) {
  m_limits.ended(failed);
  if (failed && m_limits.reached()) {
    m_watch.request_stop();
  }
}

bool StoreRun::may_begin(StoreJob& job) {
  if (job.has_begun) {
    return true;
  }
  if (m_object_rate.is_limited() && !sleep_unless_stopped(m_object_rate.take(), ending_token())) {
    return false;
  }
  if (m_limits.begin(job.size)) {
    m_watch.request_stop();
    return false;
  }
  job.has_begun = true;
  return true;
}

std::optional<Error> StoreRun::why_ended() {
  std::optional<Error> reason = m_gate.given_up();
  return reason || stopping() ? reason : m_limits.reached();
}

void StoreRun::check_lease(std::function<std::optional<Error>(const std::string&)> check) {
  m_lease_check = std::move(check);
}

std::optional<Error> StoreRun::lost_lease(const std::string& study_instance_uid) const {
  return m_lease_check ? m_lease_check(study_instance_uid) : std::nullopt;
}

void StoreRun::expect(std::uint64_t total) {
  const std::lock_guard lock(m_mutex);
  m_progress.total = total;
}

void StoreRun::finish_unsent(StoreJob job, const std::optional<Error>& given) {
  const std::optional<Error> reason = given ? given : why_ended();
  Error error = reason ? *reason : Error(kind("interrupted"), "the run was stopped before this instance was sent");
  error.with("run", m_id).with("next", "run-again");
  if (job.first_failure) {
    error.with("tries", Json{{"made", job.attempts}, {"first", *job.first_failure}});
  }
  set_outcome(job.record, k_send_tool, outcome::unsent, false);
  set_error(job.record, error);
  emit(std::move(job.record));
}

void StoreRun::finish_stored(StoreJob job, bool with_warning, std::uint64_t bytes) {
  set_outcome(job.record, k_send_tool, with_warning ? outcome::stored_with_warning : outcome::stored, true);
  emit(std::move(job.record));
  count_ended(false);
  const std::lock_guard lock(m_mutex);
  ++m_progress.done;
  m_progress.bytes += bytes;
  m_observer.progress(m_progress);
}

void StoreRun::stop_study(const std::string& study_instance_uid, const Error& error) {
  const std::lock_guard lock(m_mutex);
  m_stopped_studies.emplace(study_instance_uid, error);
  m_any_stopped = true;
}

void StoreRun::class_refused(const std::string& sop_class_uid, const Error& error, unsigned limit) {
  const std::lock_guard lock(m_mutex);
  ClassState& state = m_classes[sop_class_uid];
  if (state.worked || ++state.refusals < limit || state.stopped) {
    return;
  }
  state.stopped.emplace(error.kind(),
                        fmt::format("not sent: the peer refuses every object of this SOP class; {}", error.message()));
  if (error.peer()) {
    state.stopped->with_peer(*error.peer());
  }
  m_any_stopped = true;
}

void StoreRun::class_worked(const std::string& sop_class_uid) {
  const std::lock_guard lock(m_mutex);
  m_classes[sop_class_uid].worked = true;
}

bool StoreRun::has_class_worked(const std::string& sop_class_uid) const {
  const std::lock_guard lock(m_mutex);
  const auto known = m_classes.find(sop_class_uid);
  return known != m_classes.end() && known->second.worked;
}

std::optional<Error> StoreRun::stopped(const StoreJob& job) const {
  if (!m_any_stopped.load(std::memory_order_acquire)) {
    return std::nullopt;
  }
  const std::lock_guard lock(m_mutex);
  if (const auto study = m_stopped_studies.find(job.study_instance_uid); study != m_stopped_studies.end()) {
    return study->second;
  }
  const auto sop_class = m_classes.find(job.kind.sop_class_uid);
  return sop_class == m_classes.end() ? std::nullopt : sop_class->second.stopped;
}

void StoreQueue::push(StoreJob job, StoreRun& run) {
  std::unique_lock lock(m_mutex);
  if (!m_changed.wait(lock, run.stop_token(), [this] { return m_jobs.size() < m_capacity; }) || run.stopping()) {
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

std::optional<StoreJob> StoreQueue::pop(std::chrono::steady_clock::time_point deadline, const Preference& preference) {
  std::unique_lock lock(m_mutex);
  m_changed.wait_until(lock, deadline, [this] { return m_closed || !m_jobs.empty(); });
  if (m_jobs.empty()) {
    return std::nullopt;
  }
  auto chosen = m_jobs.begin();
  if (preference.plan != nullptr && !preference.plan->covers(chosen->kind)) {
    const bool is_full = !preference.plan->has_room_for(chosen->kind);
    const auto better = std::find_if(m_jobs.begin(), m_jobs.end(), [&](const StoreJob& job) {
      return (is_full || job.study_instance_uid == preference.study_instance_uid) && preference.plan->covers(job.kind);
    });
    chosen = better == m_jobs.end() ? chosen : better;
  }
  StoreJob job = std::move(*chosen);
  m_jobs.erase(chosen);
  m_changed.notify_all();
  return job;
}

bool StoreQueue::ended() const {
  const std::lock_guard lock(m_mutex);
  return m_closed && m_jobs.empty();
}

bool StoreQueue::is_empty() const {
  const std::lock_guard lock(m_mutex);
  return m_jobs.empty();
}

std::size_t StoreQueue::load() const {
  const std::lock_guard lock(m_mutex);
  return m_jobs.size();
}

void StoreQueue::wait_filled(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(m_mutex);
  m_changed.wait_until(lock, deadline, [this] { return m_closed || m_jobs.size() >= m_capacity; });
}

void StoreQueue::hold_more() {
  const std::lock_guard lock(m_mutex);
  m_capacity = k_large_capacity;
  m_changed.notify_all();
}

std::size_t StoreQueue::capacity() const {
  const std::lock_guard lock(m_mutex);
  return m_capacity;
}

std::vector<StorageKind> StoreQueue::kinds() const {
  const std::lock_guard lock(m_mutex);
  std::vector<StorageKind> kinds;
  std::set<StorageKind> seen;
  for (const StoreJob& job : m_jobs) {
    if (seen.insert(job.kind).second) {
      kinds.push_back(job.kind);
    }
  }
  return kinds;
}

}  // namespace kuva::workflow
