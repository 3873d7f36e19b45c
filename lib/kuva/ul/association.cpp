#include <kuva/ul/association.hpp>
#include <kuva/ul/pdu_input.hpp>
#include <kuva/ul/pdu_output.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace kuva::ul {

namespace {

constexpr std::string_view k_dicom_application_context = "1.2.840.10008.3.1.1.1";  // PS3.7 A.2.1
constexpr std::size_t k_longest_associate_pdu = 1U << 20U;
// A peer may exceed what we announced: data are taken in pieces, so a large PDU costs no memory. Beyond this it is no
// PDU.
constexpr std::uint32_t k_longest_data_pdu = 16U << 20U;
constexpr std::uint32_t k_longest_short_pdu = 1024;  // reject, release and abort: 4 by the standard

// Why the provider aborts, PS3.8 9.3.8.
constexpr Abort k_unrecognised_pdu{.source = 2, .reason = 1};
constexpr Abort k_unexpected_pdu{.source = 2, .reason = 2};
constexpr Abort k_invalid_parameter{.source = 2, .reason = 6};

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

bool begins_with(std::string_view text, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [text](std::string_view prefix) { return text.starts_with(prefix); });
}

// What else than DICOM the first bytes may be.
std::string foreign_protocol(const PduHeader& header) {
  if (begins_with(header.bytes, {"HTTP/", "GET ", "POST ", "PUT ", "HEAD ", "<html", "<!DOC", "OPTION", "PRI * "})) {
    return "it speaks HTTP, not DICOM";
  }
  if (begins_with(header.bytes, {"SSH-"})) {
    return "it speaks SSH, not DICOM";
  }
  if (begins_with(header.bytes, {"\x0bMSH"})) {
    return "it speaks HL7 MLLP, not DICOM";
  }
  const bool is_text = std::all_of(header.bytes.begin(), header.bytes.end(), [](char c) {
    return (c >= ' ' && c <= '~') || c == '\r' || c == '\n' || c == '\t';
  });
  return is_text ? "it speaks a text protocol, not DICOM"
                 : fmt::format("PDU type {:02X}H does not exist, length {}", header.type, header.length);
}

std::string_view name_of(std::uint8_t type) {
  switch (static_cast<PduType>(type)) {
    case PduType::associate_rq:
      return "A-ASSOCIATE-RQ";
    case PduType::associate_ac:
      return "A-ASSOCIATE-AC";
    case PduType::associate_rj:
      return "A-ASSOCIATE-RJ";
    case PduType::data:
      return "P-DATA-TF";
    case PduType::release_rq:
      return "A-RELEASE-RQ";
    case PduType::release_rp:
      return "A-RELEASE-RP";
    case PduType::abort:
      return "A-ABORT";
  }
  return "unknown PDU";
}

const RoleSelection* find_role(const std::vector<RoleSelection>& roles, std::string_view sop_class_uid) {
  const auto found = std::find_if(roles.begin(), roles.end(), [sop_class_uid](const RoleSelection& role) {
    return role.sop_class_uid == sop_class_uid;
  });
  return found == roles.end() ? nullptr : &*found;
}

// The smaller of two windows, where 0 has no limit.
std::uint16_t smaller_window(std::uint16_t a, std::uint16_t b) { return a == 0 ? b : b == 0 ? a : std::min(a, b); }

class StreamAssociation final : public Association {
 public:
  StreamAssociation(std::unique_ptr<net::Stream> stream, const Timeouts& timeouts, bool is_requestor)
      : m_stream(std::move(stream)),
        m_timeouts(timeouts),
        m_is_requestor(is_requestor),
        m_peer(m_stream->peer()),
        m_input(*m_stream) {}

  ~StreamAssociation() override { abort({}); }

  void establish_as_requestor(const AssociateRequest& request);
  // False when the request was rejected.
  bool establish_as_acceptor(const Decide& decide);

