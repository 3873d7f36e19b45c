#include <kuva/hl7/escape.hpp>
#include <kuva/hl7/message.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace kuva::hl7 {

namespace {

constexpr std::string_view k_byte_order_mark = "\xEF\xBB\xBF";
constexpr std::size_t k_name_length = 3;

Error malformed(std::string message) { return Error(kind("hl7.malformed"), std::move(message)); }

bool is_header_name(std::string_view name) { return name == "MSH" || name == "BHS" || name == "FHS"; }

bool is_envelope_name(std::string_view name) {
  return name == "BHS" || name == "FHS" || name == "BTS" || name == "FTS";
}

// Bytes that may stand before the name of a segment.
std::size_t lead_length(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size()) {
    if (text.substr(length).starts_with(k_byte_order_mark)) {
      length += k_byte_order_mark.size();
    } else if (std::string_view(" \t\v\r\n\x1C").find(text[length]) != std::string_view::npos) {
      ++length;
    } else {
      break;
    }
  }
  return length;
}

// A line with the bytes that came before and after it.
struct Line {
  std::string_view lead;
  std::string_view text;
  std::string_view end;
};

// Lines of a message or file: ends of lines and white space are kept beside the text.
class Lines {
 public:
  explicit Lines(std::string_view bytes) : m_left(bytes), m_has_cr(bytes.find('\r') != std::string_view::npos) {}

  bool at_end() const { return m_left.empty(); }

  Line next() {
    Line line;
    const std::size_t lead = lead_length(m_left);
    line.lead = m_left.substr(0, lead);
    m_left.remove_prefix(lead);
    const std::size_t length = std::min(m_left.find(m_has_cr ? '\r' : '\n'), m_left.size());
    line.text = m_left.substr(0, length);
    m_left.remove_prefix(length);
    // A line feed after a carriage return belongs to the end: no name of a segment begins with one.
    std::size_t end = 0;
    while (end < m_left.size() && (m_left[end] == '\r' || m_left[end] == '\n')) {
      ++end;
    }
    line.end = m_left.substr(0, end);
    m_left.remove_prefix(end);
    // An end of block right after the last field is no part of it.
    const bool is_last = lead_length(m_left) == m_left.size();
    while (is_last && line.text.ends_with('\x1C')) {
      line.end = std::string_view(line.text.data() + line.text.size() - 1, line.end.size() + 1);
      line.text.remove_suffix(1);
    }
    return line;
  }

 private:
  std::string_view m_left;
  bool m_has_cr;
};

// MSH-2, character by character: one that is not ASCII stands for no delimiter.
Delimiters read_delimiters(std::string_view header) {
  if (header.size() <= k_name_length) {
    throw malformed("the header ends before its field separator (MSH-1)");
  }
  Delimiters delimiters;
  delimiters.field = header[k_name_length];
  const auto is_delimiter = [](char c) { return c > ' ' && c < '\x7F'; };
  if (!is_delimiter(delimiters.field) || (delimiters.field >= '0' && delimiters.field <= '9') ||
      (delimiters.field >= 'A' && delimiters.field <= 'Z') || (delimiters.field >= 'a' && delimiters.field <= 'z')) {
    throw malformed("the field separator (MSH-1) is a letter, a digit or not a printable ASCII character");
  }
  const std::string_view given = piece(header.substr(k_name_length + 1), delimiters.field, 1);
  std::string characters;
  for (std::size_t i = 0; i < given.size(); ++i) {
    if ((static_cast<unsigned char>(given[i]) & 0xC0U) == 0x80U) {
      continue;  // goes on with the character before it
    }
    characters.push_back(is_delimiter(given[i]) ? given[i] : '\0');
  }
  characters.resize(5, '\0');
  delimiters.component = characters[0];
  delimiters.repetition = characters[1];
  delimiters.escape = characters[2];
  delimiters.subcomponent = characters[3];
  delimiters.truncation = characters[4];
  return delimiters;
}

std::string_view name_of_line(std::string_view text) { return text.substr(0, std::min(text.size(), k_name_length)); }

void check_size(std::size_t size, std::size_t limit, std::string_view what) {
  if (size > limit) {
    throw Error(kind("hl7.too-large"), fmt::format("{} {}, and at most {} are read", size, what, limit));
  }
}

// A message that ends its segments with LF has vanished into a field of one that ends them with CR.
void check_one_message(std::string_view line, char separator) {
  for (auto at = line.find('\n'); at != std::string_view::npos; at = line.find('\n', at + 1)) {
    const std::string_view next = line.substr(at + lead_length(line.substr(at)));
    if (name_of_line(next) == "MSH" && next.size() > k_name_length && next[k_name_length] == separator) {
      throw malformed("another message begins inside of a field: some segments end with LF alone, others with CR");
    }
  }
}

