#include <kuva/core/error.hpp>
#include <kuva/core/time.hpp>
#include <kuva/core/version.hpp>
#include <kuva/ledger/schema.hpp>

#include <fmt/format.h>

#include <array>

namespace kuva::ledger {

namespace {

// {identity} and {time} are the dialect's. `live` is 0 where `state` is superseded: an index over `live` alone need
// not be touched each time a state changes.
constexpr std::string_view k_tables = R"(
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE run (
  id TEXT PRIMARY KEY, tool TEXT NOT NULL, version TEXT NOT NULL, command_line TEXT, target TEXT, target_identity TEXT,
  configuration_digest TEXT, host TEXT, pid BIGINT, started TEXT NOT NULL, ended TEXT, exit_code BIGINT, summary TEXT);
CREATE TABLE study (
  id {identity}, study_instance_uid TEXT NOT NULL UNIQUE, study_date TEXT NOT NULL, patient_key TEXT,
  accession_number TEXT, holder TEXT, lease_until {time});
CREATE INDEX study_by_date ON study (study_date, id);
CREATE INDEX study_held ON study (holder) WHERE holder IS NOT NULL;
CREATE TABLE instance (
  id {identity}, path TEXT NOT NULL, size BIGINT NOT NULL, mtime_ns BIGINT NOT NULL, digest TEXT,
  sop_instance_uid TEXT, sop_class_uid TEXT, transfer_syntax_uid TEXT, series_instance_uid TEXT,
  study BIGINT REFERENCES study (id), modality TEXT,
  state TEXT NOT NULL CHECK (state IN ('seen', 'valid', 'sending', 'stored', 'stored-with-warning', 'indeterminate',
    'committed', 'registered', 'failed-temporary', 'failed-permanent', 'skipped', 'superseded')),
  live BIGINT NOT NULL, prior_state TEXT, error_code TEXT, error_class TEXT, error_message TEXT,
  attempts BIGINT NOT NULL, run TEXT, updated TEXT NOT NULL, transaction_uid TEXT, record TEXT);
CREATE UNIQUE INDEX instance_path ON instance (path) WHERE live = 1;
CREATE INDEX instance_uid ON instance (sop_instance_uid);
CREATE INDEX instance_study ON instance (study, id);
CREATE INDEX instance_waiting ON instance (study, id)
  WHERE state IN ('seen', 'valid', 'sending', 'indeterminate', 'failed-temporary');
CREATE INDEX instance_stored ON instance (study, id) WHERE state IN ('stored', 'stored-with-warning');
CREATE INDEX instance_failed ON instance (study, error_code) WHERE state IN ('failed-temporary', 'failed-permanent');
{one_uid}
CREATE TABLE attempt (
  id {identity}, instance BIGINT NOT NULL REFERENCES instance (id), run TEXT NOT NULL, tool TEXT NOT NULL,
  number BIGINT NOT NULL, started TEXT NOT NULL, ended TEXT NOT NULL, outcome TEXT NOT NULL, error_code TEXT,
  message TEXT);
CREATE INDEX attempt_instance ON attempt (instance);
CREATE VIEW status_by_state AS
  SELECT state, count(*) AS instances, sum(size) AS bytes FROM instance GROUP BY state;
CREATE VIEW study_status AS
  SELECT s.study_instance_uid, s.study_date, s.accession_number, count(*) AS instances,
    count(*) FILTER (WHERE i.state IN ('seen', 'valid', 'sending', 'indeterminate')) AS waiting,
    count(*) FILTER (WHERE i.state IN ('stored', 'stored-with-warning')) AS stored,
    count(*) FILTER (WHERE i.state IN ('committed', 'registered')) AS committed,
    count(*) FILTER (WHERE i.state IN ('failed-temporary', 'failed-permanent')) AS failed,
    count(*) FILTER (WHERE i.state = 'skipped') AS skipped, sum(i.size) AS bytes, s.holder
  FROM study s JOIN instance i ON i.study = s.id WHERE i.live = 1
  GROUP BY s.id, s.study_instance_uid, s.study_date, s.accession_number, s.holder;
CREATE VIEW failures AS
  SELECT error_code, error_class, state, count(*) AS instances, count(DISTINCT study) AS studies, min(path) AS example
  FROM instance WHERE state IN ('failed-temporary', 'failed-permanent') GROUP BY error_code, error_class, state;
)";

// What kuva-retrieve has taken out of which archive. An instance says by `retrieval` what it came with.
constexpr std::string_view k_retrievals = R"(
CREATE TABLE retrieval (
  id {identity}, source TEXT NOT NULL, study_instance_uid TEXT NOT NULL, expected BIGINT NOT NULL,
  retrieved BIGINT NOT NULL, failed BIGINT NOT NULL, complete BIGINT NOT NULL, error_code TEXT, run TEXT NOT NULL,
  started TEXT NOT NULL, ended TEXT, UNIQUE (source, study_instance_uid));
ALTER TABLE instance ADD COLUMN retrieval BIGINT REFERENCES retrieval (id);
)";

// What leads from version n to n + 1. What has been released is never changed: ledgers have been made with it.
constexpr std::array<std::string_view, k_schema_version> k_steps{k_tables, k_retrievals};

void replace_word(std::string& text, std::string_view word, std::string_view by) {
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + by.size())) {
    text.replace(at, word.size(), by);
  }
}

std::string in_dialect(std::string_view sql, const Dialect& dialect) {
  std::string text(sql);
  replace_word(text, "{identity}", dialect.identity);
  replace_word(text, "{time}", dialect.time);
  replace_word(text, "{one_uid}", dialect.one_uid);
  return text;
}

}  // namespace

void prepare_tables(Connection& connection, bool may_write, std::string_view name) {
  const auto refuse = [&](std::int64_t version) {
    if (version > k_schema_version) {
      throw Error(kind("ledger.version"), fmt::format("{} was made by a newer kuva: its tables have version {}, and {} "
                                                      "is what kuva {} knows",
                                                      name, version, k_schema_version, kuva::version()));
    }
  };
  std::int64_t version = connection.schema_version();
  refuse(version);
  if (version == k_schema_version) {
    return;
  }
  if (!may_write) {
    throw Error(kind("ledger.version"), version == 0 ? fmt::format("{} holds no ledger", name)
                                                     : fmt::format("{} was made by an older kuva: kuva-ledger check "
                                                                   "brings it up to date",
                                                                   name));
  }
  Transaction transaction(connection, Connection::Durability::full);
  connection.prepare_schema();
  version = connection.schema_version();  // another worker may have been here
  refuse(version);
  for (auto step = static_cast<std::size_t>(version); step < k_steps.size(); ++step) {
    connection.script(in_dialect(k_steps.at(step), connection.dialect()));
  }
  if (version == 0) {
    const std::string now = to_rfc3339(std::chrono::system_clock::now());
    connection.run("INSERT INTO meta (key, value) VALUES ('created', $1), ('created_by', $2)",
                   {std::string_view(now), kuva::version()});
  }
  if (version != k_schema_version) {
    connection.set_schema_version(k_schema_version);
  }
  transaction.commit();
}

}  // namespace kuva::ledger
