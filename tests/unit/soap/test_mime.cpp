#include "support/associations.hpp"
#include "support/shared_material.hpp"

#include <kuva/core/file.hpp>
#include <kuva/soap/message.hpp>
#include <kuva/soap/mime.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <sys/resource.h>

#include <algorithm>
#include <set>

using namespace kuva;
using namespace kuva::soap;
using test::code_of;
using test::error_of;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

struct Collected final : PartSink {
  struct Item {
    Part part;
    std::string bytes;
    bool complete = false;
    bool ended = false;
  };
  std::vector<Item> items;

  void begin(const Part& part) override { items.push_back({part, {}}); }
  void write(std::span<const std::byte> bytes) override {
    items.back().bytes.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  void end(bool complete) override {
    items.back().complete = complete;
    items.back().ended = true;
  }
};

constexpr std::string_view k_type = "multipart/related; boundary=B";

struct Reading {
  Collected sink;
  std::optional<Error> error;
  std::vector<std::string> warnings;

  std::string summary() const {
    std::string text;
    for (const auto& item : sink.items) {
      text += fmt::format("[{}|{}|{}{}]", item.part.content_id, item.part.content_type, item.bytes,
                          item.complete ? ""
                          : item.ended  ? "|cut"
                                        : "|open");
    }
    return text + (error ? code_of(error) : "") + (warnings.empty() ? "" : "!");
  }
};

Reading read(std::string_view type, std::string_view body, std::size_t piece, bool framed = true,
             const MultipartLimits& limits = {}) {
  Reading reading;
  reading.error = error_of([&] {
    MultipartReader reader(type, reading.sink, limits);
    for (std::size_t at = 0; at < body.size(); at += piece) {
      reader.write(bytes_of(body.substr(at, piece)));
    }
    reader.finish(framed);
    reading.warnings = reader.warnings();
  });
  return reading;
}

// The same whatever the pieces.
std::string summary(std::string_view type, std::string_view body, bool framed = true,
                    const MultipartLimits& limits = {}) {
  const std::string whole = read(type, body, std::max<std::size_t>(body.size(), 1), framed, limits).summary();
  for (const std::size_t piece : {1U, 2U, 3U, 7U, 13U}) {
    CAPTURE(piece);
    CHECK(read(type, body, piece, framed, limits).summary() == whole);
  }
  return whole;
}

std::string header_of(const std::filesystem::path& file, std::string_view name) {
  const std::string text = read_small_file(file, 1U << 20U);
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    std::string lower = line;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    if (lower.starts_with(name)) {
      return line.substr(name.size());
    }
    at = end + 1;
  }
  return {};
}

}  // namespace

TEST_CASE("content types are read as they are written by others") {
  const auto type = parse_content_type(
      "Multipart/Related; BOUNDARY=\"uuid:a+b/(c)=?'\" ;; type = application/xop+xml;\r\n start=\"<a@b>\"; "
      "x=\"a\\\"b;c\"; ");
  CHECK(type.type == "multipart/related");
  CHECK(type.parameter("boundary") == "uuid:a+b/(c)=?'");
  CHECK(type.parameter("type") == "application/xop+xml");
  CHECK(type.parameter("start") == "<a@b>");
  CHECK(type.parameter("x") == "a\"b;c");
  CHECK(type.parameter("none").empty());
  for (const char* bad : {"", "text", "/x", "text/", "text/x; a=\"b", "a b/c"}) {
    CAPTURE(bad);
    CHECK(code_of(error_of([&] { parse_content_type(bad); })) == "mime.content-type");
  }
  for (const char* bad :
       {"text/xml; boundary=a", "multipart/related", "multipart/related; boundary=\"\"",
        "multipart/related; boundary=\"a \"",
        "multipart/related; boundary=01234567890123456789012345678901234567890123456789012345678901234567890"}) {
    CAPTURE(bad);
    CHECK(code_of(error_of([&] {
            Collected sink;
            MultipartReader reader(bad, sink);
          })) == "mime.content-type");
  }
}

