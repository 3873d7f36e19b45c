#pragma once

#include <kuva/dicom/part10.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

namespace kuva::dicom {

// The bytes of a data set as they go on the wire.
class DataSetStream {
 public:
  virtual ~DataSetStream() = default;
  // Fills the buffer; fewer bytes than asked only at the end, 0 when there are no more. The total is even
  // (PS3.5 7.1.1: a file that ends odd is padded with one zero byte only where the last value is odd and unpadded).
  // Errors: local.read; file.truncated; file.malformed; file.not-encodable.
  virtual std::size_t read(std::span<std::byte> buffer) = 0;
  // Bytes in all, where known without encoding (an unchanged syntax).
  virtual std::optional<std::uint64_t> size() const = 0;
  // Where all of these bytes lie in a file as they are, open while the stream lives.
  struct FileRange {
    int descriptor = -1;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };
  virtual std::optional<FileRange> file_range() const { return std::nullopt; }
};

// True when open_data_set can give the data set of a file in `from` as `to`: the same syntax always (bytes untouched);
// otherwise between the uncompressed ones (Implicit and Explicit VR Little Endian as `to`; these, Big Endian and
// Deflated as `from`).
bool can_encode(const TransferSyntax& from, const TransferSyntax& to);

// The data set of an open file in the syntax `to`. Unchanged syntax: the file's bytes as they are. Otherwise re-encoded
// as it is read, memory constant: sequences become undefined length, VRs come from the dictionary (private ones from
// GDCM's private dictionary, else UN), values of 16-bit-length VRs over 65534 bytes become UN (PS3.5 6.2.2),
// group lengths are left out.
std::unique_ptr<DataSetStream> open_data_set(Part10File file, const TransferSyntax& to);

}  // namespace kuva::dicom
