#include <kuva/cli/ledger_options.hpp>
#include <kuva/cli/tool.hpp>
#include <kuva/workflow/validate.hpp>

#include <optional>

namespace {

using kuva::workflow::ValidateSettings;

constexpr kuva::cli::ToolInfo k_info{
    .name = "kuva-validate",
    .usage = "[OPTION]... [PATH]...",
    .description =
        "Checks DICOM objects and whole studies before they are sent: each file becomes a record with its findings.",
    .examples =
        "  kuva-validate /archive/2019 > 2019.ndjson\n"
        "  kuva-validate --format text --fail-on warning study/\n"
        "  kuva-validate --profile kanta-2.4.1 --report junit:report.xml /archive/2019 > 2019.ndjson\n"
        "  find /archive -name '*.dcm' -print0 | kuva-validate --files-from - -0\n",
    .flush_each = false,
    .explain = kuva::workflow::explain_rule,
};

void add_options(CLI::App& app, kuva::cli::InputOptions& input, ValidateSettings& settings, bool& no_studies,
                 kuva::cli::ReportOptions& progress, kuva::cli::LedgerOptions& ledger) {
  using FailOn = ValidateSettings::FailOn;
  constexpr const char* k_group = "Validation";
  kuva::cli::add_input_options(app, input);
  kuva::cli::add_number(app, "-j,--jobs", settings.jobs, 1, 1024, "Files looked at at once (one a processor)")
      ->group(k_group);
  kuva::cli::add_choice<FailOn>(app, "--fail-on", settings.fail_on,
                                {{"error", FailOn::error}, {"warning", FailOn::warning}, {"never", FailOn::never}},
                                "The mildest finding that makes an object invalid (error)")
      ->group(k_group);
  app.add_option("--profile", settings.profile, "Apply a profile's rules too: its name, or a file (kuva-profiles(5))")
      ->type_name("NAME|FILE")
      ->group(k_group);
  app.add_option("--waivers", settings.waivers, "Findings that somebody has accepted, and until when")
      ->type_name("FILE")
      ->group(k_group);
  app.add_option_function<std::vector<std::string>>(
         "--report",
         [&settings](const std::vector<std::string>& reports) {
           for (const std::string& report : reports) {
             try {
               kuva::workflow::check_report(report);
             } catch (const kuva::Error& error) {
               throw CLI::ValidationError(error.message());
             }
           }
           settings.reports = reports;
         },
         "Write the findings to a file too: junit:FILE, csv:FILE, text:FILE (grouped by rule); may be repeated")
      ->type_name("FORMAT:FILE")
      ->type_size(1)
      ->allow_extra_args(false)
      ->group(k_group);
  app.add_flag_callback(
         "--list-rules",
         [&settings] {
           try {
             throw CLI::CallForVersion(
                 kuva::workflow::list_rules(settings.profile.empty() ? "dicom" : settings.profile), 0);
           } catch (const kuva::Error& error) {
             throw CLI::ValidationError("--profile: " + error.message());
           }
         },
         "List the rules of the profile (dicom), what it does not check, and end")
      ->group(k_group);
  app.add_flag("--strict", settings.strict, "Files that are not DICOM count as failed")->group(k_group);
  app.add_flag("--no-studies", no_studies, "No study records at the end")->group(k_group);
  kuva::cli::add_ledger_option(app, ledger);
  kuva::cli::add_digest_option(app, ledger);
  kuva::cli::add_report_options(app, progress);
}

}  // namespace

int main(int argc, char** argv) {
  kuva::cli::InputOptions input;
  ValidateSettings settings;
  bool no_studies = false;
  kuva::cli::ReportOptions report;
  kuva::cli::LedgerOptions ledger_options;
  return kuva::cli::run_tool(
      k_info, argc, argv, [&](CLI::App& app) { add_options(app, input, settings, no_studies, report, ledger_options); },
      [&](kuva::cli::Session& session) {
        session.report_progress(report);
        settings.studies = !no_studies;
        settings.phi_plain = session.options().phi_plain;
        std::optional<kuva::cli::LedgerRun> ledger;
        if (!ledger_options.where.empty()) {
          ledger.emplace(ledger_options, kuva::cli::LedgerRun::Role::inventory, session, nullptr);
          settings.ledger = &ledger->ledger();
          settings.with_digests = ledger_options.digest;
        }
        const auto source = session.open_input(input);
        kuva::workflow::validate(*source, session.sink(), session.observer(), session.accounting(), settings,
                                 session.stop_token());
      });
}
