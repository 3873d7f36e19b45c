#include <kuva/core/patient_id.hpp>
#include <kuva/workflow/adt_message.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <random>

namespace kuva::workflow {

namespace {

Error row_error(std::string message) { return Error(kind("hl7.row"), std::move(message)); }

const hl7::Delimiters k_usual;

std::string base36(std::uint64_t value, std::size_t width) {
  std::string text(width, '0');
  for (auto digit = text.rbegin(); digit != text.rend(); ++digit) {
    *digit = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[value % 36];
    value /= 36;
  }
  return text;
}

hl7::Message make_header(const Hl7Target& target, std::string_view trigger, const std::string& control_id,
                         const hl7::CharacterSet& set) {
  hl7::Message message;
  const auto put = [&](std::size_t field, std::string_view value) {
    if (!value.empty()) {
      message.segments().front().set_field(field, std::string(value));
    }
  };
  // An application or facility may be written with its components, as NAME^OID^ISO.
  put(3, target.sending_application);
  put(4, target.sending_facility);
  put(5, target.receiving_application);
  put(6, target.receiving_facility);
  const std::string now = hl7::to_time_stamp(std::chrono::system_clock::now());
  put(7, now);
  const std::string_view structure = hl7::message_structure(trigger, target.version);
  put(9, fmt::format("ADT^{}{}{}", trigger, structure.empty() ? "" : "^", structure));
  put(10, control_id);
  put(11, target.processing_id);
  put(12, target.version);
  put(18, set.term());
  hl7::Segment& event = message.add("EVN");
  if (target.version.substr(0, 3) < "2.5") {
    event.set_field(1, std::string(trigger));
  }
  event.set_field(2, now);
  return message;
}

void add_patient(hl7::Message& message, const PatientData& patient, const hl7::CharacterSet& set) {
  hl7::Segment& pid = message.add("PID");
  pid.set_field(3, hl7::write_identifier(patient.identifier, k_usual, set));
  if (patient.name) {
    pid.set_field(5, patient.name->empty() ? "\"\"" : hl7::write_name(*patient.name, k_usual, set));
  }
  const auto put = [&](std::size_t field, const std::optional<std::string>& value) {
    if (value) {
      pid.set_field(field, hl7::is_null(*value) ? *value : hl7::encode(*value, k_usual, set));
    }
  };
  put(7, patient.birth_date);
  put(8, patient.sex);
}

void put_values(hl7::Message& message, const std::vector<std::pair<hl7::Position, std::string>>& values,
                const hl7::CharacterSet& set) {
  for (const auto& [position, value] : values) {
    if (hl7::is_null(value)) {
      message.set_raw(position, value);
    } else {
      message.set_text(position, value, set);
    }
  }
}

hl7::CharacterSet set_of(const Hl7Target& target) {
  const auto set = hl7::CharacterSet::find(target.character_set);
  if (!set) {
    throw Error(kind("hl7.charset"), fmt::format("target '{}' has an unknown character set", target.name));
  }
  return *set;
}

}  // namespace

hl7::PatientIdentifier read_identifier_text(std::string_view text, const hl7::AssigningAuthority& default_authority,
                                            std::string_view national_authority) {
  std::string cx(text);
  const auto at = text.rfind('@');
  if (at != std::string_view::npos && text.find('^') == std::string_view::npos) {
    cx = fmt::format("{}^^^{}", text.substr(0, at), text.substr(at + 1));
  }
  auto identifier = hl7::PatientIdentifier::parse(cx);
  if (!identifier) {
    throw row_error("an identifier is not of the form ID, ID@OID or ID^^^NAMESPACE&OID&ISO^TYPE");
  }
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  if (is_blank(identifier->id.front()) || is_blank(identifier->id.back())) {
    throw row_error("an identifier has white space around it, which archives take for a part of it");
  }
  if (identifier->authority.empty()) {
    const auto hetu = national_authority.empty() ? std::nullopt : meant_as_hetu(identifier->id);
    if (hetu) {
      identifier->id = *hetu;
      identifier->authority = {"", std::string(national_authority), "ISO"};
    } else {
      identifier->authority = default_authority;
    }
  }
  return *identifier;
}

PatientData read_patient_row(const std::map<std::string, std::string>& row, const std::string& column,
                             const Hl7Target& target) {
  PatientData patient;
  hl7::AssigningAuthority authority = target.authority;
  hl7::PersonName name;
  bool named = false;
  const auto value_of = [&](const std::string& key) {
    const auto found = row.find(key);
    return found == row.end() ? std::string() : found->second;
  };
  const bool plain = column == "id";
  const std::string authority_column = plain ? "authority" : column + "Authority";
  bool given_authority = false;
  if (const std::string text = value_of(authority_column); !text.empty()) {
    const auto parsed = hl7::AssigningAuthority::parse(text);
    if (!parsed) {
      throw row_error(fmt::format("column '{}' is neither an OID nor NAMESPACE&OID&ISO", authority_column));
    }
    authority = *parsed;
    given_authority = true;
  }
  for (const auto& [key, value] : row) {
    if (value.empty() || key == authority_column || (!plain && (key == "from" || key == "fromAuthority"))) {
      continue;
    }
    const bool null = hl7::is_null(value);
    const auto part = [&named, null, &text = value](std::string& place) {
      place = null ? "" : text;
      named = true;
    };
    if (key == column) {
      patient.identifier =
          read_identifier_text(value, authority, given_authority ? "" : target.profile.national_authority);
    } else if (key == "idType") {
      continue;  // below
    } else if (key == "name") {
      if (!null) {
        name = hl7::PersonName::from_dicom(value);
      }
      named = true;
    } else if (key == "family") {
      part(name.family);
    } else if (key == "given") {
      part(name.given);
    } else if (key == "middle") {
      part(name.middle);
    } else if (key == "prefix") {
      part(name.prefix);
    } else if (key == "suffix") {
      part(name.suffix);
    } else if (key == "birthDate") {
      std::string digits = value;
      if (!null) {
        digits.erase(std::remove(digits.begin(), digits.end(), '-'), digits.end());
        if (digits.size() < 4 || !hl7::is_time_stamp(digits)) {
          throw row_error("column 'birthDate' is not a date (YYYYMMDD)");
        }
      }
      patient.birth_date = digits;
    } else if (key == "sex") {
      patient.sex = value;
    } else if (const auto position = hl7::Position::parse(key); position && position->segment != "MSH") {
      if (!is_free(*position)) {
        throw row_error(fmt::format("column '{}' would replace an identifier that the message is about", key));
      }
      patient.more.emplace_back(*position, value);
    } else {
      throw row_error(fmt::format("column '{}' is not known", key));
    }
  }
  // The type may have come before the identifier.
  if (const std::string type = value_of("idType"); !type.empty()) {
    if (type.find_first_of("|^~&\\\r\n") != std::string::npos || hl7::is_null(type)) {
      throw row_error("column 'idType' is no code of table 0203");
    }
    patient.identifier.type_code = type;
  }
  if (patient.identifier.id.empty()) {
    throw row_error(fmt::format("column '{}' is missing or empty", column));
  }
  if (named) {
    if (!name.empty()) {
      name.type_code = "L";
    }
    patient.name = name;
  }
  return patient;
}

bool is_free(const hl7::Position& position) {
  const std::string_view segment = position.segment;
  const auto is_one_of = [&](std::initializer_list<std::size_t> fields) {
    return std::find(fields.begin(), fields.end(), position.field) != fields.end();
  };
  if (segment == "MSH") {
    return !is_one_of({1, 2, 9, 10, 18});
  }
  const bool is_identifier = (segment == "PID" && position.field == 3 && position.repetition <= 1) ||
                             (segment == "MRG" && position.field == 1);
  return !is_identifier && segment != "FHS" && segment != "BHS";
}

std::string make_control_id() {
  static std::atomic<std::uint64_t> counter{0};
  static const std::uint64_t k_process = std::random_device{}();
  const auto now =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  return "K" + base36(static_cast<std::uint64_t>(now), 8) + base36(k_process, 6) + base36(counter++, 4);
}

hl7::Message make_update(const Hl7Target& target, const PatientData& patient, std::string_view trigger,
                         const std::string& control_id) {
  const hl7::CharacterSet set = set_of(target);
  hl7::Message message = make_header(target, trigger, control_id, set);
  add_patient(message, patient, set);
  hl7::Segment& visit = message.add("PV1");
  visit.set_field(1, "1");
  visit.set_field(2, "N");
  put_values(message, target.values, set);
  put_values(message, patient.more, set);
  return message;
}

hl7::Message make_merge(const Hl7Target& target, const hl7::PatientIdentifier& from, const PatientData& into,
                        std::string_view trigger, const std::string& control_id) {
  const hl7::CharacterSet set = set_of(target);
  hl7::Message message = make_header(target, trigger, control_id, set);
  add_patient(message, into, set);
  message.add("MRG").set_field(1, hl7::write_identifier(from, k_usual, set));
  put_values(message, target.values, set);
  put_values(message, into.more, set);
  return message;
}

}  // namespace kuva::workflow
