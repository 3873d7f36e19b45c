#include <kuva/core/patient_id.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

namespace kuva {

namespace {

constexpr std::string_view k_check_characters = "0123456789ABCDEFHJKLMNPRSTUVWXY";
constexpr std::string_view k_organizations = "1.2.246.10.";
constexpr std::size_t k_hetu_length = 11;
constexpr std::size_t k_longest_cx = 255;  // ITI TF-3 4.2.3.1.7

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool all_digits(std::string_view text) { return std::all_of(text.begin(), text.end(), is_digit); }

int number(std::string_view digits) {
  int value = 0;
  for (const char c : digits) {
    value = value * 10 + (c - '0');
  }
  return value;
}

std::optional<int> century(char separator) {
  if (separator == '+') {
    return 1800;
  }
  if (std::string_view("-YXWVU").find(separator) != std::string_view::npos) {
    return 1900;
  }
  if (std::string_view("ABCDEF").find(separator) != std::string_view::npos) {
    return 2000;
  }
  return std::nullopt;
}

std::chrono::year_month_day birth_date(std::string_view text) {
  return {std::chrono::year(century(text[6]).value_or(0) + number(text.substr(4, 2))),
          std::chrono::month(static_cast<unsigned>(number(text.substr(2, 2)))),
          std::chrono::day(static_cast<unsigned>(number(text.substr(0, 2))))};
}

std::string upper_case(std::string_view text) {
  std::string upper(text);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return upper;
}

// y-tunnus inside an OID of an organisation: 1.2.246.10.<7 or 8 digits>...
std::optional<std::string> organization_oid_defect(std::string_view oid) {
  if (oid.substr(0, k_organizations.size()) != k_organizations) {
    return std::nullopt;
  }
  std::string digits(oid.substr(k_organizations.size()));
  digits.resize(std::min(digits.find('.'), digits.size()));
  if (digits.size() > 8) {
    return "the business identity code in the OID has more than 8 digits";
  }
  digits.insert(0, 8 - digits.size(), '0');
  if (const auto defect = business_id_defect(digits.substr(0, 7) + "-" + digits.back())) {
    return fmt::format("in the OID, {}", *defect);
  }
  return std::nullopt;
}

Error refusal(std::string_view why) { return Error(kind("usage.patient-id"), std::string(why)); }

constexpr std::array<std::pair<char, char>, 5> k_escapes{{{'|', 'F'}, {'^', 'S'}, {'&', 'T'}, {'~', 'R'}, {'\\', 'E'}}};

std::string escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const auto found =
        std::find_if(k_escapes.begin(), k_escapes.end(), [&](const auto& escape) { return escape.first == c; });
    if (found == k_escapes.end()) {
      escaped += c;
    } else {
      escaped += {'\\', found->second, '\\'};
    }
  }
  return escaped;
}

std::string unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      plain += text[i];
      continue;
    }
    const auto found = std::find_if(k_escapes.begin(), k_escapes.end(), [&](const auto& escape) {
      return i + 2 < text.size() && escape.second == text[i + 1] && text[i + 2] == '\\';
    });
    if (found == k_escapes.end()) {
      throw refusal("the identifier has a backslash that begins no HL7 escape (\\S\\ \\T\\ \\F\\ \\R\\ \\E\\)");
    }
    plain += found->first;
    i += 2;
  }
  return plain;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) {
      return parts;
    }
    text.remove_prefix(end + 1);
  }
}

void check_form(std::string_view id, std::string_view authority) {
  if (id.empty()) {
    throw refusal("the identifier is empty");
  }
  if (std::any_of(id.begin(), id.end(), [](char c) { return (c >= 0 && c < 0x20) || c == 0x7F; })) {
    throw refusal("the identifier has control characters");
  }
  if (const auto defect = oid_defect(authority)) {
    throw refusal(fmt::format("its assigning authority is not an OID: {}", *defect));
  }
  if (id.size() + authority.size() > k_longest_cx) {
    throw refusal("the identifier is longer than XDS allows (255 characters with its authority)");
  }
}

void check(const PatientId& id, const PatientIdRules& rules) {
  check_form(id.id, id.authority);
  if (!rules.check) {
    return;
  }
  if (id.authority == rules.hetu_authority) {
    if (const auto defect = hetu_defect(id.id)) {
      throw refusal(*defect);
    }
  } else if (const auto defect = organization_oid_defect(id.authority)) {
    throw refusal(*defect);
  }
}

}  // namespace

std::optional<std::string> hetu_defect(std::string_view text) {
  if (text.size() != k_hetu_length) {
    return fmt::format("a personal identity code has 11 characters, this has {}", text.size());
  }
  if (!all_digits(text.substr(0, 6))) {
    return "a personal identity code begins with six digits, the date of birth";
  }
  if (!century(text[6])) {
    return "the seventh character of a personal identity code says the century: +, -, A-F or U-Y";
  }
  if (!all_digits(text.substr(7, 3))) {
    return "the individual number of a personal identity code is three digits";
  }
  if (!birth_date(text).ok()) {
    return "the date of birth in the personal identity code does not exist";
  }
  const int individual = number(text.substr(7, 3));
  if (individual < 2) {
    return "the individual number of a personal identity code is 002 or more";
  }
  const int sum = number(text.substr(0, 6)) * 1000 + individual;
  if (k_check_characters[static_cast<std::size_t>(sum % 31)] != text[10]) {
    return "the check character of the personal identity code does not fit: a character is wrong";
  }
  return std::nullopt;
}

