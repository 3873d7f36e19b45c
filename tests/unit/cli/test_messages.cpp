#include <kuva/cli/messages.hpp>
#include <kuva/core/file.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <array>

using kuva::FileDescriptor;
using kuva::cli::Messages;
using Level = kuva::workflow::Observer::Level;

namespace {

// What `act` makes it write.
template <typename Act>
std::string written(int verbosity, bool progress, const Act& act) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0);
  const FileDescriptor read_end(ends[0]);
  const FileDescriptor write_end(ends[1]);
  {
    Messages messages({"kuva-send", verbosity, progress, write_end.get()});
    act(messages);
  }
  std::array<char, 4096> buffer{};
  const auto count = ::read(read_end.get(), buffer.data(), buffer.size());
  return count > 0 ? std::string(buffer.data(), static_cast<std::size_t>(count)) : std::string();
}

void all_levels(Messages& messages) {
  messages.message(Level::error, "e");
  messages.message(Level::warning, "w");
  messages.message(Level::info, "i");
  messages.message(Level::detail, "d");
}

}  // namespace

TEST_CASE("verbosity chooses the messages") {
  CHECK(written(-1, false, all_levels) == "kuva-send: e\n");
  CHECK(written(0, false, all_levels) == "kuva-send: e\nkuva-send: w\n");
  CHECK(written(1, false, all_levels) == "kuva-send: e\nkuva-send: w\nkuva-send: i\n");
  CHECK(written(2, false, all_levels).ends_with("kuva-send: d\n"));
}

TEST_CASE("progress is one line, taken away before anything else, and not redrawn at once") {
  const kuva::workflow::Observer::Progress half{10, 5, 1, 0, "sending"};
  CHECK(written(0, false, [&](Messages& messages) { messages.progress(half); }).empty());
  CHECK(written(0, true, [&](Messages& messages) {
          messages.progress(half);
          messages.progress(half);
          messages.message(Level::error, "e");
        }) == "\rsending: 5 of 10, 1 failed\x1b[K\r\x1b[Kkuva-send: e\n");
  CHECK(written(0, true, [&](Messages& messages) { messages.progress(half); }) ==
        "\rsending: 5 of 10, 1 failed\x1b[K\r\x1b[K");
}

TEST_CASE("a message cannot steer the terminal") {
  CHECK(written(0, false, [](Messages& messages) { messages.say("a\x1b[2J"); }) == "kuva-send: a\\x1b[2J\n");
}
