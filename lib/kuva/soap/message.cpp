#include <kuva/soap/ascii.hpp>
#include <kuva/soap/message.hpp>
#include <kuva/xml/namespaces.hpp>
#include <kuva/xml/writer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kuva::soap {

namespace ns = xml::ns;

namespace {

constexpr std::string_view k_anonymous = "http://www.w3.org/2005/08/addressing/anonymous";
constexpr std::string_view k_addressing_fault = "http://www.w3.org/2005/08/addressing/fault";
constexpr std::string_view k_soap_fault = "http://www.w3.org/2005/08/addressing/soap/fault";
constexpr std::size_t k_longest_detail = 1000;
constexpr std::size_t k_preamble = 128;  // of a DICOM file (PS3.10 7.1)

// The media type alone, of text that may be anything.
std::string bare_type(std::string_view content_type) {
  return to_lower(xml::trim(content_type.substr(0, content_type.find(';'))));
}

bool is_xml_type(std::string_view type) {
  return type == "application/soap+xml" || type == "text/xml" || type == "application/xml" ||
         type == "application/xop+xml";
}

// A part on its way into the store.
class Arriving {
 public:
  Arriving(const Part& part, PartStore& store) : m_output(store.open(part)) { m_stored.part = part; }

  void write(std::span<const std::byte> bytes) {
    if (m_start.size() < k_preamble + 4) {
      const auto more = bytes.first(std::min(bytes.size(), k_preamble + 4 - m_start.size()));
      m_start.append(reinterpret_cast<const char*>(more.data()), more.size());
    }
    m_stored.size += bytes.size();
    m_output->write(bytes);
  }

  StoredPart finish() {
    m_stored.is_dicom = m_start.size() == k_preamble + 4 && m_start.ends_with("DICM");
    m_output->finish(m_stored);
    return std::move(m_stored);
  }

 private:
  std::unique_ptr<PartStore::Output> m_output;
  StoredPart m_stored;
  std::string m_start;
};

void append_limited(std::string& text, std::span<const std::byte> bytes, std::size_t limit) {
  if (bytes.size() > limit - text.size()) {
    throw Error(kind("xml.limit"), fmt::format("the envelope has more than the {} bytes allowed", limit));
  }
  text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace

class MessageReader::Collector {
 public:
  Collector(std::string_view content_type, PartStore& store, const MessageLimits& limits)
      : m_store(store), m_limits(limits) {
    if (!is_message_type(content_type)) {
      throw Error(kind("soap.not-soap"),
                  fmt::format("a message of the type \"{}\" is no SOAP message", printable(content_type, 200)));
    }
    const ContentType type = parse_content_type(content_type);
    if (type.type == "multipart/related") {
      m_start = type.parameter("start");
      if (m_start.starts_with('<') && m_start.ends_with('>')) {
        m_start = m_start.substr(1, m_start.size() - 2);
      }
      m_reader.emplace(content_type, m_sink, m_limits.multipart);
    } else if (type.type == "application/xop+xml") {
      throw Error(kind("mime.content-type"), "application/xop+xml has no meaning outside multipart/related");
    } else {
      m_has_root = true;
    }
  }

  void write(std::span<const std::byte> bytes) {
    if (m_reader) {
      m_reader->write(bytes);
    } else {
      append_limited(m_root, bytes, m_limits.envelope.bytes);
    }
  }

  Message finish(bool framing_complete) {
    std::vector<std::string> warnings;
    if (m_reader) {
      m_reader->finish(framing_complete);
      warnings = m_reader->warnings();
      if (!m_has_root) {
        throw Error(kind("mime.root-missing"),
                    fmt::format("none of the {} parts of the message is its envelope", m_reader->parts()));
      }
      if (m_root_is_guess && !m_start.empty()) {
        warnings.emplace_back(
            "no part has the Content-ID that the start parameter names; the first one is an envelope");
      }
    }
    Message message = read_envelope(std::move(m_root), m_limits.envelope);
    message.parts = std::move(m_parts);
    message.warnings.insert(message.warnings.begin(), warnings.begin(), warnings.end());
    return message;
  }

  Collector(const Collector&) = delete;

 private:
  struct Sink final : PartSink {
    explicit Sink(Collector& owner) : collector(owner) {}
    void begin(const Part& part) override { collector.begin_part(part); }
    void write(std::span<const std::byte> bytes) override { collector.write_part(bytes); }
    void end(bool complete) override { collector.end_part(complete); }
    Collector& collector;
  };

  // The root part is the one that `start` names, else the first; where no part has that name, the first that is XML.
  void begin_part(const Part& part) {
    const bool is_named = !m_start.empty() && part.content_id == m_start;
    if (is_named && m_has_root && m_root_is_guess) {
      Arriving attachment(m_guess, m_store);
      attachment.write(std::as_bytes(std::span(m_root)));
      m_parts.push_back(attachment.finish());
      m_root.clear();
      m_has_root = false;
    }
    const bool is_guess = !m_has_root && !is_named && m_reader_parts == 0 &&
                          (m_start.empty() || is_xml_type(bare_type(part.content_type)));
    ++m_reader_parts;
    if (!m_has_root && (is_named || is_guess)) {
      m_in_root = m_has_root = true;
      m_root_is_guess = is_guess;
      m_guess = part;
    } else {
      m_arriving.emplace(part, m_store);
    }
  }

  void write_part(std::span<const std::byte> bytes) {
    if (m_in_root) {
      append_limited(m_root, bytes, m_limits.envelope.bytes);
    } else {
      m_arriving->write(bytes);
    }
  }

  void end_part(bool complete) {
    if (m_in_root) {
      m_in_root = false;
    } else if (complete) {
      m_parts.push_back(m_arriving->finish());
    }
    m_arriving.reset();
  }

  PartStore& m_store;
  MessageLimits m_limits;
  Sink m_sink{*this};
  std::optional<MultipartReader> m_reader;
  std::string m_start;
  std::string m_root;
  Part m_guess;
  std::uint64_t m_reader_parts = 0;
  bool m_has_root = false;
  bool m_in_root = false;
  bool m_root_is_guess = false;
  std::optional<Arriving> m_arriving;
  std::vector<StoredPart> m_parts;
};

MessageReader::MessageReader(std::string_view content_type, PartStore& store, const MessageLimits& limits)
    : m_collector(std::make_unique<Collector>(content_type, store, limits)) {}
MessageReader::MessageReader(MessageReader&&) noexcept = default;
MessageReader::~MessageReader() = default;

void MessageReader::write(std::span<const std::byte> bytes) { m_collector->write(bytes); }
Message MessageReader::finish(bool framing_complete) { return m_collector->finish(framing_complete); }

bool is_message_type(std::string_view content_type) {
  const std::string type = bare_type(content_type);
  if (type != "multipart/related") {
    return is_xml_type(type);
  }
  try {
    const std::string inner = bare_type(parse_content_type(content_type).parameter("type"));
    return inner.empty() || is_xml_type(inner);
  } catch (const Error&) {
    return true;  // reading it says what is wrong with it
  }
}

namespace {

std::string joined(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      if (!out.empty() && out.back() != ' ') {
        out += ' ';
      }
    } else {
      out += c;
    }
  }
  if (out.ends_with(' ')) {
    out.pop_back();
  }
  if (out.size() > k_longest_detail) {
    std::size_t end = k_longest_detail;
    while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xC0U) == 0x80) {
      --end;
    }
    out.resize(end);
  }
  return out;
}

