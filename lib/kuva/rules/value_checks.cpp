#include <kuva/dicom/dictionary.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/rules/value_checks.hpp>
#include <kuva/rules/values.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace kuva::rules {

namespace {

using dicom::Vr;
using Event = dicom::DataSetReader::Event;

bool is_decimal_digit(char c) { return c >= '0' && c <= '9'; }
bool all_digits(std::string_view text) { return std::ranges::all_of(text, is_decimal_digit); }
int two_digits(std::string_view text, std::size_t at) { return (text[at] - '0') * 10 + (text[at + 1] - '0'); }

bool is_date(std::string_view text) {
  if (text.size() != 8 || !all_digits(text)) {
    return false;
  }
  static constexpr int k_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const int year = two_digits(text, 0) * 100 + two_digits(text, 2);
  const int month = two_digits(text, 4);
  const int day = two_digits(text, 6);
  if (month < 1 || month > 12 || day < 1 || day > k_days[month - 1]) {
    return false;
  }
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month != 2 || day < 29 || leap;
}

// HH[MM[SS[.F]]]
bool is_time(std::string_view text) {
  const std::size_t dot = std::min(text.find('.'), text.size());
  const std::string_view whole = text.substr(0, dot);
  if (whole.size() < 2 || whole.size() > 6 || whole.size() % 2 != 0 || !all_digits(whole) ||
      two_digits(whole, 0) > 23 || (whole.size() >= 4 && two_digits(whole, 2) > 59) ||
      (whole.size() == 6 && two_digits(whole, 4) > 60)) {
    return false;
  }
  if (dot == text.size()) {
    return true;
  }
  const std::string_view fraction = text.substr(dot + 1);
  return whole.size() == 6 && !fraction.empty() && fraction.size() <= 6 && all_digits(fraction);
}

// YYYY[MM[DD[HH[MM[SS[.F]]]]]][&ZZXX]
bool is_date_time(std::string_view text) {
  const std::size_t sign = text.find_first_of("+-");
  if (sign != std::string_view::npos) {
    const std::string_view zone = text.substr(sign + 1);
    if (zone.size() != 4 || !all_digits(zone) || two_digits(zone, 0) > 14 || two_digits(zone, 2) > 59) {
      return false;
    }
    text = text.substr(0, sign);
  }
  if (text.size() < 4 || !all_digits(text.substr(0, 4))) {
    return false;
  }
  if (text.size() < 8) {
    return (text.size() == 4 || text.size() == 6) && is_date(std::string(text) + (text.size() == 4 ? "0101" : "01"));
  }
  return is_date(text.substr(0, 8)) && (text.size() == 8 || is_time(text.substr(8)));
}

bool is_decimal(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) {
      return false;
    }
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool known = std::ranges::all_of(
      text, [](char c) { return is_decimal_digit(c) || std::string_view("+-.eE").find(c) != std::string_view::npos; });
  return known && error != std::errc::invalid_argument && end == text.data() + text.size();
}

bool is_integer(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
  }
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && !text.starts_with("+") && value >= -2147483648LL &&
         value <= 2147483647LL;
}

// 0, 1 or 2 come first, and after 0 and 1 a number below 40 (ISO/IEC 9834-1).
bool has_known_arcs(std::string_view uid) {
  const std::size_t dot = uid.find('.');
  if (dot != 1 || uid[0] < '0' || uid[0] > '2') {
    return false;
  }
  const std::string_view second = uid.substr(2, uid.find('.', 2) - 2);
  return uid[0] == '2' || second.size() == 1 || (second.size() == 2 && second[0] < '4');
}

// A value of a VR with a form of its own.
bool has_form(Vr vr, std::string_view text) {
  switch (vr) {
    case Vr::DA:
      return is_date(text);
    case Vr::TM:
      return is_time(text);
    case Vr::DT:
      return is_date_time(text);
    case Vr::DS:
      return is_decimal(text);
    case Vr::IS:
      return is_integer(text);
    case Vr::AS:
      return text.size() == 4 && all_digits(text.substr(0, 3)) &&
             std::string_view("DWMY").find(text[3]) != std::string_view::npos;
    default:
      return true;
  }
}

std::string_view form_of(Vr vr) {
  switch (vr) {
    case Vr::DA:
      return "a date YYYYMMDD";
    case Vr::TM:
      return "a time HHMMSS.FFFFFF";
    case Vr::DT:
      return "a date and time YYYYMMDDHHMMSS.FFFFFF&ZZXX";
    case Vr::DS:
      return "a decimal number";
    case Vr::IS:
      return "an integer of 32 bits";
    default:
      return "an age: three digits and D, W, M or Y";
  }
}

