#include <kuva/core/time.hpp>
#include <kuva/dicom/tag.hpp>
#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/dimse/command.hpp>
#include <kuva/dimse/status.hpp>
#include <kuva/dimse/trace_stream.hpp>
#include <kuva/ul/pdu.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kuva::dimse {

namespace {

constexpr std::size_t k_longest_body = 1U << 20U;
constexpr std::size_t k_longest_command = 64U << 10U;

std::string named(std::string_view uid) {
  const dicom::TransferSyntax syntax = dicom::transfer_syntax(uid);
  const std::string_view name = syntax.known ? syntax.name : dicom::uid_name(uid);
  return name.empty() ? std::string(uid) : fmt::format("{} ({})", uid, name);
}

std::string_view name_of(ul::PduType type) {
  switch (type) {
    case ul::PduType::associate_rq:
      return "A-ASSOCIATE-RQ";
    case ul::PduType::associate_ac:
      return "A-ASSOCIATE-AC";
    case ul::PduType::associate_rj:
      return "A-ASSOCIATE-RJ";
    case ul::PduType::data:
      return "P-DATA-TF";
    case ul::PduType::release_rq:
      return "A-RELEASE-RQ";
    case ul::PduType::release_rp:
      return "A-RELEASE-RP";
    case ul::PduType::abort:
      return "A-ABORT";
  }
  return "unknown PDU";
}

// The PDUs of one direction, from bytes as they come.
class PduTrace {
 public:
  PduTrace(char direction, const TraceSink& sink, bool phi_plain)
      : m_direction(direction), m_sink(sink), m_phi_plain(phi_plain) {}

  void feed(std::span<const std::byte> bytes) {
    while (!bytes.empty() && !m_given_up) {
      const std::size_t count = take(bytes);
      bytes = bytes.subspan(count);
    }
  }

 private:
  enum class State { pdu_header, body, pdv_header, pdv };

  void say(std::string_view text) { m_sink(trace_line(fmt::format("{} {}", m_direction, text))); }
  void say_more(std::string_view text) { m_sink(fmt::format("                           {}", text)); }

  // Fills m_bytes up to `size`; true once it is full.
  bool gather(std::span<const std::byte> bytes, std::size_t size, std::size_t& count) {
    count = std::min(bytes.size(), size - m_bytes.size());
    m_bytes.append(reinterpret_cast<const char*>(bytes.data()), count);
    return m_bytes.size() == size;
  }
  std::uint8_t at(std::size_t i) const { return static_cast<std::uint8_t>(m_bytes[i]); }
  std::uint32_t number_at(std::size_t i) const {
    return std::uint32_t{at(i)} << 24U | std::uint32_t{at(i + 1)} << 16U | std::uint32_t{at(i + 2)} << 8U | at(i + 3);
  }
  void give_up(std::string_view why) {
    say(fmt::format("{}: what follows in this direction is not decoded", why));
    m_given_up = true;
  }

  std::size_t take(std::span<const std::byte> bytes) {
    std::size_t count = 0;
    switch (m_state) {
      case State::pdu_header:
        if (gather(bytes, 6, count)) {
          begin_pdu();
        }
        return count;
      case State::body:
        if (gather(bytes, m_left, count)) {
          tell_body();
          begin(State::pdu_header);
        }
        return count;
      case State::pdv_header:
        if (gather(bytes, 6, count)) {
          begin_pdv();
        }
        return count;
      case State::pdv:
        count = std::min<std::size_t>(bytes.size(), m_pdv_left);
        take_pdv(bytes.first(count));
        return count;
    }
    return bytes.size();
  }

  void begin(State state) {
    m_state = state;
    m_bytes.clear();
  }

  void begin_pdu() {
    const std::uint8_t type = at(0);
    m_left = number_at(2);
    if (type < 1 || type > 7) {
      give_up(fmt::format("type {:02X}H is no PDU", type));
      return;
    }
    m_type = static_cast<ul::PduType>(type);
    say(fmt::format("{} length {}", name_of(m_type), m_left));
    if (m_type == ul::PduType::data) {
      begin(m_left == 0 ? State::pdu_header : State::pdv_header);
    } else if (m_left > k_longest_body) {
      give_up("a PDU too long for its kind");
    } else if (m_left == 0) {
      begin(State::pdu_header);
    } else {
      begin(State::body);
    }
  }

  void begin_pdv() {
    const std::uint32_t length = number_at(0);
    if (m_left < 6 || length < 2 || length > m_left - 4) {
      give_up(fmt::format("a PDV of {} bytes does not fit", length));
      return;
    }
    m_context = at(4);
    m_control = at(5);
    m_pdv_left = length - 2;
    m_left -= 6;
    const bool is_command = (m_control & 1U) != 0;
    const bool is_last = (m_control & 2U) != 0;
    say_more(fmt::format("PDV context {}, {}, {}, {} bytes", m_context, is_command ? "command" : "data",
                         is_last ? "last" : "more to come", m_pdv_left));
    if (m_pdv_left == 0) {
      end_pdv();
    } else {
      begin(State::pdv);
    }
  }

