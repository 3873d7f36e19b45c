#include <kuva/core/patient_id.hpp>
#include <kuva/hl7/check.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>

namespace kuva::hl7 {

namespace {

constexpr std::string_view k_admit = "SFT PD1 ROL NK1 PV2 DB1 OBX AL1 DG1 DRG PR1 GT1 IN1 IN2 IN3 ACC UB1 UB2 PDA";
constexpr std::string_view k_swap = "MRG SFT PD1 ROL NK1 PV2 DB1 OBX AL1 DG1 DRG PR1 GT1 IN1 IN2 IN3 ACC UB1 UB2 PDA";

struct EventRule {
  std::string_view trigger;
  std::string_view old_structure;  // before v2.5
  std::string_view structure;
  std::string_view required;
  std::string_view optional;
  bool taken_by_default;
};

constexpr auto k_events = std::to_array<EventRule>({
#include <kuva/hl7/event_rules.inc>
});

constexpr auto k_required_fields = std::to_array<RequiredField>({
#include <kuva/hl7/required_fields.inc>
});

constexpr std::string_view k_hl7 = "HL7 v2.5.1";
constexpr std::string_view k_pam = "IHE ITI TF-2 3.30";
constexpr std::string_view k_dcm4chee = "dcm4chee default";

const EventRule* find_event(std::string_view trigger) {
  const auto* const found =
      std::find_if(k_events.begin(), k_events.end(), [&](const EventRule& rule) { return rule.trigger == trigger; });
  return found == k_events.end() ? nullptr : found;
}

bool is_word_of(std::string_view words, std::string_view word) {
  for (const std::string_view candidate : split(words, ' ')) {
    if (candidate == word) {
      return true;
    }
  }
  return false;
}

// The check of one message: findings in the order of the message.
class Checker {
 public:
  Checker(const Message& message, const CheckProfile& profile)
      : m_message(message), m_profile(profile), m_rule(find_event(message.trigger())) {}

  std::vector<Finding> run() {
    check_form();
    check_header();
    check_character_set();
    check_structure();
    check_required();
    check_event();
    check_patient();
    if (m_set_is_known) {
      check_text();
    }
    if (m_more > 0) {
      m_findings.push_back({m_more_errors ? Severity::error : Severity::warning, "findings.more", "",
                            fmt::format("and {} more", m_more), std::string(k_hl7)});
    }
    return std::move(m_findings);
  }

 private:
  void add(Severity severity, std::string_view rule, std::string position, std::string message,
           std::string_view source) {
    if (m_findings.size() == k_most_findings) {
      ++m_more;
      m_more_errors = m_more_errors || severity == Severity::error;
      return;
    }
    m_findings.push_back({severity, std::string(rule), std::move(position), std::move(message), std::string(source)});
  }
  void error(std::string_view rule, std::string position, std::string message, std::string_view source = k_hl7) {
    add(Severity::error, rule, std::move(position), std::move(message), source);
  }
  void warning(std::string_view rule, std::string position, std::string message, std::string_view source = k_hl7) {
    add(Severity::warning, rule, std::move(position), std::move(message), source);
  }

  void check_form();
  void check_header();
  void check_character_set();
  void check_structure();
  void check_required();
  void check_event();
  void check_patient();
  void check_identifiers(const Position& field);
  void check_text();
  void check_time(std::string_view segment, std::size_t field);

  const Message& m_message;
  const CheckProfile& m_profile;
  const EventRule* m_rule;
  CharacterSet m_set = CharacterSet::utf8();
  bool m_set_is_known = true;
  std::vector<Finding> m_findings;
  std::uint64_t m_more = 0;  // findings that are counted and not kept
  bool m_more_errors = false;
};

bool is_segment_name(std::string_view name) {
  return name.size() == 3 && name[0] >= 'A' && name[0] <= 'Z' &&
         std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); });
}

// What stands where a name belongs may be anything, a line of text about the patient too.
std::string shown_name(const Segment& segment, std::size_t number) {
  return is_segment_name(segment.name()) ? std::string(segment.name()) : fmt::format("segment {}", number);
}

