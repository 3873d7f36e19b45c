#pragma once

#include <kuva/workflow/target.hpp>
#include <kuva/workflow/user_assertions.hpp>

#include <CLI/CLI.hpp>

#include <memory>
#include <string>

namespace kuva::cli {

// Who asks, and what for: the options of tools that use the XDS side.
struct AssertionOptions {
  std::string user;     // file
  std::string purpose;  // a word
  bool emergency = false;
  std::string registry_specifier;
  std::string service_event;
  std::string acting_for;
  std::string assertion;          // file
  std::string assertion_command;  // words with spaces between them
};

void add_assertion_options(CLI::App& app, AssertionOptions& options);

// What makes the security headers for this target; null where neither the target (no [target.NAME.xua]) nor an option
// asks for assertions. Errors: usage.config, usage.argument, xua.*.
std::shared_ptr<workflow::UserAssertions> make_assertions(const AssertionOptions& options,
                                                          const workflow::Target& target, workflow::Observer& observer);

}  // namespace kuva::cli
