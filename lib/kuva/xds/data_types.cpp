#include <kuva/xds/data_types.hpp>

#include <fmt/format.h>

#include <array>
#include <initializer_list>

namespace kuva::xds {

namespace {

std::vector<std::string_view> split(std::string_view text, char delimiter) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto at = text.find(delimiter);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) {
      return parts;
    }
    text.remove_prefix(at + 1);
  }
}

constexpr std::array<std::pair<char, char>, 5> k_escapes{{{'F', '|'}, {'S', '^'}, {'R', '~'}, {'T', '&'}, {'E', '\\'}}};

std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 2 < text.size() && text[i + 2] == '\\') {
      bool known = false;
      for (const auto& [letter, character] : k_escapes) {
        if (text[i + 1] == letter) {
          out += character;
          known = true;
        }
      }
      if (known) {
        i += 2;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    bool special = false;
    for (const auto& [letter, character] : k_escapes) {
      if (c == character) {
        out += {'\\', letter, '\\'};
        special = true;
      }
    }
    if (!special) {
      out += c;
    }
  }
  return out;
}

std::string part(const std::vector<std::string_view>& parts, std::size_t index) {
  return index < parts.size() ? unescape(parts[index]) : std::string();
}

struct Authority {
  std::string name;
  std::string id;
  std::string type;
};

// HD: name&OID&ISO
Authority parse_authority(std::string_view text) {
  const auto parts = split(text, '&');
  Authority authority{part(parts, 0), part(parts, 1), part(parts, 2)};
  if (authority.id.empty()) {
    authority.id = authority.name;
  }
  return authority;
}

std::string write_authority(std::string_view name, std::string_view id, std::string_view type) {
  if (id.empty() || (id == name && type.empty())) {
    return escape(name);
  }
  return fmt::format("{}&{}&{}", name == id ? std::string() : escape(name), escape(id), type.empty() ? "ISO" : type);
}

std::string join(std::initializer_list<std::string> components) {
  std::string out;
  std::size_t carets = 0;
  bool first = true;
  for (const std::string& component : components) {
    carets += first ? 0 : 1;
    first = false;
    if (!component.empty()) {
      out.append(carets, '^');
      carets = 0;
      out += component;
    }
  }
  return out;
}

}  // namespace

std::vector<std::string> split_components(std::string_view value) {
  std::vector<std::string> out;
  for (const std::string_view component : split(value, '^')) {
    out.emplace_back(component);
  }
  return out;
}

Cx parse_cx(std::string_view value) {
  const auto parts = split(value, '^');
  Cx cx;
  cx.id = part(parts, 0);
  if (parts.size() > 3) {
    Authority authority = parse_authority(parts[3]);
    cx.authority = std::move(authority.id);
    cx.authority_name = std::move(authority.name);
    cx.authority_type = std::move(authority.type);
  }
  cx.kind = part(parts, 4);
  return cx;
}

std::string Cx::to_string() const {
  return join({escape(id), "", "", write_authority(authority_name, authority, authority_type), escape(kind)});
}

std::string make_cx(std::string_view id, std::string_view oid) {
  return fmt::format("{}^^^&{}&ISO", escape(id), escape(oid));
}

Xcn parse_xcn(std::string_view value) {
  const auto parts = split(value, '^');
  Xcn xcn;
  xcn.id = part(parts, 0);
  xcn.family = part(parts, 1);
  xcn.given = part(parts, 2);
  xcn.middle = part(parts, 3);
  xcn.suffix = part(parts, 4);
  xcn.prefix = part(parts, 5);
  xcn.degree = part(parts, 6);
  if (parts.size() > 8) {
    xcn.authority = parse_authority(parts[8]).id;
  }
  return xcn;
}

std::string Xcn::to_string() const {
  return join({escape(id), escape(family), escape(given), escape(middle), escape(suffix), escape(prefix),
               escape(degree), "", authority.empty() ? std::string() : write_authority("", authority, "ISO")});
}

std::string Xcn::display() const {
  std::string out;
  for (const std::string* text : {&prefix, &given, &middle, &family, &suffix}) {
    if (!text->empty()) {
      out += (out.empty() ? "" : " ") + *text;
    }
  }
  return out;
}

Xon parse_xon(std::string_view value) {
  const auto parts = split(value, '^');
  Xon xon;
  xon.name = part(parts, 0);
  if (parts.size() > 5) {
    xon.authority = parse_authority(parts[5]).id;
  }
  xon.id = part(parts, 9);
  return xon;
}

std::string Xon::to_string() const {
  return join({escape(name), "", "", "", "", authority.empty() ? std::string() : write_authority("", authority, "ISO"),
               "", "", "", escape(id)});
}

std::chrono::sys_seconds Dtm::end() const {
  using namespace std::chrono;
  if (digits >= 8) {
    const seconds unit = digits == 8    ? seconds(days(1))
                         : digits == 10 ? hours(1)
                         : digits == 12 ? minutes(1)
                                        : seconds(1);
    return time + unit;
  }
  const sys_days day = floor<days>(time);
  const year_month_day date(day);
  const year_month next = year_month(date.year(), date.month()) + (digits == 4 ? months(12) : months(1));
  return sys_days(next / 1) + (time - day);
}

std::optional<Dtm> parse_dtm(std::string_view text) {
  if (text.size() < 4 || text.size() > 14 || text.size() % 2 != 0 ||
      text.find_first_not_of("0123456789") != std::string_view::npos) {
    return std::nullopt;
  }
  const auto number = [&](std::size_t at, std::size_t length, unsigned missing) {
    if (at >= text.size()) {
      return missing;
    }
    unsigned value = 0;
    for (const char c : text.substr(at, length)) {
      value = value * 10 + static_cast<unsigned>(c - '0');
    }
    return value;
  };
  using namespace std::chrono;
  const year_month_day date(year(static_cast<int>(number(0, 4, 0))), month(number(4, 2, 1)), day(number(6, 2, 1)));
  const unsigned h = number(8, 2, 0);
  const unsigned m = number(10, 2, 0);
  const unsigned s = number(12, 2, 0);
  // A leap second counts as the second before it.
  if (!date.ok() || h > 23 || m > 59 || s > 60) {
    return std::nullopt;
  }
  return Dtm{sys_days(date) + hours(h) + minutes(m) + seconds(s == 60 ? 59 : s), static_cast<unsigned>(text.size())};
}

std::string format_dtm(std::chrono::sys_seconds time, unsigned digits) {
  using namespace std::chrono;
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  std::string text = fmt::format("{:04}{:02}{:02}{:02}{:02}{:02}", static_cast<int>(date.year()),
                                 static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                                 clock.hours().count(), clock.minutes().count(), clock.seconds().count());
  text.resize(digits);
  return text;
}

}  // namespace kuva::xds