  const AssociateRequest& requested() const override { return m_request; }
  const AssociateAccept& accepted() const override { return m_accept; }
  bool is_requestor() const override { return m_is_requestor; }
  const Peer& peer() const override { return m_peer; }
  std::string local_address() const override { return m_local_address; }
  const std::vector<AcceptedContext>& contexts() const override { return m_contexts; }
  ContextResult context_result(std::uint8_t id) const override;
  std::uint16_t operations_window() const override { return m_window; }

  Sent send(std::uint8_t context_id, std::span<const std::byte> command, const DataSource& data,
            const OnAnswer& on_answer) override;
  void send(std::uint8_t context_id, std::span<const std::byte> command) override;
  Event read(Deadline deadline, Pdv& pdv) override;
  bool wait_readable(Deadline deadline) override;
  void release() override;
  void accept_release() override;
  void abort(const Abort& reason) noexcept override;
  void shutdown() noexcept override { m_stream->shutdown(); }
  bool is_open() const override { return m_open; }

 private:
  enum class Next { pdv, release_rq, release_rp, timeout };

  // Runs one operation. Its Error gets the peer and the phase, is kept as the first cause, and ends the association.
  template <typename Operation>
  auto guarded(Phase phase, Operation&& operation) -> decltype(operation());
  [[noreturn]] void fail(Error error, Phase phase);
  Error protocol_error(const Abort& answer, std::string_view what);
  Error abort_error(const Abort& abort);
  Error reject_error(const AssociateReject& reject) const;

  // A write that fails may have its reason in what the peer sent.
  template <typename Operation>
  void writing(Operation&& operation);
  void write(std::span<const std::byte> bytes);
  void write(std::string_view bytes) { write(bytes_of(bytes)); }
  void throw_abort_that_came();
  // Whether a message has begun to come. Only a response ends a message early: a release or an abort that comes ends
  // the association, and what was not sent whole must not look whole to the peer.
  bool is_answered_early();

  void settle();
  void settle_contexts();
  void settle_window();

  // The first PDU of the peer, whole. Errors: associate.timeout.
  void read_associate_pdu(PduHeader& header, std::string& body, std::string_view awaited);
  [[noreturn]] void refuse_foreign(const PduHeader& header);
  Next next(Deadline deadline, Pdv& pdv);
  bool next_pdv(Deadline deadline, Pdv& pdv, bool& delivered);
  void begin_data_pdu();
  void require_context(std::uint8_t context_id) const;
  void finish(Deadline deadline) noexcept;

  std::unique_ptr<net::Stream> m_stream;
  Timeouts m_timeouts;
  bool m_is_requestor;
  Peer m_peer;
  std::string m_local_address = m_stream->local_address();
  PduInput m_input;
  std::unique_ptr<PduOutput> m_output;

  AssociateRequest m_request;
  AssociateAccept m_accept;
  std::vector<AcceptedContext> m_contexts;
  std::uint16_t m_window = 1;

  bool m_open = true;
  bool m_established = false;
  bool m_writable = true;    // false after a write that failed, perhaps in the middle of a PDU
  bool m_peer_gone = false;  // it aborted or closed: nobody waits for our A-ABORT
  bool m_release_requested = false;
  std::optional<Next> m_ahead;  // found by wait_readable(), for read()
  Pdv m_ahead_pdv;
  Abort m_answer;  // what our A-ABORT says
  std::optional<Error> m_cause;

  // Where in the peer's PDUs we are.
  bool m_has_header = false;
  PduHeader m_header;
  std::string m_body;
  std::uint32_t m_pdu_left = 0;  // of the P-DATA-TF
  bool m_in_pdv = false;
  std::uint32_t m_pdv_left = 0;
  std::uint8_t m_pdv_context = 0;
  std::uint8_t m_pdv_control = 0;
};

// --- errors

