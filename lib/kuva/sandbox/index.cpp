#include <kuva/core/error.hpp>
#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/sandbox/index.hpp>

#include <fmt/format.h>
#include <sqlite3.h>

#include <sys/stat.h>

#include <map>

namespace kuva::sandbox {

namespace fs = std::filesystem;

namespace {

constexpr int k_index_version = 4;

constexpr const char* k_index_schema =
    "CREATE TABLE instance("
    "sop_instance TEXT PRIMARY KEY, sop_class TEXT NOT NULL, study TEXT NOT NULL, series TEXT NOT NULL,"
    "syntax TEXT NOT NULL, patient TEXT NOT NULL, issuer TEXT NOT NULL, source TEXT NOT NULL,"
    "size INTEGER NOT NULL, modified INTEGER NOT NULL, digest BLOB NOT NULL, rejection INTEGER NOT NULL,"
    "attributes BLOB NOT NULL"
    ") WITHOUT ROWID;"
    "CREATE INDEX instance_series ON instance(study, series, sop_instance);"
    "CREATE TABLE series(study TEXT NOT NULL, series TEXT NOT NULL, attributes BLOB NOT NULL,"
    "PRIMARY KEY(study, series)) WITHOUT ROWID;"
    "CREATE TABLE study(study TEXT PRIMARY KEY, patient TEXT NOT NULL, issuer TEXT NOT NULL,"
    "attributes BLOB NOT NULL, stored_patient TEXT NOT NULL, stored_issuer TEXT NOT NULL,"
    "stored_attributes BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX study_patient ON study(patient, issuer, study);"
    "CREATE INDEX study_stored_patient ON study(stored_patient, study);"
    "CREATE TABLE seen_transaction(uid TEXT PRIMARY KEY) WITHOUT ROWID;"
    "PRAGMA user_version=4;";

constexpr std::string_view k_object_columns =
    "sop_instance,sop_class,study,series,syntax,patient,issuer,source,size,modified,digest,rejection";
constexpr int k_attributes_column = 12;

std::string select_object(std::string_view rest) {
  return fmt::format("SELECT {} FROM instance {}", k_object_columns, rest);
}

const dicom::TransferSyntax& blob_syntax() {
  static const dicom::TransferSyntax k_syntax = dicom::transfer_syntax(dicom::k_explicit_vr_little_endian);
  return k_syntax;
}

dicom::DataSet decode(const std::string& blob) {
  return dicom::DataSet::decode(std::as_bytes(std::span(blob.data(), blob.size())), blob_syntax());
}

}  // namespace

class Index::Database {
 public:
  explicit Database(const fs::path& path) {
    if (!open(path)) {
      // The index only repeats what the files say: make it again.
      close();
      for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
        std::error_code ignored;
        fs::remove(path.native() + suffix, ignored);
      }
      if (!open(path)) {
        const Error error(kind("local.write"), fmt::format("cannot open the index {}: {}", path.string(), problem()));
        close();
        throw error;
      }
    }
  }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database() { close(); }

  // A statement that is prepared once. One use of the same text at a time.
  class Statement {
   public:
    Statement(Database& database, const std::string& sql) : m_database(database), m_statement(database.prepare(sql)) {}
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;
    ~Statement() { sqlite3_reset(m_statement); }

    Statement& bind(const std::string& text) {
      sqlite3_bind_text64(m_statement, ++m_bound, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
      return *this;
    }
    Statement& bind_blob(const std::string& bytes) {
      sqlite3_bind_blob64(m_statement, ++m_bound, bytes.data(), bytes.size(), SQLITE_TRANSIENT);
      return *this;
    }
    Statement& bind(std::int64_t number) {
      sqlite3_bind_int64(m_statement, ++m_bound, number);
      return *this;
    }
    bool step() {
      switch (sqlite3_step(m_statement)) {
        case SQLITE_ROW:
          return true;
        case SQLITE_DONE:
          return false;
        default:
          throw m_database.failure();
      }
    }
    std::string text(int column) {
      const auto* const bytes = static_cast<const char*>(sqlite3_column_blob(m_statement, column));
      const int size = sqlite3_column_bytes(m_statement, column);
      return bytes == nullptr ? std::string() : std::string(bytes, static_cast<std::size_t>(size));
    }
    std::int64_t number(int column) { return sqlite3_column_int64(m_statement, column); }

    StoredObject object() {
      StoredObject object;
      object.sop_instance_uid = text(0);
      object.sop_class_uid = text(1);
      object.study_instance_uid = text(2);
      object.series_instance_uid = text(3);
      object.transfer_syntax_uid = text(4);
      object.patient_id = text(5);
      object.issuer_of_patient_id = text(6);
      object.source_ae = text(7);
      object.size = static_cast<std::uint64_t>(number(8));
      object.modified = number(9);
      object.digest = text(10);
      object.rejection = static_cast<Rejection>(number(11));
      return object;
    }
    std::optional<StoredObject> first_object() { return step() ? std::optional(object()) : std::nullopt; }
    std::optional<IndexedStudy> first_study() {
      return step() ? std::optional(IndexedStudy{text(0), text(1), text(2), decode(text(3))}) : std::nullopt;
    }
    Totals totals() {
      Totals totals;
      if (step()) {
        totals.studies = static_cast<std::uint64_t>(number(0));
        totals.series = static_cast<std::uint64_t>(number(1));
        totals.instances = static_cast<std::uint64_t>(number(2));
      }
      return totals;
    }

   private:
    Database& m_database;
    sqlite3_stmt* m_statement;
    int m_bound = 0;
  };

