#pragma once

#include <kuva/core/file.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

namespace kuva::dicom {

// Bytes that are read forward once. Memory is constant whatever their number.
class ByteSource {
 public:
  virtual ~ByteSource() = default;

  // At most `size` bytes from the current position without moving it; fewer only at the end. The view is valid until
  // the next call of any member. `size` is at most k_largest_peek.
  // Errors: Error local.read; file.malformed for a broken deflate stream.
  virtual std::span<const std::byte> peek(std::size_t size) = 0;
  // Moves over `size` bytes; returns how many there were, fewer only at the end.
  virtual std::uint64_t skip(std::uint64_t size) = 0;
  // Bytes before the current position.
  virtual std::uint64_t position() const = 0;
  // Bytes that remain, where that is known without reading (not for a deflated source).
  virtual std::optional<std::uint64_t> remaining() const = 0;
  // The open file that the bytes are of, while the source lives; -1 where they are not a file's as they are.
  virtual int descriptor() const { return -1; }

  static constexpr std::size_t k_largest_peek = 256 * 1024;
};

// A regular file, read by pread(2) in a window: a file that shrinks or a failing disk is an Error, not a signal.
std::unique_ptr<ByteSource> open_file_source(const std::filesystem::path& path);
// Bytes in memory, which must outlive the source.
std::unique_ptr<ByteSource> make_memory_source(std::span<const std::byte> bytes);
// The inflated form of a raw deflate stream (RFC 1951, PS3.5 A.5).
std::unique_ptr<ByteSource> make_inflate_source(std::unique_ptr<ByteSource> deflated);

}  // namespace kuva::dicom
