#include <kuva/core/record.hpp>
#include <kuva/core/time.hpp>
#include <kuva/ledger/ledger_impl.hpp>
#include <kuva/ledger/rows.hpp>
#include <kuva/ledger/schema.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <random>

namespace kuva::ledger {

namespace {

std::string_view doing(Ledger::Role role) {
  switch (role) {
    case Ledger::Role::inventory:
      return "inventory";
    case Ledger::Role::sending:
      return "sending";
    case Ledger::Role::committing:
      return "committing";
    case Ledger::Role::reading:
    case Ledger::Role::maintenance:
      break;
  }
  return "maintenance";
}

std::string pid_in(const FileDescriptor& file) {
  std::array<char, 32> text{};
  const ssize_t length = ::pread(file.get(), text.data(), text.size() - 1, 0);
  std::string pid(text.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  pid.erase(std::min(pid.find_first_not_of("0123456789"), pid.size()));
  return pid;
}

// The lock goes with the process, however it ends; its file stays.
FileDescriptor lock_role(const std::string& where, Ledger::Role role) {
  const std::string path = fmt::format("{}.{}.lock", where, doing(role));
  FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file) {
    throw Error(kind("ledger.write"), fmt::format("cannot make {}: {}", path, std::strerror(errno)));
  }
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    const std::string pid = pid_in(file);
    throw Error(kind("ledger.in-use"),
                fmt::format("process {} is {} with {}", pid.empty() ? "?" : pid,
                            role == Ledger::Role::inventory ? "recording files" : doing(role), where));
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(file.get(), 0) != 0 || ::pwrite(file.get(), pid.data(), pid.size(), 0) < 0) {
    throw Error(kind("ledger.write"), fmt::format("cannot write {}: {}", path, std::strerror(errno)));
  }
  return file;
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

std::string new_run_id(const std::string& now) {
  std::random_device random;
  return fmt::format("{}-{}-{:08x}{:08x}", now, ::getpid(), random(), random());
}

Connection::Access access_of(Ledger::Role role) {
  switch (role) {
    case Ledger::Role::reading:
      return Connection::Access::read;
    case Ledger::Role::maintenance:
      return Connection::Access::maintain;
    default:
      return Connection::Access::write;
  }
}

}  // namespace

Ledger::Impl::Impl(const std::string& where, Role asked) : name(display_name(where)), role(asked) {
  if (is_shared(where)) {
    connection = connect_postgres(where, access_of(role));
  } else {
    // First, so that nothing is left beside a file that is no ledger.
    connection = connect_sqlite(where, access_of(role));
    if (role == Role::maintenance) {
      for (const Role one : {Role::inventory, Role::sending, Role::committing}) {
        locks.push_back(lock_role(where, one));
      }
    } else if (role != Role::reading) {
      locks.push_back(lock_role(where, role));
    }
  }
  prepare_tables(*connection, role != Role::reading, name);
}

void Ledger::Impl::transact(Connection::Durability durability, const std::function<void()>& work) {
  for (int attempt = 1;; ++attempt) {
    try {
      Transaction transaction(*connection, durability);
      work();
      transaction.commit();
      return;
    } catch (const Conflict& conflict) {
      if (attempt == k_attempts) {
        throw Error(kind("ledger.in-use"), conflict.what());
      }
    }
  }
}

bool Ledger::is_shared(std::string_view where) {
  return where.starts_with("postgresql://") || where.starts_with("postgres://");
}

std::string Ledger::display_name(std::string_view where) {
  return is_shared(where) ? postgres_display_name(std::string(where)) : std::string(where);
}

Ledger::Ledger(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}

Ledger::~Ledger() = default;

std::unique_ptr<Ledger> Ledger::open(const std::string& where, Role role) {
  return std::unique_ptr<Ledger>(new Ledger(std::make_unique<Impl>(where, role)));
}

void Ledger::begin_run(const RunFacts& facts, bool accept_target) {
  const std::scoped_lock lock(m_impl->mutex);
  const std::string now = to_rfc3339(std::chrono::system_clock::now());
  const std::string id = facts.id.empty() ? new_run_id(now) : facts.id;
  const std::string host = host_name();
  Connection& connection = *m_impl->connection;
  m_impl->transact(Connection::Durability::full, [&] {
    if (!facts.target_identity.empty()) {
      std::string known;
      connection.run("SELECT value FROM meta WHERE key = 'target_identity'", {},
                     [&](std::size_t, const Row& row) { known = row.text(0); });
      if (!known.empty() && known != facts.target_identity && !accept_target) {
        throw Error(kind("ledger.other-target"),
                    fmt::format("{} was made for {}, and this run has {}", m_impl->name, known, facts.target_identity));
      }
      connection.run(
          "INSERT INTO meta (key, value) VALUES ('target_identity', $1)"
          " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
          {std::string_view(facts.target_identity)});
    }
    connection.run(
        "INSERT INTO run (id, tool, version, command_line, target, target_identity, configuration_digest, host, pid,"
        " started) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        {std::string_view(id), std::string_view(facts.tool), std::string_view(facts.version),
         text_or_null(facts.command_line), text_or_null(facts.target), text_or_null(facts.target_identity),
         text_or_null(facts.configuration_digest), text_or_null(host), static_cast<std::int64_t>(::getpid()),
         std::string_view(now)});
    // Which run is the last one no clock tells.
    connection.run(
        "INSERT INTO meta (key, value) VALUES ('last_run', $1) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        {std::string_view(id)});
  });
  m_run = id;
  m_impl->tool = facts.tool;
}

void Ledger::end_run(int exit_code, const Json& summary) {
  const std::scoped_lock lock(m_impl->mutex);
  const std::string now = to_rfc3339(std::chrono::system_clock::now());
  const std::string text = to_line(summary);
  Connection& connection = *m_impl->connection;
  m_impl->transact(Connection::Durability::full, [&] {
    connection.run("UPDATE study SET holder = NULL, lease_until = NULL WHERE holder = $1", {std::string_view(m_run)});
    connection.run(
        "UPDATE run SET ended = $2, exit_code = $3, summary = $4 WHERE id = $1",
        {std::string_view(m_run), std::string_view(now), static_cast<std::int64_t>(exit_code), std::string_view(text)});
  });
}

std::vector<std::optional<Instance>> Ledger::Impl::rows_at(std::span<const std::string> stored_paths) {
  static const std::string k_select =
      fmt::format("SELECT {} FROM {} WHERE i.path = $1 AND i.live = 1", k_instance_columns, k_instance_tables);
  const std::vector<Value> values(stored_paths.begin(), stored_paths.end());
  std::vector<std::optional<Instance>> rows(stored_paths.size());
  connection->run(k_select, 1, values, [&](std::size_t set, const Row& row) { rows[set] = instance_of(row); });
  return rows;
}

std::vector<std::optional<Instance>> Ledger::find(std::span<const std::string> paths) {
  const std::scoped_lock lock(m_impl->mutex);
  std::vector<std::string> stored;
  stored.reserve(paths.size());
  for (const std::string& path : paths) {
    stored.push_back(stored_path(path));
  }
  if (stored.empty()) {
    return {};
  }
  Transaction transaction(*m_impl->connection);
  auto rows = m_impl->rows_at(stored);
  transaction.commit();
  return rows;
}

}  // namespace kuva::ledger
