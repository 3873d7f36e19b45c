#include <kuva/cli/environment.hpp>
#include <kuva/cli/tool.hpp>
#include <kuva/workflow/kos.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <string>
#include <vector>

namespace {

using kuva::workflow::KosBuildSettings;
using kuva::workflow::KosCheckSettings;

constexpr kuva::cli::ToolInfo k_info{
    .name = "kuva-kos",
    .usage = "COMMAND [OPTION]... [PATH]...",
    .description =
        "Builds, shows, compares and checks Key Object Selection documents:\n"
        "  manifest   an XDS-I.b manifest for each study of the input\n"
        "  reject     a rejection note (IOCM) for each study of the input\n"
        "  show       what a document refers to, as records, text or FHIR ImagingStudy\n"
        "  diff       two documents, or a document and a directory: = same, + added, - removed, ! changed\n"
        "  check      a document against the standard, and its evidence against its content tree",
    .examples =
        "  kuva-kos manifest --retrieve-ae ARCHIVE --location 1.2.246.10.1 --out . study/\n"
        "  kuva-kos reject --reason quality --series 1.2.3.4 study/ | kuva-send -t archive\n"
        "  kuva-kos show --format fhir manifest.dcm\n"
        "  kuva-kos diff old.dcm new.dcm\n",
    .flush_each = false,
    .documents = "fhir",
};

enum class Command { manifest, reject, show, diff, check };

struct Options {
  Command command = Command::show;
  kuva::cli::InputOptions input;
  KosBuildSettings build;
  KosCheckSettings check;
  std::string target;
  std::string reason;
  std::vector<std::string> modifiers;
  std::vector<std::string> manifests;
  std::vector<std::string> rejected;
  std::string attributes;
  std::string out = ".";
};

// Which commands have an option; all have those that are not here.
struct Scope {
  const char* option;
  std::vector<Command> commands;
};
std::vector<Scope> scopes() {
  const std::vector<Command> build{Command::manifest, Command::reject};
  const std::vector<Command> all_but_diff{Command::manifest, Command::reject, Command::show, Command::check};
  return {{"--out", build},
          {"--target", build},
          {"--retrieve-ae", build},
          {"--location", build},
          {"--url", build},
          {"--description", build},
          {"--series", build},
          {"--instance", build},
          {"--manifest", build},
          {"--attributes", build},
          {"--jobs", build},
          {"--dry-run", build},
          {"--rejected", {Command::manifest}},
          {"--reason", {Command::reject}},
          {"--modifier", {Command::reject}},
          {"--as-manifest", {Command::check}},
          {"--fail-on", {Command::check}},
          {"--files-from", all_but_diff},
          {"--null", all_but_diff}};
}

void add_options(CLI::App& app, Options& options) {
  constexpr const char* k_build = "Manifest and rejection note";
  constexpr const char* k_reject = "Rejection note";
  constexpr const char* k_check = "Check";
  kuva::cli::add_choice<Command>(app, kuva::cli::k_command_name, options.command,
                                 {{"manifest", Command::manifest},
                                  {"reject", Command::reject},
                                  {"show", Command::show},
                                  {"diff", Command::diff},
                                  {"check", Command::check}},
                                 "What to do")
      ->required();
  kuva::cli::add_input_options(app, options.input);
  const auto build = [](CLI::Option* option) { return option->group(k_build); };
  build(app.add_option("--out", options.out, "Directory that documents are written to (.)")->type_name("DIR"));
  build(app.add_option("-t,--target", options.target, "The archive that has the objects, for where to retrieve them")
            ->type_name("NAME"));
  kuva::kos::Retrieval& retrieval = options.build.document.retrieval;
  build(app.add_option("--retrieve-ae", retrieval.ae_title, "Retrieve AE Title")->type_name("AE"));
  build(app.add_option("--location", retrieval.location_uid, "Retrieve Location UID: the imaging document source")
            ->type_name("UID"));
  build(
      app.add_option("--url", retrieval.url, "The DICOMweb service that has them, for Retrieve URL")->type_name("URL"));
  build(app.add_option("--series", options.build.series, "Only this series; may be repeated")
            ->type_name("UID")
            ->allow_extra_args(false));
  build(app.add_option("--instance", options.build.instances, "Only this instance; may be repeated")
            ->type_name("UID")
            ->allow_extra_args(false));
  build(app.add_option("--manifest", options.manifests, "What this document refers to, besides the input")
            ->type_name("FILE")
            ->allow_extra_args(false));
  build(app.add_option("--rejected", options.rejected, "A rejection note: leave out what it refers to")
            ->type_name("FILE")
            ->allow_extra_args(false));
  build(app.add_option("--attributes", options.attributes, "Copy patient and study attributes from this object")
            ->type_name("FILE"));
  build(
      app.add_option("--description", options.build.document.description, "Key Object Description")->type_name("TEXT"));
  build(kuva::cli::add_number(app, "-j,--jobs", options.build.jobs, 1, 1024, "Files read at once (one a processor)"));
  build(app.add_flag("-n,--dry-run", options.build.dry_run, "Read everything, write no document"));
  app.add_option("--reason", options.reason,
                 "quality (113001), patient-safety (113037), worklist (113038), retention (113039)")
      ->type_name("CODE")
      ->group(k_reject);
  app.add_option("--modifier", options.modifiers, "What was wrong with quality, of CID 7011: 111210 is motion blur")
      ->type_name("CODE")
      ->allow_extra_args(false)
      ->group(k_reject);
  app.add_flag("--as-manifest", options.check.check.manifest, "It must be an XDS-I.b manifest")->group(k_check);
  kuva::cli::add_choice<bool>(app, "--fail-on", options.check.fail_on_warning, {{"error", false}, {"warning", true}},
                              "The mildest finding that makes a document invalid (error)")
      ->group(k_check);
}

kuva::Error usage(std::string message) { return {kuva::kind("usage.argument"), std::move(message)}; }

// An option of another command is a mistake where it was typed; one of the environment is not.
void check_scopes(const CLI::App& app, Command command) {
  for (const Scope& scope : scopes()) {
    const CLI::Option* const option = app.get_option(scope.option);
    const bool allowed = std::find(scope.commands.begin(), scope.commands.end(), command) != scope.commands.end();
    if (option->count() != 0 && !allowed && !kuva::cli::environment(option->get_envname().c_str())) {
      throw usage(fmt::format("{} is no option of this command", scope.option));
    }
  }
}

void build(kuva::cli::Session& session, Options& options) {
  KosBuildSettings& settings = options.build;
  kuva::kos::Retrieval& retrieval = settings.document.retrieval;
  if (!options.target.empty()) {
    kuva::cli::TargetOptions named;
    named.target = options.target;
    const kuva::workflow::Target target = session.target(named);
    kuva::workflow::retrieve_from(retrieval, target);
  }
  settings.directory = options.out;
  settings.manifests.assign(options.manifests.begin(), options.manifests.end());
  settings.rejected.assign(options.rejected.begin(), options.rejected.end());
  settings.attributes = options.attributes;
  settings.phi_plain = session.options().phi_plain;
  const std::time_t now = std::chrono::system_clock::to_time_t(settings.document.now);
  std::tm local{};
  ::localtime_r(&now, &local);
  settings.document.utc_offset = std::chrono::minutes(local.tm_gmtoff / 60);
  options.input.optional = !options.manifests.empty();
  const auto source = session.open_input(options.input);
  kuva::workflow::build_documents(*source, session.sink(), session.observer(), session.accounting(), settings,
                                  session.stop_token());
}

void find_codes(Options& options) {
  if (options.command == Command::reject) {
    options.build.rejection = kuva::workflow::rejection_reason(options.reason);
    for (const std::string& modifier : options.modifiers) {
      options.build.document.modifiers.push_back(kuva::workflow::quality_modifier(modifier));
    }
  }
}

void work(kuva::cli::Session& session, Options& options) {
  if (session.writes_documents() && options.command != Command::show) {
    throw usage("--format fhir is one of kuva-kos show");
  }
  find_codes(options);
  const bool phi_plain = session.options().phi_plain;
  options.check.phi_plain = phi_plain;
  switch (options.command) {
    case Command::manifest:
    case Command::reject:
      build(session, options);
      return;
    case Command::show: {
      const auto source = session.open_input(options.input);
      const auto resource = [&session](const kuva::Json& json) { session.write_document(json); };
      kuva::workflow::show_documents(*source, session.sink(), session.accounting(), phi_plain,
                                     session.writes_documents() ? resource : std::function<void(const kuva::Json&)>(),
                                     session.stop_token());
      return;
    }
    case Command::check: {
      const auto source = session.open_input(options.input);
      kuva::workflow::check_documents(*source, session.sink(), session.accounting(), options.check,
                                      session.stop_token());
      return;
    }
    case Command::diff:
      if (options.input.paths.size() != 2) {
        throw usage("kuva-kos diff takes two paths");
      }
      kuva::workflow::compare_documents(options.input.paths[0], options.input.paths[1], session.sink(),
                                        session.accounting(), phi_plain, session.stop_token());
      return;
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  const CLI::App* parsed = nullptr;
  return kuva::cli::run_tool(
      k_info, argc, argv,
      [&](CLI::App& app) {
        add_options(app, options);
        parsed = &app;
      },
      [&](kuva::cli::Session& session) {
        check_scopes(*parsed, options.command);
        work(session, options);
      });
}
