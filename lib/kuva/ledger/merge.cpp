#include <kuva/core/time.hpp>
#include <kuva/ledger/ledger_impl.hpp>
#include <kuva/ledger/rows.hpp>

#include <fmt/format.h>

namespace kuva::ledger {

namespace {

constexpr std::size_t k_page = 1000;

// The state that a row begins with here: what only the network can tell comes afterwards, by rank.
State first_state(State state) {
  return rank_of(state) > 1 || state == State::sending || state == State::indeterminate ? State::valid : state;
}

void copy_runs(Connection& connection, const std::vector<Run>& runs) {
  std::vector<Value> values;
  for (const Run& run : runs) {
    values.insert(values.end(),
                  {std::string_view(run.id), std::string_view(run.tool), std::string_view(run.version),
                   text_or_null(run.command_line), text_or_null(run.target), text_or_null(run.target_identity),
                   text_or_null(run.configuration_digest), text_or_null(run.host), run.pid,
                   std::string_view(run.started), text_or_null(run.ended),
                   run.exit_code ? Value(std::int64_t{*run.exit_code}) : Value(), text_or_null(run.summary)});
  }
  if (!values.empty()) {
    connection.run(
        "INSERT INTO run (id, tool, version, command_line, target, target_identity, configuration_digest, host, pid,"
        " started, ended, exit_code, summary) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
        " ON CONFLICT (id) DO NOTHING",
        13, values, {});
  }
}

bool knows_more(const Instance& theirs, const Instance& ours) {
  const bool waits = ours.state == State::seen || ours.state == State::valid;
  const bool says = theirs.state != State::seen && theirs.state != State::valid;
  return rank_of(theirs.state) > rank_of(ours.state) || (rank_of(theirs.state) == rank_of(ours.state) && waits && says);
}

// What theirs knows beyond what ours does, and which rows are the same. A copy or a clash of ours stays one.
void advance(Connection& connection, const std::vector<Instance>& theirs, const std::vector<Instance>& ours) {
  std::vector<Value> same;
  std::vector<Value> updates;
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    const Instance& from = theirs[i];
    same.insert(same.end(), {from.id, ours[i].id});
    if (ours[i].state == State::skipped || ours[i].error_code == k_uid_clash || !knows_more(from, ours[i])) {
      continue;
    }
    // What they are sending now nobody here knows the end of.
    const State state = from.state == State::sending ? State::indeterminate : from.state;
    updates.insert(updates.end(),
                   {ours[i].id, to_string(state), text_or_null(from.error_code), text_or_null(from.error_class),
                    text_or_null(from.error_message), static_cast<std::int64_t>(from.attempts),
                    text_or_null(from.transaction_uid), text_or_null(from.record), std::string_view(from.updated)});
  }
  connection.run("INSERT INTO merged (theirs, ours) VALUES ($1, $2) ON CONFLICT (theirs) DO NOTHING", 2, same, {});
  if (!updates.empty()) {
    connection.run(
        "UPDATE instance SET state = $2, error_code = $3, error_class = $4, error_message = $5,"
        " attempts = CASE WHEN attempts < $6 THEN $6 ELSE attempts END,"
        " transaction_uid = COALESCE($7, transaction_uid), record = COALESCE($8, record), updated = $9 WHERE id = $1",
        9, updates, {});
  }
}

// A study that both took out of the same archive: what is complete counts, else what was there first.
void take_over(Ledger& ours, Ledger& theirs, const Retrieval& from) {
  const std::optional<Retrieval> known = ours.find_retrieval(from.source, from.study_instance_uid);
  if (known && (known->complete || !from.complete)) {
    return;
  }
  std::vector<std::string> paths;
  for (const Instance& instance : theirs.retrieved_instances(from)) {
    if (instance.state != State::superseded) {
      paths.push_back(instance.file.path);
    }
  }
  std::vector<std::int64_t> instances;
  for (const std::optional<Instance>& instance : ours.find(paths)) {
    if (instance) {
      instances.push_back(instance->id);
    }
  }
  Retrieval retrieval = from;
  retrieval.id = ours.begin_retrieval(from.source, from.study_instance_uid);
  ours.mark_retrieved(retrieval.id, instances);
  ours.end_retrieval(retrieval);
}

}  // namespace

