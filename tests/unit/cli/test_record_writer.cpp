#include "cli/temp_directory.hpp"

#include <kuva/cli/record_writer.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>

using kuva::Error;
using kuva::FileDescriptor;
using kuva::Json;
using kuva::cli::RecordWriter;

namespace {

const Json k_record = Json::parse(R"({"type":"instance","outcome":"valid","ok":true,"path":"a"})");

RecordWriter::Settings to(int fd, bool flush_each) {
  RecordWriter::Settings settings;
  settings.standard_output = fd;
  settings.flush_each = flush_each;
  return settings;
}

std::string message_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    CHECK(error.kind().code == "local.write");
    return error.message();
  }
  return {};
}

}  // namespace

TEST_CASE("a file appears when the writer is closed") {
  const TempDirectory directory;
  RecordWriter::Settings settings;
  settings.output = (directory.path() / "out.ndjson").string();
  {
    RecordWriter writer(settings);
    writer.emit(k_record);
    CHECK_FALSE(std::filesystem::exists(settings.output));
    writer.close();
  }
  CHECK(directory.read("out.ndjson") == k_record.dump() + "\n");
  {
    RecordWriter writer(settings);
    writer.emit(k_record);
    writer.emit(k_record);
  }
  CHECK(directory.read("out.ndjson") == k_record.dump() + "\n");
}

TEST_CASE("records leave one by one, or in blocks") {
  for (const bool flush_each : {true, false}) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0);
    const FileDescriptor read_end(ends[0]);
    RecordWriter writer(to(ends[1], flush_each));
    writer.emit(k_record);
    std::array<char, 1000> buffer{};
    const auto count = ::read(read_end.get(), buffer.data(), buffer.size());
    CHECK((count > 0) == flush_each);
    writer.close();
  }
}

TEST_CASE("a full disk and a closed pipe are errors that stay") {
  ::signal(SIGPIPE, SIG_IGN);
  RecordWriter full(to(::open("/dev/full", O_WRONLY | O_CLOEXEC), true));
  CHECK(message_of([&] { full.emit(k_record); }) == "cannot write standard output: No space left on device");
  CHECK(message_of([&] { full.emit(k_record); }) == "cannot write standard output: No space left on device");
  CHECK_THROWS_AS(full.close(), Error);

  RecordWriter full_at_end(to(::open("/dev/full", O_WRONLY | O_CLOEXEC), false));
  full_at_end.emit(k_record);
  CHECK_THROWS_AS(full_at_end.close(), Error);

  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  ::close(ends[0]);
  RecordWriter closed(to(ends[1], true));
  CHECK(message_of([&] { closed.emit(k_record); }) == "standard output was closed by the program that reads it");
}
