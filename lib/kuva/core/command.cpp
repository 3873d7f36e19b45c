#include <kuva/core/command.hpp>
#include <kuva/core/file.hpp>
#include <kuva/core/time.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

namespace kuva {

namespace {

constexpr std::size_t k_longest_message = 1000;

Error failure(std::string_view what, int number) {
  return Error(kind("local.resource"), fmt::format("{}: {}", what, std::strerror(number)));
}

// Both ends; the child's one gets into it by being duplicated.
struct Channel {
  FileDescriptor ours;
  FileDescriptor theirs;

  // A pair of sockets: a child that does not read then cannot end us with SIGPIPE.
  Channel() {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      throw failure("a channel to a command", errno);
    }
    ours = FileDescriptor(ends[0]);
    theirs = FileDescriptor(ends[1]);
    fcntl(ours.get(), F_SETFL, O_NONBLOCK);
  }
};

class Child {
 public:
  explicit Child(pid_t pid) : m_pid(pid) {}
  Child(const Child&) = delete;
  ~Child() {
    if (m_pid > 0) {
      kill(m_pid, SIGKILL);
      wait();
    }
  }
  void stop() const { kill(m_pid, SIGKILL); }
  bool ended(int& exit_status) {
    int status = 0;
    if (waitpid(m_pid, &status, WNOHANG) != m_pid) {
      return false;
    }
    m_pid = 0;
    exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
  }
  int wait() {
    int status = 0;
    while (waitpid(m_pid, &status, 0) < 0 && errno == EINTR) {
    }
    m_pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t m_pid;
};

pid_t spawn(const std::vector<std::string>& arguments, const Channel& in, const Channel& out, const Channel& messages) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.theirs.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out.theirs.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, messages.theirs.get(), STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  sigset_t ordinary;
  sigemptyset(&ordinary);
  sigaddset(&ordinary, SIGPIPE);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &ordinary);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, argv.front(), &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    throw read_error(arguments.front(), error);
  }
  return pid;
}

// Takes what is there; false at the end.
bool take(const FileDescriptor& from, std::string& to, std::size_t limit) {
  std::array<char, 65536> buffer;
  const ssize_t count = read(from.get(), buffer.data(), buffer.size());
  if (count > 0) {
    to.append(buffer.data(), std::min(static_cast<std::size_t>(count), limit + 1 - std::min(to.size(), limit + 1)));
    return true;
  }
  return count < 0 && (errno == EAGAIN || errno == EINTR);
}

}  // namespace

CommandResult run_command(const std::vector<std::string>& arguments, std::string_view input,
                          const CommandLimits& limits) {
  if (arguments.empty() || arguments.front().empty()) {
    throw Error(kind("usage.config"), "a command has no program");
  }
  Channel in;
  Channel out;
  Channel messages;
  Child child(spawn(arguments, in, out, messages));
  in.theirs.reset();
  out.theirs.reset();
  messages.theirs.reset();
  if (input.empty()) {
    in.ours.reset();
  }
  CommandResult result;
  const Deadline deadline = Deadline::after(limits.time);
  const auto give_up = [&] {
    child.stop();
    in.ours.reset();
    out.ours.reset();
    messages.ours.reset();
  };
  while (out.ours || messages.ours) {
    std::array<pollfd, 3> waiting{{{out.ours ? out.ours.get() : -1, POLLIN, 0},
                                   {messages.ours ? messages.ours.get() : -1, POLLIN, 0},
                                   {in.ours ? in.ours.get() : -1, POLLOUT, 0}}};
    if (poll(waiting.data(), waiting.size(), deadline.poll_timeout()) == 0 || deadline.expired()) {
      result.timed_out = true;
      give_up();
      break;
    }
    if (waiting[0].revents != 0 && !take(out.ours, result.output, limits.output)) {
      out.ours.reset();
    }
    if (result.output.size() > limits.output) {
      result.too_large = true;
      give_up();
      break;
    }
    if (waiting[1].revents != 0 && !take(messages.ours, result.messages, k_longest_message)) {
      messages.ours.reset();
    }
    if (waiting[2].revents != 0) {
      const ssize_t count = send(in.ours.get(), input.data(), input.size(), MSG_NOSIGNAL);
      input.remove_prefix(count > 0 ? static_cast<std::size_t>(count) : 0);
      if (input.empty() || (count < 0 && errno != EAGAIN && errno != EINTR)) {
        in.ours.reset();
      }
    }
  }
  // One that closed its output and goes on is not waited for longer either.
  while (!child.ended(result.exit_status)) {
    if (deadline.expired()) {
      result.timed_out = true;
      child.stop();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  result.messages.resize(std::min(result.messages.size(), k_longest_message));
  return result;
}

}  // namespace kuva
