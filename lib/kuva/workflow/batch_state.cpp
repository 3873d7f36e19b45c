#include <kuva/core/database.hpp>
#include <kuva/core/error.hpp>
#include <kuva/workflow/batch_state.hpp>

#include <fmt/format.h>

#include <charconv>

namespace kuva::workflow {

namespace {

constexpr std::string_view k_batch_database = "temporary database of the batch";

constexpr const char* k_batch_tables =
    "CREATE TABLE instance (uid TEXT PRIMARY KEY, path BLOB, study TEXT, bytes INTEGER) WITHOUT ROWID;"
    "CREATE TABLE study (number INTEGER PRIMARY KEY, uid TEXT UNIQUE, instances INTEGER, invalid INTEGER, bytes "
    "INTEGER,"
    " patient_id TEXT, issuer TEXT, name TEXT, birth_date TEXT, sex TEXT, accession TEXT, date TEXT);"
    "CREATE TABLE series (study INTEGER, uid TEXT, modality TEXT, PRIMARY KEY (study, uid)) WITHOUT ROWID;"
    "CREATE TABLE finding (study INTEGER, rule TEXT, waived TEXT, PRIMARY KEY (study, rule)) WITHOUT ROWID;"
    "CREATE TABLE fact (rule TEXT, scope TEXT, value BLOB, PRIMARY KEY (rule, scope)) WITHOUT ROWID;"
    "CREATE TABLE number (study TEXT, series TEXT, number INTEGER, times INTEGER, PRIMARY KEY (study, series, "
    "number))"
    " WITHOUT ROWID;"
    "CREATE TABLE trait (study TEXT, kind INTEGER, value TEXT, times INTEGER, PRIMARY KEY (study, kind, value))"
    " WITHOUT ROWID;"
    "CREATE TABLE rejected (uid TEXT PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TABLE rejection (study TEXT PRIMARY KEY, instances INTEGER) WITHOUT ROWID;"
    "BEGIN";

}  // namespace

struct BatchState::Database {
  SQLite::Database db = open_temporary_database(k_batch_tables);
  SQLite::Statement insert_instance{db, "INSERT OR IGNORE INTO instance VALUES (?, ?, ?, ?)"};
  SQLite::Statement select_instance{db, "SELECT path, study, bytes FROM instance WHERE uid = ?"};
  SQLite::Statement select_study{
      db, "SELECT number, patient_id, issuer, name, birth_date, sex, accession, date FROM study WHERE uid = ?"};
  SQLite::Statement insert_study{db, "INSERT INTO study VALUES (NULL, ?, 1, 0, ?, ?, ?, ?, ?, ?, ?, ?)"};
  SQLite::Statement update_study{db, "UPDATE study SET instances = instances + 1, bytes = bytes + ? WHERE number = ?"};
  SQLite::Statement update_invalid{db, "UPDATE study SET invalid = invalid + 1 WHERE uid = ?"};
  SQLite::Statement insert_series{db, "INSERT OR IGNORE INTO series VALUES (?, ?, ?)"};
  SQLite::Statement insert_finding{db,
                                   "INSERT INTO finding SELECT number, ?, ? FROM study WHERE uid = ?"
                                   " ON CONFLICT (study, rule) DO UPDATE SET waived = '' WHERE excluded.waived = ''"};
  SQLite::Statement insert_fact{db, "INSERT OR IGNORE INTO fact VALUES (?, ?, ?)"};
  SQLite::Statement select_fact{db, "SELECT value = ? FROM fact WHERE rule = ? AND scope = ?"};
  SQLite::Statement insert_number{
      db, "INSERT INTO number VALUES (?, ?, ?, 1) ON CONFLICT (study, series, number) DO UPDATE SET times = times + 1"};
  SQLite::Statement insert_rejected{db, "INSERT OR IGNORE INTO rejected VALUES (?)"};
  SQLite::Statement insert_trait{
      db, "INSERT INTO trait VALUES (?, ?, ?, 1) ON CONFLICT (study, kind, value) DO UPDATE SET times = times + 1"};
  SQLite::Statement select_numbers{db,
                                   "SELECT max(number) - min(number) + 1 - count(*), sum(times - 1) FROM number"
                                   " WHERE study = ? GROUP BY series"};
  SQLite::Statement select_traits{db, "SELECT kind, value, times FROM trait WHERE study = ? ORDER BY kind, value"};
  SQLite::Statement select_rejection{db, "SELECT instances FROM rejection WHERE study = ?"};
  bool rejections_counted = true;  // `rejection` is what `rejected` and `instance` make
};

namespace {

// What `trait` holds.
enum Trait { k_character_set = 1, k_issuer = 2, k_key_object = 3 };

constexpr std::string_view k_key_object_selection = "1.2.840.10008.5.1.4.1.1.88.59";

}  // namespace

BatchState::BatchState() : m_database(with_database(k_batch_database, [] { return std::make_unique<Database>(); })) {}

BatchState::~BatchState() = default;

std::optional<BatchState::Known> BatchState::remember(const dicom::Header& header, const std::string& path) {
  return with_database(k_batch_database, [&]() -> std::optional<Known> {
    const dicom::InstanceAttributes& attributes = header.attributes;
    SQLite::Statement& insert = m_database->insert_instance;
    insert.bindNoCopy(1, attributes.sop_instance_uid);
    insert.bindNoCopy(2, path.data(), static_cast<int>(path.size()));
    insert.bindNoCopy(3, attributes.study_instance_uid);
    insert.bind(4, static_cast<std::int64_t>(header.size - header.data_set_offset));
    const int inserted = insert.exec();
    insert.reset();
    if (inserted != 0) {
      m_database->rejections_counted = false;
      return std::nullopt;
    }
    SQLite::Statement& select = m_database->select_instance;
    select.bindNoCopy(1, attributes.sop_instance_uid);
    select.executeStep();
    Known known{select.getColumn(0).getString(), select.getColumn(1).getString(),
                static_cast<std::uint64_t>(select.getColumn(2).getInt64())};
    select.reset();
    return known;
  });
}

std::optional<BatchState::StudyFacts> BatchState::add_to_study(const dicom::InstanceAttributes& attributes,
                                                               std::uint64_t size) {
  return with_database(k_batch_database, [&]() -> std::optional<StudyFacts> {
    SQLite::Statement& select = m_database->select_study;
    select.bindNoCopy(1, attributes.study_instance_uid);
    std::optional<StudyFacts> facts;
    std::int64_t number = 0;
    if (select.executeStep()) {
      number = select.getColumn(0).getInt64();
      facts =
          StudyFacts{select.getColumn(1).getString(), select.getColumn(2).getString(), select.getColumn(3).getString(),
                     select.getColumn(4).getString(), select.getColumn(5).getString(), select.getColumn(6).getString(),
                     select.getColumn(7).getString()};
    }
    select.reset();
    if (facts) {
      SQLite::Statement& update = m_database->update_study;
      update.bind(1, static_cast<std::int64_t>(size));
      update.bind(2, number);
      update.exec();
      update.reset();
    } else {
      SQLite::Statement& insert = m_database->insert_study;
      insert.bindNoCopy(1, attributes.study_instance_uid);
      insert.bind(2, static_cast<std::int64_t>(size));
      insert.bindNoCopy(3, attributes.patient_id);
      insert.bindNoCopy(4, attributes.issuer_of_patient_id);
      insert.bindNoCopy(5, attributes.patient_name);
      insert.bindNoCopy(6, attributes.patient_birth_date);
      insert.bindNoCopy(7, attributes.patient_sex);
      insert.bindNoCopy(8, attributes.accession_number);
      insert.bindNoCopy(9, attributes.study_date);
      insert.exec();
      insert.reset();
      number = m_database->db.getLastInsertRowid();
    }
    SQLite::Statement& series = m_database->insert_series;
    series.bind(1, number);
    series.bindNoCopy(2, attributes.series_instance_uid);
    series.bindNoCopy(3, attributes.modality);
    series.exec();
    series.reset();
    return facts;
  });
}

void BatchState::note_invalid(const std::string& study_instance_uid) {
  with_database(k_batch_database, [&] {
    SQLite::Statement& update = m_database->update_invalid;
    update.bindNoCopy(1, study_instance_uid);
    update.exec();
    update.reset();
  });
}

void BatchState::add_study_finding(const std::string& study_instance_uid, const std::string& rule,
                                   const std::string& waived) {
  with_database(k_batch_database, [&] {
    SQLite::Statement& insert = m_database->insert_finding;
    insert.bindNoCopy(1, rule);
    insert.bindNoCopy(2, waived);
    insert.bindNoCopy(3, study_instance_uid);
    insert.exec();
    insert.reset();
  });
}

bool BatchState::agrees(const std::string& rule, const std::string& scope, const std::string& value) {
  return with_database(k_batch_database, [&] {
    SQLite::Statement& insert = m_database->insert_fact;
    insert.bindNoCopy(1, rule);
    insert.bindNoCopy(2, scope);
    insert.bindNoCopy(3, value.data(), static_cast<int>(value.size()));
    const bool first = insert.exec() != 0;
    insert.reset();
    if (first) {
      return true;
    }
    SQLite::Statement& select = m_database->select_fact;
    select.bindNoCopy(1, value.data(), static_cast<int>(value.size()));
    select.bindNoCopy(2, rule);
    select.bindNoCopy(3, scope);
    select.executeStep();
    const bool same = select.getColumn(0).getInt() != 0;
    select.reset();
    return same;
  });
}

void BatchState::note_for_view(const dicom::InstanceAttributes& attributes) {
  with_database(k_batch_database, [&] {
    std::int64_t number = 0;
    const std::string& text = attributes.instance_number;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size()) {
      SQLite::Statement& insert = m_database->insert_number;
      insert.bindNoCopy(1, attributes.study_instance_uid);
      insert.bindNoCopy(2, attributes.series_instance_uid);
      insert.bind(3, number);
      insert.exec();
      insert.reset();
    }
    const auto add = [&](Trait kind, const std::string& value) {
      SQLite::Statement& insert = m_database->insert_trait;
      insert.bindNoCopy(1, attributes.study_instance_uid);
      insert.bind(2, static_cast<int>(kind));
      insert.bindNoCopy(3, value);
      insert.exec();
      insert.reset();
    };
    add(k_character_set, attributes.specific_character_set);
    add(k_issuer, attributes.issuer_of_patient_id);
    if (attributes.sop_class_uid == k_key_object_selection) {
      add(k_key_object, {});
    }
  });
}

