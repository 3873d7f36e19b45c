#include "engines.hpp"

#include <kuva/core/error.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

using kuva::ledger::Instance;
using kuva::ledger::Ledger;
using kuva::test::error_code_of;
using kuva::test::instance_of_study;

namespace fs = std::filesystem;

namespace {

std::vector<Instance> many_instances(int count) {
  std::vector<Instance> all;
  for (int i = 0; i < count; ++i) {
    all.push_back(instance_of_study(1 + i / 100, i % 100));
  }
  return all;
}

void overwrite(const fs::path& file, std::streamoff at, std::size_t length) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekp(at);
  stream << std::string(length, '\xff');
}

}  // namespace

TEST_CASE("one process a role; the message names its pid, and other roles go on") {
  const kuva::test::TemporaryDirectory directory;
  const std::string where = (directory.path() / "l").string();
  const auto sender = Ledger::open(where, Ledger::Role::sending);
  try {
    Ledger::open(where, Ledger::Role::sending);
    FAIL("two senders");
  } catch (const kuva::Error& error) {
    CHECK(error.kind().code == "ledger.in-use");
    CHECK(error.message().find(std::to_string(::getpid())) != std::string::npos);
  }
  const auto committer = Ledger::open(where, Ledger::Role::committing);
  const auto recorder = Ledger::open(where, Ledger::Role::inventory);
  const auto reader = Ledger::open(where, Ledger::Role::reading);
  CHECK(error_code_of([&] { Ledger::open(where, Ledger::Role::maintenance); }) == "ledger.in-use");
  struct ::stat facts {};
  REQUIRE(::stat(where.c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0777U) == 0600);
}

TEST_CASE("what is no ledger is left alone") {
  const kuva::test::TemporaryDirectory directory;
  const fs::path text = directory.path() / "text";
  std::ofstream(text) << std::string(5000, 'x');
  for (const auto role : {Ledger::Role::sending, Ledger::Role::reading}) {
    CHECK(error_code_of([&] { Ledger::open(text.string(), role); }) == "ledger.version");
    CHECK(error_code_of([&] { Ledger::open(directory.path().string(), role); }) == "ledger.version");
  }
  CHECK(fs::file_size(text) == 5000);
  CHECK(error_code_of([&] { Ledger::open((directory.path() / "none").string(), Ledger::Role::reading); }) ==
        "local.read");
  CHECK(error_code_of([&] { Ledger::open((directory.path() / "no" / "l").string(), Ledger::Role::sending); }) ==
        "ledger.write");
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator(directory.path())) {
    static_cast<void>(entry);
    ++files;
  }
  CHECK(files == 1);
}

TEST_CASE("a damaged page is named, and nothing is written over it") {
  const kuva::test::TemporaryDirectory directory;
  const std::string where = (directory.path() / "l").string();
  {
    const auto ledger = Ledger::open(where, Ledger::Role::inventory);
    ledger->record(many_instances(2000));
  }
  const auto size = static_cast<std::streamoff>(fs::file_size(where));
  overwrite(where, size / 4 / 4096 * 4096, static_cast<std::size_t>(size / 2));
  const auto codes = [&](Ledger::Role role) {
    return error_code_of([&] {
      const auto ledger = Ledger::open(where, role);
      const auto faults = ledger->check();
      if (!faults.empty()) {
        throw kuva::Error(kuva::kind("ledger.damaged"), faults.front());
      }
    });
  };
  CHECK(codes(Ledger::Role::maintenance) == "ledger.damaged");
  CHECK(error_code_of([&] {
          const auto ledger = Ledger::open(where, Ledger::Role::inventory);
          ledger->record(many_instances(4000));
        }) == "ledger.damaged");
}

TEST_CASE("a ledger that may not be written to can be read, and who must write says so") {
  const kuva::test::TemporaryDirectory directory;
  const fs::path inner = directory.path() / "d";
  fs::create_directory(inner);
  const std::string where = (inner / "l").string();
  {
    const auto ledger = Ledger::open(where, Ledger::Role::inventory);
    ledger->record(many_instances(10));
  }
  REQUIRE(::chmod(directory.path().c_str(), 0755) == 0);
  REQUIRE(::chmod(where.c_str(), 0444) == 0);
  REQUIRE(::chmod(inner.c_str(), 0555) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    // Root may write everything.
    if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) {
      ::_exit(2);
    }
    std::uint64_t studies = 0;
    const std::string reading =
        error_code_of([&] { studies = Ledger::open(where, Ledger::Role::reading)->study_counts().studies; });
    const std::string writing = error_code_of([&] { Ledger::open(where, Ledger::Role::sending); });
    ::_exit(reading.empty() && studies == 1 && writing == "ledger.write" ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  ::chmod(inner.c_str(), 0755);
}

TEST_CASE("without space nothing is half done, and it goes on afterwards") {
  const kuva::test::TemporaryDirectory directory;
  const std::string where = (directory.path() / "l").string();
  {
    const auto ledger = Ledger::open(where, Ledger::Role::inventory);
    ledger->record(many_instances(100));
  }
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{400'000, 400'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string code = error_code_of([&] {
      const auto ledger = Ledger::open(where, Ledger::Role::inventory);
      ledger->record(many_instances(20'000));
    });
    ::_exit(code == "ledger.write" ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  const auto ledger = Ledger::open(where, Ledger::Role::inventory);
  CHECK(ledger->check().empty());
  CHECK(ledger->study_counts().studies == 1);
  ledger->record(many_instances(20'000));
  CHECK(ledger->study_counts().studies == 200);
}

TEST_CASE("a process that is killed leaves what it committed") {
  const kuva::test::TemporaryDirectory directory;
  const std::string where = (directory.path() / "l").string();
  for (int round = 0; round < 10; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto ledger = Ledger::open(where, Ledger::Role::sending);
      ledger->begin_run({});
      for (int study = 1;; ++study) {
        std::vector<Instance> some;
        for (int i = 0; i < 20; ++i) {
          some.push_back(instance_of_study(round * 1000 + study, i));
        }
        ledger->record(some);
        if (const auto claimed = ledger->claim_study({}, std::chrono::seconds(60))) {
          ledger->take(*claimed, 10);
        }
      }
    }
    ::usleep(static_cast<useconds_t>(20'000 + round * 7'000));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    const auto ledger = Ledger::open(where, Ledger::Role::sending);
    CHECK(ledger->check().empty());
    for (const auto& count : ledger->counts()) {
      if (count.state != kuva::ledger::State::sending && count.state != kuva::ledger::State::indeterminate) {
        CHECK(count.instances % 10 == 0);  // twenties recorded, tens taken
      }
    }
  }
}
