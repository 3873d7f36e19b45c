#include <kuva/cli/environment.hpp>
#include <kuva/cli/reconcile_options.hpp>
#include <kuva/cli/tool.hpp>
#include <kuva/workflow/ledger_commands.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

namespace {

constexpr kuva::cli::ToolInfo k_info{
    .name = "kuva-ledger",
    .usage = "COMMAND [OPTION]... LEDGER [OTHER]...",
    .description =
        "Looks after the ledger of a batch, a SQLite file or a PostgreSQL database:\n"
        "  create     makes the tables of a new ledger; the tools do it too\n"
        "  status     where the batch stands, in counts that add up, its rate and when it will be done\n"
        "  failed     what failed, by error code, with an example and what to do\n"
        "  export     its instances, as records that kuva-send takes again, or as a table\n"
        "  reconcile  holds its studies against the archive, by number and, for a sample, by content\n"
        "  report     a page for people, with charts and the list of what failed, to print and sign\n"
        "  merge      takes over what other ledgers know\n"
        "  check      looks for damage, and brings an older ledger up to date\n"
        "  vacuum     gives free space back",
    .examples =
        "  kuva-ledger status batch.ledger\n"
        "  kuva-ledger failed --format text postgresql://archive-db/migration\n"
        "  kuva-ledger export --only failed:store.out-of-resources --again batch.ledger | kuva-send -t archive\n"
        "  kuva-ledger export --csv acceptance.csv batch.ledger\n"
        "  kuva-ledger reconcile -t archive --sample 1 --only-differences batch.ledger\n"
        "  kuva-ledger report --html protocol.html batch.ledger\n"
        "  kuva-ledger merge all.ledger monday.ledger tuesday.ledger\n",
    .flush_each = false,
};

enum class Command { create, status, failed, export_rows, reconcile, report, merge, check, vacuum };

struct Options {
  Command command = Command::status;
  std::vector<std::string> ledgers;
  std::vector<std::string> only;
  std::vector<std::string> studies;
  bool again = false;
  bool accept_target = false;
  kuva::workflow::LedgerExportSettings rows;
  std::string html;
  kuva::cli::ReconcileOptions reconcile;
};

void add_options(CLI::App& app, Options& options) {
  constexpr const char* k_export = "Export";
  kuva::cli::add_choice<Command>(app, kuva::cli::k_command_name, options.command,
                                 {{"create", Command::create},
                                  {"status", Command::status},
                                  {"failed", Command::failed},
                                  {"export", Command::export_rows},
                                  {"reconcile", Command::reconcile},
                                  {"report", Command::report},
                                  {"merge", Command::merge},
                                  {"check", Command::check},
                                  {"vacuum", Command::vacuum}},
                                 "What to do")
      ->required();
  app.add_option("LEDGER", options.ledgers,
                 "A file, or postgresql://[user@]host[:port]/database; for merge the others too")
      ->type_name("")
      ->required();
  app.add_option("--only", options.only, "Instances in this state: failed, failed:CODE, stored ...; may be repeated")
      ->type_name("STATE[:CODE]")
      ->allow_extra_args(false)
      ->group(k_export);
  app.add_option("--study", options.studies, "This study alone; for reconcile it may be repeated")
      ->type_name("UID")
      ->allow_extra_args(false)
      ->group(k_export);
  app.add_flag("--again", options.again, "As instances to be sent, without what became of them")->group(k_export);
  app.add_option("--csv", options.rows.csv, "Write them to a file as CSV")->type_name("FILE")->group(k_export);
  app.add_option("--html", options.html, "The page to write")->type_name("FILE")->group("Report");
  app.add_flag("--accept-target", options.accept_target, "Take over a ledger that was made for another target")
      ->group("Merge");
  kuva::cli::add_reconcile_options(app, options.reconcile);
}

// An option of another command is a mistake where it was typed; one of the environment is not.
void check_scopes(const CLI::App& app, Command command) {
  std::vector<std::pair<const char*, std::vector<Command>>> scopes{
      {"--only", {Command::export_rows}},
      {"--study", {Command::export_rows, Command::reconcile}},
      {"--again", {Command::export_rows, Command::reconcile}},
      {"--csv", {Command::export_rows}},
      {"--html", {Command::report}},
      {"--accept-target", {Command::merge, Command::reconcile}}};
  for (const char* const name : kuva::cli::reconcile_option_names()) {
    scopes.push_back({name, {Command::reconcile}});
  }
  for (const auto& scope : scopes) {
    const CLI::Option* const option = app.get_option(scope.first);
    const bool is_of_command = std::find(scope.second.begin(), scope.second.end(), command) != scope.second.end();
    if (option->count() != 0 && !is_of_command && !kuva::cli::environment(option->get_envname().c_str())) {
      throw kuva::cli::usage_error(fmt::format("{} is no option of this command", scope.first));
    }
  }
}

void choose(Options& options) {
  if (options.studies.size() > 1) {
    throw kuva::cli::usage_error("kuva-ledger export takes one --study");
  }
  options.rows.study = options.studies.empty() ? std::string() : options.studies.front();
  options.rows.again = options.again;
  for (const std::string& only : options.only) {
    const std::size_t colon = only.find(':');
    options.rows.states.push_back(only.substr(0, colon));
    if (colon != std::string::npos) {
      options.rows.error_codes.push_back(only.substr(colon + 1));
    }
  }
}

void work(kuva::cli::Session& session, Options& options) {
  const bool merges = options.command == Command::merge;
  if (merges && options.ledgers.size() < 2) {
    throw kuva::cli::usage_error("kuva-ledger merge takes a ledger and at least one other");
  }
  if (!merges && options.ledgers.size() > 1) {
    throw kuva::cli::usage_error("this command takes one ledger");
  }
  const std::string& where = options.ledgers.front();
  kuva::workflow::Accounting& accounting = session.accounting();
  switch (options.command) {
    case Command::create:
      accounting.items_are({"ledger"});
      return kuva::workflow::ledger_create(where, session.sink(), accounting);
    case Command::status:
      accounting.items_are({"ledger"});
      return kuva::workflow::ledger_status(where, session.sink(), accounting);
    case Command::failed:
      accounting.items_are({"failure"});
      return kuva::workflow::ledger_failed(where, session.sink(), accounting);
    case Command::export_rows:
      choose(options);
      accounting.items_are({options.rows.csv.empty() ? "instance" : "ledger"});
      return kuva::workflow::ledger_export(where, session.sink(), accounting, options.rows, session.stop_token());
    case Command::reconcile:
      accounting.items_are({"reconciliation"});
      options.reconcile.settings.studies = options.studies;
      options.reconcile.settings.again = options.again;
      return kuva::cli::run_reconcile(session, options.reconcile, where, options.accept_target);
    case Command::report:
      if (options.html.empty()) {
        throw kuva::cli::usage_error("kuva-ledger report takes --html FILE");
      }
      accounting.items_are({"ledger"});
      return kuva::workflow::ledger_report(where, options.html, session.sink(), accounting, session.stop_token());
    case Command::merge:
      accounting.items_are({"ledger"});
      return kuva::workflow::ledger_merge(where, {options.ledgers.begin() + 1, options.ledgers.end()},
                                          options.accept_target, session.sink(), accounting, session.stop_token());
    case Command::check:
      accounting.items_are({"ledger"});
      return kuva::workflow::ledger_check(where, session.sink(), accounting);
    case Command::vacuum:
      accounting.items_are({"ledger"});
      return kuva::workflow::ledger_vacuum(where, session.sink(), accounting);
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