void check_pieces(const Segment& segment, const Delimiters& delimiters, const Limits& limits) {
  for (std::size_t number = segment.is_header() ? 3 : 1; number <= segment.size(); ++number) {
    const std::string_view field = segment.field(number);
    const auto count = std::count_if(field.begin(), field.end(), [&](char c) {
      return c != '\0' && (c == delimiters.repetition || c == delimiters.component || c == delimiters.subcomponent);
    });
    check_size(static_cast<std::size_t>(count) + 1, limits.pieces, "repetitions and components in a field");
  }
}

// Puts `value` at the piece with this number (from 1), adding empty ones before it.
std::string with_piece(std::string_view text, char delimiter, std::size_t number, std::string_view value) {
  std::vector<std::string_view> pieces = split(text, delimiter);
  if (pieces.size() < number) {
    pieces.resize(number);
  }
  pieces[number - 1] = value;
  std::string joined;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (i != 0) {
      joined.push_back(delimiter);
    }
    joined += pieces[i];
  }
  return joined;
}

}  // namespace

std::string Delimiters::encoding_characters() const {
  std::string characters;
  for (const char c : {component, repetition, escape, subcomponent, truncation}) {
    if (c != '\0') {
      characters.push_back(c);
    }
  }
  return characters;
}

std::vector<std::string_view> split(std::string_view text, char delimiter) {
  std::vector<std::string_view> pieces;
  if (delimiter != '\0') {
    for (auto end = text.find(delimiter); end != std::string_view::npos; end = text.find(delimiter)) {
      pieces.push_back(text.substr(0, end));
      text.remove_prefix(end + 1);
    }
  }
  pieces.push_back(text);
  return pieces;
}

std::string_view piece(std::string_view text, char delimiter, std::size_t number) {
  for (std::size_t i = 1; delimiter != '\0' && i < number; ++i) {
    const auto end = text.find(delimiter);
    if (end == std::string_view::npos) {
      return {};
    }
    text.remove_prefix(end + 1);
  }
  if (delimiter == '\0') {
    return number == 1 ? text : std::string_view();
  }
  return text.substr(0, std::min(text.find(delimiter), text.size()));
}

std::optional<Position> Position::parse(std::string_view text) {
  Position position;
  const auto number = [&text](std::size_t& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || value == 0 || value > 100'000) {
      return false;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
  };
  const auto take = [&text](char c) {
    if (text.empty() || text.front() != c) {
      return false;
    }
    text.remove_prefix(1);
    return true;
  };
  const std::string_view name = name_of_line(text);
  const bool named = name.size() == k_name_length && std::all_of(name.begin(), name.end(), [](char c) {
                       return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
                     });
  if (!named) {
    return std::nullopt;
  }
  position.segment = name;
  text.remove_prefix(k_name_length);
  if (take('(') && !(number(position.occurrence) && take(')'))) {
    return std::nullopt;
  }
  if (!take('-') || !number(position.field)) {
    return std::nullopt;
  }
  if (take('[') && !(number(position.repetition) && take(']'))) {
    return std::nullopt;
  }
  if (take('.') && !number(position.component)) {
    return std::nullopt;
  }
  if (position.component != 0 && take('.') && !number(position.subcomponent)) {
    return std::nullopt;
  }
  return text.empty() ? std::optional(position) : std::nullopt;
}

std::string Position::to_string() const {
  std::string text = segment;
  if (occurrence > 1) {
    text += fmt::format("({})", occurrence);
  }
  if (field != 0) {
    text += fmt::format("-{}", field);
  }
  if (repetition > 1) {
    text += fmt::format("[{}]", repetition);
  }
  if (component != 0) {
    text += fmt::format(".{}", component);
  }
  if (subcomponent != 0) {
    text += fmt::format(".{}", subcomponent);
  }
  return text;
}

Segment::Segment(std::string_view name, char separator) : m_separator(separator), m_parts{std::string(name)} {}

Segment Segment::parse(std::string_view line, char separator, const Limits& limits) {
  check_size(static_cast<std::size_t>(std::count(line.begin(), line.end(), separator)), limits.fields,
             "fields in a segment");
  Segment segment("", separator);
  segment.m_parts.clear();
  for (const std::string_view part : split(line, separator)) {
    segment.m_parts.emplace_back(part);
  }
  return segment;
}