template <typename Operation>
auto StreamAssociation::guarded(Phase phase, Operation&& operation) -> decltype(operation()) {
  if (m_cause) {
    throw Error(*m_cause);
  }
  if (!m_open) {
    throw Error(kind("connection.lost"), "the association has ended").in_phase(phase).with_peer(m_peer);
  }
  try {
    return operation();
  } catch (Error& error) {
    fail(std::move(error), phase);
  } catch (...) {
    abort(m_answer);
    throw;
  }
}

void StreamAssociation::fail(Error error, Phase phase) {
  const std::string_view code = error.kind().code;
  if (code.starts_with("connection.") || code.starts_with("association.")) {
    error.in_phase(phase);
  }
  if (code.starts_with("connection.") || code.starts_with("associat") || code.starts_with("tls.")) {
    error.with_peer(m_peer);
  }
  if (code == "connection.lost" || code == "tls.truncated") {
    m_peer_gone = true;
  }
  if (m_open && m_established && !m_peer_gone) {
    error.with("abortBy", "us");
  }
  m_cause = error;
  abort(m_answer);
  throw error;
}

Error StreamAssociation::protocol_error(const Abort& answer, std::string_view what) {
  m_answer = answer;
  return Error(m_established ? kind("association.protocol") : kind("associate.protocol"),
               fmt::format("{} broke the DICOM upper layer protocol: {}", net::name_of(m_peer), what));
}

Error StreamAssociation::abort_error(const Abort& abort) {
  m_peer_gone = true;
  return Error(m_established ? kind("association.aborted") : kind("associate.aborted"),
               fmt::format("{} aborted the association, {}", net::name_of(m_peer), to_string(abort)))
      .with("abortBy", "peer")
      .with("abortSource", abort.source)
      .with("abortReason", abort.reason);
}

Error StreamAssociation::reject_error(const AssociateReject& reject) const {
  std::string message = fmt::format("{} rejects the association: {}; called AE \"{}\", calling AE \"{}\"",
                                    net::name_of(m_peer), to_string(reject), m_request.called_ae, m_request.calling_ae);
  const ErrorKind& reject_kind = kind_of(reject);
  if (&reject_kind == &kind("associate.rejected.identity") && !m_request.user_identity) {
    message += "; no user identity was sent";
  }
  return Error(reject_kind, std::move(message))
      .with("rejectResult", reject.result)
      .with("rejectSource", reject.source)
      .with("rejectReason", reject.reason);
}

// --- writing

void StreamAssociation::write(std::span<const std::byte> bytes) {
  writing([&] { m_stream->write_all({&bytes, 1}, m_timeouts.stall); });
}

template <typename Operation>
void StreamAssociation::writing(Operation&& operation) {
  try {
    operation();
  } catch (const Error& error) {
    m_writable = false;
    if (error.kind().code == "connection.lost") {
      throw_abort_that_came();
    }
    throw;
  }
}

// A peer that aborts and closes makes our writes fail before its A-ABORT is read; the A-ABORT is the cause.
void StreamAssociation::throw_abort_that_came() {
  try {
    Pdv dropped;
    while (m_established && next(Deadline::after(std::chrono::milliseconds(0)), dropped) != Next::timeout) {
    }
  } catch (const Error& error) {
    if (error.kind().code == "association.aborted" || error.kind().code.starts_with("tls.client-certificate")) {
      throw;
    }
  }
}

bool StreamAssociation::is_answered_early() {
  if (!m_ahead) {
    const Next came = next(Deadline::after(std::chrono::milliseconds(0)), m_ahead_pdv);
    if (came == Next::timeout) {
      return false;
    }
    m_ahead = came;
  }
  if (m_ahead == Next::release_rq) {
    throw Error(kind("association.released"),
                fmt::format("{} asked for release in the middle of an object", net::name_of(m_peer)));
  }
  return true;
}

