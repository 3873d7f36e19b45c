#include <kuva/core/error.hpp>
#include <kuva/core/file.hpp>
#include <kuva/rules/embedded.hpp>
#include <kuva/rules/profile.hpp>
#include <kuva/rules/standard.hpp>

#include <fmt/format.h>
#include <toml++/toml.h>

#include <regex.h>

#include <algorithm>
#include <initializer_list>
#include <sstream>

namespace kuva::rules {

namespace {

constexpr std::uint64_t k_largest_file = 16U << 20U;
constexpr std::size_t k_deepest_inheritance = 10;

[[noreturn]] void fail_profile(const std::string& message) { throw Error(kind("usage.profile"), message); }

// A table of a profile, read strictly: a key that is not known is an error.
class Table {
 public:
  Table(const toml::table& table, std::string where, std::initializer_list<std::string_view> keys)
      : m_table(table), m_where(std::move(where)) {
    for (const auto& [key, node] : m_table) {
      if (std::ranges::find(keys, key.str()) == keys.end()) {
        fail_profile(
            fmt::format("{}, line {}: there is no key '{}' here", m_where, node.source().begin.line, key.str()));
      }
    }
  }

  std::string text(std::string_view key, bool required = false) const {
    const toml::node* node = m_table.get(key);
    if (node == nullptr) {
      if (required) {
        fail_profile(fmt::format("{}, line {}: '{}' is missing", m_where, m_table.source().begin.line, key));
      }
      return {};
    }
    const auto value = node->value_exact<std::string>();
    if (!value) {
      wrong(key, "must be a text");
    }
    return *value;
  }

  std::vector<std::string> texts(std::string_view key) const {
    std::vector<std::string> values;
    const toml::node* node = m_table.get(key);
    if (node == nullptr) {
      return values;
    }
    const toml::array* array = node->as_array();
    if (array == nullptr) {
      wrong(key, "must be an array of texts");
    }
    for (const toml::node& element : *array) {
      const auto value = element.value_exact<std::string>();
      if (!value) {
        wrong(key, "must be an array of texts");
      }
      values.push_back(*value);
    }
    return values;
  }

  std::size_t number(std::string_view key) const {
    const toml::node* node = m_table.get(key);
    if (node == nullptr) {
      return 0;
    }
    const auto value = node->value_exact<std::int64_t>();
    if (!value || *value < 1 || *value > 1024) {
      wrong(key, "must be a number from 1 to 1024");
    }
    return static_cast<std::size_t>(*value);
  }

  // YYYY-MM-DD of a TOML date.
  std::string date(std::string_view key, bool required = false) const {
    const toml::node* node = m_table.get(key);
    if (node == nullptr) {
      if (required) {
        fail_profile(fmt::format("{}, line {}: '{}' is missing", m_where, m_table.source().begin.line, key));
      }
      return {};
    }
    const auto value = node->value<toml::date>();
    if (!value) {
      wrong(key, "must be a date, as 2026-12-31");
    }
    return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(value->year), static_cast<int>(value->month),
                       static_cast<int>(value->day));
  }

  const toml::table* table(std::string_view key) const {
    const toml::node* node = m_table.get(key);
    if (node != nullptr && !node->is_table()) {
      wrong(key, "must be a table");
    }
    return node == nullptr ? nullptr : node->as_table();
  }

  std::vector<const toml::table*> tables(std::string_view key) const {
    std::vector<const toml::table*> found;
    const toml::node* node = m_table.get(key);
    if (node == nullptr) {
      return found;
    }
    const toml::array* array = node->as_array();
    for (std::size_t i = 0; array != nullptr && i < array->size(); ++i) {
      found.push_back(array->get(i)->as_table());
    }
    if (array == nullptr || std::ranges::find(found, nullptr) != found.end()) {
      wrong(key, "must be tables, as [[rule]]");
    }
    return found;
  }

  bool has(std::string_view key) const { return m_table.contains(key); }

  [[noreturn]] void wrong(std::string_view key, std::string_view what) const {
    const toml::node* node = m_table.get(key);
    fail_profile(fmt::format("{}, line {}: '{}' {}", m_where,
                             (node == nullptr ? m_table.source() : node->source()).begin.line, key, what));
  }

