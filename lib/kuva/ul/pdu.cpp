#include <kuva/core/error.hpp>
#include <kuva/ul/pdu.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace kuva::ul {

namespace {

constexpr std::string_view k_default_application_context = "1.2.840.10008.3.1.1.1";  // PS3.7 A.2.1
constexpr std::size_t k_ae_length = 16;
constexpr std::size_t k_most_contexts = 128;  // odd numbers of one byte

enum ItemType : std::uint8_t {
  k_application_context = 0x10,
  k_context_rq = 0x20,
  k_context_ac = 0x21,
  k_abstract_syntax = 0x30,
  k_transfer_syntax = 0x40,
  k_user_information = 0x50,
  k_maximum_length = 0x51,
  k_implementation_class_uid = 0x52,
  k_asynchronous_operations = 0x53,
  k_role_selection = 0x54,
  k_implementation_version_name = 0x55,
  k_extended_negotiation = 0x56,
  k_common_extended_negotiation = 0x57,
  k_user_identity_rq = 0x58,
  k_user_identity_ac = 0x59
};

// --- writing

Error cannot_encode(std::string message) { return Error(kind("usage.config"), std::move(message)); }

class Writer {
 public:
  void u8(std::uint8_t value) { m_bytes.push_back(static_cast<char>(value)); }
  void u16(std::size_t value) {
    u8(static_cast<std::uint8_t>(value >> 8U));
    u8(static_cast<std::uint8_t>(value));
  }
  void u32(std::size_t value) {
    u16(value >> 16U);
    u16(value & 0xffffU);
  }
  void text(std::string_view value) { m_bytes += value; }
  void zeros(std::size_t count) { m_bytes.append(count, '\0'); }
  void ae_title(std::string_view value) {
    if (value.size() > k_ae_length) {
      throw cannot_encode(fmt::format("AE title \"{}\" is longer than 16 characters", value));
    }
    m_bytes += value;
    m_bytes.append(k_ae_length - value.size(), ' ');
  }
  void counted(std::string_view value, std::string_view what) {
    check_u16(value.size(), what);
    u16(value.size());
    text(value);
  }
  // An item of type, reserved byte and 16 bits of length; `fill` writes its content.
  template <typename Fill>
  void item(ItemType type, std::string_view what, Fill&& fill) {
    u8(type);
    u8(0);
    const std::size_t at = m_bytes.size();
    u16(0);
    fill();
    const std::size_t length = m_bytes.size() - at - 2;
    check_u16(length, what);
    m_bytes[at] = static_cast<char>(length >> 8U);
    m_bytes[at + 1] = static_cast<char>(length & 0xffU);
  }
  void text_item(ItemType type, std::string_view what, std::string_view value) {
    item(type, what, [&] { text(value); });
  }
  std::string pdu(PduType type) const {
    Writer header;
    header.u8(static_cast<std::uint8_t>(type));
    header.u8(0);
    header.u32(m_bytes.size());
    return header.m_bytes + m_bytes;
  }

 private:
  static void check_u16(std::size_t length, std::string_view what) {
    if (length > std::numeric_limits<std::uint16_t>::max()) {
      throw cannot_encode(fmt::format("{} of {} bytes does not fit into an association request", what, length));
    }
  }