// A line feed, and after it what a segment begins with.
bool holds_segment(std::string_view text, char separator) {
  for (auto at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
    const std::string_view next = text.substr(at + 1);
    if (next.size() > 3 && next[3] == separator && is_segment_name(next.substr(0, 3))) {
      return true;
    }
  }
  return false;
}

void Checker::check_form() {
  const auto& segments = m_message.segments();
  const auto any = [&](const auto& predicate) { return std::any_of(segments.begin(), segments.end(), predicate); };
  if (any([](const Segment& s) { return s.end().find('\n') != std::string::npos; })) {
    warning("form.line-feed", "", "segments end with LF or CR LF; sent with CR alone");
  }
  if (any([](const Segment& s) { return !s.lead().empty(); })) {
    warning("form.lead", "", "there are bytes before the names of segments; left out when it is sent");
  }
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (!is_segment_name(segments[i].name())) {
      error("segment.name", shown_name(segments[i], i + 1),
            "a segment has a name that is not three capital letters or digits");
    }
    const std::string line = segments[i].line();
    if (holds_segment(line, m_message.delimiters().field)) {
      error("form.line-feed", shown_name(segments[i], i + 1),
            "after a line feed inside of a field something like a segment begins: only CR ends one here");
    } else if (line.find('\n') != std::string::npos) {
      warning("form.line-feed", shown_name(segments[i], i + 1),
              "a line feed inside of a field: \\X0A\\ or \\.br\\ belongs there");
    }
    if (line.find_first_of(std::string_view("\0\x0B\x1C", 3)) != std::string::npos) {
      error("form.control", shown_name(segments[i], i + 1),
            "a field holds a byte 00, 0B or 1C: MLLP would cut the message there, or the receiver a text");
    }
  }
  const Delimiters& delimiters = m_message.delimiters();
  std::string characters = m_message.delimiters().field + delimiters.encoding_characters();
  const std::size_t count = characters.size();
  std::sort(characters.begin(), characters.end());
  characters.erase(std::unique(characters.begin(), characters.end()), characters.end());
  if (characters.size() != count) {
    error("delimiters.same", "MSH-2", "two delimiters are the same character");
  }
  const bool incomplete = delimiters.component == '\0' || delimiters.repetition == '\0' || delimiters.escape == '\0' ||
                          delimiters.subcomponent == '\0';
  if (incomplete) {
    error("delimiters.incomplete", "MSH-2", "a delimiter is missing or not an ASCII character");
  } else if (delimiters.field != '|' || m_message.header().field(2) != "^~\\&") {
    warning("delimiters.unusual", "MSH-2", "the delimiters are not |^~\\&, the only ones that some archives take",
            k_dcm4chee);
  }
}

void Checker::check_header() {
  if (m_message.count("MSH") > 1) {
    error("segment.repeated", "MSH(2)", "there is more than one MSH in the message");
  }
  const std::string version = m_message.version();
  constexpr std::string_view k_versions = "2.1 2.2 2.3 2.3.1 2.4 2.5 2.5.1 2.6 2.7 2.7.1 2.8 2.8.1 2.8.2 2.9";
  if (!version.empty() && !is_word_of(k_versions, version)) {
    error("version.unknown", "MSH-12.1", "the version is not one of HL7 v2");
  } else if (!version.empty() && !is_word_of("2.3.1 2.5 2.5.1", version)) {
    warning("version.unusual", "MSH-12.1", "IHE has 2.3.1, 2.5 and 2.5.1", k_pam);
  }
  const std::string processing(m_message.raw("MSH", 11, 1));
  if (!processing.empty() && processing != "P" && processing != "T" && processing != "D") {
    error("value.not-of-table", "MSH-11.1", "the processing id is none of P, T, D (table 0103)");
  }
  constexpr std::size_t k_longest_control_id = 20;
  if (m_message.control_id().size() > k_longest_control_id) {
    warning("value.too-long", "MSH-10", "the message control id is longer than 20 characters");
  }
  for (const std::size_t field : {15U, 16U}) {
    if (!m_message.raw("MSH", field).empty()) {
      warning("acknowledgement.enhanced", fmt::format("MSH-{}", field),
              "asks for the enhanced acknowledgement mode; IHE has the original one", k_pam);
      break;
    }
  }
  check_time("MSH", 7);
}

