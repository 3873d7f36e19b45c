#include "support/associations.hpp"
#include "support/message_check.hpp"
#include "support/shared_material.hpp"
#include "support/temporary_directory.hpp"

#include <kuva/core/file.hpp>
#include <kuva/soap/message.hpp>
#include <kuva/xml/namespaces.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

using namespace kuva;
using namespace kuva::soap;
using test::code_of;
using test::error_of;
namespace ns = kuva::xml::ns;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

Message read(std::string_view type, std::string_view body, PartStore& store, std::size_t piece = 9) {
  MessageReader reader(type, store);
  for (std::size_t at = 0; at < body.size(); at += piece) {
    reader.write(bytes_of(body.substr(at, piece)));
  }
  return reader.finish(true);
}

const std::string k_envelope =
    "<e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\"><e:Body><a "
    "xmlns=\"urn:a\"/></e:Body></e:Envelope>";

std::string part(std::string_view id, std::string_view bytes, std::string_view type = "application/octet-stream") {
  return fmt::format("--B\r\nContent-Type: {}\r\nContent-Id: <{}>\r\n\r\n{}\r\n", type, id, bytes);
}

std::string mtom_type(std::string_view start) {
  return fmt::format("multipart/related; boundary=B; type=\"application/xop+xml\"{}{}",
                     start.empty() ? "" : "; start=", start.empty() ? "" : fmt::format("\"{}\"", start));
}

Fault fault_of(std::string_view body) {
  const Message message =
      read_envelope(fmt::format("<x:Envelope xmlns:x=\"{}\"><x:Body>{}</x:Body></x:Envelope>",
                                body.find("faultcode") == std::string_view::npos ? ns::soap : ns::soap11, body));
  REQUIRE(message.fault);
  return *message.fault;
}

}  // namespace

TEST_CASE("an envelope is written and read, its signed parts unchanged") {
  EnvelopeContent content;
  content.action = "urn:ihe:iti:2007:RegistryStoredQuery";
  content.message_id = make_message_id();
  content.to = "https://host/a?b=1&c=2";
  content.reply_to = true;
  content.security_xml = "<s:Assertion  xmlns:s='urn:s' b = \"1\">\n&#x20;</s:Assertion>";
  content.body_xml = "<q:Request xmlns:q=\"urn:q\" />";
  const std::string text = write_envelope(content);
  CHECK(text.find(content.security_xml) != std::string::npos);
  CHECK(text.find(content.body_xml) != std::string::npos);
  const Message message = read_envelope(text);
  CHECK(message.envelope == text);
  CHECK(message.addressing.action == content.action);
  CHECK(message.addressing.message_id == content.message_id);
  CHECK(message.addressing.message_id.starts_with("urn:uuid:"));
  CHECK(message.addressing.to == content.to);
  CHECK(message.addressing.reply_to == "http://www.w3.org/2005/08/addressing/anonymous");
  CHECK(message.addressing.relates_to.empty());
  REQUIRE(message.security);
  CHECK(message.security->attribute("mustUnderstand", ns::soap) == "1");
  REQUIRE(message.body);
  CHECK(message.body->is("urn:q", "Request"));
  CHECK(message.warnings.empty());
  CHECK(make_message_id() != make_message_id());
}

TEST_CASE("headers are read tolerantly") {
  const Message message = read_envelope(R"(<Envelope xmlns="http://www.w3.org/2003/05/soap-envelope"><Header>
<Action xmlns="http://www.w3.org/2005/08/addressing">
  urn:a
</Action><MessageID xmlns="http://www.w3.org/2005/08/addressing"> 1-2 </MessageID></Header><Body>
</Body></Envelope>)");
  CHECK(message.addressing.action == "urn:a");
  CHECK(message.addressing.message_id == "1-2");
  CHECK_FALSE(message.body);
  CHECK_FALSE(message.fault);
}

