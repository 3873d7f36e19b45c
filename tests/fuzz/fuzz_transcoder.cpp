#include <kuva/core/error.hpp>
#include <kuva/dicom/data_set.hpp>
#include <kuva/dicom/transcoder.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

// The first byte picks the two syntaxes; the rest is the data set. What was re-encoded is even, and with explicit VRs
// its structure is sound. (Without them the dictionary may call a sequence what the source had as a value.)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kuva::dicom;
  if (size < 1) {
    return 0;
  }
  static const std::array<TransferSyntax, 4> k_syntaxes{
      transfer_syntax(k_implicit_vr_little_endian), transfer_syntax(k_explicit_vr_little_endian),
      transfer_syntax(k_explicit_vr_big_endian), transfer_syntax(k_deflated_explicit_vr_little_endian)};
  const TransferSyntax& from = k_syntaxes[data[0] % 4U];
  const TransferSyntax& to = k_syntaxes[from.uid == k_implicit_vr_little_endian || (data[0] & 4U) != 0 ? 1 : 0];
  if (from.uid == to.uid) {
    return 0;
  }
  const auto bytes = std::as_bytes(std::span(data, size).subspan(1));
  Part10File file;
  file.size = bytes.size();
  file.syntax = from;
  file.source = make_memory_source(bytes);

  std::string encoded;
  try {
    const auto stream = open_data_set(std::move(file), to);
    std::array<std::byte, 1021> buffer;
    for (std::size_t count = buffer.size(); count == buffer.size() && encoded.size() < (8U << 20U);) {
      count = stream->read(buffer);
      encoded.append(reinterpret_cast<const char*>(buffer.data()), count);
    }
    if (encoded.size() >= (8U << 20U)) {
      return 0;
    }
  } catch (const kuva::Error&) {
    return 0;
  }
  if (encoded.size() % 2 != 0) {
    std::abort();
  }
  if (!to.explicit_vr) {
    return 0;
  }
  const auto source = make_memory_source(std::as_bytes(std::span(encoded.data(), encoded.size())));
  DataSetReader reader(*source, to);
  while (reader.next() != DataSetReader::Event::end) {
  }
  if (reader.truncated() || reader.broken()) {
    std::abort();
  }
  return 0;
}
