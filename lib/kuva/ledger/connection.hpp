#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kuva::ledger {

// A parameter of a statement: NULL, a number, a text (which lives until the statement has run).
using Value = std::variant<std::monostate, std::int64_t, std::string_view>;

// NULL for an empty text.
inline Value text_or_null(std::string_view text) { return text.empty() ? Value() : Value(text); }

// A row of a result, valid while it is visited. NULL is 0, and an empty text.
class Row {
 public:
  virtual ~Row() = default;
  virtual std::int64_t number(int column) const = 0;
  virtual std::string_view text(int column) const = 0;
  virtual bool is_null(int column) const = 0;
};

// Where the two databases speak differently. Everything else is SQL that both understand.
struct Dialect {
  std::string_view identity;       // the type of a key that numbers itself
  std::string_view time;           // the type of a lease's end
  std::string_view one_uid;        // an index that keeps two workers from recording one UID at the same time
  std::string_view study_is_free;  // of `study s`, for run $1
  std::string_view study_is_ours;  // of `study s`, for run $1
  std::string_view lease_end;      // $2 seconds from now
  std::string_view skip_locked;    // after a SELECT of `study s`: lock these rows, pass over those that others have
  std::string_view lock_rows;      // after a SELECT of `study s`: lock these rows
};

// Another worker was there first; the whole transaction is to be done again.
class Conflict : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One session with a database. In the hands of one thread at a time. Errors: kuva::Error ledger.*; Conflict.
class Connection {
 public:
  enum class Access { read, write, maintain };
  enum class Durability {
    ordinary,  // survives the process
    full       // survives the machine
  };

  virtual ~Connection() = default;
  virtual const Dialect& dialect() const = 0;

  // Statements without parameters or results.
  virtual void script(const std::string& sql) = 0;
  using Visitor = std::function<void(std::size_t set, const Row& row)>;
  // Runs a statement once for each set of `width` values ($1, $2, ...), in their order, and shows the rows of each.
  // Returns how many rows were changed.
  virtual std::uint64_t run(const std::string& sql, std::size_t width, std::span<const Value> values,
                            const Visitor& visit) = 0;
  std::uint64_t run(const std::string& sql, std::initializer_list<Value> values, const Visitor& visit = {}) {
    return run(sql, values.size(), std::span<const Value>(values.begin(), values.size()), visit);
  }

  virtual void begin_reading() = 0;
  virtual void begin_writing(Durability durability) = 0;
  virtual void commit() = 0;
  virtual void rollback() noexcept = 0;

  // The version of the tables, 0 where there are none. Errors: ledger.version where they are somebody else's.
  virtual std::int64_t schema_version() = 0;
  // Inside the transaction that makes or changes the tables, before anything else in it.
  virtual void prepare_schema() = 0;
  virtual void set_schema_version(std::int64_t version) = 0;
  virtual void vacuum() = 0;
  // What the database itself finds wrong with what it holds.
  virtual std::vector<std::string> check() = 0;
};

std::unique_ptr<Connection> connect_sqlite(const std::string& path, Connection::Access access);
std::unique_ptr<Connection> connect_postgres(const std::string& url, Connection::Access access);

// Of a URL: host, port and database as one text. Errors: usage.argument (no URL, or one with a password).
std::string postgres_display_name(const std::string& url);

// Rolls back what was not committed.
class Transaction {
 public:
  // Reads one state of the database.
  explicit Transaction(Connection& connection) : m_connection(&connection) { connection.begin_reading(); }
  Transaction(Connection& connection, Connection::Durability durability) : m_connection(&connection) {
    connection.begin_writing(durability);
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction() {
    if (m_connection != nullptr) {
      m_connection->rollback();
    }
  }
  void commit() {
    m_connection->commit();
    m_connection = nullptr;
  }

 private:
  Connection* m_connection;
};

}  // namespace kuva::ledger
