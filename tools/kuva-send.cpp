#include <kuva/cli/ledger_options.hpp>
#include <kuva/cli/limit_options.hpp>
#include <kuva/cli/tool.hpp>
#include <kuva/workflow/check.hpp>
#include <kuva/workflow/send.hpp>

#include <optional>

namespace {

using kuva::workflow::SendSettings;

constexpr kuva::cli::ToolInfo k_info{
    .name = "kuva-send",
    .usage = "[OPTION]... -t TARGET [PATH]...",
    .description =
        "Sends DICOM objects to an archive (C-STORE, TLS): each object becomes a record that says how it ended.",
    .examples =
        "  kuva-validate /archive/2019 | kuva-send -t archive | kuva-commit -t archive > 2019.ndjson\n"
        "  kuva-send -t archive --associations 4 --bwlimit 20M study/\n"
        "  kuva-send -t archive --window '22:00-06:00' --max-failures 5%/1000 /archive/2019\n"
        "  kuva-send -t archive --ledger 2019.db --order newest /archive/2019\n"
        "  kuva-send --check -t archive\n"
        "  kuva-send -t ARCHIVE@pacs.example:104 --security plain image.dcm\n",
};

void add_options(CLI::App& app, kuva::cli::InputOptions& input, kuva::cli::TargetOptions& target,
                 SendSettings& settings, kuva::cli::LimitOptions& limits) {
  constexpr const char* k_group = "Sending";
  kuva::cli::add_input_options(app, input);
  kuva::cli::add_target_options(app, target);
  kuva::cli::add_number(app, "--associations", settings.associations, 1, 64,
                        "At the same time; a study stays on one (what the target says)")
      ->group(k_group);
  kuva::cli::add_number(app, "--retries", settings.retries, 0, 1000, "More attempts after a temporary error (3)")
      ->group(k_group);
  kuva::cli::add_duration(app, "--retry-delay", settings.retry_delay, "Before the first of them, then doubled (1s)")
      ->group(k_group);
  app.add_flag("--fail-fast", settings.fail_fast, "Stop at the first object that fails")->group(k_group);
  app.add_flag("-n,--dry-run", settings.dry_run, "Read everything, send nothing")->group(k_group);
  kuva::cli::add_send_limit_options(app, limits);
}

void add_check_options(CLI::App& app, bool& checks, kuva::workflow::CheckSettings& settings) {
  constexpr const char* k_group = "Checking";
  app.add_flag("--check", checks, "Send nothing: see how far the target can be reached, and what it takes")
      ->group(k_group);
  kuva::cli::add_number(app, "--expiry-days", settings.expiry_days, 0, 10'000,
                        "Warn when a certificate ends within these days (30)")
      ->group(k_group);
}

}  // namespace

int main(int argc, char** argv) {
  kuva::cli::InputOptions input;
  kuva::cli::TargetOptions target;
  SendSettings settings;
  kuva::cli::LimitOptions limits;
  kuva::cli::ReportOptions report;
  kuva::cli::LedgerOptions ledger_options;
  bool checks = false;
  kuva::workflow::CheckSettings check_settings;
  return kuva::cli::run_tool(
      k_info, argc, argv,
      [&](CLI::App& app) {
        add_options(app, input, target, settings, limits);
        add_check_options(app, checks, check_settings);
        kuva::cli::add_batch_options(app, ledger_options);
        kuva::cli::add_report_options(app, report);
      },
      [&](kuva::cli::Session& session) {
        if (checks) {
          kuva::workflow::check(session.sink(), session.observer(), session.target(target), check_settings,
                                session.stop_token());
          return;
        }
        session.report_progress(report);
        input.optional = !ledger_options.where.empty();
        const auto source = session.open_input(input);
        const auto destination = session.target(target);
        settings.limits = kuva::cli::limits_of(limits, destination);
        std::optional<kuva::cli::LedgerRun> ledger;
        if (!ledger_options.where.empty()) {
          settings.batch = kuva::cli::batch_of(ledger_options, session.stop_token());
          ledger.emplace(ledger_options, kuva::cli::LedgerRun::Role::sending, session, &destination);
          settings.batch.ledger = &ledger->ledger();
        }
        kuva::workflow::send(*source, session.sink(), session.observer(), session.accounting(), destination, settings,
                             session.stop_token());
      });
}
