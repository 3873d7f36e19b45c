#pragma once

#include "support/temporary_directory.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace kuva::test {

// Messages that are held against the official schemas, all at once (tests/validate_messages.py).
class MessageCheck {
 public:
  MessageCheck() { std::filesystem::create_directory(m_messages); }

  // XML alone, or a message as it goes over HTTP.
  void add(std::string_view name, std::string_view bytes) {
    std::ofstream(m_messages / fmt::format("{:02}-{}", ++m_count, name), std::ios::binary) << bytes;
  }

  void run() const {
    const auto log = m_directory.path() / "said.log";
    const int ended =
        std::system(fmt::format("tests/validate_messages.py '{}' > '{}'", m_messages.string(), log.string()).c_str());
    REQUIRE(WIFEXITED(ended));
    if (WEXITSTATUS(ended) == 77) {
      MESSAGE("skipped: no schemas below KUVA_SHARED");
      return;
    }
    std::ifstream said(log);
    const std::string output(std::istreambuf_iterator<char>(said), {});
    CAPTURE(output);
    CHECK(WEXITSTATUS(ended) == 0);
    CHECK(output.find(fmt::format("{} messages", m_count)) != std::string::npos);
  }

 private:
  TemporaryDirectory m_directory;
  std::filesystem::path m_messages = m_directory.path() / "messages";
  int m_count = 0;
};

}  // namespace kuva::test
