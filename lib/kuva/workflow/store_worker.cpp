#include <kuva/core/record.hpp>
#include <kuva/dicom/part10.hpp>
#include <kuva/dicom/transcoder.hpp>
#include <kuva/dimse/messenger.hpp>
#include <kuva/workflow/store_worker.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::workflow {

namespace {

using Clock = std::chrono::steady_clock;

// After this long without traffic the peer may have released or closed: worth a look before sending.
constexpr std::chrono::milliseconds k_quiet{100};
constexpr std::chrono::milliseconds k_stop_check{250};
// How long an answer is waited for when the run is to stop.
constexpr std::chrono::milliseconds k_patience_when_stopped{10'000};

// 0110 may be anything: tried once more, on the chance that it was a passing fault.
unsigned allowed_retries(const Error& error, const SendSettings& settings) {
  return &error.kind() == &kind("dimse.processing-failure") ? std::min(1U, settings.retries) : settings.retries;
}

}  // namespace

struct StoreWorker::Session {
  Session(PresentationPlan plan_made, std::unique_ptr<ul::Association> opened,
          std::chrono::milliseconds response_timeout)
      : plan(std::move(plan_made)),
        association(std::move(opened)),
        messenger(*association),
        user(messenger, response_timeout) {}

  PresentationPlan plan;
  std::unique_ptr<ul::Association> association;
  dimse::Messenger messenger;
  dimse::StoreUser user;
  Clock::time_point last_use = Clock::now();
  std::uint32_t sent = 0;
};

StoreWorker::StoreWorker(StoreRun& run, StoreQueue& queue, BandwidthLimit& bandwidth)
    : m_run(run), m_queue(queue), m_bandwidth(bandwidth) {}

StoreWorker::~StoreWorker() = default;

void StoreWorker::work() {
  for (;;) {
    if (m_session && m_session->user.outstanding() != 0 && !m_session->user.may_send()) {
      collect();
      continue;
    }
    if (std::optional<StoreJob> job = next_job()) {
      process(std::move(*job));
    } else if (!m_in_flight.empty()) {
      collect();
    } else if (m_retries.empty() && m_queue.ended()) {
      close_session();
      return;
    } else if (m_session && Clock::now() - m_session->last_use >= m_run.target().idle_timeout) {
      close_session();
    }
  }
}

// A job whose time has come; waits for one where nothing is outstanding, but not for ever.
std::optional<StoreJob> StoreWorker::next_job() {
  const bool hurry = m_run.stopping() || m_run.given_up();
  const auto soonest = std::min_element(m_retries.begin(), m_retries.end(), [](const StoreJob& a, const StoreJob& b) {
    return a.not_before < b.not_before;
  });
  const Clock::time_point now = Clock::now();
  if (soonest != m_retries.end() && (hurry || soonest->not_before <= now)) {
    StoreJob job = std::move(*soonest);
    m_retries.erase(soonest);
    return job;
  }
  Clock::time_point until = now + std::chrono::seconds(1);
  if (soonest != m_retries.end()) {
    until = std::min(until, soonest->not_before);
  }
  if (!m_in_flight.empty()) {
    until = now;
  }
  if (soonest != m_retries.end() && m_queue.ended() && m_in_flight.empty()) {
    sleep_unless_stopped(std::chrono::ceil<std::chrono::milliseconds>(until - now), m_run.stop_token());
    return std::nullopt;
  }
  return m_queue.pop(until);
}

void StoreWorker::process(StoreJob job) {
  if (m_run.stopping() || m_run.given_up()) {
    m_run.finish_unsent(std::move(job));
    return;
  }
  if (const std::optional<Error> stopped = m_run.study_stopped(job.study_instance_uid)) {
    m_run.finish_failed(std::move(job), *stopped);
    return;
  }
  if (!ready_for(job) && !open_session(job)) {
    m_run.finish_unsent(std::move(job));
    return;
  }
  std::variant<ContextChoice, Error> choice = choose_context(*m_session->association, job.kind);
  if (const Error* error = std::get_if<Error>(&choice)) {
    m_run.finish_failed(std::move(job), *error);
    return;
  }
  transmit(std::move(job), std::get<ContextChoice>(choice));
}

// True when the association at hand can be used for this job; otherwise it has been closed.
bool StoreWorker::ready_for(const StoreJob& job) {
  if (!m_session) {
    return false;
  }
  const std::uint32_t most = m_run.target().instances_per_association;
  if (!m_session->plan.covers(job.kind) || (most != 0 && m_session->sent >= most)) {
    close_session();
    return false;
  }
  if (m_in_flight.empty() && Clock::now() - m_session->last_use > k_quiet &&
      m_session->association->wait_readable(Deadline::after(std::chrono::milliseconds(0)))) {
    // Nothing is outstanding: what comes now is a release, an abort or the end.
    close_session();
    return false;
  }
  return true;
}

bool StoreWorker::open_session(const StoreJob& job) {
  PresentationPlan plan;
  plan.add(job.kind);
  for (const StorageKind& waiting : m_queue.kinds()) {
    plan.add(waiting);
  }
  for (const StorageKind& recent : m_recent_kinds) {
    plan.add(recent);
  }
  m_recent_kinds = plan.kinds();

  ul::AssociateRequest request;
  request.contexts = plan.contexts();
  if (m_run.target().async_window > 1) {
    request.asynchronous_operations = ul::AsynchronousOperations{m_run.target().async_window, 1};
  }
  for (unsigned attempt = 1;; ++attempt) {
    try {
      auto association = associate(m_run.target(), m_run.tls(), request, m_run.observer());
      m_session = std::make_unique<Session>(std::move(plan), std::move(association), m_run.target().response_timeout);
      m_run.association_opened();
      return true;
    } catch (const Error& error) {
      const bool temporary = error.kind().error_class == ErrorClass::temporary;
      // While another association works the peer is alive, and its "not now" a matter of patience.
      if (!temporary || (attempt > m_run.settings().retries && !m_run.another_association_works())) {
        m_run.give_up(error);
        return false;
      }
      const auto delay = retry_delay(attempt, m_run.settings().retry_delay, m_run.settings().retry_delay_limit);
      m_run.observer().message(Observer::Level::warning,
                               fmt::format("{}: {}; attempt {} failed, next in {}", error.kind().code, error.message(),
                                           attempt, format_duration(delay)));
      if (!sleep_unless_stopped(delay, m_run.stop_token()) || m_run.given_up()) {
        return false;
      }
    }
  }
}

// Takes the answers that are due, then releases.
void StoreWorker::close_session() {
  while (m_session && !m_in_flight.empty()) {
    collect();
  }
  if (!m_session) {
    return;
  }
  try {
    m_session->association->release();
  } catch (const Error& error) {
    // Every answer is in: a release that goes wrong takes nothing back.
    m_run.observer().message(Observer::Level::detail,
                             fmt::format("release: {}: {}", error.kind().code, error.message()));
  }
  m_session.reset();
  m_run.association_closed();
}

void StoreWorker::transmit(StoreJob job, const ContextChoice& choice) {
  dimse::StoreUser::Request request;
  try {
    dicom::Part10File file = dicom::open_part10(job.path);
    if (file.size != job.size) {
      throw Error(kind("file.changed"), "the file's size changed between scan and sending");
    }
    const std::shared_ptr<dicom::DataSetStream> stream = dicom::open_data_set(std::move(file), choice.transfer_syntax);
    request.data = [stream, &bandwidth = m_bandwidth](std::span<std::byte> buffer) {
      const std::size_t count = stream->read(buffer);
      bandwidth.take(count);
      return count;
    };
  } catch (const Error& error) {
    m_run.finish_failed(std::move(job), error);
    return;
  }
  request.context_id = choice.context_id;
  request.sop_class_uid = job.kind.sop_class_uid;
  request.sop_instance_uid = job.sop_instance_uid;
  request.token = m_next_token++;
  ++job.attempts;
  Json store;
  store["transferSyntaxUID"] = choice.transfer_syntax.uid;
  if (choice.transfer_syntax.uid != job.kind.transfer_syntax_uid) {
    store["reencoded"] = true;
  }
  store["attempts"] = job.attempts;
  job.record["store"] = std::move(store);
  m_in_flight.emplace(request.token, std::move(job));
  ++m_session->sent;
  try {
    m_session->user.send(std::move(request));
    m_session->last_use = Clock::now();
  } catch (const Error& error) {
    on_broken(error);
  }
}

// Waits for the next answer. After a stop only for a while: what was sent whole and is not answered by then is
// indeterminate.
void StoreWorker::await_answer() {
  const Deadline response = Deadline::after(m_run.target().response_timeout);
  std::optional<Deadline> last_words;
  while (!m_session->association->wait_readable(Deadline::after(k_stop_check)) && !response.expired()) {
    if (!m_run.stopping()) {
      continue;
    }
    if (!last_words) {
      last_words = Deadline::after(k_patience_when_stopped);
    } else if (last_words->expired()) {
      Error error(kind("store.no-response"), "the run was stopped while the archive had not answered yet");
      error.with_peer(m_session->association->peer());
      m_session->association->abort();
      throw error;
    }
  }
}

void StoreWorker::collect() {
  try {
    await_answer();
    const dimse::StoreUser::Response response = m_session->user.receive();
    m_session->last_use = Clock::now();
    m_run.response_came();
    auto job = m_in_flight.extract(response.token);
    if (!job.empty()) {
      on_response(std::move(job.mapped()), response);
    }
  } catch (const Error& error) {
    on_broken(error);
  }
}

void StoreWorker::on_response(StoreJob job, const dimse::StoreUser::Response& response) {
  const std::uint16_t status = response.command.status.value_or(0xC000);
  const dimse::StatusClass status_class = dimse::status_class(status);
  Json& store = job.record["store"];
  store["status"] = dimse::hex(status);
  store["statusName"] = dimse::status_name(dimse::Service::store, status);
  if (response.command.error_comment) {
    store["errorComment"] = dimse::masked_comment(*response.command.error_comment);
  }
  store["bytes"] = response.bytes;
  store["sendMs"] = response.send_time.count();
  store["waitMs"] = response.wait_time.count();
  store["peer"] = m_session->association->peer().to_json();
  store["localAddress"] = m_session->association->local_address();

  if (status_class == dimse::StatusClass::success || status_class == dimse::StatusClass::warning) {
    m_run.finish_stored(std::move(job), status_class == dimse::StatusClass::warning, response.bytes);
    return;
  }
  Error error = dimse::status_error(dimse::Service::store, response.command);
  error.with_peer(m_session->association->peer());
  retry_or_fail(std::move(job), error);
}

// The association is gone. What was sent whole may have been stored; what was not, was not.
void StoreWorker::on_broken(const Error& error) {
  const std::vector<std::uint64_t> unsent = m_session->user.unsent();
  m_session.reset();
  m_run.association_closed();
  m_run.association_broke(error);
  std::map<std::uint64_t, StoreJob> in_flight = std::exchange(m_in_flight, {});
  for (auto& [token, job] : in_flight) {
    if (std::find(unsent.begin(), unsent.end(), token) != unsent.end()) {
      retry_or_fail(std::move(job), error);
      continue;
    }
    if (&error.kind() == &kind("store.no-response")) {
      m_run.finish_indeterminate(std::move(job), error);
      continue;
    }
    Error unknown(kind("store.no-response"), fmt::format("all of the object was sent, then: {}", error.message()));
    unknown.with("cause", error.kind().code);
    if (error.peer()) {
      unknown.with_peer(*error.peer());
    }
    m_run.finish_indeterminate(std::move(job), unknown);
  }
}

void StoreWorker::retry_or_fail(StoreJob job, const Error& error) {
  const bool again = error.kind().error_class == ErrorClass::temporary &&
                     job.attempts <= allowed_retries(error, m_run.settings()) && !m_run.given_up();
  if (!again) {
    m_run.finish_failed(std::move(job), error);
    return;
  }
  const auto delay = retry_delay(job.attempts, m_run.settings().retry_delay, m_run.settings().retry_delay_limit);
  m_run.observer().message(Observer::Level::detail,
                           fmt::format("{}: {}: {}; attempt {} failed, next in {}", job.sop_instance_uid,
                                       error.kind().code, error.message(), job.attempts, format_duration(delay)));
  job.not_before = Clock::now() + delay;
  m_retries.push_back(std::move(job));
}

}  // namespace kuva::workflow