Ledger::Merged Ledger::merge_from(Ledger& other, bool accept_target, const std::function<bool()>& stopped) {
  const std::string theirs = other.target_identity();
  const std::string ours = target_identity();
  if (!theirs.empty() && !ours.empty() && theirs != ours && !accept_target) {
    throw Error(kind("ledger.other-target"),
                fmt::format("{} was made for {}, and {} for {}", m_impl->name, ours, other.m_impl->name, theirs));
  }
  Connection& connection = *m_impl->connection;
  {
    const std::vector<Run> runs = other.runs(100'000);
    const std::scoped_lock lock(m_impl->mutex);
    m_impl->transact(Connection::Durability::ordinary, [&] {
      connection.script(
          "CREATE TEMP TABLE IF NOT EXISTS merged (theirs BIGINT PRIMARY KEY, ours BIGINT NOT NULL); DELETE FROM "
          "merged");
      copy_runs(connection, runs);
      if (!theirs.empty() && ours.empty()) {
        connection.run("INSERT INTO meta (key, value) VALUES ('target_identity', $1) ON CONFLICT (key) DO NOTHING",
                       {std::string_view(theirs)});
      }
    });
  }
  Merged merged;
  const auto go_on = [&] { return !stopped || !stopped(); };
  Position position;
  while (go_on()) {
    const std::vector<Instance> page = other.next_instances(position, k_page, {});
    if (page.empty()) {
      break;
    }
    std::vector<std::string> paths;
    std::vector<Instance> rows = page;
    for (Instance& row : rows) {
      paths.push_back(row.file.path);
      row.state = first_state(row.state);
      if (row.state == State::valid) {
        row.error_code.clear();
        row.error_class.clear();
        row.error_message.clear();
      }
    }
    const auto before = find(paths);
    const std::vector<Instance> now = record(rows);
    const std::scoped_lock lock(m_impl->mutex);
    m_impl->transact(Connection::Durability::ordinary, [&] { advance(connection, page, now); });
    for (std::size_t i = 0; i < page.size(); ++i) {
      if (now[i].error_code == k_uid_clash && page[i].error_code != k_uid_clash) {
        ++merged.clashes;
      } else if (!before[i] || before[i]->id != now[i].id) {
        ++merged.added;
      } else if (knows_more(page[i], *before[i])) {
        ++merged.advanced;
      } else {
        ++merged.unchanged;
      }
    }
  }
  position = {};
  while (go_on()) {
    const std::vector<Attempt> page = other.next_attempts(position, k_page);
    if (page.empty()) {
      break;
    }
    std::vector<Value> values;
    for (const Attempt& attempt : page) {
      values.insert(values.end(), {attempt.instance, std::string_view(attempt.run), std::string_view(attempt.tool),
                                   static_cast<std::int64_t>(attempt.number), std::string_view(attempt.started),
                                   std::string_view(attempt.ended), std::string_view(attempt.outcome),
                                   text_or_null(attempt.error_code), text_or_null(attempt.message)});
    }
    const std::scoped_lock lock(m_impl->mutex);
    m_impl->transact(Connection::Durability::ordinary, [&] {
      connection.run(
          "INSERT INTO attempt (instance, run, tool, number, started, ended, outcome, error_code, message)"
          " SELECT m.ours, $2, $3, $4, $5, $6, $7, $8, $9 FROM merged m WHERE m.theirs = $1 AND NOT EXISTS"
          " (SELECT 1 FROM attempt a WHERE a.instance = m.ours AND a.run = $2 AND a.number = $4)",
          9, values, {});
    });
  }
  position = {};
  while (go_on()) {
    const std::vector<Retrieval> page = other.next_retrievals(position, k_page);
    if (page.empty()) {
      break;
    }
    for (const Retrieval& retrieval : page) {
      take_over(*this, other, retrieval);
    }
  }
  return merged;
}

}  // namespace kuva::ledger