Association::Sent StreamAssociation::send(std::uint8_t context_id, std::span<const std::byte> command,
                                          const DataSource& data, const OnAnswer& on_answer) {
  return guarded(Phase::send, [&] {
    require_context(context_id);
    m_output->put_command(context_id, command);
    const auto stop = [this, &on_answer] { return on_answer && is_answered_early() && on_answer(); };
    if (data.file && m_stream->takes_files() && m_output->prefers_file(data.file->size)) {
      const auto write_file = [this](std::span<const std::byte> head, const net::FileRange& range) {
        writing([&] { m_stream->write_file(head, range, m_timeouts.stall); });
      };
      return m_output->put_file(context_id, data, write_file, stop);
    }
    return m_output->put_data(context_id, data, stop);
  });
}

void StreamAssociation::send(std::uint8_t context_id, std::span<const std::byte> command) {
  guarded(Phase::send, [&] {
    require_context(context_id);
    m_output->put_command(context_id, command);
    m_output->flush();
  });
}

void StreamAssociation::require_context(std::uint8_t context_id) const {
  if (find_context(context_id) == nullptr) {
    throw Error(kind("association.protocol"), fmt::format("presentation context {} was not accepted", context_id));
  }
}

// --- establishing

void StreamAssociation::read_associate_pdu(PduHeader& header, std::string& body, std::string_view awaited) {
  const auto deadline = Deadline::after(m_timeouts.associate);
  const auto timeout = [&] {
    return Error(kind("associate.timeout"), fmt::format("no {} from {} within {}", awaited, net::name_of(m_peer),
                                                        format_duration(m_timeouts.associate)));
  };
  if (!m_input.header(header, deadline)) {
    // Fewer bytes than a header: a text protocol's short word, perhaps.
    throw timeout();
  }
  const auto type = static_cast<PduType>(header.type);
  const bool is_long = type == PduType::associate_rq || type == PduType::associate_ac;
  const bool is_short = type == PduType::associate_rj || type == PduType::abort;
  if (!is_long && !is_short) {
    refuse_foreign(header);
  }
  if (header.length > (is_long ? k_longest_associate_pdu : k_longest_short_pdu)) {
    throw protocol_error(k_invalid_parameter, fmt::format("{} of {} bytes", name_of(header.type), header.length));
  }
  if (!m_input.body(header.length, body, deadline)) {
    throw timeout();
  }
}

void StreamAssociation::refuse_foreign(const PduHeader& header) {
  // TLS records: 15H is an alert, 16H a handshake; then the major version.
  const bool is_tls = (header.type == 0x15 || header.type == 0x16) && header.bytes[1] == 0x03;
  if (is_tls && m_peer.tls.empty()) {
    m_answer = k_unrecognised_pdu;
    throw Error(kind("tls.peer-wants-tls"),
                fmt::format("{} speaks TLS where we speak plain DICOM", net::name_of(m_peer)));
  }
  const bool exists = header.type >= 1 && header.type <= 7;
  throw protocol_error(
      exists ? k_unexpected_pdu : k_unrecognised_pdu,
      exists ? fmt::format("{} while the association was being made", name_of(header.type)) : foreign_protocol(header));
}

void StreamAssociation::establish_as_requestor(const AssociateRequest& request) {
  m_request = request;
  if (m_request.application_context.empty()) {
    m_request.application_context = k_dicom_application_context;
  }
  m_peer.called_ae = request.called_ae;
  m_peer.calling_ae = request.calling_ae;
  guarded(Phase::associate, [this] {
    write(encode(m_request));
    PduHeader header;
    std::string body;
    try {
      read_associate_pdu(header, body, "answer to A-ASSOCIATE-RQ");
    } catch (const Error& error) {
      if (error.kind().code != "connection.lost") {
        throw;
      }
      // Common to wrong ports: TLS ports that get plain bytes, hosts that the peer does not know.
      throw Error(error.kind(), fmt::format("{}, without an answer to A-ASSOCIATE-RQ{}", error.message(),
                                            m_peer.tls.empty() ? " (does the port expect TLS?)" : ""));
    }
    switch (static_cast<PduType>(header.type)) {
      case PduType::associate_ac:
        m_answer = k_invalid_parameter;  // should it not decode
        m_accept = decode_associate_ac(bytes_of(body));
        m_answer = {};
        break;
      case PduType::associate_rj: {
        m_peer_gone = true;  // the requestor closes after a rejection
        throw reject_error(decode_associate_rj(bytes_of(body)));
      }
      case PduType::abort:
        throw abort_error(decode_abort(bytes_of(body)));
      default:
        refuse_foreign(header);
    }
    m_peer.implementation_class_uid = m_accept.implementation_class_uid;
    m_peer.implementation_version_name = m_accept.implementation_version_name;
    settle();
  });
}

