#include <kuva/core/database.hpp>
#include <kuva/core/error.hpp>
#include <kuva/core/record.hpp>
#include <kuva/workflow/merge_history.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace kuva::workflow {

namespace {

constexpr std::string_view k_merge_database = "the history of merges";
constexpr int k_schema_version = 2;  // 1 had no event, no survivor's id and no archive

FileDescriptor open_private(const std::filesystem::path& file) {
  FileDescriptor descriptor(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (!descriptor || ::fchmod(descriptor.get(), S_IRUSR | S_IWUSR) != 0) {
    throw write_error(file, errno);
  }
  return descriptor;
}

FileDescriptor lock_directory(const std::filesystem::path& directory) {
  std::error_code error;
  const bool is_ours = std::filesystem::create_directories(directory, error);
  if (error) {
    throw write_error(directory, error.value());
  }
  // A directory that was there is somebody's choice, and may hold other things.
  if (is_ours && ::chmod(directory.c_str(), S_IRWXU) != 0) {
    throw write_error(directory, errno);
  }
  FileDescriptor lock = open_private(directory / "lock");
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    throw Error(kind("usage.state-in-use"), fmt::format("another process works with {}", directory.string()));
  }
  return lock;
}

hl7::PatientIdentifier read_cx(const SQLite::Statement& row, int column, int control_id_column) {
  const auto identifier = hl7::PatientIdentifier::parse(row.getColumn(column).getString());
  if (!identifier) {
    throw Error(kind("local.read"),
                fmt::format("{}: the entry {} holds an identifier that cannot be read; until it is mended nobody can "
                            "say which merges it forbids",
                            k_merge_database, row.getColumn(control_id_column).getString()));
  }
  return *identifier;
}

}  // namespace

std::string MergeHistory::Archive::to_string() const { return fmt::format("{} ({})", address, receiver); }

struct MergeHistory::Database {
  Database(const std::string& file, bool dry) : db(file, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE) {
    db.exec("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;");
    db.exec("BEGIN IMMEDIATE");
    migrate();
    if (!dry) {
      db.exec("COMMIT");  // else never
    }
  }

  // Errors: local.read.
  void migrate() {
    const int version = db.execAndGet("PRAGMA user_version").getInt();
    if (version > k_schema_version) {
      throw Error(kind("local.read"), fmt::format("{} is of a newer kuva", k_merge_database));
    }
    if (version == k_schema_version) {
      return;
    }
    if (db.tableExists("merge")) {
      db.exec(
          "ALTER TABLE merge ADD COLUMN into_id TEXT NOT NULL DEFAULT '';"
          "ALTER TABLE merge ADD COLUMN event TEXT NOT NULL DEFAULT '';");
      SQLite::Statement select(db, "SELECT into_cx, control_id FROM merge");
      while (select.executeStep()) {
        SQLite::Statement update(db, "UPDATE merge SET into_id = ? WHERE control_id = ?");
        update.bind(1, read_cx(select, 0, 1).id);
        update.bind(2, select.getColumn(1).getString());
        update.exec();
      }
    } else {
      db.exec(
          "CREATE TABLE merge (from_id TEXT, from_cx TEXT, into_cx TEXT, control_id TEXT PRIMARY KEY, state INTEGER,"
          " saved_at TEXT, into_id TEXT NOT NULL DEFAULT '', event TEXT NOT NULL DEFAULT '');"
          "CREATE INDEX merge_from ON merge (from_id)");
    }
    db.exec(
        "CREATE INDEX merge_into ON merge (into_id);"
        "CREATE TABLE archive (only_row INTEGER PRIMARY KEY, address TEXT, receiver TEXT);");
    db.exec(fmt::format("PRAGMA user_version = {}", k_schema_version));
  }

  std::optional<Archive> archive() {
    SQLite::Statement select(db, "SELECT address, receiver FROM archive");
    return select.executeStep()
               ? std::optional(Archive{select.getColumn(0).getString(), select.getColumn(1).getString()})
               : std::nullopt;
  }

  void set_archive(const Archive& archive) {
    SQLite::Statement insert(db, "INSERT OR REPLACE INTO archive VALUES (1, ?, ?)");
    insert.bind(1, archive.address);
    insert.bind(2, archive.receiver);
    insert.exec();
  }