void BatchState::note_rejected(const std::string& sop_instance_uid) {
  with_database(k_batch_database, [&] {
    SQLite::Statement& insert = m_database->insert_rejected;
    insert.bindNoCopy(1, sop_instance_uid);
    insert.exec();
    insert.reset();
    m_database->rejections_counted = false;
  });
}

BatchState::View BatchState::view_of(const std::string& study_instance_uid) {
  return with_database(k_batch_database, [&] {
    View view;
    SQLite::Statement& numbers = m_database->select_numbers;
    numbers.bindNoCopy(1, study_instance_uid);
    while (numbers.executeStep()) {
      view.missing_instance_numbers += static_cast<std::uint64_t>(numbers.getColumn(0).getInt64());
      view.repeated_instance_numbers += static_cast<std::uint64_t>(numbers.getColumn(1).getInt64());
    }
    numbers.reset();
    SQLite::Statement& traits = m_database->select_traits;
    traits.bindNoCopy(1, study_instance_uid);
    while (traits.executeStep()) {
      const int kind = traits.getColumn(0).getInt();
      if (kind == k_character_set) {
        view.character_sets.push_back(traits.getColumn(1).getString());
      } else if (kind == k_issuer) {
        ++view.issuers;
      } else {
        view.key_objects = static_cast<std::uint64_t>(traits.getColumn(2).getInt64());
      }
    }
    traits.reset();
    if (!m_database->rejections_counted) {
      // Once for all studies, from the rejected ones: they are few, and the instances many.
      m_database->db.exec(
          "DELETE FROM rejection; INSERT INTO rejection SELECT instance.study, count(*)"
          " FROM rejected CROSS JOIN instance ON instance.uid = rejected.uid GROUP BY instance.study");
      m_database->rejections_counted = true;
    }
    SQLite::Statement& rejected = m_database->select_rejection;
    rejected.bindNoCopy(1, study_instance_uid);
    if (rejected.executeStep()) {
      view.rejected = static_cast<std::uint64_t>(rejected.getColumn(0).getInt64());
    }
    rejected.reset();
    return view;
  });
}