struct QualifiedName {
  std::string ns_name;
  std::string local;
};

// A QName in content; a prefix that nobody declared leaves the namespace open.
QualifiedName qualified_name(const xml::Element& element) {
  const std::string text = element.trimmed_text();
  const std::size_t colon = text.find(':');
  const std::string prefix = colon == std::string::npos ? std::string() : text.substr(0, colon);
  return {std::string(element.namespace_of(prefix).value_or(std::string_view())),
          text.substr(colon == std::string::npos ? 0 : colon + 1)};
}

// Children are found by their local name: senders put them into all sorts of namespaces and orders.
Fault read_fault(const xml::Element& element) {
  Fault fault;
  if (const auto code = element.child("Code")) {
    if (const auto value = code->child("Value")) {
      fault.code = qualified_name(*value).local;
    }
    for (auto subcode = code->child("Subcode"); subcode && fault.subcodes.size() < 8;
         subcode = subcode->child("Subcode")) {
      if (const auto value = subcode->child("Value")) {
        const QualifiedName name = qualified_name(*value);
        if (fault.subcodes.empty()) {
          fault.subcode_ns = name.ns_name;
        }
        fault.subcodes.push_back(name.local);
      }
    }
  } else if (const auto code11 = element.child("faultcode")) {
    const QualifiedName name = qualified_name(*code11);
    const std::string first = name.local.substr(0, name.local.find('.'));
    if (first == "Client" || first == "Server") {
      fault.code = first == "Client" ? "Sender" : "Receiver";
      if (first.size() < name.local.size()) {
        fault.subcodes.push_back(name.local.substr(first.size() + 1));
      }
    } else if (name.ns_name == ns::soap11 || name.ns_name.empty()) {
      fault.code = name.local;
    } else {
      fault.code = "Sender";
      fault.subcodes.push_back(name.local);
      fault.subcode_ns = name.ns_name;
    }
  }
  std::optional<xml::Element> reason;
  if (const auto all = element.child("Reason")) {
    reason = all->child("Text");
    for (const auto& text : all->children()) {
      if (text.name() == "Text" && text.attribute("lang", ns::xml).value_or("").starts_with("en")) {
        reason = text;
        break;
      }
    }
  } else {
    reason = element.child("faultstring");
  }
  if (reason) {
    fault.reason = joined(reason->text());
  }
  auto detail = element.child("Detail");
  if (!detail) {
    detail = element.child("detail");
  }
  if (detail) {
    fault.detail = joined(detail->text());
  }
  return fault;
}