  // `where` has one parameter, the id.
  std::vector<Entry> entries(const std::string& where, const std::string& id) {
    SQLite::Statement select(
        db, "SELECT from_cx, into_cx, event, control_id, state FROM merge WHERE " + where + " ORDER BY rowid DESC");
    select.bind(1, id);
    std::vector<Entry> found;
    while (select.executeStep()) {
      found.push_back({read_cx(select, 0, 3), read_cx(select, 1, 3), select.getColumn(2).getString(),
                       select.getColumn(3).getString(),
                       select.getColumn(4).getInt() == 1 ? State::applied : State::sent});
    }
    return found;
  }

  SQLite::Database db;
};

namespace {

// Those whose `side` may be the patient, with equal identifiers first.
std::vector<MergeHistory::Entry> matching(std::vector<MergeHistory::Entry> entries,
                                          hl7::PatientIdentifier MergeHistory::Entry::*side,
                                          const hl7::PatientIdentifier& patient) {
  std::erase_if(entries, [&](const auto& entry) { return !hl7::may_be_same_patient(entry.*side, patient); });
  std::stable_partition(entries.begin(), entries.end(),
                        [&](const auto& entry) { return is_equal_patient(entry.*side, patient); });
  return entries;
}

}  // namespace

MergeHistory::MergeHistory(const std::filesystem::path& directory, const Archive& archive, const Opening& opening)
    : m_lock(lock_directory(directory)) {
  const std::filesystem::path file = directory / "merges.sqlite";
  open_private(file);
  with_database(k_merge_database, [&] {
    m_database = std::make_unique<Database>(file.string(), opening.dry);
    const auto known = m_database->archive();
    if (known && *known != archive && !opening.same_archive) {
      throw Error(
          kind("usage.argument"),
          fmt::format("the history in {} is of the archive {}, and this run goes to {}: give that one a history "
                      "of its own with --state; or, where it is the same archive, say --same-archive",
                      directory.string(), known->to_string(), archive.to_string()));
    }
    if (!known || *known != archive) {
      m_database->set_archive(archive);
    }
  });
}

MergeHistory::~MergeHistory() = default;

std::optional<MergeHistory::Entry> MergeHistory::find(const hl7::PatientIdentifier& from,
                                                      const hl7::PatientIdentifier& into,
                                                      std::string_view event) const {
  for (Entry& entry : disappeared(from)) {
    if (is_equal_patient(entry.from, from) && is_equal_patient(entry.into, into) && entry.event == event) {
      return std::move(entry);
    }
  }
  return std::nullopt;
}

std::vector<MergeHistory::Entry> MergeHistory::disappeared(const hl7::PatientIdentifier& patient) const {
  return with_database(k_merge_database,
                       [&] { return matching(m_database->entries("from_id = ?", patient.id), &Entry::from, patient); });
}

std::vector<MergeHistory::Entry> MergeHistory::awaited(const hl7::PatientIdentifier& patient) const {
  return with_database(k_merge_database, [&] {
    return matching(m_database->entries("into_id = ? AND state = 0", patient.id), &Entry::into, patient);
  });
}

void MergeHistory::save_sent(const Entry& entry) {
  with_database(k_merge_database, [&] {
    SQLite::Statement insert(m_database->db,
                             "INSERT OR REPLACE INTO merge (from_id, from_cx, into_id, into_cx, event, control_id,"
                             " state, saved_at) VALUES (?, ?, ?, ?, ?, ?, 0, ?)");
    insert.bind(1, entry.from.id);
    insert.bind(2, entry.from.to_string());
    insert.bind(3, entry.into.id);
    insert.bind(4, entry.into.to_string());
    insert.bind(5, entry.event);
    insert.bind(6, entry.control_id);
    insert.bind(7, to_rfc3339(std::chrono::system_clock::now()));
    insert.exec();
  });
}

void MergeHistory::save_applied(const Entry& entry) {
  with_database(k_merge_database, [&] {
    SQLite::Statement update(m_database->db,
                             "UPDATE merge SET state = 1, event = ?, saved_at = ? WHERE control_id = ?");
    update.bind(1, entry.event);
    update.bind(2, to_rfc3339(std::chrono::system_clock::now()));
    update.bind(3, entry.control_id);
    update.exec();
  });
}

void MergeHistory::forget(const Entry& entry) {
  with_database(k_merge_database, [&] {
    SQLite::Statement remove(m_database->db, "DELETE FROM merge WHERE control_id = ?");
    remove.bind(1, entry.control_id);
    remove.exec();
  });
}

bool is_equal_patient(const hl7::PatientIdentifier& a, const hl7::PatientIdentifier& b) {
  return a.id == b.id && a.authority == b.authority;
}

}  // namespace kuva::workflow