bool Segment::is_header() const { return is_header_name(name()); }

std::size_t Segment::size() const { return m_parts.size() - 1 + (is_header() && m_parts.size() > 1 ? 1 : 0); }

std::string_view Segment::field(std::size_t number) const {
  if (number == 0) {
    return name();
  }
  if (is_header()) {
    if (number == 1) {
      return m_parts.size() > 1 ? std::string_view(&m_separator, 1) : std::string_view();
    }
    --number;
  }
  return number < m_parts.size() ? std::string_view(m_parts[number]) : std::string_view();
}

void Segment::set_field(std::size_t number, std::string bytes) {
  const std::size_t index = is_header() ? number - 1 : number;
  if (index >= m_parts.size()) {
    m_parts.resize(index + 1);
  }
  m_parts[index] = std::move(bytes);
}

void Segment::set_surroundings(std::string lead, std::string end) {
  m_lead = std::move(lead);
  m_end = std::move(end);
}

std::string Segment::line() const {
  std::string text;
  for (const std::string& part : m_parts) {
    if (&part != &m_parts.front()) {
      text.push_back(m_separator);
    }
    text += part;
  }
  return text;
}

Message::Message(const Delimiters& delimiters) : m_delimiters(delimiters) {
  m_segments.emplace_back("MSH", delimiters.field);
  m_segments.front().set_field(2, delimiters.encoding_characters());
}

Message Message::parse(std::string_view bytes, const Limits& limits) {
  check_size(bytes.size(), limits.bytes, "bytes in a message");
  Message message;
  message.m_segments.clear();
  std::size_t fields = 0;
  Lines lines(bytes);
  while (!lines.at_end()) {
    const Line line = lines.next();
    if (message.m_segments.empty()) {
      if (name_of_line(line.text) != "MSH") {
        throw malformed("the message does not begin with MSH");
      }
      message.m_delimiters = read_delimiters(line.text);
    } else if (line.text.empty()) {
      // What is left after the last segment: white space, an end of block.
      Segment& last = message.m_segments.back();
      last.set_surroundings(last.lead(), last.end() + std::string(line.lead) + std::string(line.end));
      continue;
    }
    check_size(message.m_segments.size() + 1, limits.segments, "segments in a message");
    check_one_message(line.text, message.m_delimiters.field);
    const auto separators = std::count(line.text.begin(), line.text.end(), message.m_delimiters.field);
    check_size(fields += static_cast<std::size_t>(separators) + 1, limits.all_fields, "fields in a message");
    message.m_segments.push_back(Segment::parse(line.text, message.m_delimiters.field, limits));
    check_pieces(message.m_segments.back(), message.m_delimiters, limits);
    message.m_segments.back().set_surroundings(std::string(line.lead), std::string(line.end));
  }
  if (message.m_segments.empty()) {
    throw malformed("there is no message: no bytes");
  }
  return message;
}

const Segment* Message::find(std::string_view name, std::size_t occurrence) const {
  for (const Segment& segment : m_segments) {
    if (segment.name() == name && --occurrence == 0) {
      return &segment;
    }
  }
  return nullptr;
}

Segment* Message::find(std::string_view name, std::size_t occurrence) {
  for (Segment& segment : m_segments) {
    if (segment.name() == name && --occurrence == 0) {
      return &segment;
    }
  }
  return nullptr;
}

std::size_t Message::count(std::string_view name) const {
  return static_cast<std::size_t>(std::count_if(m_segments.begin(), m_segments.end(),
                                                [name](const Segment& segment) { return segment.name() == name; }));
}

Segment& Message::add(std::string_view name) { return m_segments.emplace_back(name, m_delimiters.field); }

std::string_view Message::raw(const Position& position) const {
  const Segment* const segment = find(position.segment, position.occurrence);
  if (segment == nullptr) {
    return {};
  }
  std::string_view value = segment->field(position.field);
  if (segment->is_header() && position.field <= 2) {
    return value;  // the delimiters themselves part nothing
  }
  if (position.repetition != 0) {
    value = piece(value, m_delimiters.repetition, position.repetition);
  }
  if (position.component != 0) {
    value = piece(value, m_delimiters.component, position.component);
  }
  if (position.subcomponent != 0) {
    value = piece(value, m_delimiters.subcomponent, position.subcomponent);
  }
  return value;
}

std::string_view Message::raw(std::string_view segment, std::size_t field, std::size_t component,
                              std::size_t repetition, std::size_t subcomponent) const {
  return raw(Position{std::string(segment), field, repetition, component, subcomponent, 1});
}