void Checker::check_character_set() {
  const std::string term = m_message.character_set_term();
  const auto set = CharacterSet::find(term);
  if (!set && !m_profile.assumed_set) {
    error("charset.unknown", "MSH-18", "the character set is not one that is known (table 0211)");
    m_set_is_known = false;
    return;
  }
  m_set = set.value_or(m_profile.assumed_set.value_or(CharacterSet::utf8()));
  if (!set) {
    warning("charset.unknown", "MSH-18", "the character set is not known; read as the profile says");
  } else if (set->is_misspelt()) {
    warning("charset.misspelt", "MSH-18",
            fmt::format("table 0211 calls it '{}'", set->term().empty() ? "ASCII" : set->term()));
  } else if (!set->is_utf8() && !set->is_ascii() && set->term() != "8859/1") {
    warning("charset.unusual", "MSH-18", "some archives read it as ASCII; UNICODE UTF-8 and 8859/1 are safe",
            k_dcm4chee);
  }
  const Segment& header = m_message.header();
  if (split(header.field(18), m_message.delimiters().repetition).size() > 1) {
    warning("charset.repeated", "MSH-18[2]", "more than one character set: archives read the first alone", k_dcm4chee);
  }
}

void Checker::check_structure() {
  if (m_rule == nullptr) {
    return;
  }
  // Which are needed, in their order.
  std::size_t last = 0;
  for (std::string_view name : split(m_rule->required, ' ')) {
    const bool repeats = name.starts_with('{');
    if (repeats) {
      name = name.substr(1, name.size() - 2);
    }
    const auto& segments = m_message.segments();
    const auto found =
        std::find_if(segments.begin(), segments.end(), [&](const Segment& s) { return s.name() == name; });
    if (found == segments.end()) {
      // What archives leave aside is a warning: EVN and PV1.
      const bool needed = name == "PID" || name == "MRG";
      add(needed ? Severity::error : Severity::warning, "segment.missing", std::string(name),
          fmt::format("{} has no {}", m_message.trigger(), name), needed ? k_hl7 : k_pam);
      continue;
    }
    const auto place = static_cast<std::size_t>(found - segments.begin());
    if (place < last) {
      error("segment.order", std::string(name), fmt::format("{} stands before a segment that it belongs after", name));
    }
    last = std::max(last, place);
    if (!repeats && m_message.count(name) > 1) {
      const bool pair = name == "PID" || name == "MRG";
      add(pair ? Severity::error : Severity::warning, "segment.repeated", fmt::format("{}(2)", name),
          pair && m_rule->required.find("MRG") != std::string_view::npos
              ? "a message holds one pair of PID and MRG: archives mix repeated ones"
              : fmt::format("{} stands more than once", name),
          pair ? k_pam : k_hl7);
    }
  }
  const auto& all = m_message.segments();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string_view name = all[i].name();
    const bool known = name == "MSH" || name == "NTE" || name == "EVN" || name.starts_with('Z') ||
                       is_word_of(m_rule->required, name) || is_word_of(m_rule->optional, name) ||
                       is_word_of(m_rule->required, fmt::format("{{{}}}", name));
    if (!known) {
      const std::string shown = shown_name(all[i], i + 1);
      warning("segment.unexpected", shown,
              fmt::format("{} does not belong into {}; receivers leave it aside", shown, m_message.trigger()));
    }
  }
}

