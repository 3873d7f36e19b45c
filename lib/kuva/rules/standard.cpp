#include <kuva/core/error.hpp>
#include <kuva/dicom/dictionary.hpp>
#include <kuva/rules/embedded.hpp>
#include <kuva/rules/standard.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

namespace kuva::rules {

namespace {

using Type = StandardTables::Type;

// The next word of a line, which loses it.
std::string_view take_word(std::string_view& line) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

[[noreturn]] void fail_table(std::string_view what) {
  throw Error(kind("internal"), fmt::format("tables of the standard: {}", what));
}

unsigned whole_number(std::string_view text, int base = 10) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) {
    fail_table(fmt::format("'{}' is no number", text));
  }
  return value;
}

dicom::Tag tag_of(std::string_view text) {
  if (text.size() != 8) {
    fail_table(fmt::format("'{}' is no tag", text));
  }
  return {static_cast<std::uint16_t>(whole_number(text.substr(0, 4), 16)),
          static_cast<std::uint16_t>(whole_number(text.substr(4), 16))};
}

Type type_of(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, Type>, 5> k_types{{{"1", Type::one},
                                                                             {"1C", Type::one_conditional},
                                                                             {"2", Type::two},
                                                                             {"2C", Type::two_conditional},
                                                                             {"3", Type::three}}};
  const auto found = std::ranges::find(k_types, text, &std::pair<std::string_view, Type>::first);
  if (found == k_types.end()) {
    fail_table(fmt::format("'{}' is no type", text));
  }
  return found->second;
}

std::string_view name_of(Type type) {
  static constexpr std::array<std::string_view, 5> k_names{"1", "1C", "2", "2C", "3"};
  return k_names[static_cast<std::size_t>(type)];
}

StandardTables::Usage usage_of(char letter) {
  return letter == 'M'   ? StandardTables::Usage::mandatory
         : letter == 'C' ? StandardTables::Usage::conditional
                         : StandardTables::Usage::user;
}

// "1", "1-n", "2-2n", "1-8", "3|6".
Multiplicity multiplicity_of(std::string_view text) {
  Multiplicity result;
  if (const std::size_t bar = text.find('|'); bar != std::string_view::npos) {
    result.least = whole_number(text.substr(0, bar));
    result.most = whole_number(text.substr(bar + 1));
    result.step = std::max(1U, result.most - result.least);
    return result;
  }
  const std::size_t dash = text.find('-');
  result.least = whole_number(text.substr(0, dash));
  if (dash == std::string_view::npos) {
    result.most = result.least;
    return result;
  }
  std::string_view last = text.substr(dash + 1);
  if (last.ends_with('n')) {
    last.remove_suffix(1);
    result.most = 0;
    result.step = last.empty() ? 1 : whole_number(last);
  } else {
    result.most = whole_number(last);
  }
  return result;
}

}  // namespace

bool Multiplicity::allows(std::size_t count) const {
  return count >= least && (most == 0 || count <= most) && (count - least) % step == 0;
}

std::string to_string(const Multiplicity& multiplicity) {
  if (multiplicity.most == multiplicity.least) {
    return std::to_string(multiplicity.least);
  }
  const std::string last = multiplicity.most != 0   ? std::to_string(multiplicity.most)
                           : multiplicity.step == 1 ? "n"
                                                    : fmt::format("{}n", multiplicity.step);
  return fmt::format("{}-{}", multiplicity.least, last);
}

const StandardTables& StandardTables::get() {
  static const StandardTables tables(embedded_file("standard-tables.txt"));
  return tables;
}

StandardTables::StandardTables(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    read_line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  std::ranges::sort(m_multiplicities, {}, &std::pair<dicom::Tag, Multiplicity>::first);
}

std::int32_t StandardTables::template_number(std::string_view name) {
  if (name == "0") {
    return -1;
  }
  const auto [entry, added] =
      m_template_numbers.try_emplace(std::string(name), static_cast<std::int32_t>(m_templates.size()));
  if (added) {
    m_templates.emplace_back();
  }
  return entry->second;
}

