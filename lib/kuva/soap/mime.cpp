#include <kuva/soap/ascii.hpp>
#include <kuva/soap/mime.hpp>
#include <kuva/soap/transfer_encoding.hpp>
#include <kuva/xml/document.hpp>

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace kuva::soap {

using xml::trim;

namespace {

constexpr std::size_t k_slice = 64U << 10U;
constexpr std::size_t k_longest_boundary = 70;  // RFC 2046 5.1.1
constexpr std::size_t k_most_blanks = 256;      // after a delimiter

[[noreturn]] void bad_type(std::string_view what, std::string_view type) {
  throw Error(kind("mime.content-type"), fmt::format("{} (Content-Type: {})", what, printable(type, 200)));
}

std::string random_hex(std::size_t bytes) {
  std::array<unsigned char, 16> random{};
  if (RAND_bytes(random.data(), static_cast<int>(bytes)) != 1) {
    throw Error(kind("internal"), "OpenSSL has no random bytes");
  }
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) {
    text += fmt::format("{:02x}", random[i]);
  }
  return text;
}

std::string_view unbracketed(std::string_view id) {
  id = trim(id);
  if (id.size() >= 2 && id.front() == '<' && id.back() == '>') {
    id = id.substr(1, id.size() - 2);
  }
  return id;
}

}  // namespace

std::string_view ContentType::parameter(std::string_view name) const {
  const auto found = parameters.find(std::string(name));
  return found == parameters.end() ? std::string_view() : std::string_view(found->second);
}

ContentType parse_content_type(std::string_view text) {
  ContentType result;
  const std::size_t end = std::min(text.find(';'), text.size());
  result.type = to_lower(trim(text.substr(0, end)));
  const std::size_t slash = result.type.find('/');
  if (slash == 0 || slash == std::string::npos || slash + 1 == result.type.size() ||
      result.type.find_first_of(" \t\r\n\"") != std::string::npos) {
    bad_type("the type of a message cannot be read", text);
  }
  std::size_t at = end;
  while (at < text.size()) {
    at = text.find_first_not_of("; \t\r\n", at);
    if (at == std::string_view::npos) {
      break;
    }
    const std::size_t name_end = std::min(text.find_first_of("=;", at), text.size());
    const std::string name = to_lower(trim(text.substr(at, name_end - at)));
    at = name_end;
    if (at >= text.size() || text[at] == ';') {
      continue;  // no value: nothing that says anything
    }
    at = std::min(text.find_first_not_of(" \t\r\n", at + 1), text.size());
    std::string value;
    if (at < text.size() && text[at] == '"') {
      for (++at; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\' && at + 1 < text.size()) {
          ++at;
        }
        value += text[at];
      }
      if (at >= text.size()) {
        bad_type("a quoted parameter does not end", text);
      }
      ++at;
    } else {
      const std::size_t value_end = std::min(text.find(';', at), text.size());
      value = trim(text.substr(at, value_end - at));
      at = value_end;
    }
    result.parameters.emplace(name, value);
  }
  return result;
}

