#include <kuva/core/error.hpp>
#include <kuva/core/file.hpp>
#include <kuva/ledger/connection.hpp>

#include <fmt/format.h>
#include <sqlite3.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <unordered_map>

namespace kuva::ledger {

namespace {

namespace fs = std::filesystem;

// "kuva" as SQLite's application id, so that file(1) and we know a ledger.
constexpr std::int64_t k_application_id = 0x6B757661;
constexpr int k_busy_ms = 30'000;  // the other processes' transactions are short

constexpr Dialect k_sqlite{
    .identity = "INTEGER PRIMARY KEY",
    .time = "TEXT",
    // One process writes at a time, so looking inside the transaction is enough.
    .one_uid = "",
    // The process's lock is the lease: what another run holds, a dead one holds.
    .study_is_free = "(s.holder IS NULL OR s.holder <> $1)",
    .study_is_ours = "s.holder = $1",
    .lease_end = "CASE WHEN $2 > 0 THEN NULL END",
    .skip_locked = "",
    .lock_rows = "",
};

class SqliteRow final : public Row {
 public:
  explicit SqliteRow(sqlite3_stmt* statement) : m_statement(statement) {}
  std::int64_t number(int column) const override { return sqlite3_column_int64(m_statement, column); }
  std::string_view text(int column) const override {
    const auto* const text = reinterpret_cast<const char*>(sqlite3_column_text(m_statement, column));
    return text == nullptr
               ? std::string_view()
               : std::string_view(text, static_cast<std::size_t>(sqlite3_column_bytes(m_statement, column)));
  }
  bool is_null(int column) const override { return sqlite3_column_type(m_statement, column) == SQLITE_NULL; }

 private:
  sqlite3_stmt* m_statement;
};

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

class SqliteConnection final : public Connection {
 public:
  SqliteConnection(std::string path, Access access) : m_path(std::move(path)) {
    const bool reading = access == Access::read;
    struct ::stat facts {};
    const bool exists = ::stat(m_path.c_str(), &facts) == 0;
    if (!exists && reading) {
      throw read_error(m_path, errno);
    }
    if (exists && !S_ISREG(facts.st_mode)) {
      throw Error(kind("ledger.version"), fmt::format("{} is not a file", m_path));
    }
    if (!exists) {
      // It holds identifiers of patients.
      FileDescriptor file(::open(m_path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR));
      if (!file) {
        throw Error(kind("ledger.write"), fmt::format("cannot make {}: {}", m_path, std::strerror(errno)));
      }
    }
    if (reading) {
      open_for_reading();
    } else {
      open(m_path, SQLITE_OPEN_READWRITE);
      if (sqlite3_db_readonly(m_database.get(), "main") == 1) {
        throw Error(kind("ledger.write"), fmt::format("{} is read-only", m_path));
      }
      check_kind();
      script("PRAGMA journal_mode = WAL");
      // A batch touches pages all over the indexes: they go back into the file every 64 MB, not every 4.
      script(
          "PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 16384;"
          "PRAGMA journal_size_limit = 67108864");
    }
    script("PRAGMA cache_size = -65536");
  }

  ~SqliteConnection() override {
    m_statements.clear();
    m_database.reset();
  }

  const Dialect& dialect() const override { return k_sqlite; }

  void script(const std::string& sql) override {
    check_result(sqlite3_exec(m_database.get(), sql.c_str(), nullptr, nullptr, nullptr));
  }

  using Connection::run;
  std::uint64_t run(const std::string& sql, std::size_t width, std::span<const Value> values,
                    const Visitor& visit) override {
    sqlite3_stmt* const statement = prepared(sql);
    const Reset reset{statement};
    const auto before = sqlite3_total_changes64(m_database.get());
    const std::size_t sets = width == 0 ? 1 : values.size() / width;
    for (std::size_t set = 0; set < sets; ++set) {
      for (std::size_t column = 0; column < width; ++column) {
        bind(statement, static_cast<int>(column) + 1, values[set * width + column]);
      }
      int result = sqlite3_step(statement);
      const SqliteRow row(statement);
      while (result == SQLITE_ROW) {
        if (visit) {
          visit(set, row);
        }
        result = sqlite3_step(statement);
      }
      if (result != SQLITE_DONE) {
        check_result(result);
      }
      sqlite3_reset(statement);
    }
    return static_cast<std::uint64_t>(sqlite3_total_changes64(m_database.get()) - before);
  }