TEST_CASE("parts come out byte for byte, in pieces of any size") {
  CHECK(
      summary(k_type,
              "--B\r\nContent-ID: <1@x>\r\nContent-Type: text/plain\r\n\r\nabc\r\n--B\r\n\r\nd\r\n\r\n\r\n--B--\r\n") ==
      "[1@x|text/plain|abc][|application/octet-stream|d\r\n\r\n]");
  // Preamble, epilogue, blanks after delimiters, folded header lines, no Content-Type.
  CHECK(summary(k_type,
                "pre\r\n--Bogus\r\nx--B\r\n--B \t\r\ncontent-id:\r\n <2@x>\r\n\r\none\r\n--B-- "
                "\r\nepilogue\r\n--B\r\n\r\nno\r\n--B--") == "[2@x|application/octet-stream|one]");
  // Empty parts, with and without a line of their own.
  CHECK(summary(k_type, "--B\r\n\r\n--B\r\n\r\n\r\n--B--") ==
        "[|application/octet-stream|][|application/octet-stream|]");
  // The last delimiter without a line end.
  CHECK(summary(k_type, "\r\n\r\n--B\r\n\r\nx\r\n--B--") == "[|application/octet-stream|x]");
  CHECK(summary(k_type, "--B\r\n\r\nx\r\n--B--\r") == "[|application/octet-stream|x]");
}

TEST_CASE("what only looks like a delimiter is data") {
  for (const std::string_view data :
       {"\r\n--", "\r\n--BB", "\r\n--B-", "\r\n--B-x", "\r\n--B--x", "\r\n--B x\r\n", "--B\r\n no", "\n--B\r\n",
        "\r--B\r\n", "\r\r\n--C", "\r\n\r\n-\r\n--", "--B--", "\r\n--B\rx", "-\r\n-B"}) {
    CAPTURE(data);
    const std::string body = fmt::format("--B\r\nContent-ID: <a>\r\n\r\nd{}\r\n--B--\r\n", data);
    CHECK(summary(k_type, body) == fmt::format("[a|application/octet-stream|d{}]", data));
  }
  const std::string blanks(300, ' ');
  CHECK(summary(k_type, "--B\r\n\r\nd\r\n--B" + blanks + "\r\n--B--") ==
        "[|application/octet-stream|d\r\n--B" + blanks + "]");
  // In binary data of all bytes, at every offset.
  std::string binary;
  for (int i = 0; i < 512; ++i) {
    binary += (i & 0xFF) == 'B' ? 'C' : static_cast<char>(i);
    binary += "\r\n--";
  }
  CHECK(summary(k_type, "--B\r\n\r\n" + binary + "\r\n--B--") == "[|application/octet-stream|" + binary + "]");
}

TEST_CASE("messages with bare line feeds are read, and a CR before one is data there") {
  CHECK(summary(k_type, "--B\nContent-ID: <1>\n\nabc\r\n--B\n\nd\n\n--B--\n") ==
        "[1|application/octet-stream|abc\r][|application/octet-stream|d\n]");
  // With CRLF in the header a line feed alone begins no delimiter.
  CHECK(summary(k_type, "--B\r\nContent-ID: <1>\r\n\r\nabc\n--B\r\n\r\nx\r\n--B--\r\n") ==
        "[1|application/octet-stream|abc\n--B\r\n\r\nx]");
}

TEST_CASE("bodies that end too early are told from those that only lack the last delimiter") {
  CHECK(summary(k_type, "--B\r\n\r\nabc\r\n") == "[|application/octet-stream|abc\r\n]!");
  CHECK(summary(k_type, "--B\r\n\r\nabc\r\n--B") == "[|application/octet-stream|abc]!");
  CHECK(summary(k_type, "--B\r\n\r\nabc\r\n--B-") == "[|application/octet-stream|abc]!");
  CHECK(summary(k_type, "--B\r\n\r\nabc\r\n", false) == "[|application/octet-stream|abc\r\n|cut]mime.truncated");
  CHECK(summary(k_type, "--B\r\n\r\nabc\r\n--B", false) == "[|application/octet-stream|abc]mime.truncated");
  CHECK(summary(k_type, "--B\r\n\r\nabc\r\n--B--", false) == "[|application/octet-stream|abc]");
  CHECK(summary(k_type, "--B\r\nContent-ID: <1>\r\n") == "mime.truncated");
  CHECK(summary(k_type, "") == "mime.malformed");
  CHECK(summary(k_type, "no part") == "mime.malformed");
  CHECK(summary(k_type, "no part", false) == "mime.truncated");
  CHECK(summary(k_type, "--B--\r\n") == "mime.malformed");
}