// Bytes wait in m_buffer until it is known what they are: at most a slice, a header block or a delimiter.
class MultipartReader::Scanner {
 public:
  Scanner(std::string_view content_type, PartSink& sink, const MultipartLimits& limits)
      : m_sink(sink), m_limits(limits) {
    const ContentType type = parse_content_type(content_type);
    if (!type.type.starts_with("multipart/")) {
      bad_type("the message is not multipart", content_type);
    }
    const std::string_view boundary = type.parameter("boundary");
    if (boundary.empty() || boundary.size() > k_longest_boundary || boundary.back() == ' ' ||
        !std::all_of(boundary.begin(), boundary.end(), [](char c) { return c >= 0x20 && c <= 0x7E; })) {
      bad_type(boundary.empty() ? "a multipart message without a boundary" : "the boundary is none", content_type);
    }
    m_crlf_delimiter = fmt::format("\r\n--{}", boundary);
  }

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const auto slice = bytes.first(std::min(bytes.size(), k_slice));
      m_total += slice.size();
      if (m_limits.total_bytes != 0 && m_total > m_limits.total_bytes) {
        throw Error(kind("mime.limit"), fmt::format("the message has more than {} bytes", m_limits.total_bytes));
      }
      if (m_state != State::epilogue) {
        m_buffer.append(reinterpret_cast<const char*>(slice.data()), slice.size());
        process(false);
      }
      bytes = bytes.subspan(slice.size());
    }
  }

  void finish(bool framing_complete) {
    process(true);
    if (m_parts == 0 && (m_state == State::epilogue || (m_state == State::preamble && framing_complete))) {
      throw Error(kind("mime.malformed"), "a multipart message without a single part");
    }
    if (m_state == State::epilogue && !m_last_is_cut) {
      return;
    }
    if (m_state == State::preamble || m_state == State::header) {
      throw truncated(m_state == State::header ? "the header of a part" : "the text before the first part");
    }
    if (!framing_complete) {
      if (m_state == State::body) {
        m_sink.end(false);
      }
      throw truncated(fmt::format("part {}", m_parts));
    }
    m_warnings.push_back("the last delimiter of the multipart message is missing or cut");
    if (m_state == State::body) {
      end_part();
    }
    m_state = State::epilogue;
  }

  std::uint64_t parts() const { return m_parts; }
  const std::vector<std::string>& warnings() const { return m_warnings; }
  bool saw_last_delimiter() const { return m_state == State::epilogue && !m_last_is_cut; }

 private:
  enum class State { preamble, header, body, epilogue };
  // What follows the boundary: a new part, the end, nothing that makes it a delimiter, or too little to tell.
  struct After {
    enum class Kind { open, last, cut, no, more } kind;
    std::size_t next = 0;
  };

  Error truncated(std::string_view where) const {
    return Error(kind("mime.truncated"), fmt::format("the message ends within {}, after {} bytes", where, m_total));
  }

  std::string_view dash_boundary() const { return std::string_view(m_crlf_delimiter).substr(2); }
  std::string_view delimiter() const { return std::string_view(m_crlf_delimiter).substr(m_lf_only ? 1 : 0); }
  std::string_view rest() const { return std::string_view(m_buffer).substr(m_at); }

  void process(bool at_end) {
    for (bool moved = true; moved;) {
      switch (m_state) {
        case State::preamble:
          moved = preamble(at_end);
          break;
        case State::header:
          moved = header_line();
          break;
        case State::body:
          moved = body(at_end);
          break;
        case State::epilogue:
          m_at = m_buffer.size();
          moved = false;
          break;
      }
    }
    m_buffer.erase(0, m_at);
    m_at = 0;
  }

  After after_boundary(std::size_t at, bool at_end) const {
    const std::string_view buffer = m_buffer;
    const auto undecided = [at_end] { return After{at_end ? After::Kind::cut : After::Kind::more}; };
    if (at == buffer.size() || (at + 1 == buffer.size() && buffer[at] == '-')) {
      return undecided();
    }
    const bool is_last = buffer.substr(at).starts_with("--");
    at += is_last ? 2 : 0;
    const std::size_t blanks_end = std::min(buffer.find_first_not_of(" \t", at), buffer.size());
    if (blanks_end - at > k_most_blanks) {
      return {After::Kind::no};
    }
    at = blanks_end;
    const auto found = is_last ? After::Kind::last : After::Kind::open;
    if (at == buffer.size() || (at + 1 == buffer.size() && buffer[at] == '\r')) {
      return is_last && at_end ? After{After::Kind::last, buffer.size()} : undecided();
    }
    if (buffer[at] == '\n') {
      return {found, at + 1};
    }
    if (buffer[at] == '\r' && buffer[at + 1] == '\n') {
      return {found, at + 2};
    }
    return {After::Kind::no};
  }

  void follow(const After& after) {
    m_at = after.kind == After::Kind::cut ? m_buffer.size() : after.next;
    m_state = after.kind == After::Kind::open ? State::header : State::epilogue;
    m_last_is_cut = after.kind == After::Kind::cut;
    m_part = {};
    m_header_bytes = 0;
    m_has_cr = false;
    m_last_name.clear();
  }

  // The boundary at the begin of a line; all before it is skipped.
  bool preamble(bool at_end) {
    const std::string_view boundary = dash_boundary();
    for (std::size_t from = m_at;;) {
      const std::size_t found = m_buffer.find(boundary, from);
      if (found == std::string::npos) {
        break;
      }
      if (found == 0 ? m_line_start : m_buffer[found - 1] == '\n') {
        const After after = after_boundary(found + boundary.size(), at_end);
        if (after.kind == After::Kind::more) {
          drop_to(found);
          return false;
        }
        if (after.kind != After::Kind::no) {
          follow(after);
          return true;
        }
      }
      from = found + 1;
    }
    if (m_buffer.size() > boundary.size()) {
      drop_to(m_buffer.size() - boundary.size());
    }
    return false;
  }

  void drop_to(std::size_t at) {
    if (at > 0) {
      m_line_start = m_buffer[at - 1] == '\n';
      m_buffer.erase(0, at);
    }
    m_at = 0;
  }

  bool header_line() {
    const std::size_t end = m_buffer.find('\n', m_at);
    const std::size_t size = (end == std::string::npos ? m_buffer.size() : end + 1) - m_at;
    if (m_header_bytes + size > m_limits.header_bytes) {
      throw Error(kind("mime.limit"),
                  fmt::format("the header of a part has more than {} bytes", m_limits.header_bytes));
    }
    if (end == std::string::npos) {
      return false;
    }
    m_header_bytes += size;
    std::string_view line = rest().substr(0, size - 1);
    m_at += size;
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
      m_has_cr = true;
    }
    if (line.empty()) {
      begin_part();
      return true;
    }
    if (line.front() == ' ' || line.front() == '\t') {
      if (m_last_name.empty()) {
        throw Error(kind("mime.malformed"), "the header of a part begins with a continued line");
      }
      m_part.headers[m_last_name] += fmt::format(" {}", trim(line));
      return true;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) {
      throw Error(kind("mime.malformed"), "a line in the header of a part is no header field");
    }
    if (m_part.headers.size() >= m_limits.headers) {
      throw Error(kind("mime.limit"), fmt::format("a part has more than {} header fields", m_limits.headers));
    }
    m_last_name = to_lower(trim(line.substr(0, colon)));
    // A field that stands twice: the first counts, as for most readers.
    if (!m_part.headers.emplace(m_last_name, trim(line.substr(colon + 1))).second) {
      m_warnings.push_back(fmt::format("a part has the header field {} twice", printable(m_last_name, 40)));
      m_last_name += " (again)";
    }
    return true;
  }

  void begin_part() {
    if (++m_parts > m_limits.parts) {
      throw Error(kind("mime.limit"), fmt::format("the message has more than {} parts", m_limits.parts));
    }
    const auto field = [this](const char* name) {
      const auto found = m_part.headers.find(name);
      return found == m_part.headers.end() ? std::string_view() : std::string_view(found->second);
    };
    m_part.content_id = unbracketed(field("content-id"));
    if (const auto type = field("content-type"); !type.empty()) {
      m_part.content_type = type;
    }
    m_part.location = field("content-location");
    m_decoder = TransferDecoder::make(field("content-transfer-encoding"));
    m_lf_only = !m_has_cr;
    m_part_bytes = 0;
    m_body_start = true;
    m_state = State::body;
    m_sink.begin(m_part);
  }

  bool body(bool at_end) {
    if (m_body_start) {
      // An empty part: the line end before its delimiter is the one that ended the header.
      const std::string_view boundary = dash_boundary();
      const std::string_view start = rest().substr(0, boundary.size());
      if (boundary.starts_with(start)) {
        const After after = start.size() < boundary.size() ? After{at_end ? After::Kind::no : After::Kind::more}
                                                           : after_boundary(m_at + boundary.size(), at_end);
        if (after.kind == After::Kind::more) {
          return false;
        }
        if (after.kind != After::Kind::no) {
          end_part();
          follow(after);
          return true;
        }
      }
      m_body_start = false;
    }
    const std::string_view mark = delimiter();
    const std::string_view data = rest();
    const auto* const found = static_cast<const char*>(::memmem(data.data(), data.size(), mark.data(), mark.size()));
    if (found == nullptr) {
      const std::size_t keep = at_end ? 0 : std::min(data.size(), mark.size() - 1);
      emit(data.size() - keep);
      return false;
    }
    const auto before = static_cast<std::size_t>(found - data.data());
    const After after = after_boundary(m_at + before + mark.size(), at_end);
    switch (after.kind) {
      case After::Kind::more:
        emit(before);
        return false;
      case After::Kind::no:
        emit(before + 1);
        return true;
      case After::Kind::open:
      case After::Kind::last:
      case After::Kind::cut:
        emit(before);
        end_part();
        follow(after);
        return true;
    }
    return false;
  }

  // The next `count` bytes are of the part.
  void emit(std::size_t count) {
    if (count == 0) {
      return;
    }
    m_part_bytes += count;
    if (m_limits.part_bytes != 0 && m_part_bytes > m_limits.part_bytes) {
      throw Error(kind("mime.limit"), fmt::format("a part has more than {} bytes", m_limits.part_bytes));
    }
    const auto bytes = std::as_bytes(std::span(m_buffer)).subspan(m_at, count);
    m_at += count;
    give(m_decoder == nullptr ? bytes : m_decoder->decode(bytes));
  }

  void give(std::span<const std::byte> bytes) {
    if (!bytes.empty()) {
      m_sink.write(bytes);
    }
  }

  void end_part() {
    if (m_decoder != nullptr) {
      give(m_decoder->finish());
    }
    m_sink.end(true);
  }

  PartSink& m_sink;
  MultipartLimits m_limits;
  std::string m_crlf_delimiter;
  std::string m_buffer;
  std::size_t m_at = 0;  // all before is done with
  State m_state = State::preamble;
  bool m_line_start = true;
  bool m_last_is_cut = false;
  std::uint64_t m_total = 0;
  std::uint64_t m_parts = 0;
  std::uint64_t m_part_bytes = 0;

  Part m_part;
  std::string m_last_name;
  std::size_t m_header_bytes = 0;
  bool m_has_cr = false;
  bool m_lf_only = false;
  bool m_body_start = false;
  std::unique_ptr<TransferDecoder> m_decoder;
  std::vector<std::string> m_warnings;
};