TEST_CASE("faults of both versions, in any order and namespace") {
  const Fault first = fault_of(
      "<x:Fault><x:Detail><d xmlns='urn:d'>more\n <e>of it</e></d></x:Detail><x:Reason><x:Text "
      "xml:lang='fi'>ei</x:Text>"
      "<x:Text xml:lang='en-GB'>no  way</x:Text></x:Reason><x:Code><x:Subcode><x:Value "
      "xmlns:w='urn:w'>w:InvalidSecurity</x:Value><x:Subcode><x:Value>deeper</x:Value></x:Subcode></x:Subcode>"
      "<x:Value>x:Sender</x:Value></x:Code></x:Fault>");
  CHECK(first.code == "Sender");
  CHECK(first.subcodes == std::vector<std::string>{"InvalidSecurity", "deeper"});
  CHECK(first.subcode_ns == "urn:w");
  CHECK(first.reason == "no way");
  CHECK(first.detail == "more of it");
  const Fault bare_children =
      fault_of("<x:Fault><Code><Value>Receiver</Value></Code><Reason><Text>r</Text></Reason></x:Fault>");
  CHECK(bare_children.code == "Receiver");
  CHECK(bare_children.reason == "r");
  const Fault old = fault_of("<x:Fault><faultstring>bad</faultstring><faultcode>x:Client.Auth</faultcode></x:Fault>");
  CHECK(old.code == "Sender");
  CHECK(old.subcodes == std::vector<std::string>{"Auth"});
  CHECK(old.reason == "bad");
  const Fault old_wsse = fault_of("<x:Fault><faultcode xmlns:w='urn:w'>w:FailedCheck</faultcode></x:Fault>");
  CHECK(old_wsse.subcodes == std::vector<std::string>{"FailedCheck"});
  CHECK(fault_of("<x:Fault/>").code.empty());
  const Fault long_one = fault_of("<x:Fault><x:Detail>" + std::string(3000, 'x') + "</x:Detail></x:Fault>");
  CHECK(long_one.detail.size() == 1000);
  CHECK(read_envelope("<Fault xmlns='http://www.w3.org/2003/05/soap-envelope'/>").fault);
}

TEST_CASE("what is no message is named as what it is") {
  NoParts store;
  CHECK(code_of(error_of([&] { read("text/html", "<html/>", store); })) == "soap.not-soap");
  CHECK(code_of(error_of([&] { read("", "<html/>", store); })) == "soap.not-soap");
  CHECK(code_of(error_of([&] { read("multipart/related; boundary=B; type=\"application/dicom\"", "", store); })) ==
        "soap.not-soap");
  CHECK(code_of(error_of([&] { read("application/xop+xml", k_envelope, store); })) == "mime.content-type");
  CHECK(code_of(error_of([&] { read("application/xml", "<html/>", store); })) == "soap.envelope");
  CHECK(code_of(error_of([&] { read("text/xml", "<a", store); })) == "xml.malformed");
  CHECK(code_of(error_of([&] { read_envelope("<Envelope xmlns='http://www.w3.org/2003/05/soap-envelope'/>"); })) ==
        "soap.envelope");
  const Message bare = read_envelope("<RegistryResponse xmlns='urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0'/>");
  CHECK(bare.bare);
  CHECK(bare.body->name() == "RegistryResponse");
  CHECK(bare.warnings.size() == 1);
  MessageLimits limits;
  limits.envelope.bytes = 50;
  CHECK(code_of(error_of([&] {
          MessageReader reader("text/xml", store, limits);
          reader.write(bytes_of(k_envelope));
        })) == "xml.limit");
}

TEST_CASE("the envelope is found wherever it stands among the parts") {
  const std::string xop = "application/xop+xml; charset=UTF-8; type=\"application/soap+xml\"";
  const auto ids = [](const Message& message) {
    std::string text;
    for (const auto& stored : message.parts) {
      text += stored.part.content_id + " ";
    }
    return text;
  };
  {
    MemoryParts store;
    const Message message =
        read(mtom_type("<root>"), part("a", "AAA") + part("root", k_envelope, xop) + part("b", "BB") + "--B--", store);
    CHECK(message.body->name() == "a");
    CHECK(ids(message) == "a b ");
    CHECK(*store.find("b") == "BB");
    CHECK(message.parts[0].size == 3);
    CHECK_FALSE(message.parts[0].is_dicom);
    CHECK(message.part("cid:b") == &message.parts[1]);
    CHECK(message.warnings.empty());
  }
  {
    // The first part is XML, and the named one comes later: the first was an attachment.
    MemoryParts store;
    const Message message =
        read(mtom_type("root"), part("a", "<doc/>", "text/xml") + part("root", k_envelope, xop) + "--B--", store);
    CHECK(message.body->name() == "a");
    CHECK(ids(message) == "a ");
    CHECK(*store.find("a") == "<doc/>");
  }
  {
    MemoryParts store;
    const Message message = read(mtom_type("other"), part("x", k_envelope, xop) + part("b", "BB") + "--B--", store);
    CHECK(ids(message) == "b ");
    CHECK(message.warnings.size() == 1);
  }
  {
    MemoryParts store;
    CHECK(ids(read(mtom_type(""), part("x", k_envelope, "text/plain") + part("b", "BB") + "--B--", store)) == "b ");
    CHECK(code_of(error_of([&] { read(mtom_type("other"), part("b", "BB") + "--B--", store); })) ==
          "mime.root-missing");
  }
}

