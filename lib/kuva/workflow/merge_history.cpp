#include <kuva/core/database.hpp>
#include <kuva/core/error.hpp>
#include <kuva/core/record.hpp>
#include <kuva/workflow/merge_history.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace kuva::workflow {

namespace {

constexpr std::string_view k_merge_database = "the history of merges";

FileDescriptor lock_directory(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    throw write_error(directory, error.value());
  }
  static_cast<void>(::chmod(directory.c_str(), S_IRWXU));
  const std::filesystem::path file = directory / "lock";
  FileDescriptor lock(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (!lock) {
    throw write_error(file, errno);
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    throw Error(kind("usage.state-in-use"), fmt::format("another process works with {}", directory.string()));
  }
  return lock;
}

}  // namespace

struct MergeHistory::Database {
  explicit Database(const std::string& file, bool is_dry)
      : db(file, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE), dry(is_dry) {
    db.exec("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;");
    db.exec(
        "CREATE TABLE IF NOT EXISTS merge (from_id TEXT, from_cx TEXT, into_cx TEXT, control_id TEXT PRIMARY KEY,"
        " state INTEGER, saved_at TEXT);"
        "CREATE INDEX IF NOT EXISTS merge_from ON merge (from_id)");
    if (dry) {
      db.exec("BEGIN");  // never committed
    }
  }

  SQLite::Database db;
  bool dry;
};

MergeHistory::MergeHistory(const std::filesystem::path& directory, bool dry) : m_lock(lock_directory(directory)) {
  m_database = with_database(k_merge_database,
                             [&] { return std::make_unique<Database>((directory / "merges.sqlite").string(), dry); });
}

MergeHistory::~MergeHistory() = default;

std::optional<MergeHistory::Entry> MergeHistory::disappeared(const hl7::PatientIdentifier& patient) const {
  return with_database(k_merge_database, [&]() -> std::optional<Entry> {
    SQLite::Statement select(
        m_database->db, "SELECT from_cx, into_cx, control_id, state FROM merge WHERE from_id = ? ORDER BY rowid DESC");
    select.bind(1, patient.id);
    while (select.executeStep()) {
      const auto from = hl7::PatientIdentifier::parse(select.getColumn(0).getString());
      const auto into = hl7::PatientIdentifier::parse(select.getColumn(1).getString());
      if (from && into && hl7::may_be_same_patient(*from, patient)) {
        return Entry{*from, *into, select.getColumn(2).getString(),
                     select.getColumn(3).getInt() == 1 ? State::applied : State::sent};
      }
    }
    return std::nullopt;
  });
}

void MergeHistory::save_sent(const Entry& entry) {
  with_database(k_merge_database, [&] {
    SQLite::Statement insert(m_database->db, "INSERT OR REPLACE INTO merge VALUES (?, ?, ?, ?, 0, ?)");
    insert.bind(1, entry.from.id);
    insert.bind(2, entry.from.to_string());
    insert.bind(3, entry.into.to_string());
    insert.bind(4, entry.control_id);
    insert.bind(5, to_rfc3339(std::chrono::system_clock::now()));
    insert.exec();
  });
}

void MergeHistory::save_applied(const Entry& entry) {
  with_database(k_merge_database, [&] {
    SQLite::Statement update(m_database->db, "UPDATE merge SET state = 1, saved_at = ? WHERE control_id = ?");
    update.bind(1, to_rfc3339(std::chrono::system_clock::now()));
    update.bind(2, entry.control_id);
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

}  // namespace kuva::workflow