MultipartReader::MultipartReader(std::string_view content_type, PartSink& sink, const MultipartLimits& limits)
    : m_scanner(std::make_unique<Scanner>(content_type, sink, limits)) {}
MultipartReader::MultipartReader(MultipartReader&&) noexcept = default;
MultipartReader::~MultipartReader() = default;

void MultipartReader::write(std::span<const std::byte> bytes) { m_scanner->write(bytes); }
void MultipartReader::finish(bool framing_complete) { m_scanner->finish(framing_complete); }
std::uint64_t MultipartReader::parts() const { return m_scanner->parts(); }
const std::vector<std::string>& MultipartReader::warnings() const { return m_scanner->warnings(); }
bool MultipartReader::saw_last_delimiter() const { return m_scanner->saw_last_delimiter(); }

MultipartWriter MultipartWriter::mtom(std::string_view action) {
  MultipartWriter writer;
  writer.m_boundary = fmt::format("MIMEBoundary_{}", random_hex(16));
  writer.m_start = make_content_id(0);
  writer.m_type = "application/xop+xml";
  writer.m_action = action;
  return writer;
}

MultipartWriter MultipartWriter::related(std::string_view part_type) {
  MultipartWriter writer;
  writer.m_boundary = fmt::format("MIMEBoundary_{}", random_hex(16));
  writer.m_type = part_type;
  return writer;
}