  // Errors of an expression or a path get the place of their key.
  template <typename Parse>
  auto parsed(std::string_view key, const Parse& parse) const {
    try {
      return parse(text(key));
    } catch (const Error& error) {
      wrong(key, error.message());
    }
  }

 private:
  const toml::table& m_table;
  std::string m_where;
};

toml::table parse_toml(std::string_view text, const std::string& where) {
  try {
    return toml::parse(text, where);
  } catch (const toml::parse_error& error) {
    fail_profile(fmt::format("{}, line {}: {}", where, error.source().begin.line, error.description()));
  }
}

std::string read_file(const std::filesystem::path& file) {
  try {
    return read_small_file(file, k_largest_file);
  } catch (const Error& error) {
    fail_profile(error.message());
  }
}

template <typename T>
struct Word {
  std::string_view word;
  T value;
};

template <typename T, std::size_t Count>
T choose(const Table& table, std::string_view key, const std::array<Word<T>, Count>& words) {
  const std::string text = table.text(key, true);
  const auto found = std::ranges::find(words, text, &Word<T>::word);
  if (found == words.end()) {
    std::string all;
    for (const Word<T>& word : words) {
      all += (all.empty() ? "" : "|") + std::string(word.word);
    }
    table.wrong(key, fmt::format("must be one of {}", all));
  }
  return found->value;
}

constexpr std::array<Word<Rule::Kind>, 10> k_kinds{{{"present", Rule::Kind::present},
                                                    {"filled", Rule::Kind::filled},
                                                    {"absent", Rule::Kind::absent},
                                                    {"values", Rule::Kind::values},
                                                    {"matches", Rule::Kind::matches},
                                                    {"uid", Rule::Kind::uid},
                                                    {"hetu", Rule::Kind::hetu},
                                                    {"hetu-birth-date", Rule::Kind::hetu_birth_date},
                                                    {"expression", Rule::Kind::expression},
                                                    {"consistent", Rule::Kind::consistent}}};
constexpr std::array<Word<Rule::Scope>, 4> k_scopes{{{"series", Rule::Scope::series},
                                                     {"study", Rule::Scope::study},
                                                     {"patient", Rule::Scope::patient},
                                                     {"batch", Rule::Scope::batch}}};
constexpr std::array<Word<Severity>, 3> k_severities{
    {{"error", Severity::error}, {"warning", Severity::warning}, {"info", Severity::info}}};

std::string_view word_of(Rule::Kind kind) { return std::ranges::find(k_kinds, kind, &Word<Rule::Kind>::value)->word; }

std::shared_ptr<const void> compile(const std::string& pattern, const Table& table) {
  auto* raw = new regex_t;
  const std::shared_ptr<const void> owner(raw, [](const void* pointer) {
    auto* expression = static_cast<regex_t*>(const_cast<void*>(pointer));
    ::regfree(expression);
    delete expression;
  });
  // A failed regcomp leaves what regfree may have.
  *raw = regex_t{};
  if (::regcomp(raw, ("^(" + pattern + ")$").c_str(), REG_EXTENDED | REG_NOSUB) != 0) {
    table.wrong("pattern", "is no POSIX extended regular expression");
  }
  return owner;
}

Rule read_rule(const toml::table& node, const std::string& where) {
  const Table table(node, where,
                    {"id", "kind", "severity", "attribute", "when", "test", "values", "list", "prefix", "pattern",
                     "root", "scope", "message", "section", "source", "hint"});
  Rule rule;
  rule.id = table.text("id", true);
  const bool good_id = rule.id.find('.') != std::string::npos &&
                       rule.id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") == std::string::npos;
  if (!good_id) {
    table.wrong("id", "must be like 'family.what-is-wrong'");
  }
  if (find_check(rule.id) != nullptr) {
    table.wrong("id", "is that of a check of kuva's own");
  }
  rule.kind = choose(table, "kind", k_kinds);
  rule.severity = choose(table, "severity", k_severities);
  rule.message = table.text("message", true);
  rule.source = table.text("source", true);
  rule.section = table.text("section");
  rule.hint = table.text("hint");
  if (table.has("when")) {
    rule.when = table.parsed("when", [](const std::string& text) { return Expression::parse(text); });
  }
  if (rule.kind == Rule::Kind::expression) {
    table.text("test", true);
    rule.test = table.parsed("test", [](const std::string& text) { return Expression::parse(text); });
    if (table.has("attribute")) {
      rule.attribute = table.text("attribute");
      rule.path = table.parsed("attribute", [](const std::string& text) { return AttributePath::parse(text); });
    }
    return rule;
  }
  rule.attribute = table.text("attribute", true);
  rule.path = table.parsed("attribute", [](const std::string& text) { return AttributePath::parse(text); });
  switch (rule.kind) {
    case Rule::Kind::values:
      rule.values = table.texts("values");
      rule.list = table.text("list");
      rule.prefix = table.number("prefix");
      if (rule.values.empty() == rule.list.empty()) {
        table.wrong("values", "or 'list', one of them, is needed");
      }
      break;
    case Rule::Kind::matches:
      rule.pattern = table.text("pattern", true);
      rule.compiled = compile(rule.pattern, table);
      break;
    case Rule::Kind::uid:
      rule.root = table.text("root");
      break;
    case Rule::Kind::consistent:
      rule.scope = choose(table, "scope", k_scopes);
      break;
    default:
      break;
  }
  return rule;
}

Period read_period(const Table& table, std::string_view key, const std::string& where) {
  const toml::table* node = table.table(key);
  if (node == nullptr) {
    return {};
  }
  const Table period(*node, where, {"from", "to"});
  return {period.date("from"), period.date("to")};
}

// Codes, one a line; what follows a blank is a remark, and so is a line that begins with #.
std::vector<std::string> read_list(const std::filesystem::path& file) {
  std::vector<std::string> codes;
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t end = std::min(line.find_first_of(" \t\r"), line.size());
    if (end != 0 && line[0] != '#') {
      codes.push_back(line.substr(0, end));
    }
  }
  return codes;
}

