#include <kuva/core/record.hpp>
#include <kuva/core/version.hpp>
#include <kuva/workflow/items.hpp>
#include <kuva/workflow/kos_records.hpp>

#include <algorithm>

namespace kuva::workflow {

namespace {

bool is_ok(const Json& record) {
  const auto ok = record.find("ok");
  return ok != record.end() && ok->is_boolean() && ok->get<bool>();
}

}  // namespace

void Accounting::items_are(std::vector<std::string> types) {
  const std::lock_guard lock(m_mutex);
  m_types = std::move(types);
}

void Accounting::entered() {
  const std::lock_guard lock(m_mutex);
  ++m_entered;
}

void Accounting::entered_not(std::uint64_t items) {
  const std::lock_guard lock(m_mutex);
  m_entered -= items;
}

void Accounting::left(const Json& record) {
  const ExitCode code = exit_code_of(record);
  const std::lock_guard lock(m_mutex);
  m_worst = worse(m_worst, code);
  if (std::find(m_types.begin(), m_types.end(), string_at(record, "type")) == m_types.end()) {
    return;
  }
  ++m_left;
  ++m_by_outcome[string_at(record, "outcome")];
  const auto error = record.find("error");
  if (error != record.end() && error->is_object()) {
    ++m_by_error[string_at(*error, "code")];
  }
  const auto size = record.find("size");
  m_failed += is_ok(record) ? 0 : 1;
  if (is_ok(record) && size != record.end() && size->is_number_unsigned()) {
    m_bytes += size->get<std::uint64_t>();
  }
}

void Accounting::note(ExitCode code) {
  const std::lock_guard lock(m_mutex);
  m_worst = worse(m_worst, code);
}

void Accounting::expect(std::uint64_t items) {
  const std::lock_guard lock(m_mutex);
  m_expected = items;
}

Accounting::Snapshot Accounting::snapshot() const {
  const std::lock_guard lock(m_mutex);
  return {m_entered, m_left, m_expected, m_failed, m_bytes, m_by_outcome, m_by_error};
}

void Accounting::add_to_summary(std::string key, Json value) {
  const std::lock_guard lock(m_mutex);
  m_more[std::move(key)] = std::move(value);
}

void Accounting::note(const Error& error) { note(error.kind().exit_code); }

std::uint64_t Accounting::seen() const {
  const std::lock_guard lock(m_mutex);
  return m_entered;
}

std::uint64_t Accounting::missing() const {
  const std::lock_guard lock(m_mutex);
  return m_entered > m_left ? m_entered - m_left : 0;
}

ExitCode Accounting::exit_code() const {
  const std::lock_guard lock(m_mutex);
  // An item that got lost on the way is a fault of ours, whatever else happened.
  return m_entered != m_left ? worse(m_worst, ExitCode::internal) : m_worst;
}

Json Accounting::summary(std::string_view tool, std::chrono::milliseconds elapsed, bool interrupted) const {
  const ExitCode code = exit_code();
  const std::lock_guard lock(m_mutex);
  Json record = make_record("summary", tool, code == ExitCode::done ? "done" : "failed", code == ExitCode::done);
  record["version"] = version();
  record["seen"] = m_entered;
  record["outcomes"] = Json::object();
  for (const auto& [name, count] : m_by_outcome) {
    record["outcomes"][name] = count;
  }
  if (!m_by_error.empty()) {
    record["errors"] = Json::object();
    for (const auto& [name, count] : m_by_error) {
      record["errors"][name] = count;
    }
  }
  if (m_entered != m_left) {
    record["missing"] = m_entered > m_left ? m_entered - m_left : 0;
  }
  record.update(m_more);
  record["bytes"] = m_bytes;
  record["elapsed"] = elapsed.count();
  record["exitCode"] = static_cast<int>(code);
  record["interrupted"] = interrupted;
  return record;
}

ExitCode exit_code_of(const Json& record) {
  if (is_ok(record)) {
    return ExitCode::done;
  }
  if (string_at(record, "type") == "check" && string_at(record, "step") == "attempt") {
    return ExitCode::done;  // a later one may succeed: the conclusion says what came of all of them
  }
  if (string_at(record, "type") == "comparison") {
    return ExitCode::negative;
  }
  const auto error = record.find("error");
  if (error != record.end() && error->is_object()) {
    if (const ErrorKind* kind = find_kind(string_at(*error, "code"))) {
      return kind->exit_code;
    }
  }
  return string_at(record, "outcome") == outcome::pending ? ExitCode::temporary : ExitCode::item_failed;
}

bool is_actionable(const Json& record) {
  if (string_at(record, "type") != "instance" || !is_ok(record)) {
    return false;
  }
  const std::string state = string_at(record, "outcome");
  return state != outcome::skipped && state != outcome::duplicate && state != k_referenced;
}

}  // namespace kuva::workflow
