#pragma once

#include <string_view>

namespace kuva::test {

// The tables of version 1 as kuva made them, with the words that its dialects fill in.
inline constexpr std::string_view k_version_1_tables = R"(
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

// A batch in them: a run, two studies, an instance that was committed, its superseded row, one that waits and one that
// failed, with their attempts.
inline constexpr std::string_view k_version_1_rows = R"(
INSERT INTO meta (key, value) VALUES ('created', '2026-11-01T10:00:00.000Z'), ('created_by', '0.1.0'),
  ('target_identity', 'ARCHIVE@archive.example:11112, from KUVA');
INSERT INTO run (id, tool, version, command_line, target, target_identity, host, pid, started, ended, exit_code)
  VALUES ('run-1', 'kuva-send', '0.1.0', 'kuva-send -t archive', 'archive', 'ARCHIVE@archive.example:11112, from KUVA',
    'host', 77, '2026-11-01T10:00:00.000Z', '2026-11-01T11:00:00.000Z', 3);
INSERT INTO study (id, study_instance_uid, study_date, patient_key, accession_number)
  VALUES (1, '1.2.3.1', '20260101', 'P1', 'A1'), (2, '1.2.3.2', '20260102', 'P2', 'A2');
INSERT INTO instance (id, path, size, mtime_ns, sop_instance_uid, sop_class_uid, transfer_syntax_uid,
    series_instance_uid, study, modality, state, live, error_code, error_class, error_message, attempts, run, updated,
    transaction_uid) VALUES
  (1, '/archive/1/0.dcm', 900, 1600000000000000000, '1.2.3.1.1.0', '1.2.840.10008.5.1.4.1.1.2',
    '1.2.840.10008.1.2.1', '1.2.3.1.1', 1, 'CT', 'superseded', 0, NULL, NULL, NULL, 0, NULL,
    '2026-11-01T10:00:00.000Z', NULL),
  (2, '/archive/1/0.dcm', 1000, 1700000000000000000, '1.2.3.1.1.0', '1.2.840.10008.5.1.4.1.1.2',
    '1.2.840.10008.1.2.1', '1.2.3.1.1', 1, 'CT', 'committed', 1, NULL, NULL, NULL, 1, 'run-1',
    '2026-11-01T10:30:00.000Z', '2.25.1'),
  (3, '/archive/2/0.dcm', 1000, 1700000000000000000, '1.2.3.2.1.0', '1.2.840.10008.5.1.4.1.1.2',
    '1.2.840.10008.1.2.1', '1.2.3.2.1', 2, 'CT', 'failed-temporary', 1, 'store.out-of-resources', 'temporary',
    'no space', 2, 'run-1', '2026-11-01T10:40:00.000Z', NULL),
  (4, '/archive/2/1.dcm', 1001, 1700000000000000000, '1.2.3.2.1.1', '1.2.840.10008.5.1.4.1.1.2',
    '1.2.840.10008.1.2.1', '1.2.3.2.1', 2, 'CT', 'valid', 1, NULL, NULL, NULL, 0, NULL,
    '2026-11-01T10:00:00.000Z', NULL);
INSERT INTO attempt (instance, run, tool, number, started, ended, outcome, error_code, message) VALUES
  (2, 'run-1', 'kuva-send', 1, '2026-11-01T10:20:00.000Z', '2026-11-01T10:20:01.000Z', 'stored', NULL, NULL),
  (3, 'run-1', 'kuva-send', 1, '2026-11-01T10:20:02.000Z', '2026-11-01T10:20:03.000Z', 'failed-temporary',
    'store.out-of-resources', 'no space'),
  (3, 'run-1', 'kuva-send', 2, '2026-11-01T10:40:00.000Z', '2026-11-01T10:40:01.000Z', 'failed-temporary',
    'store.out-of-resources', 'no space');
)";

}  // namespace kuva::test
