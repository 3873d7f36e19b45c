#pragma once

#include "support/temporary_directory.hpp"

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

namespace kuva::test {

// A PostgreSQL server of the test's own: in a temporary directory, on 127.0.0.1 at a free port, not as root. Local
// connections are trusted, those over TCP want a password. Stopped, by its pid, with its owner.
class PostgresServer {
 public:
  // Nothing, and `reason` says why, where Debian's server is not installed or does not start.
  static std::optional<PostgresServer> start(std::string& reason);
  PostgresServer(PostgresServer&& other) noexcept;
  PostgresServer& operator=(PostgresServer&&) = delete;
  ~PostgresServer();

  // The URL of a new and empty database.
  std::string new_database();
  // The same server over TCP, where a password is wanted.
  std::string tcp_url(const std::string& database) const;
  // SQL for a database of new_database(), by psql; what it printed.
  std::string psql(const std::string& url, const std::string& sql) const;
  void stop();

 private:
  PostgresServer(std::unique_ptr<TemporaryDirectory> directory, pid_t pid, int port);

  std::unique_ptr<TemporaryDirectory> m_directory;
  pid_t m_pid;
  int m_port;
  int m_databases = 0;
};

}  // namespace kuva::test