// Rules that were inherited under an id give way to the profile's own of the same id.
void put_rule(Profile& profile, Rule rule) {
  const auto same = std::ranges::find(profile.rules, rule.id, &Rule::id);
  if (same != profile.rules.end()) {
    *same = std::move(rule);
  } else {
    profile.rules.push_back(std::move(rule));
  }
}

Severity milder(Severity one, Severity other) { return std::max(one, other); }

void inherit(Profile& profile, Profile from, std::optional<Severity> at_most) {
  profile.checks_values = profile.checks_values || from.checks_values;
  profile.checks_iods = profile.checks_iods || from.checks_iods;
  for (Rule& rule : from.rules) {
    if (at_most) {
      rule.severity = milder(rule.severity, *at_most);
    }
    put_rule(profile, std::move(rule));
  }
  for (const auto& [id, limit] : from.at_most) {
    profile.at_most.insert_or_assign(id, limit);
  }
  if (at_most) {
    for (const Check& check : checks()) {
      const bool its_own = (from.checks_values && check.family == Check::Family::values) ||
                           (from.checks_iods && check.family == Check::Family::iod);
      if (its_own) {
        const auto [entry, added] = profile.at_most.try_emplace(std::string(check.id), *at_most);
        entry->second = milder(entry->second, *at_most);
      }
    }
  }
  profile.slots.insert(profile.slots.end(), from.slots.begin(), from.slots.end());
  for (auto& [name, values] : from.lists) {
    profile.lists.insert_or_assign(name, std::move(values));
  }
  for (auto& [id, code] : from.codes) {
    profile.codes.insert_or_assign(id, std::move(code));
  }
  for (const auto& [id, severity] : from.severities) {
    profile.severities.insert_or_assign(id,
                                        severity && at_most ? std::optional(milder(*severity, *at_most)) : severity);
  }
}

Profile parse_with(std::string_view text, const std::filesystem::path& file, std::size_t depth);

