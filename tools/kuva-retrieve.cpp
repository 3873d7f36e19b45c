#include <kuva/cli/assertion_options.hpp>
#include <kuva/cli/ledger_options.hpp>
#include <kuva/cli/limit_options.hpp>
#include <kuva/cli/tool.hpp>
#include <kuva/workflow/retrieve.hpp>

#include <memory>
#include <optional>
#include <string>

namespace {

using kuva::workflow::Landing;
using kuva::workflow::NameTemplate;
using kuva::workflow::RetrieveSettings;
using kuva::workflow::RetrieveVia;

constexpr kuva::cli::ToolInfo k_info{
    .name = "kuva-retrieve",
    .usage = "[OPTION]... -t TARGET [--study-uid UID | PATH]...",
    .description =
        "Brings studies and documents from an archive into files: each is verified and there whole under its name, or\n"
        "not at all. What is there already is not fetched again.",
    .examples =
        "  kuva-retrieve -t archive --study-uid 1.2.3 --out study/\n"
        "  kuva-query -t archive --patient 010181-900C --images | kuva-retrieve -t archive --out prior/\n"
        "  kuva-retrieve -t archive --via cmove --listen 11112 --out study/ < wanted.ndjson\n"
        "  kuva-retrieve -t old-archive --ledger batch.ledger --studies studies.csv --out batch/\n",
};

struct Options {
  kuva::cli::InputOptions input;
  kuva::cli::TargetOptions target;
  kuva::cli::AssertionOptions assertion;
  RetrieveSettings settings;
  kuva::cli::LimitOptions limits;
  kuva::cli::LedgerOptions ledger;
  kuva::cli::ReportOptions report;
  std::string directory = ".";
  std::string name{NameTemplate::k_default};
};

void add_what(CLI::App& app, RetrieveSettings& settings, std::string& studies) {
  constexpr const char* k_group = "What";
  const auto uids = [&app](const char* name, std::vector<std::string>& value, const char* description) {
    app.add_option(name, value, description)->type_name("UID")->group(k_group)->allow_extra_args(false);
  };
  uids("--study-uid", settings.studies, "This study, instead of what the input names");
  app.add_option("--studies", studies, "The studies of a list, or of a CSV file with StudyInstanceUID")
      ->type_name("FILE")
      ->group(k_group);
  uids("--series", settings.series, "These series alone, of whatever is asked for");
  uids("--document", settings.documents, "This document, by its unique id, of --repository");
  app.add_option("--repository", settings.repository,
                 "repositoryUniqueId of --document; imaging source of manifests that name none")
      ->type_name("OID")
      ->group(k_group);
  app.add_option("--home", settings.home, "Home community of --document and of manifests (urn:oid:...)")
      ->type_name("URN")
      ->group(k_group);
  app.add_flag("--key-images", settings.key_images, "Of each study its key object selections and what they refer to")
      ->group(k_group);
  app.add_flag("--kos-only", settings.kos_only, "Manifests, and nothing that they refer to")->group(k_group);
  app.add_flag("--documents-only", settings.documents_only, "Documents that are no manifests")->group(k_group);
  uids("--instance", settings.instances, "These instances alone, of the one study of --study-uid");
}

void add_where(CLI::App& app, Options& options) {
  constexpr const char* k_group = "Files";
  app.add_option("--out", options.directory, "Directory for what comes (.)")->type_name("DIR")->group(k_group);
  app.add_option("--name", options.name, "Names below it (" + std::string(NameTemplate::k_default) + ")")
      ->type_name("TEMPLATE")
      ->group(k_group);
  kuva::cli::add_choice<Landing::Sync>(
      app, "--sync", options.settings.landing.sync,
      {{"study", Landing::Sync::study}, {"file", Landing::Sync::file}, {"none", Landing::Sync::none}},
      "When files are forced to disk: at the end of a study (default), each, or never")
      ->group(k_group);
}

void add_how(CLI::App& app, RetrieveSettings& settings) {
  constexpr const char* k_group = "Retrieval";
  kuva::cli::add_choice<RetrieveVia>(app, "--via", settings.via,
                                     {{"auto", RetrieveVia::automatic},
                                      {"rad69", RetrieveVia::rad69},
                                      {"cmove", RetrieveVia::cmove},
                                      {"wado", RetrieveVia::wado}},
                                     "How objects come (auto: by the target and the record)")
      ->group(k_group);
  kuva::cli::add_number(app, "--jobs", settings.jobs, 1, 64, "Requests at the same time (what the target says)")
      ->group(k_group);
  kuva::cli::add_number(app, "--chunk", settings.chunk, 1, 10'000, "Instances a request")->group(k_group);
  kuva::cli::add_number(app, "--retries", settings.retries, 0, 1000,
                        "More requests for what is missing, after a temporary error (2)")
      ->group(k_group);
  kuva::cli::add_duration(app, "--retry-delay", settings.retry_delay, "Before the first of them, then doubled (2s)")
      ->group(k_group);
  kuva::cli::add_duration(app, "--stall", settings.stall, "Without any progress, before it is given up (5m)")
      ->group(k_group);
  kuva::cli::add_duration(app, "--grace", settings.grace, "For objects that come after the last answer (5s)")
      ->group(k_group);
  app.add_option("--destination", settings.destination, "AE title that C-MOVE sends to, when it is not --calling")
      ->type_name("AET")
      ->group(k_group);
  app.add_flag("!--no-list", settings.list, "C-MOVE: do not ask before what the archive has (C-FIND)")->group(k_group);
  app.add_flag("--viewer-url", settings.viewer_url, "Say where the archive's viewer shows the study")->group(k_group);
  app.add_flag("--strict", settings.strict, "A document whose size or SHA-1 is not that of its metadata is an error")
      ->group(k_group);
  app.add_option("--save-raw", settings.save_raw, "Keep HTTP messages as they went, in files of this directory")
      ->type_name("DIR")
      ->group(k_group);
  app.add_flag("-n,--dry-run", settings.dry_run, "Read everything, ask nothing")->group(k_group);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  return kuva::cli::run_tool(
      k_info, argc, argv,
      [&](CLI::App& app) {
        kuva::cli::add_input_options(app, options.input);
        kuva::cli::add_target_options(app, options.target);
        kuva::cli::add_listen_option(app, options.target);
        kuva::cli::add_assertion_options(app, options.assertion);
        add_what(app, options.settings, options.ledger.studies);
        add_where(app, options);
        add_how(app, options.settings);
        kuva::cli::add_time_limit_options(app, options.limits);
        kuva::cli::add_ledger_option(app, options.ledger);
        kuva::cli::add_again_option(app, options.settings.again);
        kuva::cli::add_report_options(app, options.report);
      },
      [&](kuva::cli::Session& session) {
        RetrieveSettings& settings = options.settings;
        if (!options.ledger.studies.empty()) {
          const auto listed = kuva::cli::read_studies(options.ledger.studies, session.stop_token());
          settings.studies.insert(settings.studies.end(), listed.begin(), listed.end());
        }
        if (!settings.instances.empty() && settings.studies.size() != 1) {
          throw kuva::Error(kuva::kind("usage.argument"), "--instance goes with one --study-uid");
        }
        if (settings.key_images && (settings.kos_only || settings.documents_only || !settings.instances.empty())) {
          throw kuva::Error(kuva::kind("usage.argument"),
                            "--key-images goes with none of --kos-only, --documents-only and --instance");
        }
        settings.landing.names = NameTemplate(options.name);
        settings.landing.directory = options.directory;
        auto target = session.target(options.target, kuva::cli::TargetNeeds::any);
        session.report_progress(options.report);
        settings.limits = kuva::cli::limits_of(options.limits, target);
        if (target.move) {
          if (settings.destination.empty()) {
            settings.destination = target.move->destination;
          }
          if (options.target.listen.empty() && target.move->listener) {
            target.listener = target.move->listener;
          }
        }
        if (const auto assertions = kuva::cli::make_assertions(options.assertion, target, session.observer())) {
          settings.security = kuva::workflow::UserAssertions::provider(assertions, {});
        }
        std::unique_ptr<kuva::workflow::InputSource> source;
        if ((settings.studies.empty() && settings.documents.empty()) || !options.input.paths.empty() ||
            !options.input.files_from.empty()) {
          source = session.open_input(options.input);
        }
        std::optional<kuva::cli::LedgerRun> ledger;
        if (!options.ledger.where.empty()) {
          using kuva::cli::LedgerRun;
          ledger.emplace(options.ledger, LedgerRun::Role::inventory, session, &target, LedgerRun::Peer::source);
          settings.ledger = &ledger->ledger();
        }
        kuva::workflow::retrieve(source.get(), session.sink(), session.observer(), session.accounting(), target,
                                 settings, session.stop_token());
      });
}