  std::string m_bytes;
};

void write_fixed_part(Writer& writer, std::uint16_t version, std::string_view called, std::string_view calling) {
  writer.u16(version);
  writer.zeros(2);
  writer.ae_title(called);
  writer.ae_title(calling);
  writer.zeros(32);
}

void write_application_context(Writer& writer, std::string_view uid) {
  writer.text_item(k_application_context, "application context", uid.empty() ? k_default_application_context : uid);
}

// The items that request and accept have alike.
template <typename Associate>
void write_common_user_information(Writer& writer, const Associate& associate) {
  writer.item(k_maximum_length, "maximum length", [&] { writer.u32(associate.max_pdu_length); });
  if (!associate.implementation_class_uid.empty()) {
    writer.text_item(k_implementation_class_uid, "implementation class UID", associate.implementation_class_uid);
  }
  if (associate.asynchronous_operations) {
    writer.item(k_asynchronous_operations, "asynchronous operations", [&] {
      writer.u16(associate.asynchronous_operations->invoked);
      writer.u16(associate.asynchronous_operations->performed);
    });
  }
  for (const RoleSelection& role : associate.roles) {
    writer.item(k_role_selection, "role selection", [&] {
      writer.counted(role.sop_class_uid, "SOP class UID");
      writer.u8(role.scu ? 1 : 0);
      writer.u8(role.scp ? 1 : 0);
    });
  }
  if (!associate.implementation_version_name.empty()) {
    writer.text_item(k_implementation_version_name, "implementation version name",
                     associate.implementation_version_name);
  }
  for (const ExtendedNegotiation& negotiation : associate.extended_negotiations) {
    writer.item(k_extended_negotiation, "extended negotiation", [&] {
      writer.counted(negotiation.sop_class_uid, "SOP class UID");
      writer.text(negotiation.application_information);
    });
  }
}

void check_context_count(std::size_t count) {
  if (count > k_most_contexts) {
    throw cannot_encode(fmt::format("{} presentation contexts do not fit into one association of 128", count));
  }
}

// --- reading

std::string_view trimmed(std::string_view text) {
  // UIDs and names come padded from some peers, with spaces or NULs, AE titles always.
  const auto is_padding = [](char c) { return c == ' ' || c == '\0'; };
  while (!text.empty() && is_padding(text.back())) {
    text.remove_suffix(1);
  }
  while (!text.empty() && is_padding(text.front())) {
    text.remove_prefix(1);
  }
  return text;
}

// Reads within bounds; what is missing is an Error that names the part and the place.
class Reader {
 public:
  Reader(std::string_view bytes, std::size_t offset, std::string_view pdu)
      : m_bytes(bytes), m_offset(offset), m_pdu(pdu) {}

  bool at_end() const { return m_bytes.empty(); }
  std::size_t left() const { return m_bytes.size(); }

  std::string_view take(std::size_t count, std::string_view what) {
    if (count > m_bytes.size()) {
      throw error(fmt::format("{} needs {} bytes, {} are left", what, count, m_bytes.size()));
    }
    const auto taken = m_bytes.substr(0, count);
    m_bytes.remove_prefix(count);
    m_offset += count;
    return taken;
  }
  std::string_view rest() { return take(m_bytes.size(), "rest"); }
  std::uint8_t u8(std::string_view what) { return static_cast<std::uint8_t>(take(1, what)[0]); }
  std::uint16_t u16(std::string_view what) {
    const auto bytes = take(2, what);
    return static_cast<std::uint16_t>(static_cast<std::uint8_t>(bytes[0]) << 8U | static_cast<std::uint8_t>(bytes[1]));
  }
  std::uint32_t u32(std::string_view what) {
    const std::uint32_t high = u16(what);
    return high << 16U | u16(what);
  }
  std::string counted(std::string_view what) { return std::string(take(u16(what), what)); }
  std::string uid(std::string_view what) { return std::string(trimmed(take(u16(what), what))); }

  struct Item;
  Item item();

  Error error(const std::string& what) const {
    return Error(kind("associate.protocol"), fmt::format("{} broken at byte {}: {}", m_pdu, m_offset, what));
  }