std::string Message::text(const Position& position, const CharacterSet& set) const {
  const std::string_view value = raw(position);
  return is_null(value) ? std::string() : decode(value, m_delimiters, set).text;
}

void Message::set_raw(const Position& position, std::string_view bytes) {
  Segment* segment = find(position.segment, position.occurrence);
  if (segment == nullptr) {
    segment = &add(position.segment);
  }
  if (position.repetition == 0) {
    segment->set_field(position.field, std::string(bytes));
    return;
  }
  std::string repetition(piece(segment->field(position.field), m_delimiters.repetition, position.repetition));
  std::string component(position.component == 0 ? std::string_view()
                                                : piece(repetition, m_delimiters.component, position.component));
  if (position.subcomponent != 0) {
    component = with_piece(component, m_delimiters.subcomponent, position.subcomponent, bytes);
  } else if (position.component != 0) {
    component = bytes;
  }
  repetition = position.component == 0 ? std::string(bytes)
                                       : with_piece(repetition, m_delimiters.component, position.component, component);
  segment->set_field(position.field, with_piece(segment->field(position.field), m_delimiters.repetition,
                                                position.repetition, repetition));
}

void Message::set_text(const Position& position, std::string_view text, const CharacterSet& set) {
  set_raw(position, encode(text, m_delimiters, set));
}

std::string Message::bytes() const {
  std::string all;
  for (const Segment& segment : m_segments) {
    all += segment.bytes();
  }
  return all;
}

std::string Message::wire_bytes() const {
  std::string all;
  for (const Segment& segment : m_segments) {
    all += segment.line() + '\r';
  }
  return all;
}

std::string Message::type() const {
  std::string type = code();
  for (std::size_t component = 2; component <= 3; ++component) {
    if (const std::string_view part = raw("MSH", 9, component); !part.empty()) {
      type += '^';
      type += part;
    }
  }
  return type;
}

bool is_null(std::string_view raw) { return raw == "\"\""; }

MessageFile MessageFile::parse(std::string_view bytes, const Limits& limits) {
  check_size(bytes.size(), limits.bytes, "bytes in a file");
  MessageFile file;
  // Cut before each header, then each piece is read by itself; envelopes are pieces of one line.
  const bool has_cr = bytes.find('\r') != std::string_view::npos;
  std::size_t begin = 0;
  bool in_message = false;
  bool found = false;
  const auto flush = [&](std::size_t end) {
    if (end == begin) {
      return;
    }
    const std::string_view part = bytes.substr(begin, end - begin);
    if (in_message) {
      file.parts.emplace_back(Message::parse(part, limits));
      found = true;
    } else {
      const std::size_t lead = lead_length(part);
      const std::size_t length = std::min(part.find(has_cr ? '\r' : '\n', lead), part.size());
      const std::string_view line = part.substr(lead, length - lead);
      const std::string_view name = name_of_line(line);
      char separator = '|';
      if (is_header_name(name)) {
        separator = read_delimiters(line).field;
      } else if (line.size() > k_name_length) {
        separator = line[k_name_length];
      }
      Segment segment = Segment::parse(line, separator, limits);
      segment.set_surroundings(std::string(part.substr(0, lead)), std::string(part.substr(length)));
      file.parts.emplace_back(std::move(segment));
    }
    begin = end;
  };
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::size_t start = at + lead_length(bytes.substr(at));
    const std::string_view name = name_of_line(bytes.substr(start));
    const bool envelope = is_envelope_name(name);
    if (name == "MSH" || envelope) {
      flush(at);
      in_message = !envelope;
    } else if (start < bytes.size() && !in_message) {
      throw malformed(at == 0 ? "the file does not begin with MSH, BHS or FHS"
                              : "a segment stands outside of the messages of the batch");
    }
    at = std::min(bytes.find(has_cr ? '\r' : '\n', start), bytes.size());
    while (at < bytes.size() && (bytes[at] == '\r' || bytes[at] == '\n')) {
      ++at;
    }
  }
  flush(bytes.size());
  if (!found) {
    throw malformed("there is no message");
  }
  return file;
}

std::string MessageFile::bytes() const {
  std::string all;
  for (const Part& part : parts) {
    all += std::visit([](const auto& value) { return value.bytes(); }, part);
  }
  return all;
}

std::vector<const Message*> MessageFile::messages() const {
  std::vector<const Message*> found;
  for (const Part& part : parts) {
    if (const auto* message = std::get_if<Message>(&part)) {
      found.push_back(message);
    }
  }
  return found;
}

}  // namespace kuva::hl7
