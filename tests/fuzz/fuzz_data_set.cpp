// A data set in each syntax's structure. The first byte picks it, and how values are read.

#include <kuva/core/error.hpp>
#include <kuva/dicom/byte_source.hpp>
#include <kuva/dicom/reader.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string_view>

using namespace kuva;
using namespace kuva::dicom;

namespace {

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

void read_all(ByteSource& source, const TransferSyntax& syntax, unsigned way, std::size_t size_limit) {
  DataSetReader reader(source, syntax);
  std::size_t events = 0;
  std::size_t open = 0;
  for (auto event = reader.next(); event != DataSetReader::Event::end; event = reader.next()) {
    require(++events <= size_limit);
    require(reader.depth() <= DataSetReader::k_deepest_nesting);
    switch (event) {
      case DataSetReader::Event::sequence_begin:
        ++open;
        if (way == 3) {
          reader.skip_sequence();
          --open;
        }
        break;
      case DataSetReader::Event::sequence_end:
        require(open > 0);
        --open;
        break;
      default:
        break;
    }
    if (way == 1) {
      require(reader.value(100).size() <= 100);
    } else if (way == 2) {
      std::uint64_t taken = 0;
      for (auto piece = reader.read_some(7); !piece.empty(); piece = reader.read_some(7)) {
        taken += piece.size();
      }
      require(taken <= size_limit * 1100);
    }
    require(reader.tag_path().size() < 3000);
  }
  require(reader.next() == DataSetReader::Event::end);
  require(reader.defects().size() <= DataSetReader::k_most_defects + 2);
  require((reader.truncated() || reader.broken()) || open == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  static constexpr std::array<std::string_view, 5> k_syntaxes = {
      k_implicit_vr_little_endian, k_explicit_vr_little_endian, k_explicit_vr_big_endian,
      k_deflated_explicit_vr_little_endian, "1.2.840.10008.1.2.4.50"};
  const TransferSyntax syntax = transfer_syntax(k_syntaxes[data[0] % k_syntaxes.size()]);
  const unsigned way = data[0] / k_syntaxes.size() % 4;
  std::unique_ptr<ByteSource> source = make_memory_source(std::as_bytes(std::span(data + 1, size - 1)));
  // Deflate makes at most 1032 bytes of one.
  std::size_t limit = 2 * size + 16;
  if (syntax.deflated) {
    source = make_inflate_source(std::move(source));
    limit *= 1032;
  }
  try {
    read_all(*source, syntax, way, limit);
  } catch (const Error& error) {
    require(std::string_view(error.kind().code).starts_with("file."));
  }
  return 0;
}
