#include <kuva/core/file.hpp>
#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/dimse/status.hpp>
#include <kuva/sandbox/connection_faults.hpp>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>

namespace kuva::sandbox {

namespace {

using std::chrono::milliseconds;

constexpr std::string_view k_jpeg_lossless = "1.2.840.10008.1.2.4.70";
constexpr std::string_view k_jpeg_2000 = "1.2.840.10008.1.2.4.90";
// A peer that was told of the end gets this long to close first.
constexpr milliseconds k_farewell{1'000};
// Answers that were held back go out when no request has come for this long.
constexpr milliseconds k_held{200};

bool is_stored_with(std::uint16_t status) {
  const dimse::StatusClass status_class = dimse::status_class(status);
  return status_class == dimse::StatusClass::success || status_class == dimse::StatusClass::warning;
}

dimse::Command with_status(dimse::Command response, const FaultRule& rule) {
  response.status = rule.status;
  if (!rule.error_comment.empty()) {
    response.error_comment = rule.error_comment;
  }
  response.offending_elements = rule.offending_elements;
  response.error_id = rule.error_id;
  return response;
}

std::string pdu(char type, std::string_view length, std::string_view body) {
  return std::string{type, '\0'} + std::string(length) + std::string(body);
}

std::string bytes_of(BadPdu bad, bool is_association_made, std::uint8_t context_id) {
  using namespace std::literals;
  switch (bad) {
    case BadPdu::unrecognised:
      return pdu('\x42', "\0\0\0\4"sv, "\0\0\0\0"sv);
    case BadPdu::too_long:
      return pdu('\4', "\xFF\xFF\xFF\xFF"sv, "\0\0\0\4"sv) + static_cast<char>(context_id) + '\3';
    case BadPdu::unexpected:
      return is_association_made ? pdu('\3', "\0\0\0\4"sv, "\0\1\1\1"sv) : ul::encode_release_rp();
    case BadPdu::bad_pdv:
      return pdu('\4', "\0\0\0\10"sv, "\0\0\1\0"sv) + static_cast<char>(context_id) + "\3\0\0"s;
    case BadPdu::not_dicom:
      break;
  }
  return "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
}

bool ends_association(FaultAction action) {
  return action == FaultAction::close || action == FaultAction::reset || action == FaultAction::abort ||
         action == FaultAction::release;
}

}  // namespace

void write_fault(Transcript& transcript, std::uint64_t association, const FaultRule& rule, const Json& facts) {
  Json line;
  line["fault"] = rule.name;
  line["on"] = to_string(rule.point);
  line["action"] = to_string(rule.action);
  line.update(facts.is_object() ? facts : Json::object());
  transcript.write("fault", association, line);
}

// Counts the fragments of data sets, and ends as a fault says.
class ConnectionFaults::FaultyAssociation final : public ul::Association {
 public:
  FaultyAssociation(std::unique_ptr<ul::Association> association, ConnectionFaults& faults)
      : m_inner(std::move(association)), m_faults(faults) {}

  const ul::AssociateRequest& requested() const override { return m_inner->requested(); }
  const ul::AssociateAccept& accepted() const override { return m_inner->accepted(); }
  bool is_requestor() const override { return m_inner->is_requestor(); }
  const Peer& peer() const override { return m_inner->peer(); }
  std::string local_address() const override { return m_inner->local_address(); }
  const std::vector<ul::AcceptedContext>& contexts() const override { return m_inner->contexts(); }
  ul::ContextResult context_result(std::uint8_t id) const override { return m_inner->context_result(id); }
  std::uint16_t operations_window() const override { return m_inner->operations_window(); }
  Sent send(std::uint8_t context_id, std::span<const std::byte> command, const ul::DataSource& data,
            const OnAnswer& on_answer) override {
    return m_inner->send(context_id, command, data, on_answer);
  }
  void send(std::uint8_t context_id, std::span<const std::byte> command) override {
    m_inner->send(context_id, command);
  }
  Event read(Deadline deadline, ul::Pdv& pdv) override {
    m_faults.at_pdv();
    const Event event = m_inner->read(deadline, pdv);
    if (event == Event::pdv && !pdv.is_command && pdv.ends_pdv) {
      ++m_faults.m_pdvs;
    }
    return event;
  }
  bool wait_readable(Deadline deadline) override { return m_inner->wait_readable(deadline); }
  void release() override { m_inner->release(); }
  void accept_release() override {
    m_faults.at_release();
    m_inner->accept_release();
  }
  void abort(const ul::Abort& reason) noexcept override { m_inner->abort(reason); }
  void shutdown() noexcept override { m_inner->shutdown(); }
  bool is_open() const override { return m_inner->is_open(); }

