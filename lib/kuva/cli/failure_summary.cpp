#include <kuva/cli/failure_summary.hpp>
#include <kuva/core/record.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::cli {

namespace {

const Json& value_at(const Json& object, const char* key) {
  static const Json k_none;
  const auto value = object.find(key);
  return value == object.end() ? k_none : *value;
}

// The first finding that is an error, for records that have no error of their own.
const Json& first_defect(const Json& record) {
  static const Json k_none;
  const Json& findings = value_at(record, "findings");
  if (!findings.is_array()) {
    return k_none;
  }
  for (const Json& finding : findings) {
    if (finding.is_object() && string_at(finding, "severity") == "error") {
      return finding;
    }
  }
  return findings.empty() || !findings.front().is_object() ? k_none : findings.front();
}

// "store.data-set-mismatch (A900, offending (0008,1030))"
std::string kind_of(const Json& record) {
  const Json& error = value_at(record, "error");
  if (!error.is_object()) {
    const Json& defect = first_defect(record);
    const std::string rule = defect.is_object() ? string_at(defect, "rule") : std::string();
    return rule.empty() ? string_at(record, "outcome") : rule;
  }
  std::string facts;
  const auto add = [&facts](const std::string& fact) {
    if (!fact.empty()) {
      facts += (facts.empty() ? "" : ", ") + fact;
    }
  };
  add(string_at(error, "status"));
  add(string_at(error, "failureReason"));
  add(string_at(error, "cause"));
  if (const Json& reconcile = value_at(record, "reconcile"); reconcile.is_object()) {
    add(string_at(reconcile, "difference"));
  }
  if (const Json& elements = value_at(error, "offendingElements"); elements.is_array()) {
    for (const Json& element : elements) {
      add(element.is_string() ? "offending (" + element.get<std::string>() + ")" : std::string());
    }
  }
  return string_at(error, "code") + (facts.empty() ? "" : " (" + facts + ")");
}

}  // namespace

void FailureSummary::note(const Json& record) {
  if (string_at(record, "type") != "instance") {
    return;
  }
  const Json& ok = value_at(record, "ok");
  const bool is_ok = ok.is_boolean() && ok.get<bool>();
  const std::lock_guard lock(m_mutex);
  ++m_seen;
  if (is_ok) {
    return;
  }
  if (string_at(record, "tool") != m_tool) {
    ++m_earlier;
    return;
  }
  ++m_failed;
  const std::string name = kind_of(record);
  auto found = m_kinds.find(name);
  if (found == m_kinds.end()) {
    if (m_kinds.size() == k_most_kinds) {
      ++m_other;
      return;
    }
    found = m_kinds.emplace(name, Kind()).first;
  }
  Kind& kind = found->second;
  const std::string path = path_from_json(value_at(record, "path"));
  if (kind.count++ == 0 || (!path.empty() && path < kind.path)) {
    const Json& error = value_at(record, "error");
    const Json& told = error.is_object() ? error : first_defect(record);
    kind.path = path;
    kind.study_instance_uid = string_at(record, "StudyInstanceUID");
    kind.sop_instance_uid = string_at(record, "SOPInstanceUID");
    kind.message = told.is_object() ? string_at(told, "message") : std::string();
    kind.hint = error.is_object() ? string_at(error, "hint") : std::string();
    kind.is_input = !record.contains("reconcile");
  }
}

std::vector<std::string> FailureSummary::lines(std::string_view repeat) const {
  const std::lock_guard lock(m_mutex);
  if (m_failed == 0) {
    return {};
  }
  std::vector<std::pair<std::string_view, const Kind*>> kinds;
  for (const auto& [name, kind] : m_kinds) {
    kinds.emplace_back(name, &kind);
  }
  std::stable_sort(kinds.begin(), kinds.end(),
                   [](const auto& a, const auto& b) { return a.second->count > b.second->count; });
  std::uint64_t not_shown = m_other;
  for (std::size_t i = k_most_shown; i < kinds.size(); ++i) {
    not_shown += kinds[i].second->count;
  }
  kinds.resize(std::min(kinds.size(), k_most_shown));

  std::string heading = fmt::format("{} of {} not ok:", m_failed, m_seen);
  for (const auto& [name, kind] : kinds) {
    heading += fmt::format("{} {} x {}", &kind == &kinds.front().second ? "" : ",", kind->count, name);
  }
  if (not_shown != 0) {
    heading += fmt::format(", and {} of other kinds (see the records)", not_shown);
  }
  if (m_earlier != 0) {
    heading += fmt::format("; {} failed in an earlier stage", m_earlier);
  }
  std::vector<std::string> lines{std::move(heading)};
  for (const auto& [name, kind] : kinds) {
    lines.push_back(fmt::format("{} x {}: {}", kind->count, name, kind->message));
    std::string example = kind->path;
    const auto add = [&example](std::string_view what, const std::string& uid) {
      if (!uid.empty()) {
        example += fmt::format("{}{} {}", example.empty() ? "" : ", ", what, uid);
      }
    };
    add("study", kind->study_instance_uid);
    add("instance", kind->sop_instance_uid);
    if (!example.empty()) {
      lines.push_back("  e.g. " + example);
    }
    if (!kind->hint.empty()) {
      lines.push_back("  " + kind->hint);
    }
    if (!repeat.empty() && !kind->path.empty() && kind->is_input) {
      lines.push_back(fmt::format("  this one again: {} {}", repeat, shell_quoted(kind->path)));
    }
  }
  return lines;
}

std::string shell_quoted(std::string_view word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-./:@%+=,").find(c) != std::string_view::npos;
  });
  if (plain) {
    return std::string(word);
  }
  std::string quoted = "'";
  for (const char c : word) {
    quoted += c == '\'' ? "'\\''" : std::string(1, c);
  }
  return quoted + "'";
}

}  // namespace kuva::cli