// In characters; 0: no limit that matters.
std::size_t longest(Vr vr) {
  switch (vr) {
    case Vr::AE:
    case Vr::CS:
    case Vr::DS:
    case Vr::SH:
      return 16;
    case Vr::IS:
      return 12;
    case Vr::LO:
      return 64;
    case Vr::ST:
      return 1024;
    case Vr::LT:
      return 10240;
    default:
      return 0;
  }
}

// UTF-8 code points.
std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

bool allows(Vr vr, char c) {
  switch (vr) {
    case Vr::CS:
      return (c >= 'A' && c <= 'Z') || is_decimal_digit(c) || c == ' ' || c == '_';
    case Vr::LT:
    case Vr::ST:
    case Vr::UT:
      return !is_control(c) || c == '\r' || c == '\n' || c == '\t' || c == '\f';
    default:
      return !is_control(c);
  }
}

std::optional<ValueDefect> name_defect(std::string_view text) {
  std::size_t groups = 0;
  while (true) {
    const std::size_t end = std::min(text.find('='), text.size());
    const std::string_view group = text.substr(0, end);
    if (++groups > 3) {
      return ValueDefect{"value.format", "a person name has more than three component groups"};
    }
    if (characters(group) > 64) {
      return ValueDefect{"value.length", "a component group of a person name has more than 64 characters"};
    }
    if (std::ranges::count(group, '^') > 4) {
      return ValueDefect{"value.format", "a person name has more than five components"};
    }
    if (end == text.size()) {
      return std::nullopt;
    }
    text.remove_prefix(end + 1);
  }
}

bool is_single(Vr vr) { return vr == Vr::LT || vr == Vr::ST || vr == Vr::UT || vr == Vr::UR; }

bool is_bulk(Vr vr) {
  return vr == Vr::OB || vr == Vr::OD || vr == Vr::OF || vr == Vr::OL || vr == Vr::OV || vr == Vr::OW || vr == Vr::UN ||
         vr == Vr::none;
}

// VRs that the dictionary gives and those that may stand for them (PS3.6: OB or OW, US or SS or OW).
bool may_be(const dicom::DictionaryEntry& entry, Vr vr) {
  const auto is_pair = [&](Vr one, Vr other) {
    return (entry.vr == one || entry.second_vr == one) && (vr == one || vr == other);
  };
  return entry.vr == Vr::none || vr == entry.vr || (entry.second_vr != Vr::none && vr == entry.second_vr) ||
         is_pair(Vr::OB, Vr::OW) ||
         (entry.second_vr != Vr::none && (is_pair(Vr::US, Vr::OW) || is_pair(Vr::SS, Vr::OW)));
}

}  // namespace

std::optional<ValueDefect> value_defect(Vr vr, std::string_view text) {
  if (text.empty()) {
    return std::nullopt;
  }
  if (const auto bad = std::ranges::find_if(text, [vr](char c) { return !allows(vr, c); }); bad != text.end()) {
    return ValueDefect{"value.characters", fmt::format("a {} value has the character 0x{:02X}", dicom::to_string(vr),
                                                       static_cast<unsigned char>(*bad))};
  }
  if (const std::size_t limit = longest(vr); limit != 0 && text.size() > limit) {
    if (const std::size_t count = characters(text); count > limit) {
      return ValueDefect{"value.length", fmt::format("a {} value has {} characters, at most {} are allowed",
                                                     dicom::to_string(vr), count, limit)};
    }
  }
  if (vr == Vr::PN) {
    return name_defect(text);
  }
  if (!has_form(vr, text)) {
    return ValueDefect{"value.format", fmt::format("a {} value is not {}", dicom::to_string(vr), form_of(vr))};
  }
  return std::nullopt;
}

ValueChecks::ValueChecks(const StandardTables& tables, std::vector<Finding>& findings)
    : m_tables(tables), m_findings(findings) {
  m_character_sets.emplace_back();
}

void ValueChecks::event(dicom::DataSetReader& reader, Event event) {
  if (event == Event::element) {
    if (reader.header().tag == dicom::tags::specific_character_set) {
      m_character_sets.back() = dicom::CharacterSets(trimmed(reader.value(1024)));
    }
    check(reader);
  } else if (event == Event::sequence_begin && !reader.is_fragments()) {
    const dicom::DictionaryEntry* entry = dicom::find_entry(reader.header().tag);
    if (entry != nullptr && !may_be(*entry, Vr::SQ) && reader.header().vr == Vr::SQ) {
      add(reader, Severity::error, "vr.mismatch",
          fmt::format("the VR is SQ, that of PS3.6 is {}", dicom::to_string(entry->vr)));
    }
  } else if (event == Event::item_begin && !reader.is_fragments()) {
    m_character_sets.push_back(m_character_sets.back());
  } else if (event == Event::item_end && m_character_sets.size() > 1) {
    m_character_sets.pop_back();
  }
}