bool StreamAssociation::establish_as_acceptor(const Decide& decide) {
  return guarded(Phase::associate, [&] {
    PduHeader header;
    std::string body;
    read_associate_pdu(header, body, "A-ASSOCIATE-RQ");
    if (static_cast<PduType>(header.type) == PduType::abort) {
      throw abort_error(decode_abort(bytes_of(body)));
    }
    if (static_cast<PduType>(header.type) != PduType::associate_rq) {
      refuse_foreign(header);
    }
    m_answer = k_invalid_parameter;
    m_request = decode_associate_rq(bytes_of(body));
    m_answer = {};
    m_peer.called_ae = m_request.called_ae;
    m_peer.calling_ae = m_request.calling_ae;
    m_peer.implementation_class_uid = m_request.implementation_class_uid;
    m_peer.implementation_version_name = m_request.implementation_version_name;

    Decision decision = AssociateReject{};
    if ((m_request.protocol_version & 1U) == 0) {
      decision = AssociateReject{.result = 1, .source = 2, .reason = 2};
    } else if (m_request.application_context != k_dicom_application_context) {
      decision = AssociateReject{.result = 1, .source = 1, .reason = 2};
    } else {
      decision = decide(m_request, *m_stream);
    }
    if (const auto* reject = std::get_if<AssociateReject>(&decision)) {
      write(encode(*reject));
      finish(Deadline::after(m_timeouts.release));
      return false;
    }
    m_accept = std::get<AssociateAccept>(std::move(decision));
    // Echoes, and only what was asked for (PS3.8 9.3.3, PS3.7 D.3.3).
    m_accept.called_ae = m_request.called_ae;
    m_accept.calling_ae = m_request.calling_ae;
    m_accept.application_context = m_request.application_context;
    std::vector<PresentationContextReply> replies;
    for (const PresentationContext& context : m_request.contexts) {
      const auto found = std::find_if(m_accept.contexts.begin(), m_accept.contexts.end(),
                                      [&](const PresentationContextReply& reply) { return reply.id == context.id; });
      replies.push_back(found != m_accept.contexts.end()
                            ? *found
                            : PresentationContextReply{context.id, ContextResult::no_reason, {}});
    }
    m_accept.contexts = std::move(replies);
    std::vector<RoleSelection> roles;
    for (const RoleSelection& role : m_accept.roles) {
      if (const RoleSelection* proposed = find_role(m_request.roles, role.sop_class_uid)) {
        roles.push_back({role.sop_class_uid, role.scu && proposed->scu, role.scp && proposed->scp});
      }
    }
    m_accept.roles = std::move(roles);
    if (!m_request.asynchronous_operations) {
      m_accept.asynchronous_operations.reset();
    } else if (m_accept.asynchronous_operations) {
      auto& operations = *m_accept.asynchronous_operations;
      operations.invoked = smaller_window(operations.invoked, m_request.asynchronous_operations->invoked);
      operations.performed = smaller_window(operations.performed, m_request.asynchronous_operations->performed);
    }
    if (!m_request.user_identity || !m_request.user_identity->response_requested) {
      m_accept.user_identity_response.reset();
    }
    write(encode(m_accept));
    settle();
    return true;
  });
}

