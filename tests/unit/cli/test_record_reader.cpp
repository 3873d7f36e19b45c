#include "cli/temp_directory.hpp"

#include <kuva/cli/record_reader.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <thread>

using namespace std::chrono_literals;
using kuva::Error;
using kuva::ExitCode;
using kuva::FileDescriptor;
using kuva::cli::LineReader;
using kuva::cli::RecordReader;

namespace {

struct Reading {
  std::vector<std::string> items;  // a path, a record as JSON, or "!code"
  std::vector<ExitCode> summaries;
  std::vector<std::string> cuts;
};

Reading read_all(kuva::cli::InputOptions input, const std::string& standard_input) {
  const TempDirectory directory;
  const FileDescriptor fd(::open(directory.write("stdin", standard_input).c_str(), O_RDONLY | O_CLOEXEC));
  Reading reading;
  RecordReader::Settings settings;
  settings.input = std::move(input);
  settings.standard_input = fd.get();
  settings.on_summary = [&](ExitCode code) { reading.summaries.push_back(code); };
  settings.on_cut = [&](const Error& error) { reading.cuts.emplace_back(error.message()); };
  RecordReader reader(std::move(settings));
  for (;;) {
    try {
      const auto item = reader.next();
      if (!item) {
        return reading;
      }
      reading.items.push_back(item->record ? item->record->dump() : item->path);
    } catch (const Error& error) {
      reading.items.push_back("!" + std::string(error.kind().code));
    }
  }
}

using Items = std::vector<std::string>;

}  // namespace

TEST_CASE("records end with a summary, which is taken out") {
  const Reading reading = read_all(
      {}, "{\"type\":\"instance\",\"n\":1}\n\n{\"type\":\"novelty\"}\n{\"type\":\"summary\",\"exitCode\":3}\n");
  CHECK(reading.items == Items{"{\"type\":\"instance\",\"n\":1}", "{\"type\":\"novelty\"}"});
  CHECK(reading.summaries == std::vector{ExitCode::item_failed});
  CHECK(reading.cuts.empty());
}

TEST_CASE("records without a summary at their end are cut") {
  CHECK(read_all({}, "").cuts.size() == 1);
  CHECK(read_all({}, "{\"type\":\"instance\"}").cuts == Items{"standard input ended after 1 lines without a summary"});
  CHECK(read_all({}, "{\"type\":\"summary\",\"exitCode\":0}\n{\"type\":\"instance\"}\n").cuts.size() == 1);
}

TEST_CASE("the exit code of an earlier stage") {
  const auto code = [](const std::string& value) {
    return read_all({}, "{\"type\":\"summary\",\"exitCode\":" + value + "}\n").summaries.at(0);
  };
  CHECK(code("0") == ExitCode::done);
  CHECK(code("9") == ExitCode::local_io);
  CHECK(code("143") == ExitCode::temporary);
  CHECK(code("77") == ExitCode::internal);
  CHECK(code("\"0\"") == ExitCode::internal);
  CHECK(read_all({}, "{\"type\":\"summary\"}\n").summaries.at(0) == ExitCode::internal);
}

TEST_CASE("a line that is not a record is an error, and the next one is read") {
  const Reading reading = read_all({}, "/a/path\n{\"type\":3}\n{\"broken\"\n{\"type\":\"study\"}\n");
  CHECK(reading.items == Items{"!stream.record", "!stream.record", "!stream.record", "{\"type\":\"study\"}"});
}

TEST_CASE("a line beyond the limit is passed over") {
  const std::string longer(LineReader::k_line_limit + 100'000, 'x');
  const Reading reading = read_all({}, "{\"type\":\"a\"}\n{" + longer + "\n{\"type\":\"b\"}\n{\"type\":\"c\"}");
  CHECK(reading.items == Items{"{\"type\":\"a\"}", "!stream.record", "{\"type\":\"b\"}", "{\"type\":\"c\"}"});
}

TEST_CASE("paths, lists of paths and records, in this order") {
  kuva::cli::InputOptions input;
  input.paths = {"a", "-", "b"};
  CHECK(read_all(input, "{\"type\":\"instance\"}\n").items == Items{"a", "{\"type\":\"instance\"}", "b"});
  input.paths = {"a"};
  input.files_from = "-";
  CHECK(read_all(input, "with space\n\nlast").items == Items{"a", "with space", "last"});
  CHECK(read_all(input, "").cuts.empty());
  input.null = true;
  CHECK(read_all(input, std::string("new\nline\0b\0", 11)).items == Items{"a", "new\nline", "b"});
  input.paths = {"-"};
  CHECK_THROWS_AS(read_all(input, ""), Error);
  input = {};
  input.files_from = "/nonexistent/list";
  CHECK_THROWS_AS(read_all(input, ""), Error);
}

TEST_CASE("a tool that has work without input takes /dev/null for none, and an empty pipe for a cut stream") {
  const FileDescriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const FileDescriptor pipe(ends[0]);
  ::close(ends[1]);
  for (const bool optional : {false, true}) {
    for (const int fd : {null.get(), pipe.get()}) {
      CAPTURE(optional);
      CAPTURE(fd == null.get());
      int cuts = 0;
      RecordReader::Settings settings;
      settings.input.optional = optional;
      settings.standard_input = fd;
      settings.on_cut = [&](const Error&) { ++cuts; };
      RecordReader reader(std::move(settings));
      CHECK_FALSE(reader.next());
      CHECK(cuts == (optional && fd == null.get() ? 0 : 1));
    }
  }
}

TEST_CASE("a stop ends a wait for input, and that is no cut") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const FileDescriptor read_end(ends[0]);
  const FileDescriptor write_end(ends[1]);
  std::stop_source stop;
  bool cut = false;
  RecordReader::Settings settings;
  settings.standard_input = read_end.get();
  settings.stop = stop.get_token();
  settings.on_cut = [&](const Error&) { cut = true; };
  RecordReader reader(std::move(settings));
  std::jthread stopper([&] {
    std::this_thread::sleep_for(20ms);
    stop.request_stop();
  });
  CHECK_FALSE(reader.next());
  CHECK_FALSE(cut);
}