 private:
  std::string_view m_bytes;
  std::size_t m_offset;  // from the start of the PDU, its header included
  std::string_view m_pdu;
};

struct Reader::Item {
  std::uint8_t type;
  Reader content;
};

Reader::Item Reader::item() {
  const std::uint8_t type = u8("item type");
  take(1, "item header");
  const std::uint16_t length = u16("item length");
  const std::size_t offset = m_offset;
  return Item{type, Reader(take(length, fmt::format("item {:02X}H", type)), offset, m_pdu)};
}

Reader reader_of(std::span<const std::byte> body, std::string_view pdu) {
  constexpr std::size_t k_header = 6;
  return Reader({reinterpret_cast<const char*>(body.data()), body.size()}, k_header, pdu);
}

template <typename Associate>
void read_fixed_part(Reader& reader, Associate& associate) {
  associate.protocol_version = reader.u16("protocol version");
  reader.take(2, "reserved bytes");
  associate.called_ae = trimmed(reader.take(k_ae_length, "called AE title"));
  associate.calling_ae = trimmed(reader.take(k_ae_length, "calling AE title"));
  reader.take(32, "reserved bytes");
}

// True when the item was one that request and accept have alike.
template <typename Associate>
bool read_common_user_information(Reader::Item& item, Associate& associate) {
  Reader& content = item.content;
  switch (item.type) {
    case k_maximum_length:
      associate.max_pdu_length = content.u32("maximum length");
      return true;
    case k_implementation_class_uid:
      associate.implementation_class_uid = trimmed(content.rest());
      return true;
    case k_implementation_version_name:
      associate.implementation_version_name = trimmed(content.rest());
      return true;
    case k_asynchronous_operations: {
      AsynchronousOperations operations;
      operations.invoked = content.u16("operations invoked");
      operations.performed = content.u16("operations performed");
      associate.asynchronous_operations = operations;
      return true;
    }
    case k_role_selection: {
      RoleSelection role;
      role.sop_class_uid = content.uid("SOP class UID of role selection");
      role.scu = content.u8("SCU role") != 0;
      role.scp = content.u8("SCP role") != 0;
      associate.roles.push_back(std::move(role));
      return true;
    }
    case k_extended_negotiation: {
      ExtendedNegotiation negotiation;
      negotiation.sop_class_uid = content.uid("SOP class UID of extended negotiation");
      negotiation.application_information = content.rest();
      associate.extended_negotiations.push_back(std::move(negotiation));
      return true;
    }
    default:
      return false;
  }
}

CommonExtendedNegotiation read_common_extended_negotiation(Reader& content) {
  CommonExtendedNegotiation negotiation;
  negotiation.sop_class_uid = content.uid("SOP class UID of common extended negotiation");
  negotiation.service_class_uid = content.uid("service class UID");
  const std::uint16_t length = content.u16("length of related general SOP classes");
  if (length > content.left()) {
    throw content.error("related general SOP classes are longer than their item");
  }
  const std::size_t after = content.left() - length;
  while (content.left() > after) {
    negotiation.related_general_sop_classes.push_back(content.uid("related general SOP class"));
  }
  if (content.left() != after) {
    throw content.error("related general SOP classes run over their length");
  }
  return negotiation;
}

UserIdentity read_user_identity(Reader& content) {
  UserIdentity identity;
  identity.type = static_cast<UserIdentity::Type>(content.u8("user identity type"));
  identity.response_requested = content.u8("positive response requested") != 0;
  identity.primary = content.counted("primary field of user identity");
  identity.secondary = content.counted("secondary field of user identity");
  return identity;
}

PresentationContext read_context_rq(Reader& content) {
  PresentationContext context;
  context.id = content.u8("presentation context id");
  content.take(3, "reserved bytes");
  while (!content.at_end()) {
    Reader::Item item = content.item();
    if (item.type == k_abstract_syntax) {
      context.abstract_syntax = trimmed(item.content.rest());
    } else if (item.type == k_transfer_syntax) {
      context.transfer_syntaxes.emplace_back(trimmed(item.content.rest()));
    }
  }
  return context;
}

PresentationContextReply read_context_ac(Reader& content) {
  PresentationContextReply reply;
  reply.id = content.u8("presentation context id");
  content.take(1, "reserved byte");
  const std::uint8_t result = content.u8("presentation context result");
  content.take(1, "reserved byte");
  reply.result = result <= static_cast<std::uint8_t>(ContextResult::transfer_syntaxes_not_supported)
                     ? static_cast<ContextResult>(result)
                     : ContextResult::no_reason;
  if (reply.result != ContextResult::accepted) {
    return reply;  // whatever transfer syntax follows means nothing, and some peers write none
  }
  while (!content.at_end()) {
    Reader::Item item = content.item();
    if (item.type == k_transfer_syntax) {
      reply.transfer_syntax = trimmed(item.content.rest());
    }
  }
  if (reply.transfer_syntax.empty()) {
    throw content.error(fmt::format("presentation context {} is accepted without a transfer syntax", reply.id));
  }
  return reply;
}

template <typename Contexts>
void check_received_count(const Reader& reader, const Contexts& contexts) {
  if (contexts.size() > k_most_contexts) {
    throw reader.error("more than 128 presentation contexts");
  }
}

std::string four_bytes(PduType type, std::uint8_t second, std::uint8_t third, std::uint8_t fourth) {
  Writer writer;
  writer.u8(0);
  writer.u8(second);
  writer.u8(third);
  writer.u8(fourth);
  return writer.pdu(type);
}

std::string_view reject_reason(const AssociateReject& reject) {
  switch (reject.source) {
    case 1:
      switch (reject.reason) {
        case 1:
          return "no reason given";
        case 2:
          return "application context name not supported";
        case 3:
          return "calling AE title not recognised";
        case 7:
          return "called AE title not recognised";
        default:
          return "reserved reason";
      }
    case 2:
      switch (reject.reason) {
        case 1:
          return "no reason given";
        case 2:
          return "protocol version not supported";
        default:
          return "reserved reason";
      }
    case 3:
      switch (reject.reason) {
        case 1:
          return "temporary congestion";
        case 2:
          return "local limit exceeded";
        default:
          return "reserved reason";
      }
    default:
      return "unknown source and reason";
  }
}

std::string_view reject_source(std::uint8_t source) {
  switch (source) {
    case 1:
      return "service-user";
    case 2:
      return "service-provider (ACSE)";
    case 3:
      return "service-provider (presentation)";
    default:
      return "unknown source";
  }
}

}  // namespace