void StreamAssociation::settle() {
  settle_contexts();
  settle_window();
  const std::uint32_t peer_limit = m_is_requestor ? m_accept.max_pdu_length : m_request.max_pdu_length;
  m_output = std::make_unique<PduOutput>(peer_limit, [this](std::span<const std::byte> bytes) { write(bytes); });
  m_established = true;
}

void StreamAssociation::settle_contexts() {
  for (const PresentationContext& context : m_request.contexts) {
    const auto reply =
        std::find_if(m_accept.contexts.begin(), m_accept.contexts.end(),
                     [&](const PresentationContextReply& candidate) { return candidate.id == context.id; });
    if (reply == m_accept.contexts.end() || reply->result != ContextResult::accepted) {
      continue;
    }
    const auto& offered = context.transfer_syntaxes;
    if (std::find(offered.begin(), offered.end(), reply->transfer_syntax) == offered.end()) {
      // Accepted with a syntax that was not offered: of no use to either side.
      reply->result = ContextResult::transfer_syntaxes_not_supported;
      continue;
    }
    bool requestor_is_scu = true;
    bool requestor_is_scp = false;
    const RoleSelection* proposed = find_role(m_request.roles, context.abstract_syntax);
    const RoleSelection* granted = find_role(m_accept.roles, context.abstract_syntax);
    if (proposed != nullptr && granted != nullptr) {
      requestor_is_scu = proposed->scu && granted->scu;
      requestor_is_scp = proposed->scp && granted->scp;
    }
    m_contexts.push_back({.id = context.id,
                          .abstract_syntax = context.abstract_syntax,
                          .transfer_syntax = reply->transfer_syntax,
                          .scu = m_is_requestor ? requestor_is_scu : requestor_is_scp,
                          .scp = m_is_requestor ? requestor_is_scp : requestor_is_scu});
  }
}

void StreamAssociation::settle_window() {
  // Invoked and performed are the requestor's, in request and accept alike (PS3.7 D.3.3.3).
  const auto& offered = m_request.asynchronous_operations;
  const auto& granted = m_accept.asynchronous_operations;
  if (offered && granted) {
    m_window = m_is_requestor ? smaller_window(offered->invoked, granted->invoked)
                              : smaller_window(offered->performed, granted->performed);
  }
}

ContextResult StreamAssociation::context_result(std::uint8_t id) const {
  const auto reply = std::find_if(m_accept.contexts.begin(), m_accept.contexts.end(),
                                  [id](const PresentationContextReply& candidate) { return candidate.id == id; });
  return reply == m_accept.contexts.end() ? ContextResult::no_reason : reply->result;
}

// --- reading

void StreamAssociation::begin_data_pdu() {
  if (m_header.length > k_longest_data_pdu) {
    throw protocol_error(k_invalid_parameter, fmt::format("P-DATA-TF of {} bytes", m_header.length));
  }
  m_has_header = false;
  m_pdu_left = m_header.length;
  m_input.set_inside_pdu(m_pdu_left != 0);
}