std::string MultipartWriter::content_type() const {
  std::string text = fmt::format("multipart/related; boundary=\"{}\"; type=\"{}\"", m_boundary, m_type);
  if (!m_start.empty()) {
    text += fmt::format("; start=\"<{}>\"; start-info=\"application/soap+xml\"; action=\"{}\"", m_start, m_action);
  }
  return text;
}

std::string MultipartWriter::root(std::string_view envelope) const {
  return fmt::format("{}{}\r\n",
                     part_head("application/xop+xml; charset=UTF-8; type=\"application/soap+xml\"", m_start), envelope);
}

std::string MultipartWriter::part_head(std::string_view part_content_type, std::string_view content_id) const {
  std::string text = fmt::format("--{}\r\nContent-Type: {}\r\n", m_boundary, part_content_type);
  // The binary parts of HTTP need no such field (PS3.18 8.7.3); those of MTOM do (ITI TF-2 V.8).
  if (!content_id.empty()) {
    text += fmt::format("Content-Transfer-Encoding: binary\r\nContent-ID: <{}>\r\n", content_id);
  }
  return text + "\r\n";
}

std::string MultipartWriter::tail() const { return fmt::format("--{}--\r\n", m_boundary); }

std::string make_content_id(std::uint64_t number) { return fmt::format("{}.{}@kuva", number, make_uuid()); }

std::string to_cid_url(std::string_view content_id) {
  std::string url = "cid:";
  for (const char c : content_id) {
    const bool is_plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                          std::string_view("-._~@!$&'()*+,;=").find(c) != std::string_view::npos;
    url += is_plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return url;
}

std::optional<std::string> from_cid_url(std::string_view url) {
  url = trim(url);
  if (!equals_ignoring_case(url.substr(0, 4), "cid:")) {
    return std::nullopt;
  }
  url.remove_prefix(4);
  std::string id;
  for (std::size_t at = 0; at < url.size(); ++at) {
    unsigned value = 0;
    if (url[at] == '%' && at + 2 < url.size() &&
        std::from_chars(url.data() + at + 1, url.data() + at + 3, value, 16).ptr == url.data() + at + 3) {
      id += static_cast<char>(value);
      at += 2;
    } else {
      id += url[at];
    }
  }
  return id;
}

std::string make_uuid() {
  std::string hex = random_hex(16);
  hex[12] = '4';
  constexpr std::string_view k_variant = "89ab";
  hex[16] = k_variant[static_cast<std::size_t>(hex[16] % 4)];
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4), hex.substr(16, 4),
                     hex.substr(20));
}

}  // namespace kuva::soap
