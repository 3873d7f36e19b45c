// HL7 v2 messages and files of them: whatever comes is refused with an Error or given back byte by byte, and every view
// of it can be asked for.
#include <kuva/core/error.hpp>
#include <kuva/hl7/acknowledgement.hpp>
#include <kuva/hl7/check.hpp>

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

void look_at(const kuva::hl7::Message& message) {
  static_cast<void>(kuva::hl7::check(message));
  const auto set = kuva::hl7::CharacterSet::utf8();
  static_cast<void>(kuva::hl7::read_legal_name(message, {"PID", 5, 1, 0, 0, 1}, set));
  static_cast<void>(kuva::hl7::read_identifiers(message, {"PID", 3, 1, 0, 0, 1}, set));
  const std::string wire = message.wire_bytes();
  if (kuva::hl7::Message::parse(wire).wire_bytes() != wire) {
    std::abort();
  }
  try {
    static_cast<void>(kuva::hl7::read_acknowledgement(message));
    static_cast<void>(kuva::hl7::make_acknowledgement(message, {}));
  } catch (const kuva::Error&) {
    // Most messages are no acknowledgements.
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const kuva::hl7::MessageFile file = kuva::hl7::MessageFile::parse(bytes);
    if (file.bytes() != bytes) {
      std::abort();
    }
    for (const kuva::hl7::Message* message : file.messages()) {
      look_at(*message);
    }
  } catch (const kuva::Error&) {
    // An answer too.
  }
  return 0;
}
