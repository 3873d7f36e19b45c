#include <kuva/cli/toml_reader.hpp>
#include <kuva/core/file.hpp>
#include <kuva/core/time.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace kuva::cli {

namespace {

constexpr std::uint64_t k_file_limit = 4 * 1024 * 1024;

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t above = row[j + 1];
      row[j + 1] = std::min({above + 1, row[j] + 1, diagonal + (a[i] == b[j] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row.back();
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& words) {
  std::string best;
  std::size_t best_distance = word.size() / 3 + 2;
  for (const std::string& candidate : words) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::optional<std::string> ae_title_defect(std::string_view text) {
  if (text.empty() || text.size() > 16) {
    return fmt::format("an AE title has 1 to 16 characters, '{}' has {}", text, text.size());
  }
  for (const char c : text) {
    if (c < 0x20 || c > 0x7E || c == '\\') {
      return std::string("an AE title has no backslash, control or non-ASCII characters");
    }
  }
  if (text.find_first_not_of(' ') == std::string_view::npos) {
    return std::string("an AE title is not only spaces");
  }
  return std::nullopt;
}

toml::table TomlReader::parse_file(const std::filesystem::path& file) {
  std::string text;
  try {
    text = read_small_file(file, k_file_limit);
  } catch (const Error& error) {
    throw Error(kind("usage.config"), error.message());
  }
  try {
    return toml::parse(text, file.string());
  } catch (const toml::parse_error& error) {
    throw Error(kind("usage.config"),
                fmt::format("{}:{}: {}", file.string(), error.source().begin.line, error.description()));
  }
}

TomlReader::TomlReader(const toml::table& table, std::filesystem::path file, std::string name)
    : m_table(&table), m_file(std::move(file)), m_name(std::move(name)) {}

const toml::node* TomlReader::find(std::string_view key) {
  m_known.emplace_back(key);
  return m_table->get(key);
}

void TomlReader::fail(std::string_view key, std::string_view what) const {
  const toml::node* node = m_table->get(key);
  const auto line = node != nullptr ? node->source().begin.line : m_table->source().begin.line;
  const std::string place = m_name.empty() ? std::string(key) : fmt::format("{}.{}", m_name, key);
  throw Error(kind("usage.config"), fmt::format("{}:{}: {}: {}", m_file.string(), line, place, what));
}

std::optional<std::string> TomlReader::text(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) {
    return std::nullopt;
  }
  const auto value = node->value_exact<std::string>();
  if (!value) {
    fail(key, "must be a string");
  }
  return *value;
}

std::optional<std::int64_t> TomlReader::integer(std::string_view key, std::int64_t lowest, std::int64_t highest) {
  const toml::node* node = find(key);
  if (node == nullptr) {
    return std::nullopt;
  }
  const auto value = node->value_exact<std::int64_t>();
  if (!value || *value < lowest || *value > highest) {
    fail(key, fmt::format("must be a whole number from {} to {}", lowest, highest));
  }
  return *value;
}

std::optional<double> TomlReader::number(std::string_view key, double lowest, double highest) {
  const toml::node* node = find(key);
  if (node == nullptr) {
    return std::nullopt;
  }
  const auto value = node->value<double>();
  if (!value || !node->is_number() || !(*value >= lowest && *value <= highest)) {
    fail(key, fmt::format("must be a number from {} to {}", lowest, highest));
  }
  return *value;
}

std::optional<bool> TomlReader::boolean(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) {
    return std::nullopt;
  }
  const auto value = node->value_exact<bool>();
  if (!value) {
    fail(key, "must be true or false");
  }
  return *value;
}

std::optional<std::chrono::milliseconds> TomlReader::duration(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) {
    return std::nullopt;
  }
  std::optional<std::chrono::milliseconds> value;
  if (const auto words = node->value_exact<std::string>()) {
    value = parse_duration(*words);
  } else if (const auto seconds = node->value_exact<std::int64_t>(); seconds && *seconds >= 0) {
    value = parse_duration(std::to_string(*seconds));
  }
  if (!value) {
    fail(key, "must be a duration such as \"500ms\", \"30s\", \"5m\" or \"2h\"");
  }
  return value;
}

std::optional<std::string> TomlReader::path(std::string_view key) {
  auto value = text(key);
  if (value && value->empty()) {
    fail(key, "must name a file");
  }
  if (value) {
    value = (m_file.parent_path() / *value).string();
  }
  return value;
}

std::optional<std::size_t> TomlReader::choice(std::string_view key, const std::vector<std::string_view>& words) {
  const auto value = text(key);
  if (!value) {
    return std::nullopt;
  }
  const auto place = std::find(words.begin(), words.end(), *value);
  if (place == words.end()) {
    fail(key, fmt::format("must be one of {}", fmt::join(words, ", ")));
  }
  return static_cast<std::size_t>(place - words.begin());
}

std::optional<std::string> TomlReader::ae_title(std::string_view key) {
  auto value = text(key);
  if (value) {
    if (const auto defect = ae_title_defect(*value)) {
      fail(key, *defect);
    }
  }
  return value;
}

std::vector<std::string> TomlReader::texts(std::string_view key) {
  std::vector<std::string> values;
  const toml::node* node = find(key);
  if (node == nullptr) {
    return values;
  }
  const toml::array* array = node->as_array();
  if (array == nullptr) {
    fail(key, "must be an array of strings");
  }
  for (const toml::node& element : *array) {
    const auto value = element.value_exact<std::string>();
    if (!value) {
      fail(key, "must be an array of strings");
    }
    values.push_back(*value);
  }
  return values;
}

std::optional<TomlReader> TomlReader::table(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) {
    return std::nullopt;
  }
  if (node->as_table() == nullptr) {
    fail(key, "must be a table");
  }
  return TomlReader(*node->as_table(), m_file, m_name.empty() ? std::string(key) : fmt::format("{}.{}", m_name, key));
}

std::vector<TomlReader> TomlReader::tables(std::string_view key) {
  std::vector<TomlReader> readers;
  const toml::node* node = find(key);
  if (node == nullptr) {
    return readers;
  }
  const toml::array* array = node->as_array();
  if (array == nullptr || !array->is_homogeneous(toml::node_type::table)) {
    fail(key, "must be an array of tables");
  }
  for (const toml::node& element : *array) {
    readers.emplace_back(*element.as_table(), m_file,
                         m_name.empty() ? std::string(key) : fmt::format("{}.{}", m_name, key));
  }
  return readers;
}

std::vector<std::string> TomlReader::keys() const {
  std::vector<std::string> names;
  for (const auto& [key, value] : *m_table) {
    names.emplace_back(key.str());
  }
  return names;
}

void TomlReader::finish() const {
  for (const auto& [key, value] : *m_table) {
    if (std::find(m_known.begin(), m_known.end(), key.str()) != m_known.end()) {
      continue;
    }
    const std::string suggestion = nearest(key.str(), m_known);
    throw Error(kind("usage.config"),
                fmt::format("{}:{}: unknown key '{}'{}{}", m_file.string(), key.source().begin.line, key.str(),
                            m_name.empty() ? std::string() : fmt::format(" in [{}]", m_name),
                            suggestion.empty() ? std::string() : fmt::format("; did you mean '{}'?", suggestion)));
  }
}

}  // namespace kuva::cli