void ValueChecks::check(dicom::DataSetReader& reader) {
  const dicom::DataSetReader::Header& header = reader.header();
  if (header.tag.is_group_length() || (header.tag.is_private() && !header.vr_is_explicit)) {
    return;
  }
  const dicom::DictionaryEntry* entry = dicom::find_entry(header.tag);
  if (header.vr_is_explicit && entry != nullptr && !may_be(*entry, header.vr)) {
    const bool unknown = header.vr == Vr::UN;
    add(reader, unknown ? Severity::info : Severity::error, unknown ? "vr.unknown" : "vr.mismatch",
        fmt::format("the VR is {}, that of PS3.6 is {}", dicom::to_string(header.vr), dicom::to_string(entry->vr)));
  }
  if (header.length == 0 || header.vr == Vr::SQ || is_bulk(header.vr)) {
    return;
  }
  if (const std::size_t width = width_of(header.vr); width != 0) {
    if (header.length % width != 0) {
      add(reader, Severity::error, "value.length",
          fmt::format("{} bytes are no whole number of {} values", header.length, dicom::to_string(header.vr)));
    } else if (entry != nullptr) {
      check_count(reader, header.length / width);
    }
    return;
  }
  check_texts(reader, header.vr);
}

void ValueChecks::check_texts(dicom::DataSetReader& reader, Vr vr) {
  const std::string_view bytes = reader.value(dicom::ByteSource::k_largest_peek);
  const bool plain =
      std::ranges::all_of(bytes, [](char c) { return static_cast<unsigned char>(c) < 0x80 && c != '\x1B'; });
  std::string decoded;
  std::string_view text = bytes;
  if (!plain) {
    if (!dicom::uses_character_set(vr)) {
      add(reader, Severity::error, "value.characters",
          fmt::format("a {} value has a character outside of ASCII", dicom::to_string(vr)));
      return;
    }
    dicom::CharacterSets::Decoded result = m_character_sets.back().decode(bytes, vr);
    if (!result.clean) {
      return;  // charset.undecodable says it
    }
    decoded = std::move(result.text);
    text = decoded;
  }
  const bool whole = bytes.size() == reader.header().length;
  if (vr != Vr::UI && whole && bytes.ends_with('\0')) {
    add(reader, Severity::warning, "value.padding",
        fmt::format("a {} value is padded with a zero byte, not with a space", dicom::to_string(vr)));
  }
  std::size_t count = 1;
  bool reported = false;
  std::string_view rest = text;
  while (true) {
    const std::size_t end = is_single(vr) ? rest.size() : std::min(rest.find('\\'), rest.size());
    // Leading spaces count in texts where they are significant; a value is cut at its padding otherwise.
    if (!reported) {
      const std::string_view value = trimmed(rest.substr(0, end));
      if (vr == Vr::UI) {  // the rest of its form is looked at by dicom::inspect
        reported = !dicom::uid_defect(value) && !has_known_arcs(value);
        if (reported) {
          add(reader, Severity::error, "uid.arcs", "the UID does not begin with components that ISO 9834 knows");
        }
      } else if (const auto defect = value_defect(vr, value)) {
        // Too long or with a wrong character it is wherever it ends; its form is not known before that.
        reported = whole || end != rest.size() || defect->rule != "value.format";
        if (reported) {
          add(reader, Severity::error, defect->rule, defect->message);
        }
      }
    }
    if (end == rest.size()) {
      break;
    }
    rest.remove_prefix(end + 1);
    ++count;
  }
  const bool empty = trimmed(text).empty();
  if (!empty && whole && dicom::find_entry(reader.header().tag) != nullptr) {
    check_count(reader, count);
  }
}

void ValueChecks::check_count(dicom::DataSetReader& reader, std::size_t count) {
  const Multiplicity multiplicity = m_tables.multiplicity(reader.header().tag);
  if (!multiplicity.allows(count)) {
    add(reader, Severity::error, "vm.count", fmt::format("{} values, PS3.6 allows {}", count, to_string(multiplicity)));
  }
}

void ValueChecks::add(dicom::DataSetReader& reader, Severity severity, std::string_view rule, std::string message) {
  const dicom::DataSetReader::Header& header = reader.header();
  Finding finding;
  if (++m_found > k_most_findings) {
    if (m_found > k_most_findings + 1) {
      return;
    }
    finding.severity = Severity::info;
    finding.rule = "value.more";
    finding.message = "more findings about values are not listed";
    m_findings.push_back(std::move(finding));
    return;
  }
  finding.severity = header.tag.is_private() ? std::max(severity, Severity::warning) : severity;
  finding.rule = rule;
  finding.message = std::move(message);
  finding.tag_path = reader.tag_path();
  finding.tag = header.tag;
  finding.vr = header.vr;
  finding.offset = header.offset;
  finding.has_offset = true;
  if (header.vr != Vr::SQ) {
    finding.value = reader.value(64);
  }
  m_findings.push_back(std::move(finding));
}

}  // namespace kuva::rules