TEST_CASE("transfer encodings are undone") {
  const auto body = [](std::string_view encoding, std::string_view data) {
    return fmt::format("--B\r\nContent-Transfer-Encoding: {}\r\n\r\n{}\r\n--B--", encoding, data);
  };
  CHECK(summary(k_type, body("BASE64", "aGFs\r\nbG8h\r\n")) == "[|application/octet-stream|hallo!]");
  CHECK(summary(k_type, body("base64", "aGFsbG8=")) == "[|application/octet-stream|hallo]");
  CHECK(summary(k_type, body("base64", "aGFsbA==")) == "[|application/octet-stream|hall]");
  CHECK(summary(k_type, body("base64", "aGFsbA")) == "[|application/octet-stream|hall]");
  CHECK(read(k_type, body("base64", "aGFs*G8h"), 100).summary().ends_with("mime.encoding"));
  CHECK(read(k_type, body("base64", "aGFsb"), 100).summary().ends_with("mime.encoding"));
  CHECK(read(k_type, body("base64", "aGFsbG8=aGFs"), 100).summary().ends_with("mime.encoding"));
  CHECK(summary(k_type, body("quoted-printable", "a=3D=\r\nb  \r\n=e4 c=  \r\nd")) ==
        "[|application/octet-stream|a=b\r\n\xE4 cd]");
  CHECK(read(k_type, body("quoted-printable", "a=4x"), 100).summary().ends_with("mime.encoding"));
  CHECK(summary(k_type, body("8bit", "x")) == "[|application/octet-stream|x]");
  CHECK(read(k_type, body("uuencode", "x"), 100).summary().ends_with("mime.encoding"));
}

