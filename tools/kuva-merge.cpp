#include <kuva/cli/confirm.hpp>
#include <kuva/cli/environment.hpp>
#include <kuva/cli/hl7_config.hpp>
#include <kuva/cli/row_reader.hpp>
#include <kuva/cli/tool.hpp>
#include <kuva/workflow/merge.hpp>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace {

using kuva::workflow::MergeSettings;

constexpr kuva::cli::ToolInfo k_info{
    .name = "kuva-merge",
    .usage = "[OPTION]... -t TARGET --from ID --into ID --name NAME | [OPTION]... -t TARGET FILE...",
    .description =
        "Merges patients at an archive (HL7 v2 A40, A47): the patient of --from disappears, and all its studies "
        "belong\n"
        "to the patient of --into. It cannot be undone by message, so what looks wrong is refused, and each merge is\n"
        "confirmed on the terminal or with --yes.",
    .examples =
        "  kuva-merge -t archive --from T1@1.2.246.10.12345671.22.2026 --into 010101-123N --name 'Doe^Jane' --dry-run\n"
        "  kuva-merge -t archive --yes merges.csv\n",
};

struct Options {
  std::vector<std::string> files;
  kuva::cli::Hl7Options target;
  MergeSettings settings;
  std::map<std::string, std::string> row;
  std::string state;
  bool yes = false;
};

void add_options(CLI::App& app, Options& options) {
  constexpr const char* k_group = "Merge";
  const auto column = [&](const char* name, const std::string& key, const char* type, const char* what) {
    app.add_option_function<std::string>(
           name, [&options, key](const std::string& value) { options.row[key] = value; }, what)
        ->type_name(type)
        ->group(k_group);
  };
  app.add_option("FILE", options.files, "Rows (CSV, NDJSON) with from, into, name, birthDate, sex; - is standard input")
      ->type_name("")
      ->group(k_group);
  column("--from", "from", "ID", "The patient that disappears: ID@OID or ID^^^NAMESPACE&OID&ISO");
  column("--into", "into", "ID", "The patient that stays; a hetu needs no authority");
  column("--from-authority", "fromAuthority", "OID", "Assigning authority of --from");
  column("--into-authority", "intoAuthority", "OID", "Assigning authority of --into");
  column("--name", "name", "NAME", "Of the patient that stays: family^given^middle^prefix^suffix");
  column("--birth-date", "birthDate", "DATE", "Of the patient that stays: YYYYMMDD");
  column("--sex", "sex", "CODE", "Of the patient that stays: F, M, O, U, A or N");
  kuva::cli::add_choice<MergeSettings::Kind>(
      app, "--kind", options.settings.kind,
      {{"merge", MergeSettings::Kind::merge}, {"change-id", MergeSettings::Kind::change_id}},
      "Two patients become one (A40, default), or a patient gets another identifier (A47)")
      ->group(k_group);
  app.add_flag("--keep-demographics", options.settings.keep_demographics,
               "Send no name: the archive keeps the data it has of the patient that stays")
      ->group(k_group);
  app.add_flag("-y,--yes", options.yes, "Confirmed already")->group(k_group);
  app.add_flag("-n,--dry-run", options.settings.dry_run, "Say what would be sent and what it does; send nothing")
      ->group(k_group);
  kuva::cli::add_choice<bool>(app, "--on-ack-timeout", options.settings.delivery.repeat_merges,
                              {{"fail", false}, {"retry", true}},
                              "After no answer: fail (default), or the same message again")
      ->group(k_group);
  kuva::cli::add_number(app, "--retries", options.settings.delivery.retries, 0, 1000,
                        "More attempts where nothing was sent (3)")
      ->group(k_group);
  kuva::cli::add_duration(app, "--retry-delay", options.settings.delivery.retry_delay,
                          "Before the first of them, then doubled (1s)")
      ->group(k_group);
  app.add_option("--state", options.state, "Where the merges that were sent are kept")
      ->type_name("DIR")
      ->group(k_group);
  app.add_flag("--same-archive", options.settings.same_archive,
               "The history is of this archive, though it notes another address")
      ->group(k_group);
  kuva::cli::add_choice<MergeSettings::Settle>(
      app, "--settle", options.settings.settle,
      {{"applied", MergeSettings::Settle::applied}, {"not-applied", MergeSettings::Settle::not_applied}},
      "Send nothing: somebody saw at the archive how a merge in doubt ended")
      ->group(k_group);
  kuva::cli::add_hl7_options(app, options.target);
}

// A target's own directory below the user's state directory; an address may hold characters that names of files do not.
std::filesystem::path default_state(std::string target) {
  const auto base = kuva::cli::xdg_directory("XDG_STATE_HOME", ".local/state");
  if (!base) {
    throw kuva::Error(kuva::kind("usage.argument"),
                      "there is no home directory: say where the state goes with --state");
  }
  std::replace(target.begin(), target.end(), '/', '_');
  return *base / "kuva" / "merge" / (target.front() == '.' ? "_" + target : target);
}

void run(kuva::cli::Session& session, Options& options) {
  if (options.row.empty() == options.files.empty()) {
    throw kuva::Error(kuva::kind("usage.argument"), options.files.empty()
                                                        ? "name the patients with --from and --into, or files of rows"
                                                        : "give the patients in options or in files, not both");
  }
  const auto target = kuva::cli::resolve_hl7_target(options.target, session.options().config);
  options.settings.state = options.state.empty() ? default_state(target.name) : std::filesystem::path(options.state);
  options.settings.show_identifiers = session.options().phi_plain;
  if (!options.yes && !options.settings.dry_run) {
    if (!kuva::cli::can_ask()) {
      throw kuva::Error(kuva::kind("merge.not-confirmed"),
                        "there is no terminal to confirm the merge on: give --yes when it was looked at");
    }
    options.settings.confirm = kuva::cli::Confirmation();
  }
  const auto merge = [&](kuva::workflow::RowSource& rows) {
    kuva::workflow::merge(rows, session.sink(), session.observer(), session.accounting(), target, options.settings,
                          session.stop_token());
  };
  if (options.files.empty()) {
    kuva::cli::OptionRow row(options.row);
    merge(row);
  } else {
    kuva::cli::RowReader rows(options.files, session.stop_token());
    merge(rows);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  return kuva::cli::run_tool(
      k_info, argc, argv, [&](CLI::App& app) { add_options(app, options); },
      [&](kuva::cli::Session& session) {
        session.accounting().items_are({"message"});
        run(session, options);
      });
}