Addressing read_addressing(const xml::Element& header) {
  const auto text = [&header](std::string_view name) {
    const auto found = header.child(ns::wsa, name);
    return found ? found->trimmed_text() : std::string();
  };
  Addressing addressing;
  addressing.action = text("Action");
  addressing.message_id = text("MessageID");
  addressing.relates_to = text("RelatesTo");
  addressing.to = text("To");
  if (const auto reply_to = header.child(ns::wsa, "ReplyTo")) {
    if (const auto address = reply_to->child(ns::wsa, "Address")) {
      addressing.reply_to = address->trimmed_text();
    }
  }
  return addressing;
}

bool is_soap(std::string_view name) { return name == ns::soap || name == ns::soap11; }

// What some servers send without an envelope around it.
bool may_be_bare(const xml::Element& root) {
  return root.ns() == ns::query || root.ns() == ns::rs || root.ns() == ns::xdsb || root.ns() == ns::xdsi ||
         root.ns() == ns::lcm || (is_soap(root.ns()) && root.name() == "Fault");
}

}  // namespace

Message read_envelope(std::string bytes, const xml::Limits& limits) {
  auto document = xml::Document::parse(bytes, limits);
  Message message(std::move(bytes), std::move(document));
  const xml::Element root = message.document.root();
  if (is_soap(root.ns()) && root.name() == "Envelope") {
    const auto body = root.child(root.ns(), "Body");
    if (!body) {
      throw Error(kind("soap.envelope"), "the SOAP envelope has no Body");
    }
    message.body = body->first_child();
    message.header = root.child(root.ns(), "Header");
    if (message.header) {
      message.addressing = read_addressing(*message.header);
      message.security = message.header->child(ns::wsse, "Security");
    }
  } else if (may_be_bare(root)) {
    message.bare = true;
    message.body = root;
    message.warnings.emplace_back("the message came without a SOAP envelope");
  } else {
    throw Error(kind("soap.envelope"),
                fmt::format("the root element is no SOAP Envelope but \"{}\" of the namespace \"{}\"",
                            printable(root.name(), 80), printable(root.ns(), 120)));
  }
  if (message.body && is_soap(message.body->ns()) && message.body->name() == "Fault") {
    message.fault = read_fault(*message.body);
  }
  return message;
}

std::string make_message_id() { return fmt::format("urn:uuid:{}", make_uuid()); }

std::string envelope_content_type(std::string_view action) {
  return fmt::format("application/soap+xml; charset=UTF-8; action=\"{}\"", action);
}

std::string write_body(const EnvelopeContent& content) {
  xml::Writer writer;
  writer.open("soap:Body");
  if (content.body_is_signed) {
    writer.declare("wsu", ns::wsu).attribute("wsu:Id", std::string(k_body_id));
  }
  return writer.raw(content.body_xml).close().take();
}

std::string write_envelope(const EnvelopeContent& content) {
  xml::Writer writer;
  writer.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
  writer.open("soap:Envelope").declare("soap", ns::soap).declare("wsa", ns::wsa);
  writer.open("soap:Header");
  writer.open("wsa:Action").attribute("soap:mustUnderstand", "1").text(content.action).close();
  if (!content.message_id.empty()) {
    writer.element("wsa:MessageID", content.message_id);
  }
  if (!content.relates_to.empty()) {
    writer.element("wsa:RelatesTo", content.relates_to);
  }
  if (content.reply_to) {
    writer.open("wsa:ReplyTo").element("wsa:Address", k_anonymous).close();
  }
  if (!content.to.empty()) {
    writer.element("wsa:To", content.to);
  }
  if (!content.security_xml.empty()) {
    writer.open("wsse:Security").declare("wsse", ns::wsse).attribute("soap:mustUnderstand", "1");
    writer.raw(content.security_xml).close();
  }
  writer.close();
  writer.raw(write_body(content)).close();
  return writer.take();
}

// --- The side of a server.

RequestRefused::RequestRefused(Fault fault, std::string message)
    : Error(kuva::kind("soap.request"), std::move(message)), m_fault(std::move(fault)) {}

namespace {

Fault make_fault(std::string_view code, std::string_view reason, std::string_view subcode = {},
                 std::string_view subcode_ns = {}) {
  Fault fault;
  fault.code = code;
  fault.reason = reason;
  if (!subcode.empty()) {
    fault.subcodes.emplace_back(subcode);
    fault.subcode_ns = subcode_ns;
  }
  return fault;
}

}  // namespace

