#pragma once

#include <kuva/core/error.hpp>
#include <kuva/core/exit_code.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kuva::cli {

// Options that all tools have, with the same meaning.
struct StandardOptions {
  enum class Format { automatic, text, json, fhir, ehn };
  enum class Color { automatic, always, never };

  Format format = Format::automatic;
  std::string output = "-";  // a file, or "-" for stdout
  std::string config;        // empty: searched for
  bool quiet = false;
  int verbose = 0;
  bool phi_plain = false;
  bool progress = true;
  Color color = Color::automatic;
  std::string explain;  // an error code
};

// Where the items come from.
struct InputOptions {
  std::vector<std::string> paths;  // "-" is standard input
  std::string files_from;          // a list of paths, "-" for standard input
  bool null = false;               // the list is separated by NUL
  // The tool has work without input too: a standard input that is a terminal or /dev/null is none, and no cut stream.
  bool optional = false;
};

// `documents`: words that --format takes besides those of all tools: "fhir", "fhir|ehn".
void add_standard_options(CLI::App& app, StandardOptions& options, std::string_view tool,
                          std::string_view documents = {});
// The name of a positional that says what to do, and is part of the command that repeats a single item.
inline constexpr const char* k_command_name = "COMMAND";
void add_input_options(CLI::App& app, InputOptions& options);

// One of a few words.
template <typename T>
CLI::Option* add_choice(CLI::App& app, const std::string& name, T& value,
                        const std::vector<std::pair<std::string, T>>& choices, const std::string& description) {
  std::string words;
  for (const auto& choice : choices) {
    words += (words.empty() ? "" : "|") + choice.first;
  }
  return app
      .add_option_function<std::string>(
          name,
          [&value, choices, words, name](const std::string& text) {
            for (const auto& choice : choices) {
              if (choice.first == text) {
                value = choice.second;
                return;
              }
            }
            throw CLI::ValidationError(name.substr(name.rfind(',') + 1), "'" + text + "' is not one of " + words);
          },
          description)
      ->type_name(words);
}

// "250ms", "30s", "5m", "2h", "1d".
CLI::Option* add_duration(CLI::App& app, const std::string& name, std::chrono::milliseconds& value,
                          const std::string& description);
// "512", "64K", "10M", "2G".
CLI::Option* add_size(CLI::App& app, const std::string& name, std::uint64_t& value, const std::string& description);
// A whole number within limits.
CLI::Option* add_number(CLI::App& app, const std::string& name, unsigned& value, unsigned lowest, unsigned highest,
                        const std::string& description);

// Error usage.argument.
Error usage_error(std::string message);

// Gives every option with a long name its environment variable: KUVA_ and the name in capitals, - as _. Options that
// print something and end (--help, --version, --explain, --list-rules) have none.
void add_environment(CLI::App& app);

// The help text in the form of all tools: usage, description, options by group, examples, exit status.
void set_help_format(CLI::App& app, std::string_view usage, std::string_view examples);

}  // namespace kuva::cli
