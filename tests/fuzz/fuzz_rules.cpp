#include <kuva/core/error.hpp>
#include <kuva/rules/checker.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

// The text of a condition up to the first zero byte, then a file that it and the profile of the standard are applied
// to.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kuva;
  static const rules::Profile k_profile = rules::load_profile("kanta-2.4.1");
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t end = bytes.find('\0');
  try {
    rules::Expression::parse(bytes.substr(0, end));
  } catch (const Error& error) {
    if (&error.kind() != &kind("usage.profile")) {
      throw;
    }
  }
  if (end == std::string_view::npos) {
    return 0;
  }
  const std::string_view file = bytes.substr(end + 1);
  try {
    rules::Checker checker(k_profile);
    auto source = dicom::make_memory_source(std::as_bytes(std::span(file.data(), file.size())));
    const dicom::Inspection inspection = dicom::inspect(dicom::open_part10(std::move(source)), &checker);
    checker.finish(inspection);
  } catch (const Error&) {
    // Not DICOM.
  }
  return 0;
}
