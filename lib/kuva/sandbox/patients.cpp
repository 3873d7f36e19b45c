#include <kuva/core/database.hpp>
#include <kuva/sandbox/patients.hpp>

#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>

namespace kuva::sandbox {

namespace {

constexpr const char* k_columns = "key,id,namespace,oid,oid_type,type,name,birth_date,sex,into_key";

constexpr std::string_view k_patients_database = "the sandbox's patients";

// "Patient[id=...]", as dcm4chee-arc writes it.
std::string patient(const hl7::PatientIdentifier& identifier) {
  return fmt::format("Patient[id={}]", identifier.to_string());
}

void bind(SQLite::Statement& statement, int at, const std::optional<std::string>& value) {
  if (value) {
    statement.bind(at, *value);
  } else {
    statement.bind(at);
  }
}

std::optional<std::string> text(SQLite::Statement& statement, int column) {
  const SQLite::Column value = statement.getColumn(column);
  return value.isNull() ? std::nullopt : std::optional(value.getString());
}

void overlay(PatientRecord& to, const PatientRecord& from) {
  const auto replace = [](std::optional<std::string>& value, const std::optional<std::string>& more) {
    if (more) {
      value = more;
    }
  };
  replace(to.name, from.name);
  replace(to.birth_date, from.birth_date);
  replace(to.sex, from.sex);
}

}  // namespace

struct Patients::Database {
  Database(const std::filesystem::path& file, bool durable)
      : db(file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE) {
    ::chmod(file.c_str(), S_IRUSR | S_IWUSR);
    db.exec(durable ? "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                    : "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;");
    db.exec(
        "CREATE TABLE IF NOT EXISTS patient(key INTEGER PRIMARY KEY, id TEXT NOT NULL, namespace TEXT NOT NULL,"
        "oid TEXT NOT NULL, oid_type TEXT NOT NULL, type TEXT NOT NULL, name TEXT, birth_date TEXT, sex TEXT,"
        "into_key INTEGER REFERENCES patient);"
        "CREATE INDEX IF NOT EXISTS patient_id ON patient(id);"
        "CREATE INDEX IF NOT EXISTS patient_into ON patient(into_key);");
  }
  SQLite::Database db;
};

Patients::Patients(const std::filesystem::path& file, bool durable)
    : m_database(with_database(k_patients_database, [&] { return std::make_unique<Database>(file, durable); })) {}

Patients::~Patients() = default;

namespace {

PatientRecord read_record(SQLite::Statement& row) {
  PatientRecord record;
  record.identifier.id = row.getColumn(1).getString();
  record.identifier.authority = {row.getColumn(2).getString(), row.getColumn(3).getString(),
                                 row.getColumn(4).getString()};
  record.identifier.type_code = row.getColumn(5).getString();
  record.name = text(row, 6);
  record.birth_date = text(row, 7);
  record.sex = text(row, 8);
  return record;
}

std::optional<std::int64_t> read_link(SQLite::Statement& row) {
  return row.getColumn(9).isNull() ? std::nullopt : std::optional<std::int64_t>(row.getColumn(9).getInt64());
}

}  // namespace

std::optional<Patients::Row> Patients::get(std::int64_t key) {
  SQLite::Statement select(m_database->db, fmt::format("SELECT {} FROM patient WHERE key=?", k_columns));
  select.bind(1, key);
  return select.executeStep() ? std::optional(Row{key, read_record(select), read_link(select)}) : std::nullopt;
}

std::optional<Patients::Row> Patients::find(const hl7::PatientIdentifier& identifier, const char* location) {
  SQLite::Statement select(m_database->db, fmt::format("SELECT {} FROM patient WHERE id=? ORDER BY key", k_columns));
  select.bind(1, identifier.id);
  std::optional<Row> found;
  bool is_ambiguous = false;
  while (select.executeStep()) {
    Row row{select.getColumn(0).getInt64(), read_record(select), read_link(select)};
    if (row.record.identifier.authority == identifier.authority) {
      return row;
    }
    if (hl7::may_be_same_patient(row.record.identifier, identifier)) {
      is_ambiguous = found.has_value();
      found = found ? std::move(found) : std::optional(std::move(row));
    }
  }
  if (is_ambiguous) {
    throw PatientRefusal{"205", location, fmt::format("Multiple Patients with ID {}", identifier.to_string())};
  }
  return found;
}

Patients::Row Patients::survivor_of(Row row) {
  while (row.into) {
    row = *get(*row.into);  // links never make a circle: only one that has no link gets one, to one that has none
  }
  return row;
}

PatientRefusal Patients::merged(const Row& row, const char* location) {
  return {"204", location,
          fmt::format("{} merged with {}", patient(row.record.identifier),
                      patient(get(*row.into).value_or(row).record.identifier))};
}

std::int64_t Patients::insert(const PatientRecord& record) {
  SQLite::Statement insert(m_database->db,
                           "INSERT INTO patient(id,namespace,oid,oid_type,type,name,birth_date,sex) "
                           "VALUES(?,?,?,?,?,?,?,?)");
  insert.bind(1, record.identifier.id);
  insert.bind(2, record.identifier.authority.namespace_id);
  insert.bind(3, record.identifier.authority.universal_id);
  insert.bind(4, record.identifier.authority.universal_id_type);
  insert.bind(5, record.identifier.type_code);
  bind(insert, 6, record.name);
  bind(insert, 7, record.birth_date);
  bind(insert, 8, record.sex);
  insert.exec();
  return m_database->db.getLastInsertRowid();
}

void Patients::save(std::int64_t key, const PatientRecord& record) {
  SQLite::Statement update(m_database->db, "UPDATE patient SET name=?,birth_date=?,sex=? WHERE key=?");
  bind(update, 1, record.name);
  bind(update, 2, record.birth_date);
  bind(update, 3, record.sex);
  update.bind(4, key);
  update.exec();
}

void Patients::link(std::int64_t key, std::int64_t into) {
  SQLite::Statement update(m_database->db, "UPDATE patient SET into_key=? WHERE key=?");
  update.bind(1, into);
  update.bind(2, key);
  update.exec();
}

std::optional<PatientRefusal> Patients::update(const PatientRecord& record, MergedPolicy policy) {
  const std::lock_guard lock(m_mutex);
  try {
    return with_database(k_patients_database, [&]() -> std::optional<PatientRefusal> {
      auto row = find(record.identifier, "PID-3");
      if (row && row->into) {
        return policy == MergedPolicy::ignore ? std::nullopt : std::optional(merged(*row, "PID-3"));
      }
      if (!row) {
        insert(record);
        return std::nullopt;
      }
      overlay(row->record, record);
      save(row->key, row->record);
      return std::nullopt;
    });
  } catch (const PatientRefusal& refusal) {
    return refusal;
  }
}

std::optional<PatientRefusal> Patients::merge(const hl7::PatientIdentifier& prior, const PatientRecord& record,
                                              MergedPolicy policy) {
  const std::lock_guard lock(m_mutex);
  try {
    return with_database(k_patients_database, [&]() -> std::optional<PatientRefusal> {
      auto into = find(record.identifier, "PID-3");
      const auto from = find(prior, "MRG-1");
      const bool is_same = from && into ? from->key == into->key : hl7::may_be_same_patient(prior, record.identifier);
      if (is_same) {
        return PatientRefusal{
            "205", "MRG-1",
            fmt::format("Prior patient identifier matches patient identifier {}", record.identifier.to_string())};
      }
      if (from && from->into) {
        const bool is_duplicate = into && survivor_of(*from).key == into->key;
        const bool is_ignored =
            policy == MergedPolicy::ignore || (policy == MergedPolicy::ignore_duplicate_merge && is_duplicate);
        return is_ignored ? std::nullopt : std::optional(merged(*from, "MRG-1"));
      }
      if (into && into->into) {
        return policy == MergedPolicy::ignore ? std::nullopt : std::optional(merged(*into, "PID-3"));
      }
      SQLite::Transaction transaction(m_database->db);
      std::int64_t survivor = 0;
      if (into) {
        overlay(into->record, record);
        save(into->key, into->record);
        survivor = into->key;
      } else {
        survivor = insert(record);
      }
      link(from ? from->key : insert({prior, {}, {}, {}}), survivor);
      transaction.commit();
      return std::nullopt;
    });
  } catch (const PatientRefusal& refusal) {
    return refusal;
  }
}

std::optional<PatientRefusal> Patients::change_identifier(const hl7::PatientIdentifier& prior,
                                                          const PatientRecord& record, MergedPolicy policy,
                                                          bool is_taken) {
  const std::lock_guard lock(m_mutex);
  try {
    return with_database(k_patients_database, [&]() -> std::optional<PatientRefusal> {
      const auto from = find(prior, "MRG-1");
      if (from && from->into) {
        return policy == MergedPolicy::ignore ? std::nullopt : std::optional(merged(*from, "MRG-1"));
      }
      if (hl7::may_be_same_patient(prior, record.identifier)) {
        return PatientRefusal{
            "205", "MRG-1",
            fmt::format("Prior patient identifier matches patient identifier {}", record.identifier.to_string())};
      }
      if (is_taken || find(record.identifier, "PID-3")) {
        return PatientRefusal{"205", "PID-3",
                              fmt::format("Patient with Patient IDs {} already exists", record.identifier.to_string())};
      }
      PatientRecord renamed = from ? from->record : PatientRecord{};
      renamed.identifier = record.identifier;
      overlay(renamed, record);
      SQLite::Transaction transaction(m_database->db);
      const std::int64_t survivor = insert(renamed);
      link(from ? from->key : insert({prior, {}, {}, {}}), survivor);
      transaction.commit();
      return std::nullopt;
    });
  } catch (const PatientRefusal& refusal) {
    return refusal;
  }
}

std::optional<PatientRecord> Patients::current(const hl7::PatientIdentifier& identifier) {
  const std::lock_guard lock(m_mutex);
  try {
    return with_database(k_patients_database, [&]() -> std::optional<PatientRecord> {
      auto row = find(identifier, "");
      return row ? std::optional(survivor_of(std::move(*row)).record) : std::nullopt;
    });
  } catch (const PatientRefusal&) {
    return std::nullopt;
  }
}

std::vector<hl7::PatientIdentifier> Patients::aliases(const hl7::PatientIdentifier& identifier) {
  const std::lock_guard lock(m_mutex);
  std::vector<hl7::PatientIdentifier> all;
  try {
    with_database(k_patients_database, [&] {
      auto row = find(identifier, "");
      if (!row) {
        return;
      }
      SQLite::Statement select(
          m_database->db,
          fmt::format("WITH RECURSIVE one(at) AS (VALUES(?) UNION SELECT key FROM patient JOIN one ON into_key=at) "
                      "SELECT {} FROM patient JOIN one ON key=at",
                      k_columns));
      select.bind(1, survivor_of(std::move(*row)).key);
      while (select.executeStep()) {
        all.push_back(read_record(select).identifier);
      }
    });
  } catch (const PatientRefusal&) {
    all.clear();
  }
  return all;
}

std::optional<Patients::Listed> Patients::next(std::int64_t after) {
  const std::lock_guard lock(m_mutex);
  return with_database(k_patients_database, [&]() -> std::optional<Listed> {
    SQLite::Statement select(m_database->db,
                             fmt::format("SELECT {} FROM patient WHERE key>? ORDER BY key LIMIT 1", k_columns));
    select.bind(1, after);
    return select.executeStep() ? std::optional(Listed{select.getColumn(0).getInt64(), read_record(select).identifier})
                                : std::nullopt;
  });
}

}  // namespace kuva::sandbox