// False at the deadline; `delivered` when there is a PDV to hand out.
bool StreamAssociation::next_pdv(Deadline deadline, Pdv& pdv, bool& delivered) {
  constexpr std::uint32_t k_pdv_header = 6;
  if (!m_in_pdv) {
    if (m_pdu_left < k_pdv_header) {
      throw protocol_error(k_invalid_parameter, fmt::format("{} bytes too many in a P-DATA-TF", m_pdu_left));
    }
    if (!m_input.fill(k_pdv_header, deadline)) {
      return false;
    }
    const auto bytes = m_input.available();
    const auto at = [&bytes](std::size_t i) { return std::to_integer<std::uint32_t>(bytes[i]); };
    const std::uint32_t length = at(0) << 24U | at(1) << 16U | at(2) << 8U | at(3);
    if (length < 2 || length > m_pdu_left - 4) {
      throw protocol_error(k_invalid_parameter,
                           fmt::format("a PDV of {} bytes in the last {} of a P-DATA-TF", length, m_pdu_left));
    }
    m_pdv_context = static_cast<std::uint8_t>(at(4));
    m_pdv_control = static_cast<std::uint8_t>(at(5));
    if (find_context(m_pdv_context) == nullptr) {
      throw protocol_error(k_invalid_parameter,
                           fmt::format("data for presentation context {}, which was not accepted", m_pdv_context));
    }
    m_input.consume(k_pdv_header);
    m_pdu_left -= k_pdv_header;
    m_pdv_left = length - 2;
    m_in_pdv = true;
  }
  if (m_pdv_left != 0 && !m_input.fill(1, deadline)) {
    return false;
  }
  const std::size_t count = std::min<std::size_t>(m_input.available().size(), m_pdv_left);
  pdv.context_id = m_pdv_context;
  pdv.is_command = (m_pdv_control & 1U) != 0;
  pdv.data = m_input.available().first(count);
  m_input.consume(count);
  m_pdv_left -= static_cast<std::uint32_t>(count);
  m_pdu_left -= static_cast<std::uint32_t>(count);
  pdv.is_last = m_pdv_left == 0 && (m_pdv_control & 2U) != 0;
  m_in_pdv = m_pdv_left != 0;
  pdv.ends_pdv = !m_in_pdv;
  m_input.set_inside_pdu(m_pdu_left != 0);
  delivered = count != 0 || pdv.is_last;  // an empty fragment that ends nothing says nothing
  return true;
}

StreamAssociation::Next StreamAssociation::next(Deadline deadline, Pdv& pdv) {
  for (;;) {
    if (m_pdu_left != 0 || m_in_pdv) {
      bool delivered = false;
      if (!next_pdv(deadline, pdv, delivered)) {
        return Next::timeout;
      }
      if (delivered) {
        return Next::pdv;
      }
      continue;
    }
    if (!m_has_header) {
      if (!m_input.header(m_header, deadline)) {
        return Next::timeout;
      }
      m_has_header = true;
      m_body.clear();
    }
    const auto type = static_cast<PduType>(m_header.type);
    if (type == PduType::data) {
      begin_data_pdu();
      continue;
    }
    if (type != PduType::release_rq && type != PduType::release_rp && type != PduType::abort) {
      const bool exists = m_header.type >= 1 && m_header.type <= 7;
      throw protocol_error(exists ? k_unexpected_pdu : k_unrecognised_pdu,
                           exists ? fmt::format("unexpected {}", name_of(m_header.type)) : foreign_protocol(m_header));
    }
    if (m_header.length > k_longest_short_pdu) {
      throw protocol_error(k_invalid_parameter, fmt::format("{} of {} bytes", name_of(m_header.type), m_header.length));
    }
    if (!m_input.body(m_header.length, m_body, deadline)) {
      return Next::timeout;
    }
    m_has_header = false;
    if (type == PduType::abort) {
      throw abort_error(m_body.size() < 4 ? Abort{} : decode_abort(bytes_of(m_body)));
    }
    return type == PduType::release_rq ? Next::release_rq : Next::release_rp;
  }
}

Association::Event StreamAssociation::read(Deadline deadline, Pdv& pdv) {
  return guarded(Phase::wait, [&] {
    if (m_release_requested) {
      return Event::release_requested;
    }
    Next came = Next::timeout;
    if (m_ahead) {
      came = *m_ahead;
      pdv = m_ahead_pdv;
      m_ahead.reset();
    } else {
      came = next(deadline, pdv);
    }
    switch (came) {
      case Next::pdv:
        return Event::pdv;
      case Next::release_rq:
        m_release_requested = true;
        return Event::release_requested;
      case Next::release_rp:
        throw protocol_error(k_unexpected_pdu, "A-RELEASE-RP that nobody asked for");
      case Next::timeout:
        break;
    }
    return Event::timeout;
  });
}