std::string_view to_string(ContextResult result) {
  switch (result) {
    case ContextResult::accepted:
      return "accepted";
    case ContextResult::user_rejection:
      return "user rejection";
    case ContextResult::abstract_syntax_not_supported:
      return "abstract syntax not supported";
    case ContextResult::transfer_syntaxes_not_supported:
      return "transfer syntaxes not supported";
    case ContextResult::no_reason:
      break;
  }
  return "no reason given";
}

std::string to_string(const AssociateReject& reject) {
  const std::string_view result = reject.result == 1   ? "permanent"
                                  : reject.result == 2 ? "transient"
                                                       : "unknown result";
  return fmt::format("{} ({}, {}: {}/{}/{})", reject_reason(reject), result, reject_source(reject.source),
                     reject.result, reject.source, reject.reason);
}

const ErrorKind& kind_of(const AssociateReject& reject) {
  if (reject.result == 2) {
    return kind("associate.rejected.transient");
  }
  if (reject.source == 1 && reject.reason == 7) {
    return kind("associate.rejected.called-ae");
  }
  if (reject.source == 1 && reject.reason == 3) {
    return kind("associate.rejected.calling-ae");
  }
  if (reject.source == 2 && reject.reason == 1) {
    return kind("associate.rejected.identity");  // PS3.7 D.3.3.7.3
  }
  return kind("associate.rejected.permanent");
}

std::string to_string(const Abort& abort) {
  if (abort.source == 0) {
    return "by the service-user (0)";
  }
  if (abort.source != 2) {
    return fmt::format("by an unknown source ({}/{})", abort.source, abort.reason);
  }
  std::string_view reason = "reserved reason";
  switch (abort.reason) {
    case 0:
      reason = "reason not specified";
      break;
    case 1:
      reason = "unrecognised PDU";
      break;
    case 2:
      reason = "unexpected PDU";
      break;
    case 4:
      reason = "unrecognised PDU parameter";
      break;
    case 5:
      reason = "unexpected PDU parameter";
      break;
    case 6:
      reason = "invalid PDU parameter value";
      break;
    default:
      break;
  }
  return fmt::format("by the service-provider: {} ({}/{})", reason, abort.source, abort.reason);
}

std::string encode(const AssociateRequest& request) {
  check_context_count(request.contexts.size());
  Writer writer;
  write_fixed_part(writer, request.protocol_version, request.called_ae, request.calling_ae);
  write_application_context(writer, request.application_context);
  for (const PresentationContext& context : request.contexts) {
    writer.item(k_context_rq, "presentation context", [&] {
      writer.u8(context.id);
      writer.zeros(3);
      writer.text_item(k_abstract_syntax, "abstract syntax", context.abstract_syntax);
      for (const std::string& syntax : context.transfer_syntaxes) {
        writer.text_item(k_transfer_syntax, "transfer syntax", syntax);
      }
    });
  }
  writer.item(k_user_information, "user information", [&] {
    write_common_user_information(writer, request);
    for (const CommonExtendedNegotiation& negotiation : request.common_extended_negotiations) {
      // Its second byte is a version, 0, where others have a reserved byte.
      writer.item(k_common_extended_negotiation, "common extended negotiation", [&] {
        writer.counted(negotiation.sop_class_uid, "SOP class UID");
        writer.counted(negotiation.service_class_uid, "service class UID");
        std::size_t length = 0;
        for (const std::string& uid : negotiation.related_general_sop_classes) {
          length += 2 + uid.size();
        }
        if (length > std::numeric_limits<std::uint16_t>::max()) {
          throw cannot_encode("too many related general SOP classes");
        }
        writer.u16(length);
        for (const std::string& uid : negotiation.related_general_sop_classes) {
          writer.counted(uid, "related general SOP class");
        }
      });
    }
    if (request.user_identity) {
      writer.item(k_user_identity_rq, "user identity", [&] {
        writer.u8(static_cast<std::uint8_t>(request.user_identity->type));
        writer.u8(request.user_identity->response_requested ? 1 : 0);
        writer.counted(request.user_identity->primary, "primary field of user identity");
        writer.counted(request.user_identity->secondary, "secondary field of user identity");
      });
    }
  });
  return writer.pdu(PduType::associate_rq);
}

