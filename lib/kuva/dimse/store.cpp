#include <kuva/dimse/store.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::dimse {

namespace {

using Clock = std::chrono::steady_clock;

std::chrono::milliseconds since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
}

}  // namespace

StoreUser::StoreUser(Messenger& messenger, std::chrono::milliseconds response_timeout, std::size_t cap)
    : m_messenger(messenger), m_response_timeout(response_timeout), m_last_activity(Clock::now()) {
  const std::uint16_t window = messenger.association().operations_window();
  m_window = std::max<std::size_t>(1, window == 0 ? cap : window);
}

bool StoreUser::may_send() const { return m_pending.size() < m_window; }

void StoreUser::send(Request request) {
  Command command;
  command.field = CommandField::c_store_rq;
  command.message_id = m_messenger.next_message_id();
  command.affected_sop_class_uid = std::move(request.sop_class_uid);
  command.affected_sop_instance_uid = request.sop_instance_uid;
  command.priority = 0;  // medium

  // An answer that comes while nothing else is outstanding is an early failure of this very message (PS3.7 9.3.1).
  ul::Association::OnAnswer on_answer;
  if (m_pending.empty()) {
    on_answer = [this] { return is_refused_early(); };
  }
  // Not complete until the send has returned: when it throws, the message was not sent whole.
  m_pending.push_back(Pending{*command.message_id, std::move(request.sop_instance_uid), request.token, 0, false,
                              std::chrono::milliseconds(0), Clock::now()});
  Pending& pending = m_pending.back();
  const auto start = Clock::now();
  const ul::Association::Sent sent = m_messenger.send(request.context_id, command, request.data, on_answer);
  pending.bytes = sent.data_bytes;
  pending.complete = sent.complete;
  pending.send_time = since(start);
  pending.sent_at = Clock::now();
  m_last_activity = pending.sent_at;
}

// True for a failure. A peer that calls half an object stored must not get a last fragment that makes it look whole.
bool StoreUser::is_refused_early() {
  Messenger::Message message;
  if (m_messenger.receive(Deadline::after(m_response_timeout), message) != Messenger::Event::message) {
    unexpected("the peer began an answer before all of the object had been sent, and did not end it");
  }
  m_messenger.receive_data([](std::span<const std::byte>) {}, m_response_timeout);
  const Command& command = message.command;
  if (command.field == CommandField::c_store_rsp && command.status &&
      status_class(*command.status) != StatusClass::failure) {
    unexpected(fmt::format("the peer answered {} before all of the object had been sent", hex(*command.status)));
  }
  m_early = std::move(message);
  return true;
}

void StoreUser::unexpected(std::string what) {
  Error error(kind("dimse.unexpected-response"), std::move(what));
  error.with_peer(m_messenger.association().peer()).with("abortBy", "us");
  m_messenger.association().abort();
  throw error;
}

StoreUser::Response StoreUser::receive() {
  if (m_early) {
    return check(std::exchange(m_early, std::nullopt)->command);
  }
  ul::Association& association = m_messenger.association();
  Messenger::Message message;
  Messenger::Event event{};
  try {
    const auto left = std::max(std::chrono::milliseconds(0), m_response_timeout - since(m_last_activity));
    event = m_messenger.receive(Deadline::after(left), message);
    if (event == Messenger::Event::message) {
      m_messenger.receive_data([](std::span<const std::byte>) {}, m_response_timeout);
    }
  } catch (Error& error) {
    error.in_phase(Phase::wait);
    throw;
  }
  if (event == Messenger::Event::timeout) {
    Error error(kind("store.no-response"),
                fmt::format("no C-STORE response within {} ({} outstanding, {} bytes of the oldest sent)",
                            format_duration(m_response_timeout), m_pending.size(),
                            m_pending.empty() ? 0 : m_pending.front().bytes));
    error.with_peer(association.peer()).with("abortBy", "us");
    association.abort();
    throw error;
  }
  if (event == Messenger::Event::release_requested) {
    Error error(kind("association.released"),
                fmt::format("the peer released the association with {} C-STORE outstanding", m_pending.size()));
    error.in_phase(Phase::wait).with_peer(association.peer());
    try {
      association.accept_release();
    } catch (const Error&) {
      association.abort();  // the release itself is the first cause
    }
    throw error;
  }
  return check(std::move(message.command));
}

StoreUser::Response StoreUser::check(Command command) {
  if (command.field != CommandField::c_store_rsp) {
    unexpected(fmt::format("the peer sent {} where a C-STORE response was due", to_string(command.field)));
  }
  const auto pending = std::find_if(m_pending.begin(), m_pending.end(), [&command](const Pending& candidate) {
    return command.message_id_responded_to == candidate.message_id;
  });
  if (pending == m_pending.end()) {
    unexpected(command.message_id_responded_to
                   ? fmt::format("the peer answered message id {}, which {}", *command.message_id_responded_to,
                                 command.message_id_responded_to == m_last_answered ? "it had answered before"
                                                                                    : "is not outstanding")
                   : std::string("the peer's C-STORE response has no Message ID Being Responded To (0000,0120)"));
  }
  if (command.affected_sop_instance_uid && *command.affected_sop_instance_uid != pending->sop_instance_uid) {
    unexpected("the peer's C-STORE response names another SOP instance than the one sent");
  }
  if (!command.status) {
    unexpected("the peer's C-STORE response has no Status (0000,0900)");
  }
  const StatusClass outcome = status_class(*command.status);
  if (!pending->complete && (outcome == StatusClass::success || outcome == StatusClass::warning)) {
    unexpected(fmt::format("the peer answered {} before all of the object had been sent", hex(*command.status)));
  }
  return take(pending, std::move(command));
}

StoreUser::Response StoreUser::take(std::deque<Pending>::iterator pending, Command command) {
  Response response;
  m_last_answered = pending->message_id;
  response.token = pending->token;
  response.command = std::move(command);
  response.bytes = pending->bytes;
  response.complete = pending->complete;
  response.send_time = pending->send_time;
  response.wait_time = since(pending->sent_at);
  m_pending.erase(pending);
  m_last_activity = Clock::now();
  return response;
}

std::optional<StoreUser::Outstanding> StoreUser::find(std::uint64_t token) const {
  const auto pending = std::find_if(m_pending.begin(), m_pending.end(),
                                    [token](const Pending& candidate) { return candidate.token == token; });
  if (pending == m_pending.end()) {
    return std::nullopt;
  }
  return Outstanding{pending->message_id, pending->bytes, pending->complete, pending->send_time,
                     pending->complete ? since(pending->sent_at) : std::chrono::milliseconds(0)};
}

std::vector<std::uint64_t> StoreUser::unanswered() const {
  std::vector<std::uint64_t> tokens;
  for (const Pending& pending : m_pending) {
    if (pending.complete) {
      tokens.push_back(pending.token);
    }
  }
  return tokens;
}

std::vector<std::uint64_t> StoreUser::unsent() const {
  std::vector<std::uint64_t> tokens;
  for (const Pending& pending : m_pending) {
    if (!pending.complete) {
      tokens.push_back(pending.token);
    }
  }
  return tokens;
}

}  // namespace kuva::dimse