bool StreamAssociation::wait_readable(Deadline deadline) {
  try {
    return guarded(Phase::wait, [&] {
      if (!m_ahead && !m_release_requested) {
        const Next came = next(deadline, m_ahead_pdv);
        if (came == Next::timeout) {
          return false;
        }
        m_ahead = came;
      }
      return true;
    });
  } catch (const Error&) {
    return true;  // read() throws it
  }
}

// --- ending

void StreamAssociation::release() {
  if (m_open && (m_release_requested || m_ahead == Next::release_rq)) {
    accept_release();
    return;
  }
  guarded(Phase::release, [this] {
    write(encode_release_rq());
    const auto deadline = Deadline::after(m_timeouts.release);
    bool collided = false;
    for (;;) {
      Pdv dropped;
      switch (next(deadline, dropped)) {
        case Next::pdv:
          break;
        case Next::release_rq:
          // Both asked at once: the requestor of the association answers first (PS3.8 9.2, AR-8 to AR-10).
          collided = true;
          if (m_is_requestor) {
            write(encode_release_rp());
          }
          break;
        case Next::release_rp:
          if (collided && !m_is_requestor) {
            write(encode_release_rp());
            finish(deadline);
          } else {
            m_open = false;
            m_stream->close(Deadline::after(m_timeouts.abort));
          }
          return;
        case Next::timeout:
          throw Error(kind("connection.timeout"),
                      fmt::format("no answer to A-RELEASE-RQ from {} within {}", net::name_of(m_peer),
                                  format_duration(m_timeouts.release)));
      }
    }
  });
}

void StreamAssociation::accept_release() {
  guarded(Phase::release, [this] {
    write(encode_release_rp());
    finish(Deadline::after(m_timeouts.release));
  });
}

// Waits for the peer to close, as the side that wrote the last PDU does (Sta13), then closes.
void StreamAssociation::finish(Deadline deadline) noexcept {
  m_open = false;
  m_input.drain(deadline);
  m_stream->close(deadline);
}

void StreamAssociation::abort(const Abort& reason) noexcept {
  if (!m_open) {
    return;
  }
  m_open = false;
  const auto deadline = Deadline::after(m_timeouts.abort);
  if (m_writable && !m_peer_gone) {
    try {
      const std::string pdu = encode(reason);
      const std::span<const std::byte> piece = bytes_of(pdu);
      m_stream->write_all({&piece, 1}, m_timeouts.abort);
      m_input.drain(deadline);
    } catch (const std::exception&) {
      // The first cause is what counts.
    }
  }
  m_stream->close(deadline);
}

}  // namespace

const AcceptedContext* Association::find_context(std::uint8_t id) const {
  const auto found = std::find_if(contexts().begin(), contexts().end(),
                                  [id](const AcceptedContext& context) { return context.id == id; });
  return found == contexts().end() ? nullptr : &*found;
}

const AcceptedContext* Association::find_context(std::string_view abstract_syntax,
                                                 std::string_view transfer_syntax) const {
  const auto found = std::find_if(contexts().begin(), contexts().end(), [&](const AcceptedContext& context) {
    return context.abstract_syntax == abstract_syntax && context.transfer_syntax == transfer_syntax;
  });
  return found == contexts().end() ? nullptr : &*found;
}

std::unique_ptr<Association> Association::request(std::unique_ptr<net::Stream> stream, const AssociateRequest& request,
                                                  const Timeouts& timeouts) {
  auto association = std::make_unique<StreamAssociation>(std::move(stream), timeouts, true);
  association->establish_as_requestor(request);
  return association;
}

std::unique_ptr<Association> Association::accept(std::unique_ptr<net::Stream> stream, const Decide& decide,
                                                 const Timeouts& timeouts) {
  auto association = std::make_unique<StreamAssociation>(std::move(stream), timeouts, false);
  if (!association->establish_as_acceptor(decide)) {
    return nullptr;
  }
  return association;
}

}  // namespace kuva::ul
