// A multipart body as a peer may send it: a byte that picks the type and the pieces, then the body. Whatever the
// pieces, the parts are the same.
#include <kuva/core/error.hpp>
#include <kuva/soap/mime.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

struct Kept final : kuva::soap::PartSink {
  std::string text;
  void begin(const kuva::soap::Part& part) override {
    text += "\x01" + part.content_id + "\x02" + part.content_type + "\x03";
  }
  void write(std::span<const std::byte> bytes) override {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  void end(bool complete) override { text += complete ? "\x04" : "\x05"; }
};

std::string read(std::string_view type, std::span<const std::byte> body, std::size_t piece, bool framed) {
  Kept sink;
  try {
    kuva::soap::MultipartReader reader(type, sink, {.parts = 50, .part_bytes = 4000});
    for (std::size_t at = 0; at < body.size(); at += piece) {
      reader.write(body.subspan(at, std::min(piece, body.size() - at)));
    }
    reader.finish(framed);
  } catch (const kuva::Error& error) {
    // Bytes that came before an error depend on the pieces, the error does not.
    return "error " + std::string(error.kind().code);
  }
  return sink.text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const auto body = std::as_bytes(std::span(data + 1, size - 1));
  const std::uint8_t pick = data[0];
  if (pick == 0xFF) {
    try {
      kuva::soap::parse_content_type(std::string_view(reinterpret_cast<const char*>(body.data()), body.size()));
    } catch (const kuva::Error&) {
      return 0;
    }
    return 0;
  }
  constexpr std::string_view k_types[] = {"multipart/related; boundary=B", "multipart/mixed; boundary=\"-\"",
                                          "multipart/related; boundary=\"MIME(1)\"; type=\"application/xop+xml\""};
  const std::string_view type = k_types[pick % std::size(k_types)];
  const bool framed = (pick & 0x80U) != 0;
  const std::string whole = read(type, body, body.size() + 1, framed);
  if (read(type, body, 1, framed) != whole || read(type, body, 1 + (pick >> 2U & 0x1FU), framed) != whole) {
    std::abort();
  }
  return 0;
}
