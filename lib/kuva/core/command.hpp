#pragma once

#include <kuva/core/error.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace kuva {

// What a command that was run left behind.
struct CommandResult {
  int exit_status = 0;  // 128 + signal where a signal ended it
  std::string output;
  std::string messages;  // of its standard error, the first 1000 bytes
  bool timed_out = false;
  bool too_large = false;
};

struct CommandLimits {
  std::chrono::milliseconds time{30'000};
  std::size_t output = 1U << 20U;  // bytes
};

// Runs a program (searched for in PATH, no shell) with `input` on its standard input, and takes what it prints. One
// that takes too long or prints too much is killed. Errors: local.resource, local.read where it cannot be started.
CommandResult run_command(const std::vector<std::string>& arguments, std::string_view input,
                          const CommandLimits& limits = {});

}  // namespace kuva