void StandardTables::read_line(std::string_view line) {
  if (line.empty() || line.starts_with('#')) {
    return;
  }
  const std::string_view whole = line;
  const std::string_view word = take_word(line);
  if (word.size() == 8 && word.front() <= 'F') {  // a tag; the words are in small letters
    read_row(whole);
  } else if (word == "edition") {
    m_edition = line;
  } else if (word == "vm") {
    const dicom::Tag tag = tag_of(take_word(line));
    m_multiplicities.emplace_back(tag, multiplicity_of(line));
  } else if (word == "condition") {
    if (whole_number(take_word(line)) != m_conditions.size() + 1) {
      fail_table("conditions are not in order");
    }
    m_conditions.push_back(Expression::parse(line));
  } else if (word == "template") {
    m_open_template = template_number(line);
  } else if (word == "module") {
    Module module;
    module.name = take_word(line);
    module.table = take_word(line);
    module.rows = template_number(line);
    m_module_numbers.emplace(module.name, static_cast<std::uint32_t>(m_modules.size()));
    m_modules.push_back(std::move(module));
  } else if (word == "iod") {
    read_iod(line);
  } else if (word == "groups") {
    read_groups(line);
  } else if (word == "sop") {
    const std::string uid(take_word(line));
    m_sop_classes.emplace(uid, line);
  } else {
    fail_table(fmt::format("a line begins with '{}'", word));
  }
}

void StandardTables::read_row(std::string_view line) {
  Row row;
  row.tag = tag_of(take_word(line));
  row.type = type_of(take_word(line));
  while (!line.empty()) {
    std::string_view word = take_word(line);
    const char sign = word.front();
    word.remove_prefix(1);
    if (sign == '?') {
      row.condition = word.empty() ? -1 : static_cast<std::int32_t>(whole_number(word)) - 1;
    } else if (sign == '=' || sign == '~') {
      row.closed = sign == '=';
      const auto [entry, added] =
          m_value_numbers.try_emplace(std::string(word), static_cast<std::int32_t>(m_values.size()));
      if (added) {
        std::vector<std::string>& values = m_values.emplace_back();
        while (!word.empty()) {
          const std::size_t end = std::min(word.find('|'), word.size());
          std::string value(word.substr(0, end));
          std::ranges::replace(value, '+', ' ');
          values.push_back(std::move(value));
          word.remove_prefix(std::min(end + 1, word.size()));
        }
      }
      row.values = entry->second;
    } else if (sign == '>') {
      row.items = template_number(word);
    } else {
      fail_table(fmt::format("'{}' in a row", sign));
    }
  }
  if (m_open_template < 0) {
    fail_table("a row before the first template");
  }
  m_templates[static_cast<std::size_t>(m_open_template)].push_back(row);
}

void StandardTables::read_iod(std::string_view line) {
  auto iod = std::make_unique<Iod>();
  iod->name = take_word(line);
  while (!line.empty()) {
    std::string_view word = take_word(line);
    const std::size_t colon = word.find(':');
    const auto module = m_module_numbers.find(std::string(word.substr(std::min(colon + 1, word.size()))));
    if (colon == std::string_view::npos || colon == 0 || module == m_module_numbers.end()) {
      fail_table(fmt::format("'{}' is no use of a module", word));
    }
    ModuleUse use;
    use.module = module->second;
    use.usage = usage_of(word.front());
    if (colon > 2) {
      use.condition = static_cast<std::int32_t>(whole_number(word.substr(2, colon - 2))) - 1;
    }
    iod->modules.push_back(std::move(use));
  }
  const std::string name = iod->name;
  m_iods[name] = std::move(iod);
}