  void take_pdv(std::span<const std::byte> bytes) {
    if ((m_control & 1U) != 0) {
      if (m_command.size() + bytes.size() <= k_longest_command) {
        m_command.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      }
    } else {
      m_data_size += bytes.size();
    }
    m_pdv_left -= static_cast<std::uint32_t>(bytes.size());
    m_left -= static_cast<std::uint32_t>(bytes.size());
    if (m_pdv_left == 0) {
      end_pdv();
    }
  }

  void end_pdv() {
    if ((m_control & 2U) != 0) {
      if ((m_control & 1U) != 0) {
        tell_command();
        m_command.clear();
      } else {
        say_more(fmt::format("data set of {} bytes", m_data_size));
        m_data_size = 0;
      }
    }
    begin(m_left == 0 ? State::pdu_header : State::pdv_header);
  }

  void tell_body() {
    const auto body = std::as_bytes(std::span(m_bytes));
    try {
      switch (m_type) {
        case ul::PduType::associate_rq:
          tell(ul::decode_associate_rq(body));
          break;
        case ul::PduType::associate_ac:
          tell(ul::decode_associate_ac(body));
          break;
        case ul::PduType::associate_rj:
          say_more(ul::to_string(ul::decode_associate_rj(body)));
          break;
        case ul::PduType::abort:
          say_more(ul::to_string(ul::decode_abort(body)));
          break;
        case ul::PduType::data:
        case ul::PduType::release_rq:
        case ul::PduType::release_rp:
          break;
      }
    } catch (const Error& error) {
      say_more(fmt::format("cannot be decoded: {}", error.message()));
    }
  }

  void tell(const ul::AssociateRequest& request) {
    tell_common(request);
    for (const ul::PresentationContext& context : request.contexts) {
      say_more(fmt::format("context {}: {}", context.id, named(context.abstract_syntax)));
      for (const std::string& syntax : context.transfer_syntaxes) {
        say_more(fmt::format("  {}", named(syntax)));
      }
    }
    for (const ul::CommonExtendedNegotiation& item : request.common_extended_negotiations) {
      say_more(fmt::format("common extended negotiation of {}", named(item.sop_class_uid)));
    }
    if (request.user_identity) {
      const ul::UserIdentity& identity = *request.user_identity;
      const bool is_name = identity.type == ul::UserIdentity::Type::username ||
                           identity.type == ul::UserIdentity::Type::username_passcode;
      say_more(fmt::format("user identity type {}: {}", static_cast<int>(identity.type),
                           is_name && m_phi_plain ? identity.primary : "***"));
    }
  }

  void tell(const ul::AssociateAccept& accept) {
    tell_common(accept);
    for (const ul::PresentationContextReply& reply : accept.contexts) {
      const bool accepted = reply.result == ul::ContextResult::accepted;
      say_more(fmt::format("context {}: {}{}", reply.id, ul::to_string(reply.result),
                           accepted ? ", " + named(reply.transfer_syntax) : ""));
    }
    if (accept.user_identity_response) {
      say_more(fmt::format("user identity response of {} bytes", accept.user_identity_response->size()));
    }
  }

  template <typename Parameters>
  void tell_common(const Parameters& parameters) {
    say_more(fmt::format("called AE \"{}\", calling AE \"{}\", max PDU {}", parameters.called_ae, parameters.calling_ae,
                         parameters.max_pdu_length));
    say_more(fmt::format("implementation {} {}", parameters.implementation_class_uid,
                         parameters.implementation_version_name));
    if (parameters.asynchronous_operations) {
      say_more(fmt::format("asynchronous operations: {} invoked, {} performed",
                           parameters.asynchronous_operations->invoked, parameters.asynchronous_operations->performed));
    }
    for (const ul::RoleSelection& role : parameters.roles) {
      say_more(fmt::format("role selection of {}: SCU {}, SCP {}", named(role.sop_class_uid), role.scu ? 1 : 0,
                           role.scp ? 1 : 0));
    }
    for (const ul::ExtendedNegotiation& item : parameters.extended_negotiations) {
      say_more(fmt::format("extended negotiation of {}: {} bytes", named(item.sop_class_uid),
                           item.application_information.size()));
    }
  }

  void tell_command() {
    try {
      tell(decode(std::as_bytes(std::span(m_command))));
    } catch (const Error& error) {
      say_more(fmt::format("a command set that cannot be decoded: {}", error.message()));
    }
  }

