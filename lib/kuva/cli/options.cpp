#include <kuva/cli/options.hpp>
#include <kuva/core/time.hpp>
#include <kuva/core/version.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <memory>

namespace kuva::cli {

namespace {

constexpr const char* k_standard_group = "Standard options";
constexpr const char* k_input_group = "Input";

std::string long_name(const std::string& names) { return names.substr(names.rfind(',') + 1); }

// CLI11's own layout repeats the environment variable and the default's machinery for each option; one line an option
// is what people read.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter(std::string_view usage, std::string_view examples) : m_usage(usage), m_examples(examples) {
    column_width(32);
    label("Positionals", "Arguments");
  }

  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override {
    std::string options = make_positionals(app) + make_groups(app, mode);
    // One empty line between groups, where CLI11 puts two.
    for (std::size_t at = options.find("\n\n\n"); at != std::string::npos; at = options.find("\n\n\n")) {
      options.erase(at, 1);
    }
    return fmt::format("Usage: {} {}\n{}\n{}\nExamples:\n{}\n{}", name, m_usage, app->get_description(), options,
                       m_examples, k_ending);
  }

  std::string make_option_opts(const CLI::Option* option) const override {
    const std::string type = option->get_type_name();
    return option->get_type_size() == 0 || type.empty() ? "" : " " + type;
  }

  std::string make_option(const CLI::Option* option, bool is_positional) const override {
    std::string left = is_positional ? option->get_name(true) : names(option) + make_option_opts(option);
    // Options without a short name stand under the long names of the others.
    left.insert(0, is_positional || !option->get_snames().empty() ? "  " : "      ");
    const std::string gap = left.size() + 2 > get_column_width() ? "\n" + std::string(get_column_width(), ' ')
                                                                 : std::string(get_column_width() - left.size(), ' ');
    return left + gap + option->get_description() + "\n";
  }

 private:
  static constexpr std::string_view k_ending =
      "Each option can be set by an environment variable: KUVA_ and its long name, as in KUVA_TARGET.\n"
      "Exit status: 0 all done and confirmed, 2 usage or configuration, 3 some item failed, 5 temporary (the same "
      "command\n"
      "continues), 6 security, 7 refused by the peer, 9 local read or write; kuva(7) has them all.\n";

  // "-j, --jobs"
  static std::string names(const CLI::Option* option) {
    std::string text;
    for (const std::string& name : option->get_snames()) {
      text += (text.empty() ? "-" : ", -") + name;
    }
    for (const std::string& name : option->get_lnames()) {
      text += (text.empty() ? "--" : ", --") + name;
    }
    return text;
  }

  std::string m_usage;
  std::string m_examples;
};

}  // namespace

void add_standard_options(CLI::App& app, StandardOptions& options, std::string_view tool, std::string_view documents) {
  using Format = StandardOptions::Format;
  using Color = StandardOptions::Color;
  const auto group = [](CLI::Option* option) { option->group(k_standard_group); };
  std::vector<std::pair<std::string, Format>> formats{
      {"auto", Format::automatic}, {"text", Format::text}, {"json", Format::json}};
  std::string what = "Records as text or JSON lines; auto: text on a terminal";
  for (const auto& [name, format] : {std::pair("fhir", Format::fhir), std::pair("ehn", Format::ehn)}) {
    if (documents.find(name) != std::string_view::npos) {
      formats.emplace_back(name, format);
      what = "Records as text or JSON lines, or one document; auto: text on a terminal";
    }
  }
  group(add_choice<Format>(app, "--format", options.format, formats, what));
  group(app.add_option("-o,--output", options.output, "Write the records to a file; - is standard output")
            ->type_name("FILE"));
  group(app.add_option("--config", options.config, "Configuration file instead of the first kuva.toml found")
            ->type_name("FILE"));
  group(add_choice<bool>(app, "--phi", options.phi_plain, {{"mask", false}, {"plain", true}},
                         "Patient data in findings and traces: masked (default) or as it is"));
  group(app.add_flag("--progress,!--no-progress", options.progress, "Progress on a terminal (default)"));
  group(add_choice<Color>(app, "--color", options.color,
                          {{"auto", Color::automatic}, {"always", Color::always}, {"never", Color::never}},
                          "Colours in text output"));
  group(app.add_flag("-q,--quiet", options.quiet, "Only errors on standard error"));
  group(app.add_flag("-v,--verbose", options.verbose, "More messages on standard error; twice: still more"));
  group(app.add_option("--explain", options.explain, "Say what an error code or a status means, and end")
            ->type_name("CODE"));
  group(app.set_help_flag("-h,--help", "Print this help, and end"));
  group(app.set_version_flag("--version", fmt::format("{} (kuva) {}", tool, version()), "Print the version, and end"));
}

void add_input_options(CLI::App& app, InputOptions& options) {
  app.add_option("PATH", options.paths, "Files and directories; - is records on standard input (also the default)")
      ->type_name("")
      ->group(k_input_group);
  app.add_option("--files-from", options.files_from, "Paths from a file, one a line; - is standard input")
      ->type_name("FILE")
      ->group(k_input_group);
  app.add_flag("-0,--null", options.null, "The paths of --files-from are separated by NUL")->group(k_input_group);
}

CLI::Option* add_duration(CLI::App& app, const std::string& name, std::chrono::milliseconds& value,
                          const std::string& description) {
  return app
      .add_option_function<std::string>(
          name,
          [&value, name](const std::string& text) {
            const auto duration = parse_duration(text);
            if (!duration) {
              throw CLI::ValidationError(long_name(name),
                                         "'" + text + "' is not a duration such as 500ms, 30s, 5m or 2h");
            }
            value = *duration;
          },
          description)
      ->type_name("DURATION");
}

CLI::Option* add_size(CLI::App& app, const std::string& name, std::uint64_t& value, const std::string& description) {
  return app
      .add_option_function<std::string>(
          name,
          [&value, name](const std::string& text) {
            const auto size = parse_size(text);
            if (!size) {
              throw CLI::ValidationError(long_name(name), "'" + text + "' is not a size such as 512, 64K, 10M or 2G");
            }
            value = *size;
          },
          description)
      ->type_name("SIZE");
}

CLI::Option* add_number(CLI::App& app, const std::string& name, unsigned& value, unsigned lowest, unsigned highest,
                        const std::string& description) {
  return app
      .add_option_function<std::string>(
          name,
          [&value, lowest, highest, name](const std::string& text) {
            std::uint64_t number = 0;
            const bool digits = !text.empty() && text.size() <= 10 &&
                                std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
            if (digits) {
              number = std::stoull(text);
            }
            if (!digits || number < lowest || number > highest) {
              throw CLI::ValidationError(long_name(name),
                                         fmt::format("'{}' is not a number from {} to {}", text, lowest, highest));
            }
            value = static_cast<unsigned>(number);
          },
          description)
      ->type_name("N");
}

Error usage_error(std::string message) { return Error(kind("usage.argument"), std::move(message)); }

void add_environment(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option->get_lnames().empty()) {
      continue;
    }
    std::string name = option->get_lnames().front();
    if (name == "help" || name == "version" || name == "explain" || name == "list-rules") {
      continue;
    }
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return c == '-' ? '_' : static_cast<char>(std::toupper(c)); });
    option->envname("KUVA_" + name);
  }
}

void set_help_format(CLI::App& app, std::string_view usage, std::string_view examples) {
  app.formatter(std::make_shared<HelpFormatter>(usage, examples));
}

}  // namespace kuva::cli