Profile load_with(std::string_view name, const std::filesystem::path& beside, std::size_t depth) {
  if (depth > k_deepest_inheritance) {
    fail_profile(fmt::format("profile {}: profiles inherit each other without end", name));
  }
  if (name.find('/') != std::string_view::npos || name.ends_with(".toml")) {
    const std::filesystem::path file = beside / std::filesystem::path(name);
    return parse_with(read_file(file), file, depth);
  }
  const std::vector<std::string> known = profile_names();
  if (std::ranges::find(known, name) == known.end()) {
    fail_profile(fmt::format("there is no profile '{}'; kuva has {}, and a file name has a slash or ends in .toml",
                             name, fmt::join(known, ", ")));
  }
  const std::string file = std::string(name) + ".toml";
  return parse_with(embedded_file(file), file, depth);
}

void read_inheritance(Profile& profile, const Table& table, const std::string& where, const std::filesystem::path& file,
                      std::size_t depth) {
  for (const toml::table* node : table.tables("inherit")) {
    const Table entry(*node, where, {"profile", "at_most"});
    std::optional<Severity> at_most;
    if (entry.has("at_most")) {
      at_most = choose(entry, "at_most", k_severities);
    }
    inherit(profile, load_with(entry.text("profile", true), file.parent_path(), depth + 1), at_most);
  }
}

void read_lists(Profile& profile, const Table& table, const std::string& where, const std::filesystem::path& file) {
  const toml::table* lists = table.table("lists");
  for (std::size_t i = 0; lists != nullptr && i == 0; ++i) {
    for (const auto& [key, node] : *lists) {
      std::vector<std::string> values;
      if (const toml::table* from = node.as_table()) {
        const Table entry(*from, where, {"file"});
        values = read_list(file.parent_path() / entry.text("file", true));
      } else {
        std::vector<std::string_view> known;
        for (const auto& [name, unused] : *lists) {
          known.push_back(name.str());
        }
        const toml::array* array = node.as_array();
        for (std::size_t at = 0; array != nullptr && at < array->size(); ++at) {
          values.push_back(array->get(at)->value_or(std::string()));
        }
        if (array == nullptr || std::ranges::find(values, std::string()) != values.end()) {
          fail_profile(fmt::format("{}, line {}: list '{}' must be texts, or {{file = \"...\"}}", where,
                                   node.source().begin.line, key.str()));
        }
      }
      profile.lists.insert_or_assign(std::string(key.str()), std::move(values));
    }
  }
}

void read_severities(Profile& profile, const Table& table, const std::string& where) {
  const toml::table* node = table.table("severity");
  if (node == nullptr) {
    return;
  }
  for (const auto& [key, value] : *node) {
    const std::string id(key.str());
    const std::string word = value.value_or(std::string());
    const auto found = std::ranges::find(k_severities, word, &Word<Severity>::word);
    if (find_check(id) == nullptr && profile.find(id) == nullptr) {
      fail_profile(fmt::format("{}, line {}: there is no rule '{}'", where, value.source().begin.line, id));
    }
    if (found == k_severities.end() && word != "off") {
      fail_profile(
          fmt::format("{}, line {}: '{}' must be one of error|warning|info|off", where, value.source().begin.line, id));
    }
    profile.severities.insert_or_assign(
        id, found == k_severities.end() ? std::nullopt : std::optional<Severity>(found->value));
  }
}

