// An envelope as a peer may send it: reading ends in a message or an Error, every element can be asked for all that it
// has, and what is written of it is read back the same.
#include <kuva/core/error.hpp>
#include <kuva/soap/client.hpp>
#include <kuva/soap/message.hpp>
#include <kuva/xml/writer.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

std::size_t walk(const kuva::xml::Element& element) {
  std::size_t seen = element.ns().size() + element.name().size() + element.trimmed_text().size();
  static_cast<void>(element.attribute("mustUnderstand", "http://www.w3.org/2003/05/soap-envelope"));
  static_cast<void>(element.namespace_of("a"));
  for (const auto& child : element.children()) {
    if (!child.parent() || *child.parent() != element) {
      std::abort();
    }
    seen += walk(child);
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kuva;
  if (size > 1U << 16U) {
    return 0;
  }
  try {
    const soap::Message message = soap::read_envelope(std::string(reinterpret_cast<const char*>(data), size));
    const xml::Element root = message.document.root();
    walk(root);
    const std::string text = root.text();
    xml::Writer writer;
    const auto again = xml::Document::parse(writer.open("a").attribute("b", text).text(text).close().take());
    if (again.root().attribute("b") != text) {
      std::abort();
    }
    if (message.fault) {
      soap::fault_error(*message.fault);
    }
    try {
      soap::check_request(message, {});
    } catch (const soap::RequestRefused& refused) {
      const soap::Message fault = soap::read_envelope(soap::fault_envelope(message.addressing, refused.fault()));
      if (!fault.fault || fault.fault->code != refused.fault().code) {
        std::abort();
      }
    }
  } catch (const Error&) {
    return 0;
  }
  return 0;
}
