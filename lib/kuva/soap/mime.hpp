#pragma once

#include <kuva/core/error.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::soap {

// A media type in its parts (RFC 2045 5.1): type and parameter names in lower case, values unquoted.
struct ContentType {
  std::string type;  // "multipart/related"
  std::map<std::string, std::string> parameters;

  // Empty where there is none.
  std::string_view parameter(std::string_view name) const;
};
// Parameters in any order, quoted or not, folded lines, stray semicolons. Errors: mime.content-type.
ContentType parse_content_type(std::string_view text);

// The header of one part.
struct Part {
  std::string content_id;                                 // without its angle brackets; empty where there is none
  std::string content_type = "application/octet-stream";  // as the peer wrote it
  std::string location;                                   // Content-Location
  std::map<std::string, std::string> headers;             // all of them, names in lower case
};

// Who takes the parts of a multipart body, in their order.
class PartSink {
 public:
  virtual ~PartSink() = default;
  virtual void begin(const Part& part) = 0;
  virtual void write(std::span<const std::byte> bytes) = 0;
  // complete: false where the body ended within the part.
  virtual void end(bool complete) = 0;
};

struct MultipartLimits {
  std::uint64_t parts = 100'000;
  std::uint64_t part_bytes = 0;  // 0: none
  std::uint64_t total_bytes = 0;
  std::size_t header_bytes = 16U << 10U;  // of one part
  std::size_t headers = 64;
};

// Takes a multipart body apart as it arrives, in pieces of any size down to one byte; keeps some hundred bytes. What
// stands in a part comes out byte for byte (base64 and quoted-printable decoded). RFC 2046 5.1; bodies whose lines end
// in LF alone are read too. Also for answers of WADO-RS.
class MultipartReader {
 public:
  // Errors: mime.content-type where it is no multipart type, or its boundary is missing or wrong.
  MultipartReader(std::string_view content_type, PartSink& sink, const MultipartLimits& limits = {});
  MultipartReader(MultipartReader&&) noexcept;
  ~MultipartReader();

  // Errors: mime.malformed, mime.encoding, mime.limit; what the sink throws. Nothing may be written after an error.
  void write(std::span<const std::byte> bytes);
  // The body has ended. framing_complete: HTTP says that it is whole (length or last chunk), so that a missing last
  // delimiter is only a warning. Errors: mime.truncated, mime.malformed (no part at all).
  void finish(bool framing_complete);

  std::uint64_t parts() const;
  const std::vector<std::string>& warnings() const;
  // Everything after this is epilogue.
  bool saw_last_delimiter() const;

 private:
  class Scanner;
  std::unique_ptr<Scanner> m_scanner;
};

// The frame of a multipart body whose parts are written by the caller, so that they can be of any size:
//   root(envelope), then for each part part_head(), its bytes, part_tail(); at last tail().
class MultipartWriter {
 public:
  // MTOM (SOAP 1.2 MTOM 3.2, ITI TF-2 V.8): application/xop+xml with a root part. A random boundary and a random start.
  static MultipartWriter mtom(std::string_view action);
  // multipart/related; type="application/dicom", as of WADO-RS (PS3.18 8.7.3).
  static MultipartWriter related(std::string_view part_type);

  // The Content-Type of the whole.
  std::string content_type() const;
  // The root part of MTOM, whole.
  std::string root(std::string_view envelope) const;
  // Delimiter and header. An empty content id is left out.
  std::string part_head(std::string_view part_content_type, std::string_view content_id = {}) const;
  static std::string_view part_tail() { return "\r\n"; }
  std::string tail() const;

 private:
  MultipartWriter() = default;
  std::string m_boundary;
  std::string m_start;
  std::string m_type;
  std::string m_action;
};

// A Content-ID of ours, without brackets: "<number>.<uuid>@kuva". It needs no escapes in a cid: URL.
std::string make_content_id(std::uint64_t number);
// "cid:..." for xop:Include, and what such a URL says: percent escapes undone, '+' kept (RFC 2392). Nothing where it is
// no cid: URL.
std::string to_cid_url(std::string_view content_id);
std::optional<std::string> from_cid_url(std::string_view url);

// A fresh random UUID (version 4), lower case.
std::string make_uuid();

}  // namespace kuva::soap