  int changes() const { return sqlite3_changes(m_database); }

  void execute(const char* sql) {
    if (sqlite3_exec(m_database, sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
      throw failure();
    }
  }

 private:
  const char* problem() const { return m_database != nullptr ? sqlite3_errmsg(m_database) : "no memory"; }
  Error failure() const { return Error(kind("local.write"), fmt::format("the sandbox's index failed: {}", problem())); }

  sqlite3_stmt* prepare(const std::string& sql) {
    sqlite3_stmt*& statement = m_statements[sql];
    if (statement == nullptr &&
        sqlite3_prepare_v3(m_database, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) {
      throw failure();
    }
    return statement;
  }

  bool open(const fs::path& path) {
    constexpr int k_flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path.c_str(), &m_database, k_flags, nullptr) != SQLITE_OK) {
      return false;
    }
    ::chmod(path.c_str(), 0600);  // it has patient data
    try {
      execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;");
      std::int64_t version = 0;
      {
        Statement statement(*this, "PRAGMA user_version");
        statement.step();
        version = statement.number(0);
      }
      if (version == 0) {
        execute(k_index_schema);
        return true;
      }
      Statement check(*this, "PRAGMA quick_check(1)");
      return check.step() && version == k_index_version && check.text(0) == "ok";
    } catch (const Error&) {
      return false;
    }
  }

  void close() {
    for (const auto& [sql, statement] : m_statements) {
      sqlite3_finalize(statement);
    }
    m_statements.clear();
    sqlite3_close(m_database);
    m_database = nullptr;
  }