std::string encode(const AssociateAccept& accept) {
  check_context_count(accept.contexts.size());
  Writer writer;
  write_fixed_part(writer, accept.protocol_version, accept.called_ae, accept.calling_ae);
  write_application_context(writer, accept.application_context);
  for (const PresentationContextReply& reply : accept.contexts) {
    writer.item(k_context_ac, "presentation context", [&] {
      writer.u8(reply.id);
      writer.u8(0);
      writer.u8(static_cast<std::uint8_t>(reply.result));
      writer.u8(0);
      writer.text_item(k_transfer_syntax, "transfer syntax", reply.transfer_syntax);
    });
  }
  writer.item(k_user_information, "user information", [&] {
    write_common_user_information(writer, accept);
    if (accept.user_identity_response) {
      writer.item(k_user_identity_ac, "user identity response",
                  [&] { writer.counted(*accept.user_identity_response, "user identity response"); });
    }
  });
  return writer.pdu(PduType::associate_ac);
}

std::string encode(const AssociateReject& reject) {
  return four_bytes(PduType::associate_rj, reject.result, reject.source, reject.reason);
}

std::string encode(const Abort& abort) { return four_bytes(PduType::abort, 0, abort.source, abort.reason); }
std::string encode_release_rq() { return four_bytes(PduType::release_rq, 0, 0, 0); }
std::string encode_release_rp() { return four_bytes(PduType::release_rp, 0, 0, 0); }

AssociateRequest decode_associate_rq(std::span<const std::byte> body) {
  Reader reader = reader_of(body, "A-ASSOCIATE-RQ");
  AssociateRequest request;
  read_fixed_part(reader, request);
  while (!reader.at_end()) {
    Reader::Item item = reader.item();
    if (item.type == k_application_context) {
      request.application_context = trimmed(item.content.rest());
    } else if (item.type == k_context_rq) {
      request.contexts.push_back(read_context_rq(item.content));
      check_received_count(reader, request.contexts);
    } else if (item.type == k_user_information) {
      while (!item.content.at_end()) {
        Reader::Item sub_item = item.content.item();
        if (read_common_user_information(sub_item, request)) {
          continue;
        }
        if (sub_item.type == k_common_extended_negotiation) {
          request.common_extended_negotiations.push_back(read_common_extended_negotiation(sub_item.content));
        } else if (sub_item.type == k_user_identity_rq) {
          request.user_identity = read_user_identity(sub_item.content);
        }
      }
    }
  }
  return request;
}

AssociateAccept decode_associate_ac(std::span<const std::byte> body) {
  Reader reader = reader_of(body, "A-ASSOCIATE-AC");
  AssociateAccept accept;
  read_fixed_part(reader, accept);
  while (!reader.at_end()) {
    Reader::Item item = reader.item();
    if (item.type == k_application_context) {
      accept.application_context = trimmed(item.content.rest());
    } else if (item.type == k_context_ac) {
      accept.contexts.push_back(read_context_ac(item.content));
      check_received_count(reader, accept.contexts);
    } else if (item.type == k_user_information) {
      while (!item.content.at_end()) {
        Reader::Item sub_item = item.content.item();
        if (!read_common_user_information(sub_item, accept) && sub_item.type == k_user_identity_ac) {
          accept.user_identity_response = sub_item.content.counted("user identity response");
        }
      }
    }
  }
  return accept;
}

AssociateReject decode_associate_rj(std::span<const std::byte> body) {
  Reader reader = reader_of(body, "A-ASSOCIATE-RJ");
  reader.take(1, "reserved byte");
  AssociateReject reject;
  reject.result = reader.u8("result");
  reject.source = reader.u8("source");
  reject.reason = reader.u8("reason");
  return reject;
}

Abort decode_abort(std::span<const std::byte> body) {
  Reader reader = reader_of(body, "A-ABORT");
  reader.take(2, "reserved bytes");
  Abort abort;
  abort.source = reader.u8("source");
  abort.reason = reader.u8("reason");
  return abort;
}

}  // namespace kuva::ul
