#include <kuva/core/record.hpp>
#include <kuva/hl7/acknowledgement.hpp>
#include <kuva/hl7/data_types.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace kuva::hl7 {

namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 14> k_conditions{{
    {"0", "Message accepted"},
    {"100", "Segment sequence error"},
    {"101", "Required field missing"},
    {"102", "Data type error"},
    {"103", "Table value not found"},
    {"104", "Value too long"},
    {"200", "Unsupported message type"},
    {"201", "Unsupported event code"},
    {"202", "Unsupported processing id"},
    {"203", "Unsupported version id"},
    {"204", "Unknown key identifier"},
    {"205", "Duplicate key identifier"},
    {"206", "Application record locked"},
    {"207", "Application internal error"},
}};

constexpr std::array<std::string_view, 6> k_codes{"AA", "AE", "AR", "CA", "CE", "CR"};

// ERR has its form of today since v2.5.
bool has_old_err(std::string_view version) { return version.empty() || version.substr(0, 3) < "2.5"; }

// Text of a peer that may not keep to what it says of itself.
class Reader {
 public:
  explicit Reader(const Message& message)
      : m_message(message), m_set(CharacterSet::find(message.character_set_term())) {}

  std::string operator()(std::string_view raw) const {
    if (m_set && !m_message.character_set_term().empty()) {
      return decode(raw, m_message.delimiters(), *m_set).text;
    }
    const DecodedText text = decode(raw, m_message.delimiters(), CharacterSet::utf8());
    return text.clean ? text.text : decode(raw, m_message.delimiters(), *CharacterSet::find("8859/1")).text;
  }

 private:
  const Message& m_message;
  std::optional<CharacterSet> m_set;
};

// "PID^1^3^1^4" (segment, its number, field, repetition, component, subcomponent) as PID-3.4.
std::string location_of(std::string_view raw, char delimiter) {
  const auto number = [&](std::size_t index) {
    const std::string_view text = piece(raw, delimiter, index);
    std::size_t value = 0;
    for (const char c : text) {
      if (c < '0' || c > '9' || value > 10'000) {
        return std::size_t{0};
      }
      value = value * 10 + static_cast<std::size_t>(c - '0');
    }
    return value;
  };
  Position position;
  position.segment = piece(raw, delimiter, 1);
  position.occurrence = number(2);
  position.field = number(3);
  position.repetition = std::max<std::size_t>(1, number(4));
  position.component = number(5);
  position.subcomponent = number(6);
  return position.to_string();
}

std::string write_location(const std::string& text, char delimiter, std::size_t most) {
  const auto position = Position::parse(text);
  if (!position) {
    return {};
  }
  std::vector<std::string> pieces{position->segment, std::to_string(position->occurrence),
                                  std::to_string(position->field)};
  if (position->component != 0) {
    pieces.push_back(std::to_string(position->repetition));
    pieces.push_back(std::to_string(position->component));
  }
  pieces.resize(std::min(pieces.size(), most));
  std::string joined;
  for (const std::string& part : pieces) {
    joined += (joined.empty() ? "" : std::string(1, delimiter)) + part;
  }
  return joined;
}

// ERR-1 of v2.3.1 is a list of segment ^ sequence ^ field ^ code & text.
void read_old_error(std::string_view raw, const Message& message, const Reader& read, std::vector<AckError>& errors) {
  const Delimiters& delimiters = message.delimiters();
  for (const std::string_view repetition : split(raw, delimiters.repetition)) {
    if (repetition.empty()) {
      continue;
    }
    AckError error;
    const std::string_view code = piece(repetition, delimiters.component, 4);
    error.code = read(piece(code, delimiters.subcomponent, 1));
    error.code_text = read(piece(code, delimiters.subcomponent, 2));
    std::string place;
    for (std::size_t i = 1; i <= 3; ++i) {
      place += (i == 1 ? "" : "^") + std::string(piece(repetition, delimiters.component, i));
    }
    error.location = location_of(place, '^');
    errors.push_back(std::move(error));
  }
}

void read_error(const Segment& segment, const Message& message, const Reader& read, std::vector<AckError>& errors) {
  const Delimiters& delimiters = message.delimiters();
  if (!segment.field(1).empty()) {
    read_old_error(segment.field(1), message, read, errors);
  }
  if (segment.size() < 2) {
    return;
  }
  AckError error;
  error.location = location_of(piece(segment.field(2), delimiters.repetition, 1), delimiters.component);
  error.code = read(piece(segment.field(3), delimiters.component, 1));
  error.code_text = read(piece(segment.field(3), delimiters.component, 2));
  error.severity = read(segment.field(4));
  error.diagnostic = read(segment.field(7));
  error.user_message = read(segment.field(8));
  errors.push_back(std::move(error));
}

}  // namespace