 private:
  std::unique_ptr<ul::Association> m_inner;
  ConnectionFaults& m_faults;
};

class ConnectionFaults::FullDisk final : public dimse::StoreReception {
 public:
  FullDisk(std::unique_ptr<dimse::StoreReception> inner, std::uint64_t room, StoreNote& note)
      : m_inner(std::move(inner)), m_room(room), m_note(note) {}
  void write(std::span<const std::byte> data) override {
    if (data.size() > m_room) {
      m_note.disposition = "refused";
      throw write_error("storage", ENOSPC);
    }
    m_room -= data.size();
    m_inner->write(data);
  }
  dimse::Command finish(const dimse::Command& response) override { return m_inner->finish(response); }

 private:
  std::unique_ptr<dimse::StoreReception> m_inner;
  std::uint64_t m_room;
  StoreNote& m_note;
};

ConnectionFaults::ConnectionFaults(FaultPlan& plan, Transcript& transcript, Circumstances circumstances)
    : m_plan(plan), m_transcript(transcript), m_circumstances(std::move(circumstances)) {}

std::vector<FaultRule> ConnectionFaults::fire(FaultPoint point, FaultScope& scope, const FaultOccasion& occasion) {
  return m_plan.has(point) ? m_plan.fire(point, scope, occasion) : std::vector<FaultRule>();
}

void ConnectionFaults::write(const FaultRule& rule, const Json& facts) {
  write_fault(m_transcript, m_circumstances.number, rule, facts);
}

void ConnectionFaults::pause(milliseconds duration) const {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any never;
  static_cast<void>(never.wait_for(lock, m_circumstances.stop, duration, [] { return false; }));
}

// --- connection and association

std::vector<FaultRule> ConnectionFaults::at_connect(FaultPoint point) {
  FaultScope scope = m_plan.begin(point, {});
  std::vector<FaultRule> fired = fire(point, scope, {{}, m_circumstances.tls, {}, {}});
  for (const FaultRule& rule : fired) {
    write(rule);
    if (rule.action == FaultAction::delay || rule.action == FaultAction::silent) {
      pause(patience(rule));
    }
    if (rule.action == FaultAction::silent || rule.action == FaultAction::close) {
      throw FaultEnded{rule.name};
    }
  }
  return fired;
}

std::unique_ptr<net::Stream> ConnectionFaults::wrap(std::unique_ptr<net::Stream> stream) {
  auto wrapped = std::make_unique<FaultStream>(std::move(stream));
  m_stream = wrapped.get();
  return wrapped;
}

std::unique_ptr<ul::Association> ConnectionFaults::wrap(std::unique_ptr<ul::Association> association) {
  if (!association) {
    return nullptr;
  }
  auto wrapped = std::make_unique<FaultyAssociation>(std::move(association), *this);
  m_association = wrapped.get();
  return wrapped;
}

void ConnectionFaults::answer_contexts(const FaultRule& rule, const ul::AssociateRequest& request,
                                       ul::AssociateAccept& accept) {
  const auto refuse = [](ul::PresentationContextReply& reply, ul::ContextResult result) {
    reply.result = result;
    reply.transfer_syntax.clear();
  };
  bool is_first = true;
  for (std::size_t i = 0; i < accept.contexts.size(); ++i) {
    ul::PresentationContextReply& reply = accept.contexts[i];
    const std::vector<std::string>& offered = request.contexts[i].transfer_syntaxes;
    const auto offers = [&offered](std::string_view syntax) {
      return std::find(offered.begin(), offered.end(), syntax) != offered.end();
    };
    switch (rule.contexts) {
      case ContextFault::first_only:
      case ContextFault::omitted:
        if (!is_first) {
          refuse(reply, ul::ContextResult::no_reason);
        }
        break;
      case ContextFault::implicit_only:
        if (!offers(dicom::k_implicit_vr_little_endian)) {
          refuse(reply, ul::ContextResult::transfer_syntaxes_not_supported);
        } else if (reply.result == ul::ContextResult::accepted) {
          reply.transfer_syntax = dicom::k_implicit_vr_little_endian;
        }
        break;
      case ContextFault::none:
        refuse(reply, ul::ContextResult::transfer_syntaxes_not_supported);
        break;
      case ContextFault::last_syntax:
        if (reply.result == ul::ContextResult::accepted && !offered.empty()) {
          reply.transfer_syntax = offered.back();
        }
        break;
      case ContextFault::not_offered:
        if (reply.result == ul::ContextResult::accepted) {
          reply.transfer_syntax = offers(k_jpeg_lossless) ? k_jpeg_2000 : k_jpeg_lossless;
        }
        break;
      case ContextFault::reversed:
        break;
    }
    is_first = is_first && reply.result != ul::ContextResult::accepted;
  }
  if (rule.contexts == ContextFault::omitted || rule.contexts == ContextFault::reversed) {
    // The upper layer would put these in order.
    ul::AssociateAccept wire = accept;
    if (rule.contexts == ContextFault::reversed) {
      std::reverse(wire.contexts.begin(), wire.contexts.end());
    } else {
      std::erase_if(wire.contexts, [](const auto& reply) { return reply.result != ul::ContextResult::accepted; });
    }
    m_stream->replace_next(ul::encode(wire));
  }
}

void ConnectionFaults::at_associate(const ul::AssociateRequest& request, ul::Association::Decision& decision) {
  m_calling_ae = request.calling_ae;
  m_scope = m_plan.begin(FaultPoint::associate, m_calling_ae);
  FaultOccasion occasion{m_calling_ae, m_circumstances.tls, {}, {}};
  for (const ul::PresentationContext& context : request.contexts) {
    occasion.sop_classes.insert(context.abstract_syntax);
  }
  for (const FaultRule& rule : fire(FaultPoint::associate, m_scope, occasion)) {
    write(rule);
    auto* const accept = std::get_if<ul::AssociateAccept>(&decision);
    switch (rule.action) {
      case FaultAction::reject:
        decision = rule.reject;
        break;
      case FaultAction::silent:
        m_stream->wait_out(patience(rule), m_circumstances.stop);
        m_stream->close(Deadline::after(milliseconds(0)));
        throw FaultEnded{rule.name};
      case FaultAction::delay:
        pause(patience(rule));
        break;
      case FaultAction::close:
      case FaultAction::reset:
      case FaultAction::abort:
        end(rule);
      case FaultAction::bad_pdu:
        m_stream->replace_next(bytes_of(rule.pdu, false, 1));
        break;
      case FaultAction::drip:
        m_stream->drip(rule.duration.value_or(milliseconds(0)));
        break;
      case FaultAction::two_pdvs:
        m_stream->split_pdvs();
        break;
      case FaultAction::contexts:
        if (accept != nullptr) {
          answer_contexts(rule, request, *accept);
        }
        break;
      case FaultAction::max_pdu:
        if (accept != nullptr) {
          accept->max_pdu_length = rule.max_pdu;
        }
        break;
      case FaultAction::async_window:
        if (accept != nullptr) {
          // Where nothing was offered, or less, the upper layer would not say it.
          ul::AssociateAccept wire = *accept;
          wire.asynchronous_operations = ul::AsynchronousOperations{rule.window, rule.window};
          m_stream->replace_next(ul::encode(wire));
        }
        break;
      default:
        break;  // of other points
    }
  }
}

// Ends the association as the rule says.
void ConnectionFaults::end(const FaultRule& rule) {
  const Deadline deadline = Deadline::after(k_farewell);
  try {
    switch (rule.action) {
      case FaultAction::abort:
        m_stream->write_raw(ul::encode(rule.abort));
        m_stream->wait_out(k_farewell, m_circumstances.stop);
        break;
      case FaultAction::release:
        m_stream->write_raw(ul::encode_release_rq());
        m_stream->wait_out(k_farewell, m_circumstances.stop);
        break;
      case FaultAction::reset:
        m_stream->reset();
        break;
      default:
        break;
    }
  } catch (const Error&) {
    // The peer was quicker.
  }
  m_stream->close(deadline);
  throw FaultEnded{rule.name};
}

// --- requests

std::optional<dimse::Command> ConnectionFaults::at_request(FaultPoint point, dimse::Messenger& messenger,
                                                           const dimse::Messenger::Message& request,
                                                           const Trace& trace) {
  m_request = request;
  m_pdvs = 0;
  m_is_answered = false;
  m_at_pdv.reset();
  FaultOccasion occasion{m_calling_ae, m_circumstances.tls, {}, {}};
  const dimse::Command& command = request.command;
  if (const auto& sop_class =
          command.affected_sop_class_uid ? command.affected_sop_class_uid : command.requested_sop_class_uid) {
    occasion.sop_classes.insert(*sop_class);
  }
  m_current = fire(point, m_scope, occasion);
  std::optional<dimse::Command> refusal;
  for (const FaultRule& rule : m_current) {
    if (rule.after_pdvs || rule.action == FaultAction::stop_reading) {
      m_at_pdv = rule;
    } else if (ends_association(rule.action) && rule.moment == FaultMoment::request) {
      write(rule, facts_of_current({}));
      end(rule);
    } else if (rule.action == FaultAction::early) {
      write(rule, facts_of_current({}));
      const dimse::Command response = with_status(dimse::make_response(command, rule.status), rule);
      messenger.send(request.context_id, response);
      trace({request.context_id, response});
      m_is_answered = true;
    }
    if ((rule.action == FaultAction::status || rule.action == FaultAction::early) && !is_stored_with(rule.status)) {
      refusal = with_status(dimse::make_response(command, rule.status), rule);
    }
  }
  return refusal;
}

void ConnectionFaults::at_pdv() {
  if (!m_at_pdv || m_pdvs < m_at_pdv->after_pdvs.value_or(0)) {
    return;
  }
  const FaultRule rule = std::move(*m_at_pdv);
  m_at_pdv.reset();
  Json facts = facts_of_current({});
  facts["pdvs"] = m_pdvs;
  write(rule, facts);
  if (rule.action == FaultAction::stop_reading) {
    pause(patience(rule));
  }
  end(rule);
}

std::optional<dimse::Command> ConnectionFaults::at_object(const dicom::InstanceAttributes& attributes,
                                                          const dimse::Command& response) {
  FaultOccasion occasion{m_calling_ae, m_circumstances.tls, {attributes.sop_class_uid}, attributes.study_instance_uid};
  std::optional<dimse::Command> refusal;
  for (FaultRule& rule : fire(FaultPoint::store, m_scope, occasion)) {
    if (rule.action == FaultAction::status && !is_stored_with(rule.status)) {
      refusal = with_status(response, rule);
    }
    m_current.push_back(std::move(rule));
  }
  return refusal;
}

std::unique_ptr<dimse::StoreReception> ConnectionFaults::wrap(std::unique_ptr<dimse::StoreReception> reception,
                                                              StoreNote& note) {
  for (const FaultRule& rule : m_current) {
    if (rule.action == FaultAction::disk_full) {
      return std::make_unique<FullDisk>(std::move(reception), rule.after_bytes, note);
    }
  }
  return reception;
}

Json ConnectionFaults::facts_of_current(const StoreNote& note) const {
  Json facts;
  if (!m_request) {
    return facts;
  }
  const dimse::Command& command = m_request->command;
  if (command.message_id) {
    facts["messageId"] = *command.message_id;
  }
  if (command.affected_sop_instance_uid) {
    facts["SOPInstanceUID"] = *command.affected_sop_instance_uid;
  }
  if (!note.disposition.empty()) {
    facts["disposition"] = note.disposition;
  }
  return facts;
}

void ConnectionFaults::respond(dimse::Messenger& messenger, const dimse::Messenger::Message& request,
                               dimse::Command response, const StoreNote& note, const Trace& trace) {
  if (request.command.field == dimse::CommandField::c_echo_rq) {
    if (const auto refusal = at_request(FaultPoint::echo, messenger, request, trace)) {
      response = *refusal;
    }
  }
  const std::vector<FaultRule> current = std::exchange(m_current, {});
  m_at_pdv.reset();  // there were fewer
  const Json facts = facts_of_current(note);
  unsigned copies = std::exchange(m_is_answered, false) ? 0 : 1;
  bool is_held = false;
  std::size_t most_held = 0;
  for (const FaultRule& rule : current) {
    if (rule.action == FaultAction::early || rule.after_pdvs || rule.action == FaultAction::stop_reading) {
      continue;  // it has been, or never came to it
    }
    if (!(ends_association(rule.action) && rule.moment == FaultMoment::response)) {
      write(rule, facts);
    }
    switch (rule.action) {
      case FaultAction::status:
        if (response.status == std::uint16_t{0}) {
          response = with_status(std::move(response), rule);
        }
        break;
      case FaultAction::delay:
        pause(patience(rule));
        break;
      case FaultAction::silent:
        copies = 0;
        break;
      case FaultAction::twice:
        copies *= 2;
        break;
      case FaultAction::wrong_message_id:
        response.message_id_responded_to =
            static_cast<std::uint16_t>(response.message_id_responded_to.value_or(0) + 1000U);
        break;
      case FaultAction::other_instance:
        response.affected_sop_instance_uid = "1.2.3.4";
        break;
      case FaultAction::other_message:
        response.field = dimse::CommandField::c_find_rsp;
        break;
      case FaultAction::no_status:
        response.status.reset();
        break;
      case FaultAction::out_of_order:
        is_held = true;
        most_held = rule.hold;
        break;
      case FaultAction::bad_pdu:
        m_stream->write_raw(bytes_of(rule.pdu, true, request.context_id));
        copies = 0;
        break;
      default:
        if (ends_association(rule.action) && rule.moment == FaultMoment::object) {
          end(rule);
        }
        break;
    }
  }
  const dimse::Messenger::Message answer{request.context_id, std::move(response)};
  if (is_held) {
    m_held.push_back(answer);
    m_held_since = std::chrono::steady_clock::now();
    if (m_held.size() >= most_held) {
      send_held(messenger, trace);
    }
    return;
  }
  for (unsigned i = 0; i < copies; ++i) {
    messenger.send(answer.context_id, answer.command);
    trace(answer);
  }
  for (const FaultRule& rule : current) {
    if (ends_association(rule.action) && rule.moment == FaultMoment::response && !rule.after_pdvs) {
      write(rule, facts);
      end(rule);
    }
  }
}

void ConnectionFaults::send_held(dimse::Messenger& messenger, const Trace& trace) {
  while (!m_held.empty()) {
    const dimse::Messenger::Message answer = std::move(m_held.back());
    m_held.pop_back();
    messenger.send(answer.context_id, answer.command);
    trace(answer);
  }
}

void ConnectionFaults::between(dimse::Messenger& messenger, const Trace& trace) {
  if (!m_held.empty() && std::chrono::steady_clock::now() - m_held_since >= k_held) {
    send_held(messenger, trace);
  }
}

// --- release

void ConnectionFaults::at_release() {
  FaultOccasion occasion{m_calling_ae, m_circumstances.tls, {}, {}};
  for (const FaultRule& rule : fire(FaultPoint::release, m_scope, occasion)) {
    write(rule);
    switch (rule.action) {
      case FaultAction::silent:
        m_stream->wait_out(patience(rule), m_circumstances.stop);
        end(rule);
      case FaultAction::delay:
        pause(patience(rule));
        break;
      case FaultAction::collision: {
        // Both have asked: the requestor answers first, then we do (PS3.8 9.2, Sta9 to Sta12).
        constexpr std::size_t k_release_rp_size = 10;
        m_stream->write_raw(ul::encode_release_rq());
        static_cast<void>(m_stream->skip(k_release_rp_size, Deadline::after(m_circumstances.patience)));
        break;
      }
      case FaultAction::bad_pdu:
        m_stream->write_raw(bytes_of(rule.pdu, true, 1));
        m_stream->wait_out(k_farewell, m_circumstances.stop);
        end(rule);
      default:
        end(rule);
    }
  }
}

}  // namespace kuva::sandbox
