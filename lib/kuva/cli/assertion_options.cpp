#include <kuva/cli/assertion_options.hpp>
#include <kuva/cli/options.hpp>
#include <kuva/cli/user_file.hpp>
#include <kuva/core/patient_id.hpp>

#include <fmt/format.h>

#include <sstream>

namespace kuva::cli {

namespace {

constexpr const char* k_user_group = "User";
constexpr std::string_view k_emergency = "emergency";

std::string checked_oid(std::string_view option, std::string text) {
  constexpr std::string_view k_prefix = "urn:oid:";
  if (text.substr(0, k_prefix.size()) == k_prefix) {
    text.erase(0, k_prefix.size());
  }
  if (const auto defect = text.empty() ? std::nullopt : oid_defect(text)) {
    throw usage_error(fmt::format("{}: {}", option, *defect));
  }
  return text;
}

}  // namespace

void add_assertion_options(CLI::App& app, AssertionOptions& options) {
  const auto group = [](CLI::Option* option) { return option->group(k_user_group); };
  group(app.add_option("--user", options.user, "Who asks: a user file of kuva.toml(5)"))->type_name("FILE");
  auto* purpose = group(app.add_option("--purpose", options.purpose, "Purpose of use, a word of the target"));
  purpose->type_name("WORD");
  group(app.add_flag("--emergency", options.emergency, "The purpose 'emergency': an emergency search"))
      ->excludes(purpose);
  group(app.add_option("--registry-specifier", options.registry_specifier, "Registers that are searched"))
      ->type_name("TEXT");
  group(app.add_option("--service-event", options.service_event, "Service event that this belongs to"))
      ->type_name("OID");
  group(app.add_option("--acting-for", options.acting_for, "Organisation under whose power of attorney is acted"))
      ->type_name("OID");
  auto* file = group(app.add_option("--assertion", options.assertion, "An assertion to send, in place of making one"));
  file->type_name("FILE");
  group(app.add_option("--assertion-command", options.assertion_command, "A command that prints the assertion"))
      ->type_name("COMMAND")
      ->excludes(file);
}

std::shared_ptr<workflow::UserAssertions> make_assertions(const AssertionOptions& options,
                                                          const workflow::Target& target,
                                                          workflow::Observer& observer) {
  workflow::UserAssertionSettings settings;
  const bool given = !options.assertion.empty() || !options.assertion_command.empty();
  const bool says_more = !options.user.empty() || !options.purpose.empty() || options.emergency ||
                         !options.registry_specifier.empty() || !options.service_event.empty() ||
                         !options.acting_for.empty();
  if (!target.xua && !given) {
    if (says_more) {
      throw Error(kind("usage.target"),
                  fmt::format("target '{}' has no [target.{}.xua]: how assertions are made", target.name, target.name));
    }
    return nullptr;
  }
  if (target.xua) {
    settings.assertion = *target.xua;
  }
  if (!options.assertion.empty()) {
    settings.assertion.assertion_file = options.assertion;
    settings.assertion.assertion_command.clear();
  }
  if (!options.assertion_command.empty()) {
    settings.assertion.assertion_file.clear();
    settings.assertion.assertion_command.clear();
    std::istringstream words(options.assertion_command);
    for (std::string word; words >> word;) {
      settings.assertion.assertion_command.push_back(word);
    }
    if (settings.assertion.assertion_command.empty()) {
      throw usage_error("--assertion-command: it names no program");
    }
  }
  const bool made = settings.assertion.assertion_file.empty() && settings.assertion.assertion_command.empty();
  if (!settings.assertion.assertion_file.empty() && says_more) {
    throw usage_error(
        "the assertion is taken from a file: what it says of user and purpose cannot be changed by options");
  }
  if (!options.user.empty()) {
    settings.user = load_user(options.user);
  } else if (made) {
    throw Error(kind("xua.user"), "who asks? Name a user file with --user");
  }
  settings.purpose = options.emergency ? std::string(k_emergency) : options.purpose;
  settings.facts.home_community = settings.assertion.home_community;
  settings.facts.registry_specifier = options.registry_specifier;
  settings.facts.service_event = checked_oid("--service-event", options.service_event);
  settings.facts.acting_for = checked_oid("--acting-for", options.acting_for);
  return std::make_shared<workflow::UserAssertions>(std::move(settings), observer);
}

}  // namespace kuva::cli
