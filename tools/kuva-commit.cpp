#include <kuva/cli/environment.hpp>
#include <kuva/cli/ledger_options.hpp>
#include <kuva/cli/limit_options.hpp>
#include <kuva/cli/tool.hpp>
#include <kuva/workflow/check_inbound.hpp>
#include <kuva/workflow/commit.hpp>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>

namespace {

using kuva::workflow::CommitSettings;

constexpr kuva::cli::ToolInfo k_info{
    .name = "kuva-commit",
    .usage = "[OPTION]... -t TARGET [PATH]...",
    .description =
        "Asks an archive to confirm its custody of objects (Storage Commitment) and waits for its reports: each "
        "object\n"
        "becomes a record that says committed, failed or pending.",
    .examples =
        "  kuva-send -t archive study/ | kuva-commit -t archive --wait 10m > committed.ndjson\n"
        "  kuva-commit -t archive --check-inbound --wait 10m\n"
        "  kuva-commit -t archive --resume --wait 2h --files-from /dev/null\n"
        "  kuva-commit -t archive --ledger 2019.db --wait 2h < /dev/null\n",
};

void add_options(CLI::App& app, kuva::cli::InputOptions& input, kuva::cli::TargetOptions& target,
                 CommitSettings& settings, std::string& state, bool& checks, kuva::cli::LimitOptions& limits,
                 kuva::cli::ReportOptions& report, kuva::cli::LedgerOptions& ledger) {
  constexpr const char* k_group = "Commitment";
  kuva::cli::add_input_options(app, input);
  kuva::cli::add_target_options(app, target);
  kuva::cli::add_listen_option(app, target);
  kuva::cli::add_duration(app, "--wait", settings.wait, "For reports, after the last request (60s)")->group(k_group);
  kuva::cli::add_duration(app, "--grace", settings.grace, "For reports on our own association (5s)")->group(k_group);
  kuva::cli::add_number(app, "--chunk", settings.chunk, 1, 10'000, "Objects a request (what the target says)")
      ->group(k_group);
  kuva::cli::add_number(app, "--retries", settings.retries, 0, 1000, "More requests after a temporary error (3)")
      ->group(k_group);
  kuva::cli::add_duration(app, "--retry-delay", settings.retry_delay, "Before the first of them, then doubled (1s)")
      ->group(k_group);
  app.add_option("--state", state, "Where unfinished transactions are kept")->type_name("DIR")->group(k_group);
  app.add_flag("--resume", settings.resume, "Take up the unfinished transactions of earlier runs too")->group(k_group);
  app.add_flag("--ian", settings.ian, "Wait for the archive's availability notifications too")->group(k_group);
  app.add_flag("-n,--dry-run", settings.dry_run, "Read everything, ask nothing")->group(k_group);
  app.add_flag("--check-inbound", checks,
               "Ask nothing: say what the archive needs to reach us, and report what comes in until --wait")
      ->group(k_group);
  kuva::cli::add_target_ledger_options(app, ledger);
  kuva::cli::add_time_limit_options(app, limits);
  kuva::cli::add_report_options(app, report);
}

// A target's own directory below the user's state directory; an address may hold characters that names of files do not.
std::filesystem::path default_state(std::string target) {
  const auto base = kuva::cli::xdg_directory("XDG_STATE_HOME", ".local/state");
  if (!base) {
    throw kuva::Error(kuva::kind("usage.argument"),
                      "there is no home directory: say where the state goes with --state");
  }
  std::replace(target.begin(), target.end(), '/', '_');
  return *base / "kuva" / "commit" / (target.front() == '.' ? "_" + target : target);
}

}  // namespace

int main(int argc, char** argv) {
  kuva::cli::InputOptions input;
  kuva::cli::TargetOptions target_options;
  CommitSettings settings;
  std::string state;
  bool checks = false;
  kuva::cli::LimitOptions limits;
  kuva::cli::ReportOptions report;
  kuva::cli::LedgerOptions ledger_options;
  return kuva::cli::run_tool(
      k_info, argc, argv,
      [&](CLI::App& app) {
        add_options(app, input, target_options, settings, state, checks, limits, report, ledger_options);
      },
      [&](kuva::cli::Session& session) {
        const auto target = session.target(target_options);
        settings.state = state.empty() ? default_state(target.name) : std::filesystem::path(state);
        if (checks) {
          kuva::workflow::check_inbound(session.sink(), session.observer(), target, settings.state, settings.wait,
                                        session.stop_token());
          return;
        }
        session.report_progress(report);
        settings.limits = kuva::cli::limits_of(limits, target);
        input.optional = settings.resume || !ledger_options.where.empty();
        std::optional<kuva::cli::LedgerRun> ledger;
        if (!ledger_options.where.empty()) {
          ledger.emplace(ledger_options, kuva::cli::LedgerRun::Role::committing, session, &target);
          settings.ledger = &ledger->ledger();
        }
        const auto source = session.open_input(input);
        kuva::workflow::commit(*source, session.sink(), session.observer(), session.accounting(), target, settings,
                               session.stop_token());
      });
}
