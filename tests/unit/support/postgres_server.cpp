#include "support/postgres_server.hpp"

#include <kuva/core/command.hpp>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

namespace kuva::test {

namespace {

namespace fs = std::filesystem;

const std::string k_programs = "/usr/lib/postgresql/15/bin";

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  ::close(fd);
  return ntohs(address.sin_port);
}

// The server refuses to run as root.
const passwd* server_user() { return ::geteuid() == 0 ? ::getpwnam("postgres") : nullptr; }

pid_t launch(const std::vector<std::string>& arguments, const fs::path& log) {
  std::vector<char*> pointers;
  pointers.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) {
    pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  pointers.push_back(nullptr);
  const passwd* const user = server_user();
  const pid_t pid = ::fork();
  if (pid == 0) {
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    if (user != nullptr && (::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0)) {
      ::_exit(126);
    }
    ::execv(pointers[0], pointers.data());
    ::_exit(127);
  }
  return pid;
}

// The exit status, or nothing when it has not ended in time.
std::optional<int> wait_for(pid_t pid, std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  int status = 0;
  while (::waitpid(pid, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > end) {
      return std::nullopt;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

}  // namespace

PostgresServer::PostgresServer(std::unique_ptr<TemporaryDirectory> directory, pid_t pid, int port)
    : m_directory(std::move(directory)), m_pid(pid), m_port(port) {}

PostgresServer::PostgresServer(PostgresServer&& other) noexcept
    : m_directory(std::move(other.m_directory)),
      m_pid(std::exchange(other.m_pid, 0)),
      m_port(other.m_port),
      m_databases(other.m_databases) {}

PostgresServer::~PostgresServer() { stop(); }

void PostgresServer::stop() {
  if (m_pid > 0) {
    ::kill(m_pid, SIGINT);  // ends sessions, then the server
    if (!wait_for(m_pid, std::chrono::seconds(20))) {
      ::kill(m_pid, SIGKILL);
      ::waitpid(m_pid, nullptr, 0);
    }
    m_pid = 0;
  }
}

std::optional<PostgresServer> PostgresServer::start(std::string& reason) {
  if (!fs::exists(k_programs + "/initdb")) {
    reason = "PostgreSQL 15 is not installed";
    return std::nullopt;
  }
  auto directory = std::make_unique<TemporaryDirectory>();
  if (::geteuid() == 0) {
    const passwd* const user = server_user();
    if (user == nullptr || ::chown(directory->path().c_str(), user->pw_uid, user->pw_gid) != 0) {
      reason = "there is no user postgres";
      return std::nullopt;
    }
  }
  const std::string data = (directory->path() / "data").string();
  const fs::path log = directory->path() / "log";
  const auto made = wait_for(launch({k_programs + "/initdb", "-D", data, "-U", "kuva", "-A", "trust",
                                     "--auth-host=scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"},
                                    log),
                             std::chrono::seconds(60));
  if (!made || *made != 0) {
    reason = "initdb failed";
    return std::nullopt;
  }
  const int port = free_port();
  const pid_t pid =
      launch({k_programs + "/postgres", "-D", data, "-p", std::to_string(port), "-k", directory->path().string(), "-c",
              "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "shared_buffers=64MB"},
             log);
  PostgresServer server(std::move(directory), pid, port);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::chrono::steady_clock::now() < end) {
    const CommandResult ready = run_command(
        {k_programs + "/pg_isready", "-q", "-h", server.m_directory->path().string(), "-p", std::to_string(port)}, "");
    if (ready.exit_status == 0) {
      return server;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  reason = "the server did not start";
  return std::nullopt;
}

std::string PostgresServer::new_database() {
  const std::string name = "ledger" + std::to_string(++m_databases);
  const std::string base = "?host=" + m_directory->path().string() + "&port=" + std::to_string(m_port);
  psql("postgresql://kuva@/postgres" + base, "CREATE DATABASE " + name);
  return "postgresql://kuva@/" + name + base;
}

std::string PostgresServer::tcp_url(const std::string& database) const {
  return "postgresql://kuva@127.0.0.1:" + std::to_string(m_port) + "/" + database;
}

std::string PostgresServer::psql(const std::string& url, const std::string& sql) const {
  return run_command({"psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url}, sql).output;
}

}  // namespace kuva::test
