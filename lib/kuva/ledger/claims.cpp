#include <kuva/core/time.hpp>
#include <kuva/ledger/ledger_impl.hpp>
#include <kuva/ledger/rows.hpp>

#include <fmt/format.h>

#include <limits>

namespace kuva::ledger {

namespace {

// Of `instance i`: what run $1 has still to do something about. The first condition is that of an index.
std::string to_be_sent(const Selection& selection) {
  if (!selection.only_failed) {
    return "i.state IN ('seen', 'valid', 'sending', 'indeterminate', 'failed-temporary')"
           " AND i.run IS DISTINCT FROM $1";
  }
  // An object is not sent from one file while it goes, or went, out from another one.
  return fmt::format(
      "i.state IN ('failed-temporary', 'failed-permanent') AND i.run IS DISTINCT FROM $1 AND {}"
      " AND NOT EXISTS (SELECT 1 FROM instance o WHERE o.sop_instance_uid = i.sop_instance_uid AND o.id <> i.id"
      " AND o.state NOT IN ('skipped', 'superseded'))",
      code_condition(selection.error_codes));
}

// Of `study s`: two of its objects have one UID.
constexpr std::string_view k_has_clash =
    "EXISTS (SELECT 1 FROM instance c WHERE c.study = s.id AND c.error_code = 'batch.uid-clash'"
    " AND c.state IN ('failed-temporary', 'failed-permanent')"
    " AND EXISTS (SELECT 1 FROM instance o WHERE o.sop_instance_uid = c.sop_instance_uid AND o.id <> c.id"
    " AND o.state NOT IN ('skipped', 'superseded')))";

constexpr std::string_view k_begin_of_newest = "99999999";

void load_list(Connection& connection, const char* table, const char* column, const std::vector<std::string>& values) {
  connection.script(
      fmt::format("CREATE TEMP TABLE IF NOT EXISTS {} (position BIGINT NOT NULL, {} TEXT PRIMARY KEY); DELETE FROM {}",
                  table, column, table));
  std::vector<Value> parameters;
  parameters.reserve(values.size() * 2);
  for (const std::string& value : values) {
    parameters.insert(parameters.end(),
                      {static_cast<std::int64_t>(parameters.size() / 2 + 1), std::string_view(value)});
  }
  if (!parameters.empty()) {
    connection.run(fmt::format("INSERT INTO {} (position, {}) VALUES ($1, $2) ON CONFLICT DO NOTHING", table, column),
                   2, parameters, {});
  }
}

}  // namespace

std::optional<Study> Ledger::claim_study(const Selection& selection, std::chrono::seconds lease) {
  const std::scoped_lock lock(m_impl->mutex);
  Impl& ledger = *m_impl;
  Connection& connection = *ledger.connection;
  if (!ledger.pass_begun) {
    ledger.selection = selection;
    ledger.last_study = selection.order == Selection::Order::newest ? std::numeric_limits<std::int64_t>::max() : 0;
    ledger.last_position = 0;
    ledger.last_date = selection.order == Selection::Order::newest ? k_begin_of_newest : "";
    ledger.transact(Connection::Durability::ordinary, [&] {
      if (!selection.studies.empty()) {
        load_list(connection, "selected_study", "study_instance_uid", selection.studies);
      }
      if (!selection.patients.empty()) {
        load_list(connection, "selected_patient", "patient_key", selection.patients);
      }
    });
    ledger.pass_begun = true;
  }
  const Dialect& dialect = connection.dialect();
  const bool listed = !selection.studies.empty();
  std::string after;
  std::string order;
  std::vector<Value> values{std::string_view(m_run), static_cast<std::int64_t>(lease.count())};
  switch (selection.order) {
    case Selection::Order::listed:
      if (!listed) {
        throw Error(kind("usage.argument"), "studies cannot go out in the order of a list that is empty");
      }
      after = "x.position > $3";
      order = "x.position";
      values.emplace_back(ledger.last_position);
      break;
    case Selection::Order::as_given:
      after = "s.id > $3";
      order = "s.id";
      values.emplace_back(ledger.last_study);
      break;
    case Selection::Order::newest:
      after = "(s.study_date < $4 OR s.study_date = $4 AND s.id < $3)";
      order = "s.study_date DESC, s.id DESC";
      values.emplace_back(ledger.last_study);
      values.emplace_back(std::string_view(ledger.last_date));
      break;
    case Selection::Order::oldest:
      after = "(s.study_date > $4 OR s.study_date = $4 AND s.id > $3)";
      order = "s.study_date, s.id";
      values.emplace_back(ledger.last_study);
      values.emplace_back(std::string_view(ledger.last_date));
      break;
  }
  const std::string sql = fmt::format(
      "UPDATE study SET holder = $1, lease_until = {} WHERE id = (SELECT s.id FROM study s{} WHERE {} AND {}{}"
      " AND EXISTS (SELECT 1 FROM instance i WHERE i.study = s.id AND {}) AND NOT {} ORDER BY {} LIMIT 1 {})"
      " RETURNING id, study_instance_uid, study_date, patient_key, accession_number{}",
      dialect.lease_end, listed ? " JOIN selected_study x ON x.study_instance_uid = s.study_instance_uid" : "", after,
      dialect.study_is_free,
      selection.patients.empty() ? "" : " AND s.patient_key IN (SELECT patient_key FROM selected_patient)",
      to_be_sent(selection), k_has_clash, order, dialect.skip_locked,
      listed ? ", (SELECT x.position FROM selected_study x WHERE x.study_instance_uid = study.study_instance_uid)"
             : ", 0");
  std::optional<Study> study;
  ledger.transact(Connection::Durability::ordinary, [&] {
    connection.run(sql, values.size(), values, [&](std::size_t, const Row& row) {
      study.emplace();
      study->id = row.number(0);
      study->study_instance_uid = row.text(1);
      study->study_date = row.text(2);
      study->patient_key = row.text(3);
      study->accession_number = row.text(4);
      ledger.last_position = row.number(5);
    });
    if (study) {
      connection.run(
          "SELECT count(*) FROM instance WHERE study = $1 AND live = 1", {study->id},
          [&](std::size_t, const Row& row) { study->instances = static_cast<std::uint64_t>(row.number(0)); });
    }
  });
  if (study) {
    ledger.last_study = study->id;
    ledger.last_date = study->study_date;
  }
  return study;
}

void Ledger::rewind_claims() {
  const std::scoped_lock lock(m_impl->mutex);
  m_impl->pass_begun = false;
}

std::uint64_t Ledger::held_elsewhere() {
  const std::scoped_lock lock(m_impl->mutex);
  const Selection& selection = m_impl->selection;
  std::uint64_t studies = 0;
  // Also where the lease is over: that study is not done, it is to be claimed.
  m_impl->connection->run(
      fmt::format(
          "SELECT count(*) FROM study s{} WHERE s.holder IS NOT NULL AND s.holder <> $1{}"
          " AND EXISTS (SELECT 1 FROM instance i WHERE i.study = s.id AND {}) AND NOT {}",
          selection.studies.empty() ? "" : " JOIN selected_study x ON x.study_instance_uid = s.study_instance_uid",
          selection.patients.empty() ? "" : " AND s.patient_key IN (SELECT patient_key FROM selected_patient)",
          to_be_sent(selection), k_has_clash),
      {std::string_view(m_run)},
      [&](std::size_t, const Row& row) { studies = static_cast<std::uint64_t>(row.number(0)); });
  return studies;
}

bool Ledger::renew(const Study& study, std::chrono::seconds lease) {
  const std::scoped_lock lock(m_impl->mutex);
  const Dialect& dialect = m_impl->connection->dialect();
  bool ours = false;
  m_impl->transact(Connection::Durability::ordinary, [&] {
    ours = m_impl->connection->run(fmt::format("UPDATE study AS s SET lease_until = {} WHERE s.id = $3 AND {}",
                                               dialect.lease_end, dialect.study_is_ours),
                                   {std::string_view(m_run), static_cast<std::int64_t>(lease.count()), study.id}) == 1;
  });
  return ours;
}

void Ledger::release(const Study& study) {
  const std::scoped_lock lock(m_impl->mutex);
  m_impl->transact(Connection::Durability::ordinary, [&] {
    m_impl->connection->run("UPDATE study SET holder = NULL, lease_until = NULL WHERE id = $2 AND holder = $1",
                            {std::string_view(m_run), study.id});
  });
}

std::vector<Instance> Ledger::take(const Study& study, std::size_t count) {
  const std::scoped_lock lock(m_impl->mutex);
  Connection& connection = *m_impl->connection;
  const Dialect& dialect = connection.dialect();
  const std::string now = to_rfc3339(std::chrono::system_clock::now());
  std::vector<Instance> taken;
  m_impl->transact(Connection::Durability::full, [&] {
    taken.clear();
    bool ours = false;
    connection.run(
        fmt::format("SELECT 1 FROM study s WHERE s.id = $2 AND {} {}", dialect.study_is_ours, dialect.lock_rows),
        {std::string_view(m_run), study.id}, [&](std::size_t, const Row&) { ours = true; });
    if (!ours) {
      return;
    }
    connection.run(fmt::format("SELECT {} FROM {} WHERE i.study = $2 AND {} ORDER BY i.id LIMIT $3", k_instance_columns,
                               k_instance_tables, to_be_sent(m_impl->selection)),
                   {std::string_view(m_run), study.id, static_cast<std::int64_t>(count)},
                   [&](std::size_t, const Row& row) { taken.push_back(instance_of(row)); });
    std::vector<Value> values;
    for (Instance& instance : taken) {
      const bool in_doubt = instance.state == State::sending || instance.state == State::indeterminate;
      instance.state = in_doubt ? State::indeterminate : State::sending;
      values.insert(values.end(),
                    {std::string_view(m_run), instance.id, to_string(instance.state), std::string_view(now)});
    }
    if (!values.empty()) {
      connection.run(
          "UPDATE instance SET prior_state = CASE WHEN state = 'sending' THEN 'indeterminate' ELSE state END,"
          " state = $3, run = $1, updated = $4 WHERE id = $2",
          4, values, {});
    }
  });
  return taken;
}

void Ledger::put_back(std::span<const std::int64_t> instances) {
  const std::scoped_lock lock(m_impl->mutex);
  std::vector<Value> values;
  for (const std::int64_t id : instances) {
    values.insert(values.end(), {std::string_view(m_run), id});
  }
  if (!values.empty()) {
    m_impl->transact(Connection::Durability::ordinary, [&] {
      m_impl->connection->run(
          "UPDATE instance SET state = COALESCE(prior_state, state), prior_state = NULL"
          " WHERE id = $2 AND run = $1 AND state IN ('sending', 'indeterminate')",
          2, values, {});
    });
  }
}

void Ledger::finish(std::span<const Verdict> verdicts) {
  const std::scoped_lock lock(m_impl->mutex);
  Connection& connection = *m_impl->connection;
  const std::string now = to_rfc3339(std::chrono::system_clock::now());
  struct Text {
    std::string code, error_class, message, transaction, record, path;
  };
  std::vector<Text> texts;
  texts.reserve(verdicts.size());
  std::vector<std::int64_t> ids;
  std::vector<std::size_t> without_id;
  for (const Verdict& verdict : verdicts) {
    texts.push_back(Text{stored_text(verdict.error_code), stored_text(verdict.error_class),
                         stored_text(verdict.error_message), stored_text(verdict.transaction_uid),
                         stored_text(verdict.record), verdict.instance == 0 ? stored_path(verdict.path) : ""});
    ids.push_back(verdict.instance);
    if (verdict.instance == 0) {
      without_id.push_back(ids.size() - 1);
    }
  }
  m_impl->transact(Connection::Durability::ordinary, [&] {
    if (!without_id.empty()) {
      std::vector<Value> paths;
      for (const std::size_t place : without_id) {
        paths.emplace_back(std::string_view(texts[place].path));
      }
      connection.run("SELECT id FROM instance WHERE path = $1 AND live = 1", 1, paths,
                     [&](std::size_t set, const Row& row) { ids[without_id[set]] = row.number(0); });
    }
    std::vector<Value> updates;
    std::vector<Value> attempts;
    for (std::size_t i = 0; i < verdicts.size(); ++i) {
      if (ids[i] == 0) {
        continue;  // a path that is not in the ledger
      }
      const Verdict& verdict = verdicts[i];
      const Text& text = texts[i];
      const bool attempted = !verdict.started.empty();
      // A commitment's report may say that what was stored is not there.
      const int rank = m_impl->role == Role::committing ? std::max(2, rank_of(verdict.state)) : rank_of(verdict.state);
      updates.insert(updates.end(),
                     {ids[i], to_string(verdict.state), text_or_null(text.code), text_or_null(text.error_class),
                      text_or_null(text.message), text_or_null(text.transaction), text_or_null(text.record),
                      static_cast<std::int64_t>(attempted ? 1 : 0), std::string_view(now),
                      static_cast<std::int64_t>(rank), text_or_null(m_run),
                      static_cast<std::int64_t>(m_impl->role == Role::sending && verdict.instance != 0 ? 1 : 0)});
      if (attempted) {
        attempts.insert(
            attempts.end(),
            {ids[i], std::string_view(m_run), std::string_view(m_impl->tool), std::string_view(verdict.started),
             verdict.ended.empty() ? std::string_view(now) : std::string_view(verdict.ended), to_string(verdict.state),
             text_or_null(text.code), text_or_null(text.message)});
      }
    }
    if (!updates.empty()) {
      static const std::string k_update = fmt::format(
          "UPDATE instance SET state = $2, error_code = $3, error_class = $4, error_message = $5,"
          " transaction_uid = COALESCE($6, transaction_uid), record = COALESCE($7, record), attempts = attempts + $8,"
          " updated = $9, prior_state = NULL, run = COALESCE($11, run) WHERE id = $1 AND {} <= $10"
          // What another worker has taken since is its own, but what the archive has stored is true whoever says it.
          " AND ($12 = 0 OR run = $11 OR $10 > 1)",
          k_rank_sql);
      connection.run(k_update, 12, updates, {});
    }
    if (!attempts.empty()) {
      connection.run(
          "INSERT INTO attempt (instance, run, tool, started, ended, outcome, error_code, message, number)"
          " SELECT i.id, $2, $3, $4, $5, $6, $7, $8, i.attempts FROM instance i WHERE i.id = $1",
          8, attempts, {});
    }
  });
}

}  // namespace kuva::ledger
