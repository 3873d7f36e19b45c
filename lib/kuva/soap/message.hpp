#pragma once

#include <kuva/soap/parts.hpp>
#include <kuva/xml/document.hpp>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kuva::soap {

// WS-Addressing headers of a message (ITI TF-2 V.3.2.2), white space at their ends taken off; empty where not there.
struct Addressing {
  std::string action;
  std::string message_id;
  std::string relates_to;
  std::string reply_to;  // its Address
  std::string to;
};

struct Fault {
  std::string code;                   // local name: Sender, Receiver, MustUnderstand, VersionMismatch, ...
  std::vector<std::string> subcodes;  // local names, outermost first, e.g. FailedAuthentication
  std::string subcode_ns;             // of the outermost subcode
  std::string reason;                 // English where there are several, else the first
  std::string detail;                 // the text below Detail, white space joined, at most 1000 characters
};

struct MessageLimits {
  xml::Limits envelope;       // of the root part
  MultipartLimits multipart;  // of what is around it
};

// A message that was read. Elements are views of `document`.
struct Message {
  Message(std::string bytes, xml::Document tree) : envelope(std::move(bytes)), document(std::move(tree)) {}

  std::string envelope;  // the bytes of the root part, unchanged: signatures are over these
  xml::Document document;
  bool bare = false;                     // no Envelope: the body's element came by itself
  std::optional<xml::Element> header;    // soap:Header
  std::optional<xml::Element> security;  // wsse:Security
  std::optional<xml::Element> body;      // the first element of soap:Body; none: the Body is empty
  std::optional<Fault> fault;            // SOAP 1.2 or 1.1
  Addressing addressing;
  std::vector<StoredPart> parts;  // in their order, without the root
  std::vector<std::string> warnings;

  // The part of an xop:Include; null where there is none.
  const StoredPart* part(std::string_view href) const { return find_part(parts, href); }
};

// Reads a message as it arrives: a SOAP envelope by itself (application/soap+xml, text/xml, application/xml) or as the
// root of MTOM; parts go to the store as they come, in whatever order. Both sides use it.
class MessageReader {
 public:
  // Errors: soap.not-soap where the type can be none (HTML, ...), mime.content-type.
  MessageReader(std::string_view content_type, PartStore& store, const MessageLimits& limits = {});
  MessageReader(MessageReader&&) noexcept;
  ~MessageReader();

  // Errors: mime.*, xml.limit; what the store throws.
  void write(std::span<const std::byte> bytes);
  // Errors: mime.truncated, mime.root-missing, xml.*, soap.envelope (no Body, another root than Envelope).
  Message finish(bool framing_complete);

 private:
  class Collector;
  std::unique_ptr<Collector> m_collector;
};
// Whether MessageReader would take this type.
bool is_message_type(std::string_view content_type);

// Makes Message of the bytes of an envelope. Errors: xml.*, soap.envelope.
Message read_envelope(std::string bytes, const xml::Limits& limits = {});

// What stands in an envelope that is written.
inline constexpr std::string_view k_body_id = "body";
struct EnvelopeContent {
  std::string action;
  std::string message_id;       // empty: left out (make_message_id())
  std::string relates_to;       // empty: left out
  std::string to;               // empty: left out
  bool reply_to = false;        // ReplyTo anonymous: requests
  std::string security_xml;     // children of wsse:Security, spliced in unchanged; empty: no such header
  std::string body_xml;         // the element of the Body, spliced in unchanged
  bool body_is_signed = false;  // the Body gets wsu:Id="body" (k_body_id), which a signature names
};
// The soap:Body element as write_envelope writes it: all its prefixes but soap are declared in it.
std::string write_body(const EnvelopeContent& content);
std::string write_envelope(const EnvelopeContent& content);
// "urn:uuid:..." with a fresh UUID.
std::string make_message_id();

// application/soap+xml; charset=UTF-8; action="..." (SOAP 1.2 part 2, appendix A).
std::string envelope_content_type(std::string_view action);

// --- The side of a server.

// A request was refused before its body was looked at; fault() is what to answer.
class RequestRefused : public Error {
 public:
  RequestRefused(Fault fault, std::string message);
  const Fault& fault() const { return m_fault; }

 private:
  Fault m_fault;
};

struct RequestRules {
  bool message_id_required = true;     // soap:Sender, wsa:MessageAddressingHeaderRequired
  std::vector<std::string> actions{};  // known ones; another is wsa:ActionNotSupported. Empty: any
};
// The request in an HTTP body. Headers with mustUnderstand that are neither WS-Addressing nor wsse:Security give
// soap:MustUnderstand. Errors: RequestRefused (kind soap.request).
Message read_request(std::string_view content_type, std::span<const std::byte> body, PartStore& store,
                     const RequestRules& rules = {}, const MessageLimits& limits = {});
// The same checks for a message that was read by MessageReader.
void check_request(const Message& message, const RequestRules& rules);

// The whole envelope of an answer: Action, a MessageID, RelatesTo of the request where it has an id.
std::string reply_envelope(const Addressing& request, std::string_view action, std::string_view body_xml);
// The envelope of a fault (SOAP 1.2 part 1, 5.4); the prefixes of subcodes are declared.
std::string fault_envelope(const Addressing& request, const Fault& fault);
// HTTP status of a fault: 400 for Sender, else 500 (SOAP 1.2 part 2, 7.5.2.2).
int http_status(const Fault& fault);

// Faults of WS-Security (WSS SOAP Message Security 12): subcode e.g. FailedAuthentication, InvalidSecurityToken.
Fault security_fault(std::string_view subcode, std::string_view reason);
Fault sender_fault(std::string_view reason);
Fault receiver_fault(std::string_view reason);

}  // namespace kuva::soap
