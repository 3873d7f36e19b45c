#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/dimse/commitment.hpp>
#include <kuva/dimse/status.hpp>
#include <kuva/workflow/commit_requester.hpp>
#include <kuva/workflow/pacing.hpp>
#include <kuva/workflow/report_listener.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::workflow {

namespace {

constexpr std::chrono::milliseconds k_longest_delay{30'000};
// How often the requesting thread looks from its association to its queue.
constexpr std::chrono::milliseconds k_report_glance{50};
constexpr std::chrono::milliseconds k_request_stop_check{250};

// What is wrong with a response that is not the one awaited.
std::string misfit(const dimse::Command& command, std::uint16_t message_id) {
  if (command.field != dimse::CommandField::n_action_rsp) {
    return fmt::format("{} came instead of the N-ACTION-RSP", dimse::to_string(command.field));
  }
  if (command.message_id_responded_to != message_id) {
    return fmt::format("an N-ACTION-RSP came that answers message {}, not {}",
                       command.message_id_responded_to.value_or(0), message_id);
  }
  return "the N-ACTION-RSP has no Status (0000,0900)";
}

}  // namespace

CommitRequester::CommitRequester(const Target& target, const CommitSettings& settings, Custody& custody,
                                 Observer& observer, RunLimits& limits, std::stop_token stop)
    : m_target(target),
      m_settings(settings),
      m_custody(custody),
      m_observer(observer),
      m_limits(limits),
      m_stop(std::move(stop)),
      m_tls(client_tls(target)),
      m_services(report_services(custody, observer)),
      m_thread([this] { run(); }) {}

CommitRequester::~CommitRequester() {
  const std::lock_guard lock(m_mutex);
  m_closed = true;
  m_changed.notify_all();
}

void CommitRequester::request(std::string transaction_uid) {
  const std::lock_guard lock(m_mutex);
  m_queue.push_back(std::move(transaction_uid));
  m_changed.notify_all();
}

void CommitRequester::finish() {
  std::unique_lock lock(m_mutex);
  m_changed.wait(lock, [this] { return m_failure || (m_queue.empty() && !m_busy); });
  if (m_failure) {
    std::rethrow_exception(m_failure);
  }
}

void CommitRequester::close() {
  {
    const std::lock_guard lock(m_mutex);
    m_closed = true;
    m_changed.notify_all();
  }
  if (m_thread.joinable()) {
    m_thread.join();
  }
  const std::lock_guard lock(m_mutex);
  if (m_failure) {
    std::rethrow_exception(m_failure);
  }
}

void CommitRequester::run() {
  try {
    run_queue();
  } catch (...) {
    const std::lock_guard lock(m_mutex);
    m_failure = std::current_exception();
    m_changed.notify_all();
  }
}

void CommitRequester::run_queue() {
  Deadline grace = Deadline::after(m_settings.grace);
  for (;;) {
    if (const std::optional<std::string> uid = next(m_association ? k_report_glance : m_settings.grace)) {
      ask(*uid);
      grace = Deadline::after(m_settings.grace);
      const std::lock_guard lock(m_mutex);
      m_busy = false;
      m_changed.notify_all();
      continue;
    }
    {
      const std::lock_guard lock(m_mutex);
      if (m_closed && m_queue.empty()) {
        break;
      }
    }
    if (m_association) {
      take_events(Deadline::after(std::chrono::milliseconds(0)));
      if (grace.expired()) {
        release();
      }
    }
  }
  release();
}

// The next transaction to ask for, waiting a little; it counts as busy until it has been dealt with.
std::optional<std::string> CommitRequester::next(std::chrono::milliseconds patience) {
  std::unique_lock lock(m_mutex);
  m_changed.wait_for(lock, patience, [this] { return m_closed || !m_queue.empty(); });
  if (m_queue.empty()) {
    return std::nullopt;
  }
  std::string uid = std::move(m_queue.front());
  m_queue.pop_front();
  m_busy = true;
  return uid;
}

void CommitRequester::ask(const std::string& transaction_uid) {
  std::string uid = transaction_uid;
  for (unsigned attempt = 1;; ++attempt) {
    if (stopping()) {
      m_custody.request_failed(
          uid, m_limits.reached().value_or(
                   Error(kind("interrupted"), "the run was stopped before the archive took the request")));
      return;
    }
    if (m_given_up) {
      m_custody.request_failed(uid, *m_given_up);
      return;
    }
    m_is_unanswered = false;
    try {
      if (!m_association) {
        open_association();
      }
      exchange(uid);
      return;
    } catch (const Error& error) {
      const bool association_is_gone = !m_association || !m_association->is_open();
      if (association_is_gone) {
        m_messenger.reset();
        m_association.reset();
      }
      const bool temporary = error.kind().error_class == ErrorClass::temporary;
      if (!temporary || attempt > m_settings.retries) {
        // What the peer refuses for our association it refuses for all that follow.
        if (association_is_gone) {
          m_given_up = error;
        }
        m_custody.request_failed(uid, error, m_is_unanswered);
        return;
      }
      const auto delay =
          retry_delay(attempt, m_settings.retry_delay, std::max(k_longest_delay, m_settings.retry_delay));
      m_observer.message(Observer::Level::warning,
                         fmt::format("{}: {}; attempt {} failed, next in {}", error.kind().code, error.message(),
                                     attempt, format_duration(delay)));
      sleep_unless_stopped(delay, m_stop);
      uid = m_custody.renew(uid);
      if (!m_custody.is_open(uid)) {
        return;
      }
    }
  }
}

void CommitRequester::open_association() {
  ul::AssociateRequest request;
  request.contexts.push_back(
      {1,
       std::string(dicom::uids::storage_commitment_push_model),
       {std::string(dicom::k_explicit_vr_little_endian), std::string(dicom::k_implicit_vr_little_endian)}});
  m_association = associate(m_target, m_tls, std::move(request), m_observer);
  if (m_association->contexts().empty()) {
    const ul::ContextResult result = m_association->context_result(1);
    Error error(
        kind("negotiate.role"),
        fmt::format("the peer does not take the Storage Commitment Push Model SOP Class ({})", ul::to_string(result)));
    error.with_peer(m_association->peer());
    m_association->abort();
    throw error;
  }
  m_messenger = std::make_unique<dimse::Messenger>(*m_association);
}

// One N-ACTION and its response.
void CommitRequester::exchange(const std::string& transaction_uid) {
  const std::uint16_t message_id = m_messenger->next_message_id();
  m_is_unanswered = true;
  m_messenger->send(m_association->contexts().front().id, dimse::make_commitment_request_command(message_id),
                    dimse::to_data_set(m_custody.request_of(transaction_uid)));
  const dimse::Messenger::Message response = await_response(message_id);
  m_is_unanswered = false;
  const std::uint16_t status = *response.command.status;
  if (dimse::status_class(status) == dimse::StatusClass::failure) {
    Error refusal = dimse::status_error(dimse::Service::commit_request, response.command);
    refusal.with_peer(m_association->peer());
    throw refusal;
  }
  m_custody.acknowledged(transaction_uid);
}

// The response to our request. Reports may come before it (PS3.4 J.3.3).
dimse::Messenger::Message CommitRequester::await_response(std::uint16_t message_id) {
  const Deadline deadline = Deadline::after(m_target.response_timeout);
  for (;;) {
    dimse::Messenger::Message message;
    const Deadline slice = earlier(deadline, Deadline::after(k_request_stop_check));
    switch (m_messenger->receive(slice, message)) {
      case dimse::Messenger::Event::timeout:
        if (deadline.expired() || stopping()) {
          m_association->abort();
          Error error(kind("connection.timeout"),
                      fmt::format("no N-ACTION response within {}", format_duration(m_target.response_timeout)));
          error.in_phase(Phase::wait).with_peer(m_association->peer());
          throw error;
        }
        continue;
      case dimse::Messenger::Event::release_requested: {
        Error error(kind("association.released"), "the peer released before it answered the commitment request");
        error.with_peer(m_association->peer());
        m_association->accept_release();
        throw error;
      }
      case dimse::Messenger::Event::message:
        break;
    }
    if (message.command.field == dimse::CommandField::n_event_report_rq) {
      answer_event(message);
      continue;
    }
    if (message.command.field != dimse::CommandField::n_action_rsp ||
        message.command.message_id_responded_to != message_id || !message.command.status) {
      m_association->abort();
      Error error(kind("dimse.unexpected-response"), misfit(message.command, message_id));
      error.with_peer(m_association->peer());
      throw error;
    }
    m_messenger->receive_data([](std::span<const std::byte>) {}, m_target.association_timeouts.stall);
    return message;
  }
}

// Reports that have come by now. When the association ends that is no loss: reports can come on another.
void CommitRequester::take_events(Deadline deadline) {
  try {
    for (;;) {
      dimse::Messenger::Message message;
      switch (m_messenger->receive(deadline, message)) {
        case dimse::Messenger::Event::timeout:
          return;
        case dimse::Messenger::Event::release_requested:
          m_association->accept_release();
          m_messenger.reset();
          m_association.reset();
          return;
        case dimse::Messenger::Event::message:
          answer_event(message);
          break;
      }
    }
  } catch (const Error& error) {
    m_observer.message(Observer::Level::detail,
                       fmt::format("requesting association: {}: {}", error.kind().code, error.message()));
    m_messenger.reset();
    m_association.reset();
  }
}

void CommitRequester::answer_event(const dimse::Messenger::Message& message) {
  dicom::DataSet data;
  if (message.command.has_data_set) {
    data = m_messenger->receive_data_set(m_target.association_timeouts.stall);
  }
  if (message.command.field != dimse::CommandField::n_event_report_rq) {
    m_messenger->send(message.context_id, dimse::make_response(message.command, 0x0211));
    return;
  }
  m_messenger->send(message.context_id, m_services.event_report(message, data));
}

void CommitRequester::release() {
  if (!m_association) {
    return;
  }
  try {
    m_association->release();
  } catch (const Error& error) {
    m_observer.message(Observer::Level::detail, fmt::format("release: {}: {}", error.kind().code, error.message()));
  }
  m_messenger.reset();
  m_association.reset();
}

}  // namespace kuva::workflow
