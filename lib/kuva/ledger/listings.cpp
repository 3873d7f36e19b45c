#include <kuva/core/time.hpp>
#include <kuva/ledger/ledger_impl.hpp>
#include <kuva/ledger/rows.hpp>

#include <fmt/format.h>

#include <map>

namespace kuva::ledger {

namespace {

// Between two attempts that lie further apart nothing was going on.
constexpr std::chrono::seconds k_pause{60};

std::uint64_t count_at(const Row& row, int column) { return static_cast<std::uint64_t>(row.number(column)); }

std::string text_at(const Row& row, int column) { return std::string(row.text(column)); }

std::string filter_condition(const Filter& filter) {
  std::string states;
  for (const State state : filter.states) {
    states += fmt::format("{}'{}'", states.empty() ? "" : ", ", to_string(state));
  }
  std::string condition = states.empty() ? "i.live = 1" : fmt::format("i.state IN ({})", states);
  if (!filter.error_codes.empty()) {
    condition += " AND " + code_condition(filter.error_codes);
  }
  return condition;
}

}  // namespace

std::vector<Instance> Ledger::next_uncommitted(Position& position, std::size_t count) {
  const std::scoped_lock lock(m_impl->mutex);
  std::vector<Instance> page;
  m_impl->connection->run(fmt::format("SELECT {}, i.study FROM {} WHERE i.state IN ('stored', 'stored-with-warning')"
                                      " AND (i.study, i.id) > ($1, $2) ORDER BY i.study, i.id LIMIT $3",
                                      k_instance_columns, k_instance_tables),
                          {position.study, position.instance, static_cast<std::int64_t>(count)},
                          [&](std::size_t, const Row& row) {
                            page.push_back(instance_of(row));
                            position = {row.number(k_instance_column_count), page.back().id};
                          });
  return page;
}

std::vector<Instance> Ledger::next_instances(Position& position, std::size_t count, const Filter& filter) {
  const std::scoped_lock lock(m_impl->mutex);
  std::vector<Instance> page;
  std::vector<Value> values{position.instance, static_cast<std::int64_t>(count)};
  std::string study;
  if (!filter.study_instance_uid.empty()) {
    study = " AND i.study = (SELECT x.id FROM study x WHERE x.study_instance_uid = $3)";
    values.emplace_back(std::string_view(filter.study_instance_uid));
  }
  m_impl->connection->run(fmt::format("SELECT {} FROM {} WHERE i.id > $1 AND {}{} ORDER BY i.id LIMIT $2",
                                      k_instance_columns, k_instance_tables, filter_condition(filter), study),
                          values.size(), values,
                          [&](std::size_t, const Row& row) { page.push_back(instance_of(row)); });
  if (!page.empty()) {
    position.instance = page.back().id;
  }
  return page;
}

std::vector<StudyRow> Ledger::next_studies(Position& position, std::size_t count) {
  const std::scoped_lock lock(m_impl->mutex);
  std::vector<StudyRow> page;
  m_impl->connection->run(
      "SELECT s.id, s.study_instance_uid, s.study_date, s.accession_number, count(i.id),"
      " count(i.id) FILTER (WHERE i.state IN ('stored', 'stored-with-warning')),"
      " count(i.id) FILTER (WHERE i.state IN ('committed', 'registered')),"
      " count(i.id) FILTER (WHERE i.state IN ('failed-temporary', 'failed-permanent')),"
      " count(i.id) FILTER (WHERE i.state = 'skipped'),"
      " count(i.id) FILTER (WHERE i.state IN ('seen', 'valid', 'sending', 'indeterminate')), COALESCE(sum(i.size), 0)"
      " FROM (SELECT * FROM study WHERE id > $1 ORDER BY id LIMIT $2) s"
      " LEFT JOIN instance i ON i.study = s.id AND i.live = 1"
      " GROUP BY s.id, s.study_instance_uid, s.study_date, s.accession_number ORDER BY s.id",
      {position.study, static_cast<std::int64_t>(count)}, [&](std::size_t, const Row& row) {
        StudyRow study;
        study.id = row.number(0);
        study.study_instance_uid = row.text(1);
        study.study_date = row.text(2);
        study.accession_number = row.text(3);
        study.instances = count_at(row, 4);
        study.stored = count_at(row, 5);
        study.committed = count_at(row, 6);
        study.failed = count_at(row, 7);
        study.skipped = count_at(row, 8);
        study.waiting = count_at(row, 9);
        study.bytes = count_at(row, 10);
        page.push_back(std::move(study));
      });
  if (!page.empty()) {
    position.study = page.back().id;
  }
  return page;
}

std::vector<Attempt> Ledger::next_attempts(Position& position, std::size_t count) {
  const std::scoped_lock lock(m_impl->mutex);
  std::vector<Attempt> page;
  m_impl->connection->run(
      "SELECT id, instance, run, tool, started, ended, outcome, error_code, message, number FROM attempt"
      " WHERE id > $1 ORDER BY id LIMIT $2",
      {position.instance, static_cast<std::int64_t>(count)}, [&](std::size_t, const Row& row) {
        page.push_back(Attempt{row.number(0), row.number(1), text_at(row, 2), text_at(row, 3), text_at(row, 4),
                               text_at(row, 5), text_at(row, 6), text_at(row, 7), text_at(row, 8),
                               static_cast<unsigned>(row.number(9))});
      });
  if (!page.empty()) {
    position.instance = page.back().id;
  }
  return page;
}

std::uint64_t Ledger::waiting() {
  const std::scoped_lock lock(m_impl->mutex);
  std::uint64_t instances = 0;
  // The words of an index.
  m_impl->connection->run(
      "SELECT count(*) FROM instance"
      " WHERE state IN ('seen', 'valid', 'sending', 'indeterminate', 'failed-temporary')",
      {}, [&](std::size_t, const Row& row) { instances = count_at(row, 0); });
  return instances;
}

std::vector<StateCount> Ledger::counts() {
  const std::scoped_lock lock(m_impl->mutex);
  std::vector<StateCount> counts;
  for (const State state : k_states) {
    counts.push_back(StateCount{state, 0, 0});
  }
  m_impl->connection->run("SELECT state, instances, bytes FROM status_by_state", {}, [&](std::size_t, const Row& row) {
    const State state = state_of(row.text(0));
    for (StateCount& count : counts) {
      if (count.state == state) {
        count.instances = count_at(row, 1);
        count.bytes = count_at(row, 2);
      }
    }
  });
  return counts;
}

StudyCounts Ledger::study_counts() {
  const std::scoped_lock lock(m_impl->mutex);
  StudyCounts counts;
  m_impl->connection->run(
      "SELECT count(*), count(*) FILTER (WHERE open = 0 AND failed = 0), count(*) FILTER (WHERE failed > 0) FROM"
      " (SELECT count(*) FILTER (WHERE state IN ('seen', 'valid', 'sending', 'indeterminate')) AS open,"
      " count(*) FILTER (WHERE state IN ('failed-temporary', 'failed-permanent')) AS failed"
      " FROM instance WHERE live = 1 AND study IS NOT NULL GROUP BY study) x",
      {}, [&](std::size_t, const Row& row) {
        counts.studies = count_at(row, 0);
        counts.done = count_at(row, 1);
        counts.failed = count_at(row, 2);
      });
  m_impl->connection->run("SELECT count(*) FROM study WHERE holder IS NOT NULL", {},
                          [&](std::size_t, const Row& row) { counts.held = count_at(row, 0); });
  return counts;
}

std::vector<DayCount> Ledger::days() {
  const std::scoped_lock lock(m_impl->mutex);
  std::vector<DayCount> days;
  m_impl->connection->run(
      "SELECT substr(a.ended, 1, 10), a.outcome, count(*), COALESCE(sum(i.size), 0) FROM attempt a"
      " JOIN instance i ON i.id = a.instance GROUP BY substr(a.ended, 1, 10), a.outcome ORDER BY 1, 2",
      {}, [&](std::size_t, const Row& row) {
        days.push_back(DayCount{text_at(row, 0), text_at(row, 1), count_at(row, 2), count_at(row, 3)});
      });
  return days;
}

std::vector<FailureGroup> Ledger::failures() {
  const std::scoped_lock lock(m_impl->mutex);
  std::vector<FailureGroup> groups;
  m_impl->connection->run(
      "SELECT x.state, x.error_code, x.error_class, x.instances, x.studies, i.path, i.sop_instance_uid,"
      " s.study_instance_uid, i.error_message FROM"
      " (SELECT state, error_code, error_class, count(*) AS instances, count(DISTINCT study) AS studies, min(id) AS "
      "first"
      " FROM instance WHERE state IN ('failed-temporary', 'failed-permanent') GROUP BY state, error_code, error_class) "
      "x"
      " JOIN instance i ON i.id = x.first LEFT JOIN study s ON s.id = i.study"
      " ORDER BY x.instances DESC, x.error_code, x.state",
      {}, [&](std::size_t, const Row& row) {
        FailureGroup group;
        group.state = state_of(row.text(0));
        group.error_code = row.text(1);
        group.error_class = row.text(2);
        group.instances = count_at(row, 3);
        group.studies = count_at(row, 4);
        group.example_path = path_of(row.text(5));
        group.example_sop_instance_uid = row.text(6);
        group.example_study_instance_uid = row.text(7);
        group.example_message = row.text(8);
        groups.push_back(std::move(group));
      });
  return groups;
}

Rate Ledger::rate(std::uint64_t attempts) {
  const std::scoped_lock lock(m_impl->mutex);
  Rate rate;
  // By the times noted, in any order: a clock that was set back makes no negative times.
  std::map<std::chrono::system_clock::time_point, std::uint64_t> ends;
  m_impl->connection->run(
      "SELECT a.ended, i.size FROM attempt a JOIN instance i ON i.id = a.instance"
      " WHERE a.outcome IN ('stored', 'stored-with-warning') ORDER BY a.id DESC LIMIT $1",
      {static_cast<std::int64_t>(attempts)}, [&](std::size_t, const Row& row) {
        if (const auto time = from_rfc3339(row.text(0))) {
          ++ends[*time];
          ++rate.instances;
          rate.bytes += count_at(row, 1);
        }
      });
  const std::chrono::system_clock::time_point* last = nullptr;
  for (const auto& end : ends) {
    if (last != nullptr && end.first - *last <= k_pause) {
      rate.elapsed_ms += std::chrono::duration_cast<std::chrono::milliseconds>(end.first - *last).count();
    }
    last = &end.first;
  }
  return rate;
}

std::vector<Run> Ledger::runs(std::size_t latest) {
  const std::scoped_lock lock(m_impl->mutex);
  std::vector<Run> runs;
  m_impl->connection->run(
      "SELECT id, tool, version, command_line, target, target_identity, configuration_digest, started, ended, host, "
      "pid, exit_code, summary FROM run"
      " ORDER BY CASE WHEN id = (SELECT value FROM meta WHERE key = 'last_run') THEN 0 ELSE 1 END, started DESC, id "
      "DESC"
      " LIMIT $1",
      {static_cast<std::int64_t>(latest)}, [&](std::size_t, const Row& row) {
        Run run{text_at(row, 0), text_at(row, 1), text_at(row, 2), text_at(row, 3), text_at(row, 4),
                text_at(row, 5), text_at(row, 6), text_at(row, 7), text_at(row, 8), text_at(row, 9),
                row.number(10),  std::nullopt,    text_at(row, 12)};
        if (!row.is_null(11)) {
          run.exit_code = static_cast<int>(row.number(11));
        }
        runs.push_back(std::move(run));
      });
  return runs;
}

std::string Ledger::target_identity() {
  const std::scoped_lock lock(m_impl->mutex);
  std::string identity;
  m_impl->connection->run("SELECT value FROM meta WHERE key = 'target_identity'", {},
                          [&](std::size_t, const Row& row) { identity = row.text(0); });
  return identity;
}

void Ledger::vacuum() {
  const std::scoped_lock lock(m_impl->mutex);
  m_impl->connection->vacuum();
}

std::vector<std::string> Ledger::check() {
  const std::scoped_lock lock(m_impl->mutex);
  std::vector<std::string> faults = m_impl->connection->check();
  const auto add = [&](const char* sql, std::string_view what) {
    m_impl->connection->run(sql, {}, [&](std::size_t, const Row& row) {
      if (row.number(0) != 0) {
        faults.push_back(fmt::format("{} {}", row.number(0), what));
      }
    });
  };
  add("SELECT count(*) FROM instance WHERE (state = 'superseded') <> (live = 0)",
      "rows are live and superseded, or neither");
  add("SELECT count(*) FROM instance WHERE study IS NULL AND state IN ('seen', 'valid', 'sending', 'indeterminate')",
      "rows wait without a study");
  add("SELECT count(*) FROM (SELECT 1 FROM instance WHERE sop_instance_uid IS NOT NULL"
      " AND state NOT IN ('skipped', 'superseded', 'failed-permanent') GROUP BY sop_instance_uid HAVING count(*) > 1) "
      "x",
      "SOP Instance UIDs are to be sent, or were, from more than one file");
  return faults;
}

}  // namespace kuva::ledger