TEST_CASE("parts become files that vanish unless they are taken") {
  const test::TemporaryDirectory directory;
  const auto count = [&] {
    return std::distance(std::filesystem::directory_iterator(directory.path()), std::filesystem::directory_iterator());
  };
  const std::string dicom = std::string(128, '\0') + "DICMrest";
  const std::string body =
      part("root", k_envelope, "application/xop+xml") + part("a", dicom) + part("b", "BB") + "--B--";
  {
    FileParts store(directory.path());
    const Message message = read(mtom_type("root"), body, store);
    REQUIRE(message.parts.size() == 2);
    CHECK(count() == 2);
    CHECK(message.parts[0].is_dicom);
    CHECK(read_small_file(message.parts[0].path, 1000) == dicom);
    struct stat facts {};
    REQUIRE(::stat(message.parts[0].path.c_str(), &facts) == 0);
    CHECK((facts.st_mode & 0777) == 0600);
    store.take(message.parts[0], directory.path() / "a.dcm");
  }
  CHECK(count() == 1);
  CHECK(read_small_file(directory.path() / "a.dcm", 1000) == dicom);
  {
    FileParts store(directory.path());
    read(mtom_type("root"), body, store);
    CHECK(count() == 3);
    store.discard();
    CHECK(count() == 1);
    FileParts nowhere(directory.path() / "none");
    CHECK(code_of(error_of([&] { read(mtom_type("root"), body, nowhere); })) == "local.write");
    FileParts full(directory.path(), std::uint64_t{1} << 62U);
    CHECK(code_of(error_of([&] { read(mtom_type("root"), body, full); })) == "local.write");
  }
  CHECK(count() == 1);
  MemoryParts small(5);
  CHECK(code_of(error_of([&] { read(mtom_type("root"), body, small); })) == "mime.limit");
}

TEST_CASE("a server reads requests and refuses them with the fault that belongs") {
  NoParts store;
  const auto refusal = [&](const std::string& header, const std::string& body, const RequestRules& rules) -> Fault {
    const std::string text =
        fmt::format("<s:Envelope xmlns:s='{}' xmlns:wsa='{}'><s:Header>{}</s:Header><s:Body>{}</s:Body></s:Envelope>",
                    ns::soap, ns::wsa, header, body);
    try {
      read_request("application/soap+xml", bytes_of(text), store, rules);
    } catch (const RequestRefused& refused) {
      CHECK(refused.kind().code == "soap.request");
      return refused.fault();
    }
    return {};
  };
  const std::string action = "<wsa:Action>urn:a</wsa:Action>";
  const std::string id = "<wsa:MessageID>urn:uuid:1</wsa:MessageID>";
  CHECK(refusal(action + id, "<a/>", {}).code.empty());
  CHECK(refusal(action + id, "<a/>", {.actions = {"urn:b", "urn:a"}}).code.empty());
  CHECK(refusal(action, "<a/>", {.message_id_required = false}).code.empty());
  const Fault no_id = refusal(action, "<a/>", {});
  CHECK(no_id.code == "Sender");
  CHECK(no_id.subcodes == std::vector<std::string>{"MessageAddressingHeaderRequired"});
  CHECK(no_id.subcode_ns == ns::wsa);
  CHECK(http_status(no_id) == 400);
  CHECK(refusal(id, "<a/>", {}).subcodes.at(0) == "MessageAddressingHeaderRequired");
  CHECK(refusal(action + id, "<a/>", {.actions = {"urn:b"}}).subcodes.at(0) == "ActionNotSupported");
  CHECK(refusal(action + id, "", {}).code == "Sender");
  const Fault unknown = refusal(action + id + "<x xmlns='urn:x' s:mustUnderstand='true'/>", "<a/>", {});
  CHECK(unknown.code == "MustUnderstand");
  CHECK(http_status(unknown) == 500);
  CHECK(refusal(action + id + "<x xmlns='urn:x' s:mustUnderstand='0'/>", "<a/>", {}).code.empty());
  CHECK_THROWS_AS(read_request("text/plain", bytes_of("x"), store), RequestRefused);
  CHECK_THROWS_AS(read_request("text/xml", bytes_of("<a"), store), RequestRefused);
}