void Checker::check_required() {
  const auto has_value = [&](const Segment& segment, std::size_t field, std::size_t component) {
    std::string_view value = piece(segment.field(field), m_message.delimiters().repetition, 1);
    if (component != 0) {
      value = piece(value, m_message.delimiters().component, component);
    }
    return value.find_first_not_of(std::string{' ', m_message.delimiters().component,
                                               m_message.delimiters().subcomponent}) != std::string_view::npos;
  };
  for (const RequiredField& rule : k_required_fields) {
    const Segment* const segment = m_message.find(rule.segment);
    if (segment == nullptr || has_value(*segment, rule.field, rule.component)) {
      continue;
    }
    const Position position{std::string(rule.segment), rule.field, 1, rule.component, 0, 1};
    add(rule.severity, "field.missing", position.to_string(), fmt::format("{} is empty", position.to_string()),
        rule.source);
  }
  for (const ProfileField& rule : m_profile.required) {
    const std::string_view value = m_message.raw(rule.position);
    if (value.empty() || is_null(value)) {
      error("field.missing", rule.position.to_string(), fmt::format("{} is empty", rule.position.to_string()),
            rule.source);
    }
  }
}

void Checker::check_event() {
  const std::string code = m_message.code();
  const std::string trigger = m_message.trigger();
  if (!code.empty() && code != "ADT") {
    warning("type.not-adt", "MSH-9.1", "the message is no ADT: its structure is not checked", k_dcm4chee);
    return;
  }
  if (trigger.empty()) {
    return;  // said already
  }
  const auto& events = m_profile.events;
  const bool taken = events.empty() ? m_rule != nullptr && m_rule->taken_by_default
                                    : std::find(events.begin(), events.end(), trigger) != events.end();
  if (!taken) {
    error("event.not-taken", "MSH-9.2", fmt::format("the archive does not take {}", trigger),
          events.empty() ? k_dcm4chee : std::string_view(m_profile.name));
  }
  const std::string structure(m_message.raw("MSH", 9, 3));
  const std::string_view expected = message_structure(trigger, m_message.version());
  if (!structure.empty() && !expected.empty() && structure != expected) {
    // v2.3.1 had other names for some; senders mix them, and receivers do not look.
    warning("event.structure", "MSH-9.3", fmt::format("{} of this version has the structure {}", trigger, expected));
  }
  const std::string event(m_message.raw("EVN", 1));
  if (!event.empty() && event != trigger) {
    warning("event.differs", "EVN-1", "EVN-1 names another event than MSH-9.2");
  }
  check_time("EVN", 2);
}

void Checker::check_identifiers(const Position& field) {
  const std::vector<PatientIdentifier> identifiers = read_identifiers(m_message, field, m_set);
  for (std::size_t i = 0; i < identifiers.size(); ++i) {
    Position position = field;
    position.repetition = i + 1;
    if (identifiers[i].null) {
      // Of the first there is no patient that the message is about.
      add(i == 0 ? Severity::error : Severity::warning, "identifier.null", position.to_string(),
          "the identifier is the null value", k_hl7);
      continue;
    }
    const auto defect = identifier_defect(identifiers[i], m_profile.national_authority);
    if (!defect) {
      continue;
    }
    if (defect->rule == "identifier.national") {
      error(defect->rule, position.to_string(), defect->message, "Finnish personal identity code");
    } else if (i > 0) {
      warning(defect->rule, position.to_string(), defect->message, k_pam);  // of the first it is a missing field
    }
  }
}

