#include <kuva/core/patient_id.hpp>
#include <kuva/hl7/data_types.hpp>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

namespace kuva::hl7 {

namespace {

bool is_oid(std::string_view text) { return text.find('.') != std::string_view::npos && !oid_defect(text); }

// Pieces joined by the delimiter, without empty ones at the end.
std::string joined(const std::vector<std::string>& pieces, char delimiter) {
  std::string text;
  std::size_t used = pieces.size();
  while (used > 0 && pieces[used - 1].empty()) {
    --used;
  }
  for (std::size_t i = 0; i < used; ++i) {
    if (i != 0) {
      text.push_back(delimiter);
    }
    text += pieces[i];
  }
  return text;
}

// A text without spaces around it.
std::string trimmed(std::string text) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

std::string with_space(std::string_view a, std::string_view b) {
  return a.empty() || b.empty() ? std::string(a) + std::string(b) : fmt::format("{} {}", a, b);
}

std::string without_pn_delimiters(std::string text) {
  for (char& c : text) {
    if (c == '^' || c == '=' || c == '\\' || static_cast<unsigned char>(c) < ' ' || c == '\x7F') {
      c = ' ';
    }
  }
  return trimmed(std::move(text));
}

int number_of(std::string_view digits) {
  int value = 0;
  for (const char c : digits) {
    value = value * 10 + (c - '0');
  }
  return value;
}

bool all_digits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

const Delimiters k_usual;

}  // namespace

std::string AssigningAuthority::to_string() const {
  return joined({namespace_id, universal_id, universal_id_type}, k_usual.subcomponent);
}

std::optional<AssigningAuthority> AssigningAuthority::parse(std::string_view text) {
  AssigningAuthority authority;
  if (is_oid(text)) {
    authority.universal_id = text;
    authority.universal_id_type = "ISO";
    return authority;
  }
  const auto pieces = split(text, k_usual.subcomponent);
  if (pieces.size() > 3 || text.find_first_of("|^~\\\r\n") != std::string_view::npos) {
    return std::nullopt;
  }
  authority.namespace_id = piece(text, k_usual.subcomponent, 1);
  authority.universal_id = piece(text, k_usual.subcomponent, 2);
  authority.universal_id_type = piece(text, k_usual.subcomponent, 3);
  if (std::any_of(pieces.begin(), pieces.end(), is_null)) {
    return std::nullopt;
  }
  if (authority.universal_id.empty() != authority.universal_id_type.empty() || authority.empty() ||
      (authority.universal_id_type == "ISO" && !is_oid(authority.universal_id))) {
    return std::nullopt;
  }
  return authority;
}

std::string PatientIdentifier::to_string() const {
  return joined({id, "", "", authority.to_string(), type_code}, k_usual.component);
}

std::optional<PatientIdentifier> PatientIdentifier::parse(std::string_view text) {
  if (text.find_first_of("|~\\\r\n") != std::string_view::npos) {
    return std::nullopt;
  }
  PatientIdentifier identifier;
  identifier.id = piece(text, k_usual.component, 1);
  const std::string_view authority = piece(text, k_usual.component, 4);
  if (!authority.empty()) {
    const auto parsed = AssigningAuthority::parse(authority);
    if (!parsed) {
      return std::nullopt;
    }
    identifier.authority = *parsed;
  }
  identifier.type_code = piece(text, k_usual.component, 5);
  if (is_null(identifier.id) || is_null(identifier.type_code)) {
    return std::nullopt;
  }
  if (identifier.id.empty() || identifier.id.find('&') != std::string::npos ||
      !piece(text, k_usual.component, 2).empty() || !piece(text, k_usual.component, 3).empty() ||
      split(text, k_usual.component).size() > 5) {
    return std::nullopt;
  }
  return identifier;
}

bool may_be_same_patient(const PatientIdentifier& a, const PatientIdentifier& b) {
  if (a.id != b.id) {
    return false;
  }
  const auto differ = [](const std::string& x, const std::string& y) { return !x.empty() && !y.empty() && x != y; };
  return !differ(a.authority.namespace_id, b.authority.namespace_id) &&
         !differ(a.authority.universal_id, b.authority.universal_id);
}

PatientIdentifier read_identifier(std::string_view raw, const Delimiters& delimiters, const CharacterSet& set) {
  const auto text = [&](std::string_view part) { return is_null(part) ? "" : decode(part, delimiters, set).text; };
  PatientIdentifier identifier;
  const std::string_view id = piece(raw, delimiters.component, 1);
  identifier.null = is_null(id);
  identifier.id = text(id);
  const std::string_view authority = piece(raw, delimiters.component, 4);
  identifier.authority.namespace_id = text(piece(authority, delimiters.subcomponent, 1));
  identifier.authority.universal_id = text(piece(authority, delimiters.subcomponent, 2));
  identifier.authority.universal_id_type = text(piece(authority, delimiters.subcomponent, 3));
  identifier.type_code = text(piece(raw, delimiters.component, 5));
  return identifier;
}

std::vector<PatientIdentifier> read_identifiers(const Message& message, const Position& field,
                                                const CharacterSet& set) {
  std::vector<PatientIdentifier> identifiers;
  Position whole = field;
  whole.repetition = 0;
  const std::string_view raw = message.raw(whole);
  if (raw.empty()) {
    return identifiers;
  }
  for (const std::string_view repetition : split(raw, message.delimiters().repetition)) {
    identifiers.push_back(read_identifier(repetition, message.delimiters(), set));
  }
  return identifiers;
}

std::string write_identifier(const PatientIdentifier& identifier, const Delimiters& delimiters,
                             const CharacterSet& set) {
  const auto bytes = [&](const std::string& text) { return encode(text, delimiters, set); };
  const std::string authority =
      joined({bytes(identifier.authority.namespace_id), bytes(identifier.authority.universal_id),
              bytes(identifier.authority.universal_id_type)},
             delimiters.subcomponent);
  return joined({bytes(identifier.id), "", "", authority, bytes(identifier.type_code)}, delimiters.component);
}

std::string PersonName::to_dicom() const {
  return joined({without_pn_delimiters(family), without_pn_delimiters(given), without_pn_delimiters(middle),
                 without_pn_delimiters(prefix), without_pn_delimiters(suffix)},
                '^');
}

PersonName PersonName::from_dicom(std::string_view pn) {
  const std::string_view alphabetic = piece(pn, '=', 1);
  const auto component = [&](std::size_t number) { return trimmed(std::string(piece(alphabetic, '^', number))); };
  PersonName name;
  name.family = component(1);
  name.given = component(2);
  name.middle = component(3);
  name.prefix = component(4);
  name.suffix = component(5);
  return name;
}

PersonName read_name(std::string_view raw, const Delimiters& delimiters, const CharacterSet& set) {
  const auto text = [&](std::string_view part) { return is_null(part) ? "" : decode(part, delimiters, set).text; };
  const auto component = [&](std::size_t number) { return piece(raw, delimiters.component, number); };
  const auto first = [&](std::size_t number) { return text(piece(component(number), delimiters.subcomponent, 1)); };
  PersonName name;
  name.family = first(1);
  if (name.family.empty()) {
    const std::string_view family = component(1);
    name.family =
        with_space(text(piece(family, delimiters.subcomponent, 2)), text(piece(family, delimiters.subcomponent, 3)));
  }
  name.given = first(2);
  name.middle = first(3);
  name.suffix = with_space(first(4), first(6));
  name.prefix = first(5);
  name.type_code = first(7);
  return name;
}

std::optional<PersonName> read_legal_name(const Message& message, const Position& field, const CharacterSet& set) {
  Position whole = field;
  whole.repetition = 0;
  const std::string_view raw = message.raw(whole);
  if (raw.empty()) {
    return std::nullopt;
  }
  std::vector<PersonName> names;
  for (const std::string_view repetition : split(raw, message.delimiters().repetition)) {
    names.push_back(read_name(repetition, message.delimiters(), set));
  }
  const auto legal =
      std::find_if(names.begin(), names.end(), [](const PersonName& name) { return name.type_code == "L"; });
  if (legal != names.end()) {
    return *legal;
  }
  const auto usual = std::find_if(names.begin(), names.end(), [](const PersonName& name) {
    return name.type_code != "M" && name.type_code != "B" && name.type_code != "A";
  });
  return usual != names.end() ? *usual : names.front();
}

std::string write_name(const PersonName& name, const Delimiters& delimiters, const CharacterSet& set) {
  const auto bytes = [&](const std::string& text) { return encode(text, delimiters, set); };
  return joined({bytes(name.family), bytes(name.given), bytes(name.middle), bytes(name.suffix), bytes(name.prefix), "",
                 bytes(name.type_code)},
                delimiters.component);
}

bool is_time_stamp(std::string_view text) {
  const auto zone = text.find_first_of("+-");
  if (zone != std::string_view::npos) {
    const std::string_view offset = text.substr(zone + 1);
    if (offset.size() != 4 || !all_digits(offset) || number_of(offset.substr(0, 2)) > 14 ||
        number_of(offset.substr(2)) > 59) {
      return false;
    }
    text = text.substr(0, zone);
  }
  const auto point = text.find('.');
  if (point != std::string_view::npos) {
    const std::string_view fraction = text.substr(point + 1);
    if (point != 14 || fraction.empty() || fraction.size() > 4 || !all_digits(fraction)) {
      return false;
    }
    text = text.substr(0, point);
  }
  if (text.size() < 4 || text.size() > 14 || text.size() % 2 != 0 || !all_digits(text)) {
    return false;
  }
  const auto part = [&](std::size_t at, std::size_t length, int otherwise) {
    return text.size() >= at + length ? number_of(text.substr(at, length)) : otherwise;
  };
  const std::chrono::year_month_day day(std::chrono::year(part(0, 4, 0)),
                                        std::chrono::month(static_cast<unsigned>(part(4, 2, 1))),
                                        std::chrono::day(static_cast<unsigned>(part(6, 2, 1))));
  return day.ok() && part(8, 2, 0) < 24 && part(10, 2, 0) < 60 && part(12, 2, 0) < 60;
}

std::string to_time_stamp(std::chrono::system_clock::time_point time) {
  return fmt::format("{:%Y%m%d%H%M%S}+0000", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

}  // namespace kuva::hl7