Fault sender_fault(std::string_view reason) { return make_fault("Sender", reason); }
Fault receiver_fault(std::string_view reason) { return make_fault("Receiver", reason); }
Fault security_fault(std::string_view subcode, std::string_view reason) {
  return make_fault("Sender", reason, subcode, ns::wsse);
}

int http_status(const Fault& fault) { return fault.code == "Sender" ? 400 : 500; }

namespace {

[[noreturn]] void refuse(Fault fault) {
  std::string message = fault.reason;
  throw RequestRefused(std::move(fault), std::move(message));
}

[[noreturn]] void refuse_addressing(std::string_view subcode, std::string_view reason) {
  refuse(make_fault("Sender", reason, subcode, ns::wsa));
}

bool must_be_understood(const xml::Element& header) {
  for (const auto soap_ns : {ns::soap, ns::soap11}) {
    const auto value = header.attribute("mustUnderstand", soap_ns);
    if (value && (xml::trim(*value) == "1" || xml::trim(*value) == "true")) {
      return true;
    }
  }
  return false;
}

}  // namespace

void check_request(const Message& message, const RequestRules& rules) {
  if (message.bare) {
    refuse(sender_fault("the request is not in a SOAP envelope"));
  }
  if (message.header) {
    for (const auto& header : message.header->children()) {
      if (must_be_understood(header) && header.ns() != ns::wsa && !header.is(ns::wsse, "Security")) {
        refuse(
            make_fault("MustUnderstand", fmt::format("the header {} is not understood", printable(header.name(), 80))));
      }
    }
  }
  if (message.addressing.action.empty()) {
    refuse_addressing("MessageAddressingHeaderRequired", "the header wsa:Action is required");
  }
  if (rules.message_id_required && message.addressing.message_id.empty()) {
    refuse_addressing("MessageAddressingHeaderRequired", "the header wsa:MessageID is required");
  }
  if (!rules.actions.empty() &&
      std::find(rules.actions.begin(), rules.actions.end(), message.addressing.action) == rules.actions.end()) {
    refuse_addressing("ActionNotSupported", fmt::format("the action \"{}\" is not supported here",
                                                        printable(message.addressing.action, 200)));
  }
  if (!message.body) {
    refuse(sender_fault("the body of the request is empty"));
  }
}

Message read_request(std::string_view content_type, std::span<const std::byte> body, PartStore& store,
                     const RequestRules& rules, const MessageLimits& limits) {
  std::optional<Message> message;
  try {
    MessageReader reader(content_type, store, limits);
    reader.write(body);
    message = reader.finish(true);
  } catch (const Error& error) {
    if (error.kind().code.starts_with("local.") || error.kind().code == kind("internal").code) {
      throw;
    }
    refuse(sender_fault(error.message()));
  }
  check_request(*message, rules);
  return std::move(*message);
}

std::string reply_envelope(const Addressing& request, std::string_view action, std::string_view body_xml) {
  EnvelopeContent content;
  content.action = action;
  content.message_id = make_message_id();
  content.relates_to = request.message_id;
  content.body_xml = body_xml;
  return write_envelope(content);
}

std::string fault_envelope(const Addressing& request, const Fault& fault) {
  const std::string_view prefix = fault.subcode_ns == ns::wsa    ? "wsa"
                                  : fault.subcode_ns == ns::wsse ? "wsse"
                                  : fault.subcode_ns == ns::wsu  ? "wsu"
                                  : fault.subcode_ns.empty()     ? ""
                                                                 : "f";
  const auto subcode = [prefix](const std::string& local) {
    return prefix.empty() ? local : fmt::format("{}:{}", prefix, local);
  };
  xml::Writer writer;
  writer.open("soap:Fault");
  if (!prefix.empty() && prefix != "wsa") {
    writer.declare(prefix, fault.subcode_ns);
  }
  writer.open("soap:Code").element("soap:Value", fmt::format("soap:{}", fault.code));
  for (const auto& local : fault.subcodes) {
    writer.open("soap:Subcode").element("soap:Value", subcode(local));
  }
  for (std::size_t i = 0; i < fault.subcodes.size(); ++i) {
    writer.close();
  }
  writer.close();
  writer.open("soap:Reason").open("soap:Text").attribute("xml:lang", "en").text(fault.reason).close().close();
  if (!fault.detail.empty()) {
    writer.open("soap:Detail").open("detail").text(fault.detail).close().close();
  }
  writer.close();
  return reply_envelope(request, fault.subcode_ns == ns::wsa ? k_addressing_fault : k_soap_fault, writer.take());
}

}  // namespace kuva::soap
