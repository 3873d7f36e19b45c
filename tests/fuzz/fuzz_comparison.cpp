#include <kuva/core/error.hpp>
#include <kuva/dicom/comparison.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

// Two data sets, parted where the second byte says; the first byte picks their syntaxes. Whatever they are, comparing
// ends, and what can be compared with itself is the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kuva::dicom;
  if (size < 2) {
    return 0;
  }
  static const TransferSyntax k_syntaxes[] = {
      transfer_syntax(k_implicit_vr_little_endian), transfer_syntax(k_explicit_vr_little_endian),
      transfer_syntax(k_explicit_vr_big_endian), transfer_syntax("1.2.840.10008.1.2.4.70")};
  const auto bytes = std::as_bytes(std::span(data, size).subspan(2));
  const std::size_t middle = bytes.size() * data[1] / 256;
  const auto open = [](std::span<const std::byte> part, const TransferSyntax& syntax) {
    Part10File file;
    file.size = part.size();
    file.syntax = syntax;
    file.source = make_memory_source(part);
    return file;
  };
  const TransferSyntax& left = k_syntaxes[data[0] % 4U];
  const TransferSyntax& right = k_syntaxes[data[0] / 4U % 4U];
  try {
    compare_objects(open(bytes.first(middle), left), open(bytes.subspan(middle), right), {"key", true});
  } catch (const kuva::Error&) {
  }
  try {
    if (!compare_objects(open(bytes, left), open(bytes, left), {"key", false}).is_same()) {
      std::abort();
    }
  } catch (const kuva::Error&) {
  }
  return 0;
}