void BatchState::for_each_study(const std::function<void(const Study&)>& visit) {
  // Errors of the visitor pass as they are.
  auto studies = with_database(k_batch_database, [&] {
    return std::make_unique<SQLite::Statement>(
        m_database->db,
        "SELECT number, uid, instances, invalid, bytes,"
        " (SELECT count(*) FROM series WHERE series.study = study.number) FROM study ORDER BY number");
  });
  auto modalities = with_database(k_batch_database, [&] {
    return std::make_unique<SQLite::Statement>(
        m_database->db, "SELECT DISTINCT modality FROM series WHERE study = ? AND modality != '' ORDER BY modality");
  });
  auto findings = with_database(k_batch_database, [&] {
    return std::make_unique<SQLite::Statement>(m_database->db,
                                               "SELECT rule, waived FROM finding WHERE study = ? ORDER BY rule");
  });
  const auto of_study = [](SQLite::Statement& statement, std::int64_t number, auto& values, const auto& value) {
    statement.bind(1, number);
    while (statement.executeStep()) {
      values.push_back(value());
    }
    statement.reset();
  };
  const auto next = [&]() -> std::optional<Study> {
    return with_database(k_batch_database, [&]() -> std::optional<Study> {
      if (!studies->executeStep()) {
        return std::nullopt;
      }
      const std::int64_t number = studies->getColumn(0).getInt64();
      const auto count = [&](int column) { return static_cast<std::uint64_t>(studies->getColumn(column).getInt64()); };
      Study study{studies->getColumn(1).getString(), count(2), count(3), count(5), count(4), {}, {}};
      of_study(*modalities, number, study.modalities, [&] { return modalities->getColumn(0).getString(); });
      of_study(*findings, number, study.broken_rules, [&] {
        return Study::BrokenRule{findings->getColumn(0).getString(), findings->getColumn(1).getString()};
      });
      return study;
    });
  };
  while (const std::optional<Study> study = next()) {
    visit(*study);
  }
}

}  // namespace kuva::workflow