Profile parse_with(std::string_view text, const std::filesystem::path& file, std::size_t depth) {
  const std::string where = file.string();
  const toml::table root = parse_toml(text, where);
  const Table table(root, where,
                    {"format", "name", "title", "version", "source", "certification", "production", "inherit", "checks",
                     "lists", "severity", "codes", "rule", "slot"});
  if (table.number("format") != 1) {
    table.wrong("format", "must be 1");
  }
  Profile profile;
  read_inheritance(profile, table, where, file, depth);
  profile.name = table.text("name", true);
  profile.title = table.text("title", true);
  profile.version = table.text("version", true);
  profile.source = table.text("source", true);
  profile.certification = read_period(table, "certification", where);
  profile.production = read_period(table, "production", where);
  for (const std::string& family : table.texts("checks")) {
    if (family == "values") {
      profile.checks_values = true;
    } else if (family == "iod") {
      profile.checks_iods = true;
    } else {
      table.wrong("checks", "may have \"values\" and \"iod\"");
    }
  }
  read_lists(profile, table, where, file);
  std::unordered_set<std::string> ids;
  for (const toml::table* node : table.tables("rule")) {
    Rule rule = read_rule(*node, where);
    if (!ids.insert(rule.id).second) {
      fail_profile(fmt::format("{}, line {}: rule '{}' is there twice", where, node->source().begin.line, rule.id));
    }
    put_rule(profile, std::move(rule));
  }
  for (const toml::table* node : table.tables("slot")) {
    const Table slot(*node, where, {"id", "title", "source"});
    profile.slots.push_back({slot.text("id", true), slot.text("title", true), slot.text("source", true)});
  }
  read_severities(profile, table, where);
  if (const toml::table* codes = table.table("codes")) {
    for (const auto& [key, value] : *codes) {
      const std::string code = value.value_or(std::string());
      if (code.empty() || (find_check(key.str()) == nullptr && profile.find(key.str()) == nullptr)) {
        fail_profile(fmt::format("{}, line {}: '{}' must be a rule's id, and its code a text", where,
                                 value.source().begin.line, key.str()));
      }
      profile.codes.insert_or_assign(std::string(key.str()), code);
    }
  }
  for (Rule& rule : profile.rules) {
    if (!rule.list.empty()) {
      const auto list = profile.lists.find(rule.list);
      if (list == profile.lists.end()) {
        fail_profile(
            fmt::format("{}: rule '{}' asks for the list '{}', which is not there", where, rule.id, rule.list));
      }
      rule.values = list->second;
    }
  }
  return profile;
}

std::string shown_period(std::string_view word, const Period& period) {
  if (period.from.empty() && period.to.empty()) {
    return {};
  }
  return fmt::format("{} {} to {}\n", word, period.from.empty() ? "..." : period.from,
                     period.to.empty() ? "..." : period.to);
}

bool runs(const Profile& profile, Check::Family family) {
  return (family != Check::Family::values || profile.checks_values) &&
         (family != Check::Family::iod || profile.checks_iods);
}

std::string_view shown(const std::optional<Severity>& severity) {
  return severity ? to_string(*severity) : std::string_view("off");
}

}  // namespace

bool Rule::matches(std::string_view value) const {
  const std::string text(value.substr(0, value.find('\0')));
  return ::regexec(static_cast<const regex_t*>(compiled.get()), text.c_str(), 0, nullptr, 0) == 0;
}

std::optional<Severity> Profile::severity_of(std::string_view rule, Severity usual) const {
  if (const auto own = severities.find(rule); own != severities.end()) {
    // A check that is milder than usual in some case stays so.
    const Check* check = find_check(rule);
    const bool is_milder = check != nullptr && usual > check->severity;
    return own->second && is_milder ? std::optional(milder(*own->second, usual)) : own->second;
  }
  const auto limit = at_most.find(rule);
  return limit == at_most.end() ? usual : milder(usual, limit->second);
}

const Rule* Profile::find(std::string_view id) const {
  const auto found = std::ranges::find(rules, id, &Rule::id);
  return found == rules.end() ? nullptr : &*found;
}

std::vector<std::string> profile_names() {
  std::vector<std::string> names;
  for (const std::string_view file : embedded_files()) {
    if (file.ends_with(".toml")) {
      names.emplace_back(file.substr(0, file.size() - 5));
    }
  }
  std::ranges::sort(names);
  return names;
}

Profile load_profile(std::string_view name_or_file) {
  Profile profile = load_with(name_or_file, {}, 0);
  if (profile.checks_values || profile.checks_iods) {
    StandardTables::get();  // what is wrong with them is an error of the run, not of each file
  }
  return profile;
}

Profile parse_profile(std::string_view text, const std::filesystem::path& file) { return parse_with(text, file, 0); }