  void begin_reading() override { script("BEGIN"); }
  void begin_writing(Durability durability) override {
    if (const bool full = durability == Durability::full; full != m_full) {
      script(full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
      m_full = full;
    }
    script("BEGIN IMMEDIATE");
  }
  void commit() override { script("COMMIT"); }
  void rollback() noexcept override {
    // An error has ended it already, or this ends it.
    sqlite3_exec(m_database.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  }

  std::int64_t schema_version() override { return pragma("user_version"); }
  void prepare_schema() override {}
  void set_schema_version(std::int64_t version) override {
    script(fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}", k_application_id, version));
  }

  void vacuum() override {
    script("VACUUM");
    script("PRAGMA wal_checkpoint(TRUNCATE)");
    script("PRAGMA optimize");
  }

  std::vector<std::string> check() override {
    std::vector<std::string> faults;
    const auto collect = [&](std::size_t, const Row& row) {
      if (row.text(0) != "ok") {
        faults.emplace_back(row.text(0));
      }
    };
    run("PRAGMA integrity_check(20)", {}, collect);
    run("PRAGMA foreign_key_check", {}, [&](std::size_t, const Row& row) {
      if (faults.size() < 20) {
        faults.push_back(fmt::format("row {} of {} refers to a row of {} that is not there", row.number(1), row.text(0),
                                     row.text(2)));
      }
    });
    return faults;
  }

 private:
  struct Reset {
    sqlite3_stmt* statement;
    ~Reset() {
      sqlite3_reset(statement);
      sqlite3_clear_bindings(statement);
    }
  };

  void open(const std::string& name, int flags) {
    sqlite3* database = nullptr;
    const int result = sqlite3_open_v2(name.c_str(), &database, flags | SQLITE_OPEN_NOMUTEX, nullptr);
    m_database.reset(database);
    check_result(result);
    sqlite3_extended_result_codes(database, 1);
    sqlite3_busy_timeout(database, k_busy_ms);
  }

  void open_for_reading() {
    open(m_path, SQLITE_OPEN_READONLY);
    const int result = sqlite3_exec(m_database.get(), "SELECT count(*) FROM sqlite_schema", nullptr, nullptr, nullptr);
    const int primary = result & 0xFF;
    if (primary == SQLITE_CANTOPEN || primary == SQLITE_READONLY) {
      // A WAL database cannot be read where its -shm file cannot be made, unless nobody writes to it: no -wal file.
      if (!fs::exists(m_path + "-wal")) {
        const std::string path = fs::absolute(m_path).string();
        std::string name = "file:";
        for (const char c : path) {
          const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '/' || c == '.' || c == '-';
          name += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
        m_database.reset();
        open(name + "?immutable=1", SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
      }
    }
    check_kind();
    if (schema_version() == 0) {
      throw Error(kind("ledger.version"), fmt::format("{} is no ledger: it is empty", m_path));
    }
  }

  // A database of somebody else is not written to.
  void check_kind() {
    std::int64_t tables = 0;
    run("SELECT count(*) FROM sqlite_schema", {}, [&](std::size_t, const Row& row) { tables = row.number(0); });
    if (tables != 0 && pragma("application_id") != k_application_id) {
      throw Error(kind("ledger.version"), fmt::format("{} is a SQLite database of something else", m_path));
    }
  }

  std::int64_t pragma(const char* name) {
    std::int64_t value = 0;
    run(fmt::format("PRAGMA {}", name), {}, [&](std::size_t, const Row& row) { value = row.number(0); });
    return value;
  }

  sqlite3_stmt* prepared(const std::string& sql) {
    const auto found = m_statements.find(sql);
    if (found != m_statements.end()) {
      return found->second.get();
    }
    sqlite3_stmt* statement = nullptr;
    check_result(sqlite3_prepare_v3(m_database.get(), sql.c_str(), static_cast<int>(sql.size()),
                                    SQLITE_PREPARE_PERSISTENT, &statement, nullptr));
    std::unique_ptr<sqlite3_stmt, FinalizeStatement> owned(statement);
    if (m_statements.size() >= k_statements) {
      m_statements.clear();
    }
    return m_statements.emplace(sql, std::move(owned)).first->second.get();
  }

  // $1 is a name to SQLite, numbered by its first place in the text: looked up by that name.
  void bind(sqlite3_stmt* statement, int number, const Value& value) {
    static constexpr std::array<const char*, 33> k_names{"",    "$1",  "$2",  "$3",  "$4",  "$5",  "$6",  "$7",  "$8",
                                                         "$9",  "$10", "$11", "$12", "$13", "$14", "$15", "$16", "$17",
                                                         "$18", "$19", "$20", "$21", "$22", "$23", "$24", "$25", "$26",
                                                         "$27", "$28", "$29", "$30", "$31", "$32"};
    const char* const name = k_names.at(static_cast<std::size_t>(number));
    int index = number;
    if (const char* const at = sqlite3_bind_parameter_name(statement, number);
        at == nullptr || std::string_view(at) != name) {
      index = sqlite3_bind_parameter_index(statement, name);
      if (index == 0) {
        return;  // this dialect has no use for it
      }
    }
    if (const auto* const text = std::get_if<std::string_view>(&value)) {
      check_result(sqlite3_bind_text64(statement, index, text->data() == nullptr ? "" : text->data(), text->size(),
                                       SQLITE_STATIC, SQLITE_UTF8));
    } else if (const auto* const integer = std::get_if<std::int64_t>(&value)) {
      check_result(sqlite3_bind_int64(statement, index, *integer));
    } else {
      check_result(sqlite3_bind_null(statement, index));
    }
  }

  void check_result(int result) const {
    if (result == SQLITE_OK) {
      return;
    }
    const char* const text = m_database ? sqlite3_errmsg(m_database.get()) : sqlite3_errstr(result);
    const std::string message = fmt::format("{}: {}", m_path, text);
    switch (result & 0xFF) {
      case SQLITE_NOTADB:
        throw Error(kind("ledger.version"), fmt::format("{} is no SQLite database", m_path));
      case SQLITE_CORRUPT:
      case SQLITE_FORMAT:
        throw Error(kind("ledger.damaged"), message);
      case SQLITE_BUSY:
      case SQLITE_LOCKED:
        throw Error(kind("ledger.in-use"), message);
      case SQLITE_FULL:
      case SQLITE_READONLY:
      case SQLITE_IOERR:
      case SQLITE_CANTOPEN:
      case SQLITE_PERM:
      case SQLITE_AUTH:
      case SQLITE_NOLFS:
      case SQLITE_TOOBIG:
        throw Error(kind("ledger.write"), message);
      case SQLITE_NOMEM:
        throw Error(kind("local.resource"), message);
      case SQLITE_CONSTRAINT:
        throw Conflict(message);
      default:
        throw Error(kind("internal"), message);
    }
  }

  static constexpr std::size_t k_statements = 200;

  std::string m_path;
  std::unique_ptr<sqlite3, CloseDatabase> m_database;
  std::unordered_map<std::string, std::unique_ptr<sqlite3_stmt, FinalizeStatement>> m_statements;
  bool m_full = false;
};

}  // namespace

std::unique_ptr<Connection> connect_sqlite(const std::string& path, Connection::Access access) {
  return std::make_unique<SqliteConnection>(path, access);
}

}  // namespace kuva::ledger