  void tell(const Command& command) {
    std::string text(to_string(command.field));
    const auto put = [&text](std::string_view keyword, const auto& value) {
      if (value) {
        text += fmt::format(", {} {}", keyword, *value);
      }
    };
    const auto put_uid = [&text](std::string_view keyword, const std::optional<std::string>& value) {
      if (value) {
        text += fmt::format(", {} {}", keyword, named(*value));
      }
    };
    put("MessageID", command.message_id);
    put("MessageIDBeingRespondedTo", command.message_id_responded_to);
    put_uid("AffectedSOPClassUID", command.affected_sop_class_uid);
    put_uid("RequestedSOPClassUID", command.requested_sop_class_uid);
    put("AffectedSOPInstanceUID", command.affected_sop_instance_uid);
    put("RequestedSOPInstanceUID", command.requested_sop_instance_uid);
    put("Priority", command.priority);
    put("EventTypeID", command.event_type_id);
    put("ActionTypeID", command.action_type_id);
    put("MoveDestination", command.move_destination);
    put("MoveOriginatorApplicationEntityTitle", command.move_originator_ae);
    put("MoveOriginatorMessageID", command.move_originator_message_id);
    if (command.status) {
      const Service service = command.field == CommandField::c_store_rsp ? Service::store : Service::general;
      text += fmt::format(", Status {} ({})", hex(*command.status), status_name(service, *command.status));
    }
    for (const dicom::Tag tag : command.offending_elements) {
      text += fmt::format(", OffendingElement ({})", dicom::to_string(tag));
    }
    if (command.error_comment) {
      text += fmt::format(", ErrorComment \"{}\"",
                          m_phi_plain ? *command.error_comment : masked_comment(*command.error_comment));
    }
    put("ErrorID", command.error_id);
    put("NumberOfRemainingSuboperations", command.remaining_suboperations);
    put("NumberOfCompletedSuboperations", command.completed_suboperations);
    put("NumberOfFailedSuboperations", command.failed_suboperations);
    put("NumberOfWarningSuboperations", command.warning_suboperations);
    say_more(text + (command.has_data_set ? ", a data set follows" : ""));
  }

  char m_direction;
  const TraceSink& m_sink;
  bool m_phi_plain;
  State m_state = State::pdu_header;
  std::string m_bytes;
  ul::PduType m_type = ul::PduType::data;
  std::uint32_t m_left = 0;  // of the PDU
  std::uint8_t m_context = 0;
  std::uint8_t m_control = 0;
  std::uint32_t m_pdv_left = 0;
  std::string m_command;
  std::uint64_t m_data_size = 0;
  bool m_given_up = false;
};

class TracedStream final : public net::Stream {
 public:
  TracedStream(std::unique_ptr<net::Stream> stream, TraceSink sink, bool phi_plain)
      : m_stream(std::move(stream)),
        m_sink(std::move(sink)),
        m_sent('>', m_sink, phi_plain),
        m_received('<', m_sink, phi_plain) {
    const Peer& peer = m_stream->peer();
    m_sink(trace_line(fmt::format("connection with {} ({}), our end {}, {}", net::name_of(peer), peer.address,
                                  m_stream->local_address(), peer.tls.empty() ? "plain text" : peer.tls)));
  }

  std::optional<std::size_t> try_read(std::span<std::byte> buffer, Deadline deadline) override {
    return watched([&] {
      const auto count = m_stream->try_read(buffer, deadline);
      if (count && *count == 0) {
        m_sink(trace_line("the peer closed the connection"));
      } else if (count) {
        m_received.feed(buffer.first(*count));
      }
      return count;
    });
  }
  void write_all(std::span<const std::span<const std::byte>> pieces, std::chrono::milliseconds stall_limit) override {
    for (const auto& piece : pieces) {
      m_sent.feed(piece);
    }
    watched([&] { m_stream->write_all(pieces, stall_limit); });
  }
  bool wait_readable(Deadline deadline) override {
    return watched([&] { return m_stream->wait_readable(deadline); });
  }
  void close(Deadline deadline) noexcept override {
    m_stream->close(deadline);
    m_sink(trace_line("closed"));
  }
  void reset() noexcept override {
    m_stream->reset();
    m_sink(trace_line("reset"));
  }
  void shutdown() noexcept override { m_stream->shutdown(); }
  const Peer& peer() const override { return m_stream->peer(); }
  std::string local_address() const override { return m_stream->local_address(); }

 private:
  template <typename Operation>
  auto watched(Operation&& operation) -> decltype(operation()) {
    try {
      return operation();
    } catch (const Error& error) {
      m_sink(trace_line(fmt::format("! {}: {}", error.kind().code, error.message())));
      throw;
    }
  }

  std::unique_ptr<net::Stream> m_stream;
  TraceSink m_sink;
  PduTrace m_sent;
  PduTrace m_received;
};

}  // namespace

std::string trace_line(std::string_view text) {
  return fmt::format("{}  {}", to_rfc3339(std::chrono::system_clock::now()), text);
}

std::unique_ptr<net::Stream> traced(std::unique_ptr<net::Stream> stream, TraceSink sink, bool phi_plain) {
  return std::make_unique<TracedStream>(std::move(stream), std::move(sink), phi_plain);
}

}  // namespace kuva::dimse