std::optional<std::string> validity_warning(const Profile& profile, std::string_view today) {
  const Period& production = profile.production;
  if (!production.to.empty() && production.to < today) {
    return fmt::format("profile {}: valid for production until {}", profile.name, production.to);
  }
  if (!production.from.empty() && production.from > today) {
    return fmt::format("profile {}: valid for production from {}", profile.name, production.from);
  }
  const Period& certification = profile.certification;
  if (!certification.to.empty() && certification.to < today) {
    return fmt::format("profile {}: valid for certification until {}", profile.name, certification.to);
  }
  return std::nullopt;
}

std::string list_rules(const Profile& profile) {
  std::string text = fmt::format("profile {}: {}\nversion {}\nsource {}\n", profile.name, profile.title,
                                 profile.version, profile.source);
  text += shown_period("certification", profile.certification) + shown_period("production", profile.production);
  text += "\nrules:\n";
  for (const Check& check : checks()) {
    if (runs(profile, check.family)) {
      text += fmt::format("{:<36} {:<8} {}\n", check.id, shown(profile.severity_of(check.id, check.severity)),
                          check.meaning);
    }
  }
  for (const Rule& rule : profile.rules) {
    const bool idle = rule.kind == Rule::Kind::values && rule.values.empty();
    text += fmt::format("{:<36} {:<8} {} [{}]{}\n", rule.id, shown(profile.severity_of(rule.id, rule.severity)),
                        rule.message, rule.source,
                        idle ? fmt::format(" not checked: the list '{}' is empty", rule.list) : "");
  }
  if (!profile.slots.empty()) {
    text += "\nknown to exist, and not filled:\n";
    for (const Slot& slot : profile.slots) {
      text += fmt::format("{:<36} {} [{}]\n", slot.id, slot.title, slot.source);
    }
  }
  if (profile.checks_iods) {
    const StandardTables& tables = StandardTables::get();
    const StandardTables::Coverage coverage = tables.coverage();
    text += fmt::format("\ntables of the standard: {}\nconditions evaluated: {}\nconditions not checked: {}\n",
                        tables.edition(), coverage.evaluated, coverage.not_checked.size());
    for (const std::string& line : coverage.not_checked) {
      text += fmt::format("  {}\n", line);
    }
  }
  return text;
}

std::optional<std::string> explain_rule(const Profile& profile, std::string_view id) {
  const auto code = profile.codes.find(id);
  const std::string code_line =
      code == profile.codes.end() ? "" : fmt::format("  the repository's own code: {}\n", code->second);
  if (const Check* check = find_check(id)) {
    return fmt::format("{}\n  {}\n  What to do: {}\n  severity {}, {}\n{}", check->id, check->meaning, check->hint,
                       shown(profile.severity_of(check->id, check->severity)), check->section, code_line);
  }
  const Rule* rule = profile.find(id);
  if (rule == nullptr) {
    return std::nullopt;
  }
  std::string text = fmt::format("{}\n  {}\n", rule->id, rule->message);
  if (!rule->hint.empty()) {
    text += fmt::format("  What to do: {}\n", rule->hint);
  }
  if (!rule->attribute.empty()) {
    text += fmt::format("  attribute {}, {}\n", rule->attribute, word_of(rule->kind));
  }
  if (!rule->section.empty()) {
    text += fmt::format("  section {}\n", rule->section);
  }
  return text + fmt::format("  severity {}, profile {}, source: {}\n{}",
                            shown(profile.severity_of(rule->id, rule->severity)), profile.name, rule->source,
                            code_line);
}

std::vector<Waiver> load_waivers(const std::filesystem::path& file) {
  const std::string where = file.string();
  const toml::table root = parse_toml(read_file(file), where);
  const Table table(root, where, {"waiver"});
  std::vector<Waiver> waivers;
  for (const toml::table* node : table.tables("waiver")) {
    const Table entry(*node, where, {"rule", "reason", "expires", "tag_path", "sop_class", "study"});
    waivers.push_back({entry.text("rule", true), entry.text("reason", true), entry.date("expires", true),
                       entry.text("tag_path"), entry.text("sop_class"), entry.text("study")});
    if (waivers.back().reason.empty()) {
      entry.wrong("reason", "must say why");
    }
  }
  return waivers;
}

}  // namespace kuva::rules
