// The command set of a DIMSE message, as a peer may send it: decoding ends in a command or an Error, and what was
// decoded encodes to something that decodes to the same.
#include <kuva/core/error.hpp>
#include <kuva/dimse/command.hpp>
#include <kuva/dimse/status.hpp>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kuva::dimse::Command command;
  try {
    command = kuva::dimse::decode(std::as_bytes(std::span(data, size)));
  } catch (const kuva::Error&) {
    return 0;
  }
  const std::string bytes = kuva::dimse::encode(command);
  const kuva::dimse::Command again = kuva::dimse::decode(std::as_bytes(std::span(bytes.data(), bytes.size())));
  if (again.field != command.field || again.status != command.status || again.message_id != command.message_id ||
      again.has_data_set != command.has_data_set || again.offending_elements != command.offending_elements) {
    std::abort();
  }
  if (command.error_comment) {
    kuva::dimse::masked_comment(*command.error_comment);
  }
  return 0;
}