TEST_CASE("faults of a server are read back as they were meant") {
  Addressing request;
  request.message_id = "urn:uuid:1";
  for (Fault fault :
       {security_fault("FailedAuthentication", "who <are> you"), sender_fault("no"), receiver_fault("later")}) {
    fault.detail = "because & so";
    const Message message = read_envelope(fault_envelope(request, fault));
    REQUIRE(message.fault);
    CHECK(message.fault->code == fault.code);
    CHECK(message.fault->subcodes == fault.subcodes);
    CHECK(message.fault->subcode_ns == fault.subcode_ns);
    CHECK(message.fault->reason == fault.reason);
    CHECK(message.fault->detail == fault.detail);
    CHECK(message.addressing.relates_to == "urn:uuid:1");
    CHECK(message.addressing.action.ends_with("/addressing/soap/fault"));
  }
  Fault addressing = sender_fault("x");
  addressing.subcodes = {"ActionNotSupported"};
  addressing.subcode_ns = ns::wsa;
  const Message message = read_envelope(fault_envelope(request, addressing));
  CHECK(message.addressing.action == "http://www.w3.org/2005/08/addressing/fault");
  CHECK(message.fault->subcode_ns == ns::wsa);
  const Message reply = read_envelope(reply_envelope(request, "urn:aResponse", "<b/>"));
  CHECK(reply.addressing.action == "urn:aResponse");
  CHECK(reply.addressing.relates_to == "urn:uuid:1");
  CHECK(reply.body->name() == "b");
}

TEST_CASE("envelopes, answers and faults are valid by the official schemas") {
  test::MessageCheck messages;
  const auto write = [&](std::string_view bytes) { messages.add("soap.http", bytes); };
  const std::string body =
      "<rs:RegistryResponse xmlns:rs=\"urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0\" "
      "status=\"urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success\"/>";
  EnvelopeContent content;
  content.action = "urn:ihe:iti:2007:RegistryStoredQuery";
  content.message_id = make_message_id();
  content.relates_to = make_message_id();
  content.to = "https://host/a?b=1&c=2";
  content.reply_to = true;
  content.security_xml =
      "<u:Timestamp xmlns:u=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd\"/>";
  content.body_xml = body;
  write(write_envelope(content));
  const auto frame = MultipartWriter::mtom(content.action);
  write(fmt::format("POST / HTTP/1.1\r\nContent-Type: {}\r\n\r\n{}{}", frame.content_type(),
                    frame.root(write_envelope(content)), frame.tail()));
  Addressing request;
  request.message_id = content.message_id;
  write(reply_envelope(request, "urn:aResponse", body));
  Fault addressing = sender_fault("x");
  addressing.subcodes = {"ActionNotSupported"};
  addressing.subcode_ns = ns::wsa;
  addressing.detail = "more";
  for (const Fault& fault : {sender_fault("a"), receiver_fault("b"), security_fault("FailedCheck", "c"), addressing}) {
    write(fault_envelope(request, fault));
  }
  messages.run();
}

TEST_CASE("every SOAP sample of others is read") {
  const auto samples = test::shared_material("samples/xds");
  if (!samples) {
    MESSAGE("skipped: no samples");
    return;
  }
  int read_samples = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(*samples)) {
    if (entry.path().extension() != ".xml") {
      continue;
    }
    CAPTURE(entry.path().string());
    const std::string text = read_small_file(entry.path(), 1U << 22U);
    if (text.find("Envelope") == std::string::npos) {
      continue;
    }
    const Message message = read_envelope(text);
    CHECK(message.body.has_value() == (entry.path().filename() != "nist-empty-soap-wrapper.xml"));
    ++read_samples;
  }
  CHECK(read_samples > 15);
}
