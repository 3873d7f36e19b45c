#include <kuva/core/record.hpp>
#include <kuva/dicom/part10.hpp>
#include <kuva/dicom/transcoder.hpp>
#include <kuva/dimse/find.hpp>
#include <kuva/dimse/messenger.hpp>
#include <kuva/workflow/failure_facts.hpp>
#include <kuva/workflow/store_worker.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::workflow {

namespace {

// An object of this size is out so soon that the record of the one before it may wait for it.
constexpr std::uint64_t k_quick = 4U << 20U;

using Clock = std::chrono::steady_clock;

// After this long without traffic the peer may have released or closed: worth a look before sending.
constexpr std::chrono::milliseconds k_quiet{100};
constexpr std::chrono::milliseconds k_stop_check{250};
// How long an answer is waited for when the run is to stop.
constexpr std::chrono::milliseconds k_patience_when_stopped{10'000};

// The first association of a worker waits this long for the input, so that it is planned for more than one object.
constexpr std::chrono::milliseconds k_planning_wait{10};
// Answers whose median says how quick the peer is.
constexpr std::size_t k_waits = 32;

// How long an idle worker sleeps, and one whose association others wait for.
constexpr std::chrono::milliseconds k_while{1000};
constexpr std::chrono::milliseconds k_soon{50};

std::string_view to_string(dimse::StatusClass status_class) {
  switch (status_class) {
    case dimse::StatusClass::success:
      return "success";
    case dimse::StatusClass::warning:
      return "warning";
    case dimse::StatusClass::cancel:
      return "cancel";
    case dimse::StatusClass::pending:
      return "pending";
    case dimse::StatusClass::failure:
      break;
  }
  return "failure";
}

// The message in which it failed.
Json message_facts(const StoreJob& job, std::uint16_t message_id, std::uint64_t bytes,
                   std::chrono::milliseconds send_time, std::chrono::milliseconds wait_time) {
  return Json{{"messageId", message_id}, {"contextId", job.context_id}, {"bytes", bytes},
              {"fileBytes", job.size},   {"sendMs", send_time.count()}, {"waitMs", wait_time.count()}};
}

}  // namespace

struct StoreWorker::Session {
  Session(std::uint64_t number, PresentationPlan plan_made, std::unique_ptr<ul::Association> opened,
          std::chrono::milliseconds response_timeout)
      : id(number),
        plan(std::move(plan_made)),
        association(std::move(opened)),
        peer(association->peer().to_json()),
        local_address(association->local_address()),
        messenger(*association),
        user(messenger, response_timeout) {}

  std::uint64_t id;  // within the run, from 1