TEST_CASE("limits hold") {
  const std::string two = "--B\r\nA: 1\r\nB: 2\r\n\r\nabcdef\r\n--B\r\n\r\nx\r\n--B--";
  const auto code = [&](const MultipartLimits& limits, std::string_view body) {
    return code_of(read(k_type, body, 5, true, limits).error);
  };
  CHECK(code({}, two) == "none");
  CHECK(code({.parts = 1}, two) == "mime.limit");
  CHECK(code({.part_bytes = 5}, two) == "mime.limit");
  CHECK(code({.part_bytes = 6}, two) == "none");
  CHECK(code({.total_bytes = 20}, two) == "mime.limit");
  CHECK(code({.header_bytes = 8}, two) == "mime.limit");
  CHECK(code({.headers = 1}, two) == "mime.limit");
  CHECK(code({}, "--B\r\nno field\r\n\r\nx\r\n--B--") == "mime.malformed");
  CHECK(code({}, "--B\r\n folded: first\r\n\r\nx\r\n--B--") == "mime.malformed");
  CHECK(code({}, "--B\r\nA: " + std::string(20'000, 'x')) == "mime.limit");
}

TEST_CASE("what is written is read") {
  const auto frame = MultipartWriter::mtom("urn:a");
  const std::string id = make_content_id(1);
  const std::string body = frame.root("<e/>") + frame.part_head("application/dicom", id) + "\r\n--data--\r\n" +
                           std::string(frame.part_tail()) + frame.tail();
  const auto type = parse_content_type(frame.content_type());
  CHECK(type.parameter("type") == "application/xop+xml");
  CHECK(type.parameter("start-info") == "application/soap+xml");
  CHECK(type.parameter("action") == "urn:a");
  const auto reading = read(frame.content_type(), body, 11);
  REQUIRE(reading.sink.items.size() == 2);
  CHECK_FALSE(reading.error);
  CHECK(fmt::format("<{}>", reading.sink.items[0].part.content_id) == type.parameter("start"));
  CHECK(reading.sink.items[0].bytes == "<e/>");
  CHECK(reading.sink.items[1].part.content_id == id);
  CHECK(reading.sink.items[1].bytes == "\r\n--data--\r\n");
  const auto plain = MultipartWriter::related("application/dicom");
  CHECK(read(plain.content_type(), plain.part_head("application/dicom") + "x\r\n" + plain.tail(), 3).summary() ==
        "[|application/dicom|x]");
}

TEST_CASE("cid URLs") {
  CHECK(from_cid_url("cid:a%40b%3Ac+d") == "a@b:c+d");
  CHECK(from_cid_url(" CID:100%") == "100%");
  CHECK(from_cid_url("cid:%4") == "%4");
  CHECK_FALSE(from_cid_url("http://a"));
  CHECK(from_cid_url(to_cid_url("a<b>%:/@c")) == "a<b>%:/@c");
  CHECK(to_cid_url(make_content_id(3)).find('%') == std::string::npos);
  std::vector<StoredPart> parts(2);
  parts[0].part.content_id = "x@urn:y";
  parts[1].part.content_id = "z%3A";
  CHECK(find_part(parts, "cid:x@urn%3Ay") == &parts[0]);
  CHECK(find_part(parts, "cid:z%3A") == &parts[1]);
  CHECK(find_part(parts, "x@urn:y") == &parts[0]);
  CHECK(find_part(parts, "cid:none") == nullptr);
  CHECK(find_part(parts, "") == nullptr);
}

TEST_CASE("UUIDs are random ones, and no two the same") {
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) {
    const std::string uuid = make_uuid();
    CHECK(uuid.size() == 36);
    CHECK(uuid[14] == '4');
    CHECK(std::string_view("89ab").find(uuid[19]) != std::string_view::npos);
    seen.insert(uuid);
  }
  CHECK(seen.size() == 200);
}

TEST_CASE("every MTOM sample of others is read, whole and one byte at a time") {
  const auto samples = test::shared_material("samples/xds/rad68");
  if (!samples) {
    MESSAGE("skipped: no samples");
    return;
  }
  int read_samples = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*samples)) {
    const std::string name = entry.path().filename().string();
    const std::size_t body_at = name.find("-body.");
    if (body_at == std::string::npos || name.ends_with(".xml")) {
      continue;
    }
    CAPTURE(name);
    const std::string type =
        header_of(entry.path().parent_path() / (name.substr(0, body_at) + "-headers.txt"), "content-type:");
    REQUIRE_FALSE(type.empty());
    const std::string body = read_small_file(entry.path(), 1U << 22U);
    std::string first;
    for (const std::size_t piece : {body.size(), std::size_t{1}}) {
      MemoryParts store;
      MessageReader reader(type, store);
      for (std::size_t at = 0; at < body.size(); at += piece) {
        reader.write(bytes_of(std::string_view(body).substr(at, piece)));
      }
      const Message message = reader.finish(true);
      CHECK(message.body);
      CHECK_FALSE(message.addressing.action.empty());
      std::string found = message.envelope;
      for (std::size_t i = 0; i < message.parts.size(); ++i) {
        const auto& stored = message.parts[i];
        found += fmt::format("|{} {} {}", stored.part.content_id, stored.size, store.bytes()[i]);
        CHECK(store.bytes()[i].size() == stored.size);
        CHECK(message.envelope.find(to_cid_url(stored.part.content_id).substr(0, 20)) != std::string::npos);
      }
      if (first.empty()) {
        first = found;
        CHECK(message.parts.size() == (name.find("request") == std::string::npos ? 0U : 1U));
        if (name.starts_with("kos-1-request") || name.starts_with("kos-4-request")) {
          CHECK(message.parts[0].is_dicom);
        }
      }
      CHECK(found == first);
    }
    ++read_samples;
  }
  CHECK(read_samples == 6);
}

TEST_CASE("memory does not grow with a part: 5 GiB of it") {
  // The stream is made here, a slice at a time; what comes out is counted and not kept.
  struct Counting final : PartSink {
    std::uint64_t bytes = 0;
    void begin(const Part&) override {}
    void write(std::span<const std::byte> piece) override { bytes += piece.size(); }
    void end(bool) override {}
  } sink;
  constexpr std::uint64_t k_size = 5ULL << 30U;
  std::string slice(1U << 20U, '\x5A');
  for (std::size_t i = 0; i + 8 < slice.size(); i += 4096) {
    slice.replace(i, 6, "\r\n--B_");
  }
  struct rusage before {};
  ::getrusage(RUSAGE_SELF, &before);
  MultipartReader reader(k_type, sink);
  reader.write(bytes_of("--B\r\n\r\n"));
  for (std::uint64_t sent = 0; sent < k_size; sent += slice.size()) {
    reader.write(bytes_of(slice));
  }
  reader.write(bytes_of("\r\n--B--"));
  reader.finish(true);
  CHECK(sink.bytes == k_size);
  struct rusage after {};
  ::getrusage(RUSAGE_SELF, &after);
  CHECK(after.ru_maxrss - before.ru_maxrss < 8 * 1024);
}