void Checker::check_patient() {
  if (m_message.find("PID") == nullptr) {
    return;
  }
  for (const std::size_t field : {2U, 4U}) {
    if (!m_message.raw("PID", field).empty()) {
      warning("field.retired", fmt::format("PID-{}", field),
              "retired: identifiers belong into PID-3; some archives take it for something else", k_dcm4chee);
    }
  }
  check_identifiers(Position{"PID", 3, 1, 0, 0, 1});
  check_time("PID", 7);
  const std::string sex(m_message.raw("PID", 8));
  if (!sex.empty() && !is_null(sex) && !is_word_of("M F O U A N", sex)) {
    warning("value.not-of-table", "PID-8", "the sex is none of M, F, O, U, A, N (table 0001)");
  }
  if (m_message.find("MRG") == nullptr) {
    return;
  }
  check_identifiers(Position{"MRG", 1, 1, 0, 0, 1});
  const auto survivors = read_identifiers(m_message, Position{"PID", 3, 1, 0, 0, 1}, m_set);
  const auto retired = read_identifiers(m_message, Position{"MRG", 1, 1, 0, 0, 1}, m_set);
  if (!survivors.empty() && !retired.empty() && !survivors.front().id.empty() &&
      may_be_same_patient(survivors.front(), retired.front())) {
    error("merge.self", "MRG-1", "PID-3 and MRG-1 name the same patient", k_dcm4chee);
  }
  if (retired.size() > 1) {
    warning("merge.several", "MRG-1[2]", "more than one prior identifier: archives act on the first", k_dcm4chee);
  }
}

void Checker::check_time(std::string_view segment, std::size_t field) {
  const std::string_view value = m_message.raw(segment, field, 1);
  if (!value.empty() && !is_null(value) && !is_time_stamp(value)) {
    const Position position{std::string(segment), field, 1, 0, 0, 1};
    warning("value.time", position.to_string(), fmt::format("{} is not a time stamp", position.to_string()));
  }
}

void Checker::check_text() {
  std::map<std::string_view, std::size_t> seen;
  std::size_t number = 0;
  for (const Segment& segment : m_message.segments()) {
    const std::string shown = shown_name(segment, ++number);
    const std::size_t occurrence = is_segment_name(segment.name()) ? ++seen[segment.name()] : 1;
    for (std::size_t field = segment.is_header() ? 3 : 1; field <= segment.size(); ++field) {
      const std::string_view raw = segment.field(field);
      if (raw.empty()) {
        continue;
      }
      const DecodedText text = decode(raw, m_message.delimiters(), m_set);
      const Position position{shown, field, 1, 0, 0, occurrence};
      if (!text.clean) {
        error("charset.bytes", position.to_string(),
              fmt::format("bytes that are not of the character set {}",
                          m_set.term().empty() ? "ASCII (MSH-18 is empty)" : m_set.term()));
      }
      if (text.unknown_escapes) {
        warning("escape.unknown", position.to_string(), "an escape sequence that is not known or has no end");
      }
    }
  }
}

}  // namespace

std::string_view to_string(Severity severity) { return severity == Severity::error ? "error" : "warning"; }

std::vector<Finding> check(const Message& message, const CheckProfile& profile) {
  return Checker(message, profile).run();
}

bool has_errors(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& finding) { return finding.severity == Severity::error; });
}

std::string_view message_structure(std::string_view trigger, std::string_view version) {
  const EventRule* const rule = find_event(trigger);
  if (rule == nullptr || version.substr(0, 3) < "2.3") {
    return {};
  }
  return version.substr(0, 3) < "2.5" ? rule->old_structure : rule->structure;
}

CharacterSet character_set_of(const Message& message, const std::optional<CharacterSet>& assumed) {
  if (const auto set = CharacterSet::find(message.character_set_term())) {
    return *set;
  }
  if (assumed) {
    return *assumed;
  }
  throw Error(kind("hl7.charset"),
              fmt::format("MSH-18 names a character set that is not known: '{}'", message.character_set_term()));
}

std::optional<IdentifierDefect> identifier_defect(const PatientIdentifier& identifier,
                                                  std::string_view national_authority) {
  if (identifier.id.empty()) {
    return IdentifierDefect{"identifier.empty", "the identifier is empty"};
  }
  if (identifier.authority.empty()) {
    return IdentifierDefect{"identifier.no-authority", "the identifier has no assigning authority"};
  }
  if (!national_authority.empty() && identifier.authority.universal_id == national_authority) {
    if (const auto defect = hetu_defect(identifier.id)) {
      return IdentifierDefect{"identifier.national", *defect};
    }
  }
  return std::nullopt;
}

}  // namespace kuva::hl7