std::optional<std::string> meant_as_hetu(std::string_view text) {
  const bool is_meant = text.size() == k_hetu_length && all_digits(text.substr(0, 6)) && !is_digit(text[6]);
  return is_meant ? std::optional(upper_case(text)) : std::nullopt;
}

std::optional<Hetu> read_hetu(std::string_view text) {
  if (hetu_defect(text)) {
    return std::nullopt;
  }
  return Hetu{birth_date(text), text[7] == '9'};
}

std::optional<std::string> business_id_defect(std::string_view text) {
  std::string digits(text);
  if (digits.size() == 8 && digits[6] == '-') {
    digits.insert(0, 1, '0');
  }
  if (digits.size() != 9 || digits[7] != '-' || !all_digits(digits.substr(0, 7)) || !is_digit(digits[8])) {
    return "a business identity code is seven digits, a hyphen and a check digit";
  }
  constexpr std::array<int, 7> k_weights{7, 9, 10, 5, 8, 4, 2};
  int sum = 0;
  for (std::size_t i = 0; i < k_weights.size(); ++i) {
    sum += k_weights[i] * (digits[i] - '0');
  }
  const int rest = sum % 11;
  if (rest == 1 || digits[8] - '0' != (11 - rest) % 11) {
    return "the check digit of the business identity code does not fit: a digit is wrong";
  }
  return std::nullopt;
}

std::optional<std::string> oid_defect(std::string_view text) {
  if (text.empty() || text.size() > 64) {
    return fmt::format("an OID has 1 to 64 characters, this has {}", text.size());
  }
  const auto arcs = split(text, '.');
  for (const std::string_view arc : arcs) {
    if (arc.empty() || !all_digits(arc)) {
      return "an OID is numbers with dots between them";
    }
    if (arc.size() > 1 && arc.front() == '0') {
      return "a number of an OID has no leading zero";
    }
  }
  if (arcs.size() < 2 || arcs[0].size() != 1 || arcs[0][0] > '2') {
    return "an OID begins with 0, 1 or 2 and has two numbers at least";
  }
  return std::nullopt;
}

std::string temporary_id_authority(std::string_view business_id, int year) {
  std::string digits(business_id);
  std::erase(digits, '-');
  if (digits.size() == 8 && digits.front() == '0') {
    digits.erase(0, 1);
  }
  return fmt::format("{}{}.22.{}", k_organizations, digits, year);
}

std::string to_cx(const PatientId& id) { return fmt::format("{}^^^&{}&ISO", escape(id.id), id.authority); }

PatientId read_cx(std::string_view text) {
  const auto components = split(text, '^');
  if (components.size() < 4) {
    throw refusal("a CX has its assigning authority in the fourth component: ID^^^&OID&ISO");
  }
  for (std::size_t i = 1; i < components.size(); ++i) {
    if (i != 3 && !components[i].empty()) {
      throw refusal("XDS uses the first and the fourth component of a CX alone: ID^^^&OID&ISO");
    }
  }
  const auto authority = split(components[3], '&');
  if (authority.size() != 3 || !authority[0].empty() || authority[2] != "ISO") {
    throw refusal("the assigning authority of a CX is written &OID&ISO");
  }
  if (components[0].find_first_of("&|~") != std::string_view::npos) {
    throw refusal("the identifier has a separator of HL7 (| & ~) that is not escaped");
  }
  PatientId id{unescape(components[0]), std::string(authority[1])};
  check_form(id.id, id.authority);
  return id;
}

PatientId read_patient_id(std::string_view text, const PatientIdRules& rules) {
  PatientId id;
  if (text.find('^') != std::string_view::npos) {
    id = read_cx(text);
  } else if (const auto at = text.rfind('@'); at != std::string_view::npos) {
    std::string_view authority = text.substr(at + 1);
    constexpr std::string_view k_prefix = "urn:oid:";
    if (authority.substr(0, k_prefix.size()) == k_prefix) {
      authority.remove_prefix(k_prefix.size());
    }
    id = {std::string(text.substr(0, at)), std::string(authority)};
  } else if (const auto hetu = meant_as_hetu(text)) {
    id = {*hetu, rules.hetu_authority};
  } else if (!rules.temporary_authority.empty()) {
    id = {std::string(text), rules.temporary_authority};
  } else if (!rules.check) {
    id = {std::string(text), rules.hetu_authority};
  } else {
    throw refusal(hetu_defect(text).value_or("it is not a personal identity code") +
                  "; a temporary identifier is written ID@OID");
  }
  check(id, rules);
  return id;
}

}  // namespace kuva