  sqlite3* m_database = nullptr;
  std::map<std::string, sqlite3_stmt*, std::less<>> m_statements;
};

Index::Index(const fs::path& path) : m_database(std::make_unique<Database>(path)) {}
Index::~Index() = default;

void Index::begin() { m_database->execute("BEGIN"); }
void Index::commit() { m_database->execute("COMMIT"); }

std::optional<StoredObject> Index::find(const std::string& sop_instance_uid) {
  static const std::string k_sql = select_object("WHERE sop_instance=?");
  return Database::Statement(*m_database, k_sql).bind(sop_instance_uid).first_object();
}

std::optional<StoredObject> Index::any_of_study(const std::string& study_uid) {
  static const std::string k_sql = select_object("WHERE study=? LIMIT 1");
  return Database::Statement(*m_database, k_sql).bind(study_uid).first_object();
}

std::optional<StoredObject> Index::next(const std::string& after) {
  static const std::string k_sql = select_object("WHERE sop_instance>? ORDER BY sop_instance LIMIT 1");
  return Database::Statement(*m_database, k_sql).bind(after).first_object();
}

void Index::put(const StoredObject& object, const QueryAttributes& attributes) {
  static const std::string k_put =
      fmt::format("INSERT OR REPLACE INTO instance({},attributes) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)", k_object_columns);
  Database::Statement(*m_database, k_put)
      .bind(object.sop_instance_uid)
      .bind(object.sop_class_uid)
      .bind(object.study_instance_uid)
      .bind(object.series_instance_uid)
      .bind(object.transfer_syntax_uid)
      .bind(object.patient_id)
      .bind(object.issuer_of_patient_id)
      .bind(object.source_ae)
      .bind(static_cast<std::int64_t>(object.size))
      .bind(object.modified)
      .bind_blob(object.digest)
      .bind(static_cast<std::int64_t>(object.rejection))
      .bind_blob(attributes.instance.encode(blob_syntax()))
      .step();
  // Study and series are as their first object says.
  Database::Statement(*m_database, "INSERT OR IGNORE INTO series VALUES(?,?,?)")
      .bind(object.study_instance_uid)
      .bind(object.series_instance_uid)
      .bind_blob(attributes.series.encode(blob_syntax()))
      .step();
  const std::string study = attributes.study.encode(blob_syntax());
  Database::Statement(*m_database, "INSERT OR IGNORE INTO study VALUES(?,?,?,?,?,?,?)")
      .bind(object.study_instance_uid)
      .bind(object.patient_id)
      .bind(object.issuer_of_patient_id)
      .bind_blob(study)
      .bind(object.patient_id)
      .bind(object.issuer_of_patient_id)
      .bind_blob(study)
      .step();
}

bool Index::note_transaction(const std::string& transaction_uid) {
  Database::Statement(*m_database, "INSERT OR IGNORE INTO seen_transaction VALUES(?)").bind(transaction_uid).step();
  return m_database->changes() == 1;
}

void Index::erase(const std::string& sop_instance_uid) {
  Database::Statement(*m_database, "DELETE FROM instance WHERE sop_instance=?").bind(sop_instance_uid).step();
}

void Index::set_rejection(const std::string& sop_instance_uid, Rejection rejection) {
  Database::Statement(*m_database, "UPDATE instance SET rejection=? WHERE sop_instance=?")
      .bind(static_cast<std::int64_t>(rejection))
      .bind(sop_instance_uid)
      .step();
}

void Index::clear_rejections() {
  Database::Statement(*m_database, "UPDATE instance SET rejection=0 WHERE rejection<>0").step();
}

void Index::forget_empty() {
  m_database->execute(
      "DELETE FROM series WHERE NOT EXISTS"
      "(SELECT 1 FROM instance i WHERE i.study=series.study AND i.series=series.series);"
      "DELETE FROM study WHERE NOT EXISTS(SELECT 1 FROM instance i WHERE i.study=study.study);");
}

std::uint64_t Index::count() {
  Database::Statement statement(*m_database, "SELECT count(*) FROM instance");
  return statement.step() ? static_cast<std::uint64_t>(statement.number(0)) : 0;
}

std::optional<IndexedStudy> Index::next_study(const std::string& after) {
  return Database::Statement(*m_database, "SELECT * FROM study WHERE study>? ORDER BY study LIMIT 1")
      .bind(after)
      .first_study();
}

std::optional<IndexedStudy> Index::find_study(const std::string& study_uid) {
  return Database::Statement(*m_database, "SELECT * FROM study WHERE study=?").bind(study_uid).first_study();
}

void Index::set_patient(const std::string& study_uid, const std::string& patient_id, const std::string& issuer,
                        const dicom::DataSet& attributes) {
  Database::Statement(*m_database, "UPDATE study SET patient=?,issuer=?,attributes=? WHERE study=?")
      .bind(patient_id)
      .bind(issuer)
      .bind_blob(attributes.encode(blob_syntax()))
      .bind(study_uid)
      .step();
}

std::optional<IndexedStudy> Index::find_stored_study(const std::string& study_uid) {
  return Database::Statement(*m_database,
                             "SELECT study,stored_patient,stored_issuer,stored_attributes FROM study WHERE study=?")
      .bind(study_uid)
      .first_study();
}

std::optional<IndexedStudy> Index::next_stored_study(const std::string& patient_id, const std::string& after) {
  return Database::Statement(*m_database,
                             "SELECT study,stored_patient,stored_issuer,stored_attributes FROM study "
                             "WHERE stored_patient=? AND study>? ORDER BY study LIMIT 1")
      .bind(patient_id)
      .bind(after)
      .first_study();
}

std::optional<IndexedStudy> Index::next_patient(const std::string& after_id, const std::string& after_issuer) {
  return Database::Statement(*m_database,
                             "SELECT * FROM study WHERE (patient,issuer)>(?,?) ORDER BY patient,issuer,study LIMIT 1")
      .bind(after_id)
      .bind(after_issuer)
      .first_study();
}

std::optional<IndexedStudy> Index::first_patient() {
  return Database::Statement(*m_database, "SELECT * FROM study ORDER BY patient,issuer,study LIMIT 1").first_study();
}

std::optional<IndexedStudy> Index::next_study_of_patient(const std::string& patient_id, const std::string& after) {
  return Database::Statement(*m_database, "SELECT * FROM study WHERE patient=? AND study>? ORDER BY study LIMIT 1")
      .bind(patient_id)
      .bind(after)
      .first_study();
}

std::optional<IndexedSeries> Index::next_series(const std::string& study_uid, const std::string& after) {
  Database::Statement statement(
      *m_database, "SELECT series,attributes FROM series WHERE study=? AND series>? ORDER BY series LIMIT 1");
  if (!statement.bind(study_uid).bind(after).step()) {
    return std::nullopt;
  }
  return IndexedSeries{statement.text(0), decode(statement.text(1))};
}

std::optional<IndexedInstance> Index::next_instance(const std::string& study_uid, const std::string& series_uid,
                                                    const std::string& after, RejectionView view) {
  static const std::string k_sql = fmt::format(
      "SELECT {},attributes FROM instance WHERE study=? AND series=? AND sop_instance>? AND "
      "(rejection=0 OR (rejection&?)<>0) ORDER BY sop_instance LIMIT 1",
      k_object_columns);
  Database::Statement statement(*m_database, k_sql);
  if (!statement.bind(study_uid).bind(series_uid).bind(after).bind(std::int64_t{view}).step()) {
    return std::nullopt;
  }
  return IndexedInstance{statement.object(), decode(statement.text(k_attributes_column))};
}

std::optional<StoredObject> Index::next_object(const std::string& study_uid, const std::string& after_series,
                                               const std::string& after_instance, RejectionView view) {
  static const std::string k_sql = select_object(
      "WHERE study=? AND (series,sop_instance)>(?,?) AND (rejection=0 OR (rejection&?)<>0) "
      "ORDER BY series,sop_instance LIMIT 1");
  return Database::Statement(*m_database, k_sql)
      .bind(study_uid)
      .bind(after_series)
      .bind(after_instance)
      .bind(std::int64_t{view})
      .first_object();
}

Totals Index::totals_of_patient(const std::string& patient_id, const std::string& issuer, RejectionView view) {
  return Database::Statement(
             *m_database,
             "SELECT count(DISTINCT i.study),count(DISTINCT i.study||'/'||i.series),count(*) FROM study s "
             "JOIN instance i ON i.study=s.study WHERE s.patient=? AND s.issuer=? AND "
             "(i.rejection=0 OR (i.rejection&?)<>0)")
      .bind(patient_id)
      .bind(issuer)
      .bind(std::int64_t{view})
      .totals();
}

Totals Index::totals_of_study(const std::string& study_uid, RejectionView view) {
  return Database::Statement(
             *m_database,
             "SELECT count(DISTINCT study),count(DISTINCT series),count(*) FROM instance WHERE study=? AND "
             "(rejection=0 OR (rejection&?)<>0)")
      .bind(study_uid)
      .bind(std::int64_t{view})
      .totals();
}

Totals Index::totals_of_series(const std::string& study_uid, const std::string& series_uid, RejectionView view) {
  return Database::Statement(
             *m_database,
             "SELECT count(DISTINCT study),count(DISTINCT series),count(*) FROM instance WHERE study=? AND "
             "series=? AND (rejection=0 OR (rejection&?)<>0)")
      .bind(study_uid)
      .bind(series_uid)
      .bind(std::int64_t{view})
      .totals();
}

std::vector<std::string> Index::modalities_in_study(const std::string& study_uid, RejectionView view) {
  std::vector<std::string> modalities;
  for (auto series = next_series(study_uid, {}); series; series = next_series(study_uid, series->series_instance_uid)) {
    const std::string modality = series->attributes.string(dicom::tags::modality);
    if (!modality.empty() && std::find(modalities.begin(), modalities.end(), modality) == modalities.end() &&
        totals_of_series(study_uid, series->series_instance_uid, view).instances != 0) {
      modalities.push_back(modality);
    }
  }
  std::sort(modalities.begin(), modalities.end());
  return modalities;
}

std::vector<std::string> Index::sop_classes_in_study(const std::string& study_uid, RejectionView view) {
  Database::Statement statement(*m_database,
                                "SELECT DISTINCT sop_class FROM instance WHERE study=? AND "
                                "(rejection=0 OR (rejection&?)<>0) ORDER BY sop_class");
  statement.bind(study_uid).bind(std::int64_t{view});
  std::vector<std::string> classes;
  while (statement.step()) {
    classes.push_back(statement.text(0));
  }
  return classes;
}

std::int64_t Index::last_modified_of_study(const std::string& study_uid) {
  Database::Statement statement(*m_database, "SELECT max(modified) FROM instance WHERE study=?");
  return statement.bind(study_uid).step() ? statement.number(0) : 0;
}

}  // namespace kuva::sandbox
