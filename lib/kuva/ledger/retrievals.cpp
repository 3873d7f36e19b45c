#include <kuva/core/time.hpp>
#include <kuva/ledger/ledger_impl.hpp>
#include <kuva/ledger/rows.hpp>

#include <fmt/format.h>

namespace kuva::ledger {

namespace {

constexpr std::string_view k_retrieval_columns =
    "id, source, study_instance_uid, expected, retrieved, failed, complete, error_code, run, started, ended";

Retrieval retrieval_of(const Row& row) {
  Retrieval retrieval;
  retrieval.id = row.number(0);
  retrieval.source = row.text(1);
  retrieval.study_instance_uid = row.text(2);
  retrieval.expected = static_cast<std::uint64_t>(row.number(3));
  retrieval.retrieved = static_cast<std::uint64_t>(row.number(4));
  retrieval.failed = static_cast<std::uint64_t>(row.number(5));
  retrieval.complete = row.number(6) != 0;
  retrieval.error_code = row.text(7);
  retrieval.run = row.text(8);
  retrieval.started = row.text(9);
  retrieval.ended = row.text(10);
  return retrieval;
}

}  // namespace

std::int64_t Ledger::begin_retrieval(const std::string& source, const std::string& study_instance_uid) {
  const std::scoped_lock lock(m_impl->mutex);
  const std::string now = to_rfc3339(std::chrono::system_clock::now());
  const std::string stored_source = stored_text(source);
  const std::string study = stored_text(study_instance_uid);
  std::int64_t id = 0;
  m_impl->transact(Connection::Durability::ordinary, [&] {
    m_impl->connection->run(
        "INSERT INTO retrieval (source, study_instance_uid, expected, retrieved, failed, complete, run, started)"
        " VALUES ($1, $2, 0, 0, 0, 0, $3, $4) ON CONFLICT (source, study_instance_uid) DO UPDATE SET complete = 0,"
        " error_code = NULL, run = excluded.run, started = excluded.started, ended = NULL RETURNING id",
        {std::string_view(stored_source), std::string_view(study), std::string_view(m_run), std::string_view(now)},
        [&](std::size_t, const Row& row) { id = row.number(0); });
  });
  return id;
}

void Ledger::mark_retrieved(std::int64_t retrieval, std::span<const std::int64_t> instances) {
  const std::scoped_lock lock(m_impl->mutex);
  std::vector<Value> values;
  for (const std::int64_t instance : instances) {
    values.insert(values.end(), {instance, retrieval});
  }
  if (!values.empty()) {
    m_impl->transact(Connection::Durability::ordinary, [&] {
      m_impl->connection->run(
          "UPDATE instance SET retrieval = $2 WHERE id = $1 AND (retrieval IS NULL OR retrieval <> $2)", 2, values, {});
    });
  }
}

void Ledger::end_retrieval(const Retrieval& retrieval) {
  const std::scoped_lock lock(m_impl->mutex);
  const std::string now = retrieval.ended.empty() ? to_rfc3339(std::chrono::system_clock::now()) : retrieval.ended;
  m_impl->transact(Connection::Durability::ordinary, [&] {
    m_impl->connection->run(
        "UPDATE retrieval SET expected = $2, retrieved = $3, failed = $4, complete = $5, error_code = $6,"
        " run = COALESCE($7, run), ended = $8 WHERE id = $1",
        {retrieval.id, static_cast<std::int64_t>(retrieval.expected), static_cast<std::int64_t>(retrieval.retrieved),
         static_cast<std::int64_t>(retrieval.failed), std::int64_t{retrieval.complete ? 1 : 0},
         text_or_null(retrieval.error_code), text_or_null(retrieval.run), std::string_view(now)});
  });
}

std::optional<Retrieval> Ledger::find_retrieval(const std::string& source, const std::string& study_instance_uid) {
  const std::scoped_lock lock(m_impl->mutex);
  const std::string stored_source = stored_text(source);
  const std::string study = stored_text(study_instance_uid);
  std::optional<Retrieval> found;
  m_impl->connection->run(
      fmt::format("SELECT {} FROM retrieval WHERE source = $1 AND study_instance_uid = $2", k_retrieval_columns),
      {std::string_view(stored_source), std::string_view(study)},
      [&](std::size_t, const Row& row) { found = retrieval_of(row); });
  return found;
}

std::vector<Instance> Ledger::retrieved_instances(const Retrieval& retrieval) {
  const std::scoped_lock lock(m_impl->mutex);
  const std::string study = stored_text(retrieval.study_instance_uid);
  std::vector<Instance> rows;
  // By the study, whose instances have an index.
  m_impl->connection->run(
      fmt::format("SELECT {} FROM {} WHERE i.study = (SELECT x.id FROM study x WHERE x.study_instance_uid = $1)"
                  " AND i.retrieval = $2 ORDER BY i.id",
                  k_instance_columns, k_instance_tables),
      {std::string_view(study), retrieval.id}, [&](std::size_t, const Row& row) { rows.push_back(instance_of(row)); });
  return rows;
}

std::vector<RetrievalCounts> Ledger::retrieval_counts() {
  const std::scoped_lock lock(m_impl->mutex);
  std::vector<RetrievalCounts> counts;
  m_impl->connection->run(
      "SELECT source, count(*), sum(complete),"
      " count(*) FILTER (WHERE complete = 0 AND ended IS NOT NULL AND error_code IS NULL),"
      " sum(expected), sum(retrieved), sum(failed) FROM retrieval"
      " GROUP BY source ORDER BY source",
      {}, [&](std::size_t, const Row& row) {
        const auto number = [&row](int column) { return static_cast<std::uint64_t>(row.number(column)); };
        counts.push_back({std::string(row.text(0)), number(1), number(2), number(3), number(4), number(5), number(6)});
      });
  return counts;
}

std::vector<Retrieval> Ledger::next_retrievals(Position& position, std::size_t count) {
  const std::scoped_lock lock(m_impl->mutex);
  std::vector<Retrieval> page;
  m_impl->connection->run(
      fmt::format("SELECT {} FROM retrieval WHERE id > $1 ORDER BY id LIMIT $2", k_retrieval_columns),
      {position.retrieval, static_cast<std::int64_t>(count)},
      [&](std::size_t, const Row& row) { page.push_back(retrieval_of(row)); });
  if (!page.empty()) {
    position.retrieval = page.back().id;
  }
  return page;
}

}  // namespace kuva::ledger