  PresentationPlan plan;
  std::unique_ptr<ul::Association> association;
  Json peer;  // for the records
  Json certificate;
  std::string local_address;
  dimse::Messenger messenger;
  dimse::StoreUser user;
  std::chrono::system_clock::time_point opened_at = std::chrono::system_clock::now();
  Clock::time_point last_use = Clock::now();
  std::uint32_t sent = 0;
  std::uint64_t produced = 0;  // bytes of the data set that is going out
  bool asks_for_find = false;
};

StoreWorker::StoreWorker(StoreRun& run, StoreQueue& queue, BandwidthLimit& bandwidth)
    : m_run(run), m_queue(queue), m_bandwidth(bandwidth) {}

StoreWorker::~StoreWorker() = default;

void StoreWorker::work() {
  for (;;) {
    if (m_session && m_session->user.outstanding() != 0 && !m_session->user.may_send()) {
      look_ahead();
      collect();
      continue;
    }
    if (std::optional<StoreJob> job = next_job()) {
      process(std::move(*job));
      finish_answered();
    } else if (!m_in_flight.empty()) {
      collect();
    } else if (m_retries.empty() && m_queue.ended()) {
      close_session();
      return;
    } else if (m_session && (Clock::now() - m_session->last_use >= m_run.target().idle_timeout ||
                             (m_run.gate().has_waiting() && m_queue.is_empty()))) {
      close_session();
    }
  }
}

// A job whose time has come; waits for one where nothing is outstanding, but not for ever.
std::optional<StoreJob> StoreWorker::next_job() {
  const bool hurry = m_run.ending() || m_run.given_up();
  const auto soonest = std::min_element(m_retries.begin(), m_retries.end(), [](const StoreJob& a, const StoreJob& b) {
    return a.not_before < b.not_before;
  });
  const Clock::time_point now = Clock::now();
  if (soonest != m_retries.end() && (hurry || soonest->not_before <= now)) {
    StoreJob job = std::move(*soonest);
    m_retries.erase(soonest);
    return job;
  }
  if (m_next) {
    return std::exchange(m_next, std::nullopt);
  }
  if (m_queue.is_empty()) {
    finish_answered();
  }
  // Somebody may be waiting for the association that this worker holds without need.
  Clock::time_point until = now + (m_session && m_run.gate().has_waiting() ? k_soon : k_while);
  if (soonest != m_retries.end()) {
    until = std::min(until, soonest->not_before);
  }
  if (!m_in_flight.empty()) {
    until = now;
  }
  if (soonest != m_retries.end() && m_queue.ended() && m_in_flight.empty()) {
    sleep_unless_stopped(std::chrono::ceil<std::chrono::milliseconds>(until - now), m_run.ending_token());
    return std::nullopt;
  }
  return m_queue.pop(until, {m_session ? &m_session->plan : nullptr, m_study});
}

void StoreWorker::process(StoreJob job) {
  const auto leave_open = [this](StoreJob&& left) {
    if (left.doubt) {
      const std::shared_ptr<const Error> why = left.doubt;
      m_run.finish_indeterminate(std::move(left), *why);
    } else {
      m_run.finish_unsent(std::move(left));
    }
  };
  if (m_run.ending() || m_run.given_up()) {
    close_session();  // nothing more comes over it
    leave_open(std::move(job));
    return;
  }
  if (job.doubt && m_run.target().settle == Target::Settle::commit) {
    m_run.finish_indeterminate(std::move(job), Error(*job.doubt));
    return;
  }
  m_has_doubted = m_has_doubted || job.doubt;
  if (job.doubt && job.not_before == Clock::time_point{}) {
    ask_later(std::move(job));  // of an earlier run
    return;
  }
  if (!job.doubt) {
    if (const std::optional<Error> stopped = m_run.stopped(job)) {
      m_run.finish_failed(std::move(job), *stopped);
      return;
    }
  }
  if (m_run.settings().limits.objects_a_second > 0) {
    finish_answered();  // this object's turn may be a while away
  }
  if (!m_run.may_begin(job)) {
    close_session();
    leave_open(std::move(job));
    return;
  }
  if (m_session && m_run.gate().should_yield()) {
    close_session();
  }
  if (!ready_for(job) && !open_session(job)) {
    leave_open(std::move(job));
    return;
  }
  if (job.doubt) {
    settle(std::move(job));
    return;
  }
  send(std::move(job));
}

void StoreWorker::send(StoreJob job) {
  if (const std::optional<Error> lost = m_run.lost_lease(job.study_instance_uid)) {
    m_run.finish_unsent(std::move(job), lost);
    return;
  }
  std::variant<ContextChoice, Error> choice = choose_context(*m_session->association, job.kind);
  if (Error* error = std::get_if<Error>(&choice)) {
    put_association_facts(*error, job);
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
  if (!m_session->plan.covers(job.kind) || (most != 0 && m_session->sent >= most) ||
      job.not_on_association == m_session->id || (job.doubt && !m_session->asks_for_find)) {
    close_session();
    return false;
  }
  if (m_in_flight.empty() && Clock::now() - m_session->last_use > k_quiet &&
      m_session->association->wait_readable(Deadline::after(std::chrono::milliseconds(0)))) {
    // Nothing is outstanding: what comes now is a release, an abort or the end.
    close_session();
    return false;
  }
  return m_session != nullptr;
}

PresentationPlan StoreWorker::plan_session(const StoreJob& job) {
  if (!m_has_planned) {
    m_queue.wait_filled(Clock::now() + k_planning_wait);
    m_has_planned = true;
  }
  PresentationPlan plan(m_has_doubted ? PresentationPlan::k_limit - 1 : PresentationPlan::k_limit);
  plan.add(job.kind);
  for (const StorageKind& waiting : m_queue.kinds()) {
    if (!plan.add(waiting)) {
      m_queue.hold_more();
    }
  }
  for (const StorageKind& recent : m_recent_kinds) {
    plan.add(recent);
  }
  m_recent_kinds = plan.kinds();
  return plan;
}

bool StoreWorker::open_session(const StoreJob& job) {
  AssociationGate& gate = m_run.gate();
  for (unsigned attempt = 1; gate.enter(m_run.ending_token());) {
    try {
      PresentationPlan plan = plan_session(job);
      ul::AssociateRequest request;
      request.contexts = plan.contexts();
      if (m_has_doubted) {
        request.contexts.push_back(
            {static_cast<std::uint8_t>(2 * request.contexts.size() + 1),
             std::string(dimse::find_sop_class(dimse::QueryRoot::study)),
             {std::string(dicom::k_explicit_vr_little_endian), std::string(dicom::k_implicit_vr_little_endian)}});
      }
      if (m_run.target().async_window > 1) {
        request.asynchronous_operations = ul::AsynchronousOperations{m_run.target().async_window, 1};
      }
      Json certificate;
      auto association = associate(m_run.target(), m_run.tls(), request, m_run.observer(), &certificate);
      gate.opened();
      m_session = std::make_unique<Session>(m_run.next_association_id(), std::move(plan), std::move(association),
                                            m_run.target().response_timeout);
      m_session->certificate = std::move(certificate);
      m_session->asks_for_find = m_has_doubted;
      return true;
    } catch (const Error& error) {
      if (gate.failed(error)) {
        m_run.observer().message(Observer::Level::info, fmt::format("{}; going on with {} at a time", error.message(),
                                                                    std::max(1U, gate.open())));
        continue;
      }
      const bool temporary = error.kind().error_class == ErrorClass::temporary;
      // While another association works the peer is alive, and its failure a matter of patience.
      if (!temporary || (attempt > m_run.settings().retries && gate.open() == 0)) {
        gate.give_up(error);
        return false;
      }
      const auto delay = retry_delay(attempt, m_run.settings().retry_delay, m_run.settings().retry_delay_limit);
      m_run.observer().message(Observer::Level::warning,
                               fmt::format("{}: {}; attempt {} failed, next in {}", error.kind().code, error.message(),
                                           attempt, format_duration(delay)));
      ++attempt;
      sleep_unless_stopped(delay, m_run.ending_token());
    }
  }
  return false;
}

// Takes the answers that are due, then releases.
void StoreWorker::close_session() {
  while (m_session && !m_in_flight.empty()) {
    collect();
  }
  if (!m_session) {
    return;
  }
  finish_answered();
  try {
    m_session->association->release();
  } catch (const Error& error) {
    // Every answer is in: a release that goes wrong takes nothing back.
    m_run.observer().message(Observer::Level::detail,
                             fmt::format("release: {}: {}", error.kind().code, error.message()));
  }
  m_session.reset();
  m_run.gate().closed();
}

void StoreWorker::transmit(StoreJob job, const ContextChoice& choice) {
  dimse::StoreUser::Request request;
  try {
    dicom::Part10File file =
        m_next_file && m_next_file->path == job.path ? std::move(*m_next_file) : dicom::open_part10(job.path);
    m_next_file.reset();
    if (file.size != job.size) {
      throw Error(kind("file.changed"), "the file's size changed between scan and sending");
    }
    const std::shared_ptr<dicom::DataSetStream> stream = dicom::open_data_set(std::move(file), choice.transfer_syntax);
    m_session->produced = 0;
    request.data = [stream](std::span<std::byte> buffer) { return stream->read(buffer); };
    request.data.size = stream->size();
    if (const auto range = stream->file_range()) {
      request.data.file = net::FileRange{range->descriptor, range->offset, range->size};
    }
    // A worker that stood still in the middle of an object must not complete it once others have its study.
    request.data.pace = [this, study = job.study_instance_uid, &produced = m_session->produced](std::size_t count) {
      m_bandwidth.take(count);
      if (const std::optional<Error> lost = m_run.lost_lease(study)) {
        throw Error(*lost);
      }
      produced += count;
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
  store["associationId"] = m_session->id;
  job.context_id = choice.context_id;
  m_study = job.study_instance_uid;
  job.record["store"] = std::move(store);
  if (job.size > k_quick) {
    finish_answered();
  }
  m_in_flight.emplace(request.token, std::move(job));
  ++m_session->sent;
  try {
    m_session->user.send(std::move(request));
    m_session->last_use = Clock::now();
  } catch (const Error& error) {
    on_broken(error);
  }
}

// Done while the archive works on what it has.
void StoreWorker::look_ahead() {
  if (m_next || m_run.ending() || m_run.given_up()) {
    return;
  }
  m_next = m_queue.pop(Clock::now(), {&m_session->plan, m_study});
  if (m_next) {
    try {
      m_next_file = dicom::open_part10(m_next->path);
    } catch (const Error&) {
      m_next_file.reset();  // said when its turn comes
    }
  }
}

void StoreWorker::finish_answered() {
  for (Answered& each : std::exchange(m_answered, {})) {
    m_run.finish_stored(std::move(each.job), each.with_warning, each.bytes);
  }
}

// Waits for the next answer. After a stop only for a while: what was sent whole and is not answered by then is
// indeterminate.
void StoreWorker::await_answer() {
  if (m_session->user.has_answer()) {
    return;
  }
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
    m_run.gate().answered();
    note_wait(response.wait_time);
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
  Json& store = job.record["store"];
  store["status"] = dimse::hex(status);
  store["statusName"] = dimse::status_name(dimse::Service::store, status);
  if (response.command.error_comment) {
    store["errorComment"] = dimse::masked_comment(*response.command.error_comment);
  }
  store["bytes"] = response.bytes;
  store["sendMs"] = response.send_time.count();
  store["waitMs"] = response.wait_time.count();
  store["peer"] = m_session->peer;
  store["localAddress"] = m_session->local_address;

  const bool class_worked = status != 0 && m_run.has_class_worked(job.kind.sop_class_uid);
  const StorePolicy policy = policy_of_status(status, class_worked);
  if (policy.action == StorePolicy::Action::stored || policy.action == StorePolicy::Action::stored_with_warning) {
    note_class_worked(job.kind.sop_class_uid);
    m_answered.push_back({std::move(job), policy.action == StorePolicy::Action::stored_with_warning, response.bytes});
    return;
  }
  Error error = dimse::status_error(dimse::Service::store, response.command);
  error.with_peer(m_session->association->peer());
  put_association_facts(error, job);
  Json message = message_facts(job, response.command.message_id_responded_to.value_or(0), response.bytes,
                               response.send_time, response.wait_time);
  if (response.command.affected_sop_instance_uid) {
    message["affectedSOPInstanceUID"] = *response.command.affected_sop_instance_uid;
  }
  error.with("dimse", std::move(message)).with("statusClass", to_string(dimse::status_class(status)));
  if (!response.command.offending_elements.empty()) {
    error.with("offendingValues", offending_values(job.path, response.command.offending_elements));
  }
  if (policy.is_overload) {
    m_run.gate().overloaded();
  }
  if (policy.stops_class_after != 0) {
    m_run.class_refused(job.kind.sop_class_uid, error, policy.stops_class_after);
  }
  decide(std::move(job), error, policy);
}

// The association is gone. What was sent whole may have been stored; what was not, was not.
void StoreWorker::on_broken(const Error& error) {
  struct Broken {
    StoreJob job;
    Error error;
    bool sent_whole;
  };
  std::vector<Broken> broken;
  for (auto& [token, job] : std::exchange(m_in_flight, {})) {
    const std::optional<dimse::StoreUser::Outstanding> state = m_session->user.find(token);
    const bool sent_whole = !state || state->complete;
    Error why = error;
    if (sent_whole && &error.kind() != &kind("store.no-response")) {
      why = Error(kind("store.no-response"), fmt::format("all of the object was sent, then: {}", error.message()));
      why.with("cause", error.kind().code);
      for (const auto& [key, value] : error.details().items()) {
        why.with(key, value);
      }
      if (error.peer()) {
        why.with_peer(*error.peer());
      }
    }
    put_association_facts(why, job);
    if (state) {
      why.with("dimse", message_facts(job, state->message_id, sent_whole ? state->bytes : m_session->produced,
                                      state->send_time, state->wait_time));
    }
    broken.push_back({std::move(job), std::move(why), sent_whole});
  }
  m_session.reset();
  if (error.kind().side == Side::local) {
    m_run.gate().closed();
  } else {
    m_run.gate().broke(error);
  }
  for (Broken& each : broken) {
    decide(std::move(each.job), each.error, policy_of_error(each.error, each.sent_whole));
  }
}

void StoreWorker::decide(StoreJob job, const Error& error, const StorePolicy& policy) {
  switch (policy.action) {
    case StorePolicy::Action::settle:
      doubt(std::move(job), error);
      return;
    case StorePolicy::Action::retry:
    case StorePolicy::Action::retry_elsewhere:
      if (job.attempts <= std::min(policy.retries, m_run.settings().retries) && !m_run.given_up() && !m_run.ending()) {
        if (policy.action == StorePolicy::Action::retry_elsewhere && m_session) {
          job.not_on_association = m_session->id;
        }
        try_again(std::move(job), error);
        return;
      }
      break;
    case StorePolicy::Action::stored:
    case StorePolicy::Action::stored_with_warning:
    case StorePolicy::Action::fail:
      break;
  }
  m_run.finish_failed(std::move(job), error);
}

void StoreWorker::try_again(StoreJob job, const Error& error) {
  const auto delay = retry_delay(job.attempts, m_run.settings().retry_delay, m_run.settings().retry_delay_limit);
  const auto now = std::chrono::system_clock::now();
  if (!job.first_failure) {
    job.first_failure = std::make_shared<const Json>(
        Json{{"time", to_rfc3339(now)}, {"code", error.kind().code}, {"message", error.message()}});
  }
  m_run.observer().message(Observer::Level::detail,
                           fmt::format("{}: {}: {}; attempt {} of {} failed, next in {} at {}", job.sop_instance_uid,
                                       error.kind().code, error.message(), job.attempts, m_run.settings().retries + 1,
                                       format_duration(delay), to_rfc3339(now + delay)));
  job.not_before = Clock::now() + delay;
  m_retries.push_back(std::move(job));
}

// Sent whole and not answered. Nothing is sent again before the peer has been asked. An archive that says itself that
// it has the object (0111) has answered what C-FIND could: only commitment tells more.
void StoreWorker::doubt(StoreJob job, const Error& error) {
  if (m_run.target().settle == Target::Settle::commit || &error.kind() != &kind("store.no-response") ||
      m_run.ending() || m_run.given_up()) {
    m_run.finish_indeterminate(std::move(job), error);
    return;
  }
  job.doubt = std::make_shared<const Error>(error);
  job.settle_attempts = 0;
  m_has_doubted = true;
  m_run.observer().message(Observer::Level::detail,
                           fmt::format("{}: {}; the archive is asked for it", job.sop_instance_uid, error.message()));
  ask_later(std::move(job));
}

// Not at once: the peer may still be busy with the object.
void StoreWorker::ask_later(StoreJob job) {
  job.not_before = Clock::now() + retry_delay(job.settle_attempts + 1, m_run.settings().retry_delay,
                                              m_run.settings().retry_delay_limit);
  m_retries.push_back(std::move(job));
}

void StoreWorker::leave_in_doubt(StoreJob job, std::string_view settling) {
  Error error = *job.doubt;
  error.with("settling", settling);
  m_run.finish_indeterminate(std::move(job), error);
}

void StoreWorker::settle(StoreJob job) {
  while (m_session && !m_in_flight.empty()) {
    collect();
  }
  if (!m_session) {
    m_retries.push_back(std::move(job));
    return;
  }
  std::string why_not;
  const std::optional<bool> there = ask(job, why_not);
  if (!there) {
    if (why_not.empty()) {
      ask_later(std::move(job));
    } else {
      leave_in_doubt(std::move(job), why_not);
    }
    return;
  }
  if (*there) {
    job.record["store"]["settled"] =
        Json{{"by", "C-FIND"},
             {"at", to_rfc3339(std::chrono::system_clock::now())},
             {"warning", "the archive lists the UID, which says nothing of the bytes: have it committed"},
             {"cause", string_at(job.doubt->details(), "cause").empty() ? std::string(job.doubt->kind().code)
                                                                        : string_at(job.doubt->details(), "cause")}};
    m_run.finish_stored(std::move(job), true, 0);
    return;
  }
  if (job.was_sent_again || m_run.settings().retries == 0) {
    leave_in_doubt(std::move(job), "the archive does not list it");
    return;
  }
  const std::shared_ptr<const Error> doubted = std::exchange(job.doubt, nullptr);
  if (!job.first_failure) {
    job.first_failure = std::make_shared<const Json>(Json{{"time", to_rfc3339(std::chrono::system_clock::now())},
                                                          {"code", doubted->kind().code},
                                                          {"message", doubted->message()}});
  }
  job.was_sent_again = true;
  m_run.observer().message(Observer::Level::detail,
                           fmt::format("{}: the archive does not list it, it is sent once more", job.sop_instance_uid));
  send(std::move(job));
}

// C-FIND at the IMAGE level (PS3.4 C.4.1). Nothing when there is no answer, with the reason when there will be none.
std::optional<bool> StoreWorker::ask(StoreJob& job, std::string& why_not) {
  bool there = false;
  try {
    const std::string& uid = job.sop_instance_uid;
    ++job.settle_attempts;
    dimse::find(
        m_session->messenger, dimse::QueryRoot::study,
        dimse::make_instance_query(job.study_instance_uid, string_at(job.record, "SeriesInstanceUID"), {uid}),
        [&there, &uid](const dicom::DataSet& match) {
          there = there || match.string(dicom::tags::sop_instance_uid) == uid;
          return true;
        },
        m_run.target().response_timeout);
    m_session->last_use = Clock::now();
    m_run.gate().answered();
    return there;
  } catch (const Error& error) {
    if (!m_session->association->is_open()) {
      m_session.reset();
      m_run.gate().broke(error);
    }
    const bool temporary = error.kind().error_class == ErrorClass::temporary;
    if (!temporary || job.settle_attempts > m_run.settings().retries) {
      why_not = fmt::format("the archive could not be asked: {}", error.message());
    }
    return std::nullopt;
  }
}

// The peer's own pace, robustly: one slow answer among many says nothing.
void StoreWorker::note_wait(std::chrono::milliseconds wait) {
  m_waits.push_back(wait);
  if (m_waits.size() < k_waits) {
    return;
  }
  const auto middle = m_waits.begin() + k_waits / 2;
  std::nth_element(m_waits.begin(), middle, m_waits.end());
  m_run.gate().waited(*middle);
  m_waits.clear();
}

void StoreWorker::note_class_worked(const std::string& sop_class_uid) {
  if (!m_worked_classes.contains(sop_class_uid)) {
    m_worked_classes.insert(sop_class_uid);
    m_run.class_worked(sop_class_uid);
  }
}

void StoreWorker::put_association_facts(Error& error, const StoreJob& job) const {
  const ul::Association& association = *m_session->association;
  if (!m_session->certificate.empty()) {
    error.with("certificate", m_session->certificate);
  }
  error.with("association", association_facts(association, m_session->id, m_session->opened_at));
  error.with("proposed", negotiation_facts(association, job.kind.sop_class_uid));
}

}  // namespace kuva::workflow
