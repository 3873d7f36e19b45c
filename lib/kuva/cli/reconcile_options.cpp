#include <kuva/cli/environment.hpp>
#include <kuva/cli/ledger_options.hpp>
#include <kuva/cli/options.hpp>
#include <kuva/cli/reconcile_options.hpp>
#include <kuva/dicom/uid.hpp>

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace kuva::cli {

namespace {

constexpr const char* k_reconcile_group = "Reconcile";

constexpr auto k_reconcile_names = std::to_array<const char*>(
    {"--target", "--host", "--port", "--called", "--calling", "--by", "--only-differences", "--update", "--sample",
     "--sample-seed", "--sample-dir", "--via", "--destination", "--listen", "--jobs", "--window", "--max-duration"});

double parse_percent(std::string_view text) {
  double percent = 0;
  const std::string_view number = text.ends_with('%') ? text.substr(0, text.size() - 1) : text;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), percent);
  if (error != std::errc{} || end != number.data() + number.size() || !(percent > 0 && percent <= 100)) {
    throw usage_error(fmt::format("--sample: '{}' is not a percentage above 0 and up to 100", text));
  }
  return percent;
}

}  // namespace

void add_reconcile_options(CLI::App& app, ReconcileOptions& options) {
  using By = workflow::ReconcileSettings::By;
  workflow::ReconcileSettings& settings = options.settings;
  add_target_options(app, options.target);
  add_listen_option(app, options.target);
  add_assertion_options(app, options.assertion);
  const auto group = [](CLI::Option* option) { return option->group(k_reconcile_group); };
  group(add_choice<By>(app, "--by", settings.by,
                       {{"auto", By::automatic}, {"find", By::find}, {"registry", By::registry}, {"both", By::both}},
                       "What is asked: C-FIND, the registry and its manifests, or what the target has (auto)"));
  group(app.add_flag("--only-differences", settings.only_differences, "No records of studies that are equal"));
  group(app.add_flag("--update", settings.update,
                     "Write what was found into the ledger: kuva-send then sends again what is missing"));
  group(app.add_option("--sample", options.sample,
                       "Of so many studies in a hundred the objects are retrieved and compared"))
      ->type_name("N%");
  group(app.add_option("--sample-seed", settings.sample_seed, "Another word, other studies"))->type_name("WORD");
  group(app.add_option("--sample-dir", options.directory, "Where objects lie until they have been compared (TMPDIR)"))
      ->type_name("DIR");
  group(add_choice<workflow::RetrieveVia>(app, "--via", settings.via,
                                          {{"auto", workflow::RetrieveVia::automatic},
                                           {"rad69", workflow::RetrieveVia::rad69},
                                           {"cmove", workflow::RetrieveVia::cmove},
                                           {"wado", workflow::RetrieveVia::wado}},
                                          "How they come (auto: by the target)"));
  group(
      app.add_option("--destination", settings.destination, "AE title that C-MOVE sends to, when it is not --calling"))
      ->type_name("AET");
  group(add_number(app, "--jobs", settings.jobs, 1, 64, "Studies at the same time (what the target says)"));
  add_time_limit_options(app, options.limits);
  add_report_options(app, options.report);
}

std::span<const char* const> reconcile_option_names() { return k_reconcile_names; }

void run_reconcile(Session& session, ReconcileOptions& options, const std::string& ledger, bool accept_target) {
  workflow::ReconcileSettings& settings = options.settings;
  for (const std::string& study : settings.studies) {
    if (const auto defect = dicom::uid_defect(study)) {
      throw usage_error(fmt::format("--study: '{}' is no UID: {}", study, *defect));
    }
  }
  if (!options.sample.empty()) {
    settings.sample = parse_percent(options.sample);
  }
  settings.directory = !options.directory.empty() ? options.directory : environment("TMPDIR").value_or("/tmp");
  settings.phi_plain = session.options().phi_plain;
  workflow::Target target = session.target(options.target, TargetNeeds::any);
  session.report_progress(options.report);
  settings.limits = limits_of(options.limits, target);
  if (target.move) {
    if (settings.destination.empty()) {
      settings.destination = target.move->destination;
    }
    if (options.target.listen.empty() && target.move->listener) {
      target.listener = target.move->listener;
    }
  }
  settings.assertions = make_assertions(options.assertion, target, session.observer());
  const auto compare = [&](ledger::Ledger& opened) {
    workflow::reconcile(opened, session.sink(), session.observer(), session.accounting(), target, settings,
                        session.stop_token());
  };
  if (settings.update) {
    LedgerOptions run_options;
    run_options.where = ledger;
    run_options.accept_target = accept_target;
    LedgerRun run(run_options, ledger::Ledger::Role::committing, session, &target);
    compare(run.ledger());
  } else {
    const auto opened = ledger::Ledger::open(ledger, ledger::Ledger::Role::reading);
    compare(*opened);
  }
}

}  // namespace kuva::cli
