#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace kuva::soap {

// Undoes a Content-Transfer-Encoding as bytes arrive (RFC 2045 6).
class TransferDecoder {
 public:
  // Nothing to undo (empty, binary, 8bit, 7bit): null. Errors: mime.encoding where it is another than base64 or
  // quoted-printable.
  static std::unique_ptr<TransferDecoder> make(std::string_view encoding);
  virtual ~TransferDecoder() = default;

  // What these bytes come to, valid until the next call. Errors: mime.encoding.
  virtual std::span<const std::byte> decode(std::span<const std::byte> bytes) = 0;
  // The part is at its end. Errors: mime.encoding where something is missing.
  virtual std::span<const std::byte> finish() = 0;
};

}  // namespace kuva::soap