// "enhanced-ct-image M:00289110 C?12:00189304 C?:00089124 U:00209310 ?:camera-position".
void StandardTables::read_groups(std::string_view line) {
  const std::string name(take_word(line));
  const auto iod = m_iods.find(name);
  if (iod == m_iods.end()) {
    fail_table(fmt::format("functional groups of '{}', which is no IOD", name));
  }
  while (!line.empty()) {
    const std::string_view word = take_word(line);
    const std::size_t colon = word.find(':');
    if (colon == std::string_view::npos || colon == 0) {
      fail_table(fmt::format("'{}' is no use of a functional group", word));
    }
    const std::string_view macro = word.substr(colon + 1);
    if (word.front() == '?') {  // its sequence is not known
      m_groups_not_checked.push_back(fmt::format("{} functional group {}", name, macro));
      continue;
    }
    GroupUse use;
    use.sequence = tag_of(macro);
    use.usage = usage_of(word.front());
    if (colon > 2) {
      use.condition = static_cast<std::int32_t>(whole_number(word.substr(2, colon - 2))) - 1;
    } else if (use.usage == Usage::conditional) {
      m_groups_not_checked.push_back(
          fmt::format("{} functional group {} conditional", name, dicom::name_of(use.sequence)));
    }
    iod->second->groups.push_back(use);
  }
}

void StandardTables::find_telling(Iod& iod) const {
  std::unordered_map<dicom::Tag, unsigned> uses;
  const auto rows_of = [this](const ModuleUse& use) {
    const std::int32_t number = m_modules[use.module].rows;
    return number < 0 ? std::span<const Row>() : rows(number);
  };
  for (const ModuleUse& use : iod.modules) {
    for (const Row& row : rows_of(use)) {
      ++uses[row.tag];
    }
  }
  for (ModuleUse& use : iod.modules) {
    if (use.usage != Usage::mandatory) {
      for (const Row& row : rows_of(use)) {
        if (uses[row.tag] == 1) {
          use.telling.push_back(row.tag);
        }
      }
    }
  }
}

const StandardTables::Iod* StandardTables::iod_of(std::string_view sop_class_uid) const {
  const auto name = m_sop_classes.find(std::string(sop_class_uid));
  if (name == m_sop_classes.end()) {
    return nullptr;
  }
  const auto iod = m_iods.find(name->second);
  if (iod == m_iods.end()) {
    return nullptr;
  }
  const std::scoped_lock lock(m_mutex);
  if (!m_prepared[name->second]) {
    find_telling(*iod->second);
    m_prepared[name->second] = true;
  }
  return iod->second.get();
}

Multiplicity StandardTables::multiplicity(dicom::Tag tag) const {
  if ((tag.group & 0xFF00) == 0x5000 || (tag.group & 0xFF00) == 0x6000) {
    tag.group &= 0xFF00;  // repeating groups of curves and overlays (PS3.5 7.6) stand there under their first
  }
  const auto found = std::ranges::lower_bound(m_multiplicities, tag, {}, &std::pair<dicom::Tag, Multiplicity>::first);
  return found != m_multiplicities.end() && found->first == tag ? found->second : Multiplicity{};
}

StandardTables::Coverage StandardTables::coverage() const {
  Coverage coverage;
  const auto visit = [&](const auto& self, const Module& module, const std::string& path, std::int32_t number,
                         std::set<std::int32_t>& open) -> void {
    if (number < 0 || !open.insert(number).second) {
      return;
    }
    for (const Row& row : rows(number)) {
      const std::string here = path + (path.empty() ? "" : ".") + dicom::name_of(row.tag);
      if (row.type == Type::one_conditional || row.type == Type::two_conditional) {
        if (row.condition >= 0) {
          ++coverage.evaluated;
        } else {
          coverage.not_checked.push_back(fmt::format("{} {} type {}", module.name, here, name_of(row.type)));
        }
      }
      self(self, module, here, row.items, open);
    }
    open.erase(number);
  };
  for (const Module& module : m_modules) {
    std::set<std::int32_t> open;
    visit(visit, module, {}, module.rows, open);
  }
  for (const auto& [name, iod] : m_iods) {
    coverage.evaluated += static_cast<std::size_t>(
        std::ranges::count_if(iod->groups, [](const GroupUse& use) { return use.condition >= 0; }));
  }
  coverage.not_checked.insert(coverage.not_checked.end(), m_groups_not_checked.begin(), m_groups_not_checked.end());
  return coverage;
}

}  // namespace kuva::rules
