// A whole file, as kuva-validate and the scan see it.

#include <kuva/core/error.hpp>
#include <kuva/dicom/inspection.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

using namespace kuva;
using namespace kuva::dicom;

namespace {

// Only what is wrong with the file may come out.
template <typename Read>
void read_safely(std::span<const std::byte> bytes, Read read) {
  try {
    read(open_part10(make_memory_source(bytes)));
  } catch (const Error& error) {
    if (!std::string_view(error.kind().code).starts_with("file.")) {
      std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  read_safely(bytes, [](Part10File file) { inspect(std::move(file)); });
  read_safely(bytes, [](Part10File file) { read_header(std::move(file)); });
  return 0;
}
