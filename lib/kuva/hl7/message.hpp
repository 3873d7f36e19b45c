#pragma once

#include <kuva/core/error.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kuva::hl7 {

// The characters that part a message (HL7 v2.5.1 chapter 2.5.4), from MSH-1 and MSH-2. A delimiter that MSH-2 lacks, or
// that is not ASCII, is '\0': nothing is parted by it.
struct Delimiters {
  char field = '|';
  char component = '^';
  char repetition = '~';
  char escape = '\\';
  char subcomponent = '&';
  char truncation = '\0';  // since v2.7

  std::string encoding_characters() const;  // MSH-2
  bool operator==(const Delimiters&) const = default;
};

// What may be read; more is an Error hl7.too-large.
struct Limits {
  std::size_t bytes = std::size_t{64} * 1024 * 1024;
  std::size_t segments = 100'000;      // of a message
  std::size_t fields = 100'000;        // of a segment
  std::size_t all_fields = 2'000'000;  // of a message: each takes memory of its own
  std::size_t pieces = 100'000;        // of a field: repetitions, components and subcomponents
};

// The pieces between delimiters; one piece where the delimiter is '\0' or does not occur.
std::vector<std::string_view> split(std::string_view text, char delimiter);
// The piece with this number, counted from 1; empty where there is none.
std::string_view piece(std::string_view text, char delimiter, std::size_t number);

// A place in a message, counted from 1 as HL7 does: PID-3[2].4.1 is segment PID, field 3, repetition 2, component 4,
// subcomponent 1. 0 is the whole: of all repetitions, components, subcomponents.
struct Position {
  std::string segment;
  std::size_t field = 0;
  std::size_t repetition = 1;
  std::size_t component = 0;
  std::size_t subcomponent = 0;
  std::size_t occurrence = 1;  // of the segment in the message: PID(2)-3

  // "PID-3", "PID-3[2].4.1", "MSH-9.2", "PID(2)-3"; nothing when it is none of these.
  static std::optional<Position> parse(std::string_view text);
  std::string to_string() const;
};

// One segment, its fields as the bytes that were read. In MSH, BHS and FHS field 1 is the separator itself.
class Segment {
 public:
  explicit Segment(std::string_view name, char separator = '|');
  // `line` without its end.
  static Segment parse(std::string_view line, char separator, const Limits& limits = {});

  std::string_view name() const { return m_parts.front(); }
  // A header segment brings its own delimiters: MSH, BHS, FHS.
  bool is_header() const;
  // The number of the last field that is there.
  std::size_t size() const;
  // As it stands in the message: with delimiters, escaped, in the message's character set. Empty where there is none.
  std::string_view field(std::size_t number) const;
  // Fields before it are added as they are needed. In a header, fields 1 and 2 are not for this.
  void set_field(std::size_t number, std::string bytes);

  // Bytes before the name: white space of an indented file, a start of block, a byte order mark.
  const std::string& lead() const { return m_lead; }
  // What ended it: CR, LF, CR LF, nothing, or more of it (empty lines).
  const std::string& end() const { return m_end; }
  void set_surroundings(std::string lead, std::string end);

  // The segment alone, without lead and end.
  std::string line() const;
  // With them: what was read, where nothing was changed.
  std::string bytes() const { return m_lead + line() + m_end; }

 private:
  char m_separator;
  std::vector<std::string> m_parts;  // the name, then what stands between separators
  std::string m_lead;
  std::string m_end = "\r";
};

class CharacterSet;

// A message, which reads any HL7 v2 and gives back byte by byte what was not changed (HL7 v2.5.1 chapter 2.5).
class Message {
 public:
  // Segments end with CR, or CR LF; with LF where the bytes have no CR at all: in a message with CR, an LF is data.
  // White space, a byte order mark and the start of an MLLP block are taken before MSH, and the end of one after the
  // last segment. Errors: hl7.malformed (no MSH, no usable delimiters, another message inside of a field, as files with
  // different ends of lines have it once they are joined), hl7.too-large.
  static Message parse(std::string_view bytes, const Limits& limits = {});
  // A new message with MSH-1 and MSH-2 alone.
  explicit Message(const Delimiters& delimiters = {});

  const Delimiters& delimiters() const { return m_delimiters; }
  const std::vector<Segment>& segments() const { return m_segments; }
  std::vector<Segment>& segments() { return m_segments; }
  const Segment& header() const { return m_segments.front(); }
  const Segment* find(std::string_view name, std::size_t occurrence = 1) const;
  Segment* find(std::string_view name, std::size_t occurrence = 1);
  std::size_t count(std::string_view name) const;
  Segment& add(std::string_view name);

  // The bytes at a place, as they stand in the message; empty where there is nothing.
  std::string_view raw(const Position& position) const;
  std::string_view raw(std::string_view segment, std::size_t field, std::size_t component = 0,
                       std::size_t repetition = 1, std::size_t subcomponent = 0) const;
  // The text at a place: unescaped, in UTF-8 (escape.hpp). The null value, "", is empty too: see is_null.
  std::string text(const Position& position, const CharacterSet& set) const;
  // Puts text, in UTF-8, at a place; the segment is added where it is missing. The text is escaped. Errors: hl7.charset
  // where the set does not have one of its characters.
  void set_text(const Position& position, std::string_view text, const CharacterSet& set);
  // The same with bytes that are HL7 already.
  void set_raw(const Position& position, std::string_view bytes);

  // What was read, where nothing was changed.
  std::string bytes() const;
  // What goes over a connection: each segment ended by CR, nothing before names, no empty lines (chapter 2.5.1).
  std::string wire_bytes() const;

  std::string control_id() const { return std::string(raw("MSH", 10)); }
  std::string version() const { return std::string(raw("MSH", 12, 1)); }
  std::string code() const { return std::string(raw("MSH", 9, 1)); }     // "ADT"
  std::string trigger() const { return std::string(raw("MSH", 9, 2)); }  // "A40"
  // "ADT^A40^ADT_A39", with ^ whatever the message's own delimiter is.
  std::string type() const;
  // MSH-18, first repetition.
  std::string character_set_term() const { return std::string(raw("MSH", 18)); }

 private:
  Delimiters m_delimiters;
  std::vector<Segment> m_segments;
};

// The null value: two quotation marks delete what the receiver has; an empty field leaves it (chapter 2.5.3).
bool is_null(std::string_view raw);

// A file of one message or of many, with or without the envelopes of a batch (FHS, BHS, BTS, FTS; chapter 2.10.3).
struct MessageFile {
  using Part = std::variant<Segment, Message>;  // an envelope segment, or a message
  std::vector<Part> parts;

  // Errors: as Message::parse. A file without any message is hl7.malformed.
  static MessageFile parse(std::string_view bytes, const Limits& limits = {});
  std::string bytes() const;
  std::vector<const Message*> messages() const;
};

}  // namespace kuva::hl7