std::optional<AckCode> parse_ack_code(std::string_view text) {
  const auto found = std::find(k_codes.begin(), k_codes.end(), text);
  return found == k_codes.end() ? std::nullopt : std::optional(static_cast<AckCode>(found - k_codes.begin()));
}

std::string_view to_string(AckCode code) { return k_codes.at(static_cast<std::size_t>(code)); }

std::string_view error_condition_name(std::string_view code) {
  const auto found =
      std::find_if(k_conditions.begin(), k_conditions.end(), [&](const auto& row) { return row.first == code; });
  return found == k_conditions.end() ? std::string_view() : found->second;
}

Acknowledgement read_acknowledgement(const Message& message) {
  const Reader read(message);
  const Segment* const msa = message.find("MSA");
  if (msa == nullptr) {
    throw Error(kind("mllp.wrong-acknowledgement"), "the answer has no MSA segment");
  }
  Acknowledgement answer;
  const auto code = parse_ack_code(msa->field(1));
  if (!code) {
    throw Error(kind("mllp.wrong-acknowledgement"), "the answer has no acknowledgement code of HL7 table 0008 (MSA-1)");
  }
  answer.code = *code;
  answer.control_id = std::string(msa->field(2));
  answer.text = read(msa->field(3));
  answer.own_control_id = message.control_id();
  for (const Segment& segment : message.segments()) {
    if (segment.name() == "ERR") {
      read_error(segment, message, read, answer.errors);
    }
  }
  if (answer.errors.empty() && !msa->field(6).empty()) {
    AckError error;
    error.code = read(piece(msa->field(6), message.delimiters().component, 1));
    error.code_text = read(piece(msa->field(6), message.delimiters().component, 2));
    answer.errors.push_back(std::move(error));
  }
  return answer;
}

Message make_acknowledgement(const Message& request, const Acknowledgement& answer) {
  const Delimiters& delimiters = request.delimiters();
  const CharacterSet set = CharacterSet::find(request.character_set_term()).value_or(CharacterSet::utf8());
  const auto text = [&](const std::string& value) {
    const auto bytes = set.from_utf8(value);
    return encode(bytes ? value : "(not in the character set of the message)", delimiters, set);
  };
  Message message(delimiters);
  Segment& header = message.segments().front();
  for (const auto& [to, from] : {std::pair{3, 5}, std::pair{4, 6}, std::pair{5, 3}, std::pair{6, 4}}) {
    header.set_field(static_cast<std::size_t>(to), std::string(request.header().field(static_cast<std::size_t>(from))));
  }
  header.set_field(7, to_time_stamp(std::chrono::system_clock::now()));
  std::string type = "ACK";
  if (!request.trigger().empty()) {
    type += delimiters.component + request.trigger() + delimiters.component + "ACK";
  }
  header.set_field(9, type);
  header.set_field(10, answer.own_control_id);
  header.set_field(11, std::string(request.header().field(11)));
  header.set_field(12, std::string(request.header().field(12)));
  if (!request.character_set_term().empty()) {
    header.set_field(18, request.character_set_term());
  }
  Segment& msa = message.add("MSA");
  msa.set_field(1, std::string(to_string(answer.code)));
  msa.set_field(2, answer.control_id.empty() ? request.control_id() : answer.control_id);
  if (!answer.text.empty()) {
    msa.set_field(3, text(answer.text));
  }
  const bool old_form = has_old_err(request.version());
  for (const AckError& error : answer.errors) {
    Segment& err = message.add("ERR");
    const std::string name = error.code_text.empty() ? std::string(error_condition_name(error.code)) : error.code_text;
    if (old_form) {
      std::string place = write_location(error.location, delimiters.component, 3);
      while (std::count(place.begin(), place.end(), delimiters.component) < 2) {
        place += delimiters.component;
      }
      err.set_field(1, place + delimiters.component + text(error.code) + delimiters.subcomponent + text(name));
      continue;
    }
    err.set_field(2, write_location(error.location, delimiters.component, 5));
    err.set_field(3, text(error.code) + delimiters.component + text(name) + delimiters.component + "HL70357");
    err.set_field(4, error.severity.empty() ? "E" : error.severity);
    if (!error.diagnostic.empty()) {
      err.set_field(7, text(error.diagnostic));
    }
    if (!error.user_message.empty()) {
      err.set_field(8, text(error.user_message));
    }
  }
  return message;
}

}  // namespace kuva::hl7
