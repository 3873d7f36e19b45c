#include <kuva/cli/hl7_config.hpp>
#include <kuva/cli/row_reader.hpp>
#include <kuva/cli/tool.hpp>
#include <kuva/workflow/adt.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace {

enum class Command { none, update, send, show, check, receive };

constexpr kuva::cli::ToolInfo k_info{
    .name = "kuva-adt",
    .usage = "update|send|show|check|receive [OPTION]... [FILE]...",
    .description =
        "Patient data in HL7 v2: makes and sends updates, sends, shows and checks messages, and receives them.\n"
        "Each message becomes a record that says how it ended.",
    .examples =
        "  kuva-adt update -t archive --id 010101-123N --name 'Doe^Jane' --sex F --dry-run\n"
        "  kuva-adt update -t archive patients.csv\n"
        "  kuva-adt send -t archive message.hl7\n"
        "  kuva-adt show --format text message.hl7\n"
        "  kuva-adt receive --listen 127.0.0.1:2575 --security plain\n",
};

struct Options {
  Command command = Command::none;
  kuva::cli::InputOptions input;
  kuva::cli::Hl7Options target;
  kuva::workflow::AdtSettings settings;
  std::map<std::string, std::string> row;  // of the options that name a patient
  std::vector<std::string> sets;
  std::string listen;
  std::string directory;
  unsigned count = 0;
};

void add_patient_option(CLI::App& app, Options& options, const char* name, const std::string& column, const char* type,
                        const char* what) {
  app.add_option_function<std::string>(
         name, [&options, column](const std::string& value) { options.row[column] = value; }, what)
      ->type_name(type)
      ->group("Patient (update)");
}

void add_options(CLI::App& app, Options& options) {
  constexpr const char* k_group = "Messages";
  kuva::cli::add_choice<Command>(app, "COMMAND", options.command,
                                 {{"update", Command::update},
                                  {"send", Command::send},
                                  {"show", Command::show},
                                  {"check", Command::check},
                                  {"receive", Command::receive}},
                                 "What to do")
      ->group(k_group);
  app.add_option("FILE", options.input.paths,
                 "Messages; for update rows (CSV, NDJSON) or DICOM files (.dcm); - is standard input")
      ->type_name("")
      ->group(k_group);
  kuva::cli::add_choice<std::string>(app, "--trigger", options.settings.trigger, {{"A31", "A31"}, {"A08", "A08"}},
                                     "Event of an update (A31)")
      ->group(k_group);
  app.add_flag("-n,--dry-run", options.settings.dry_run, "Say what would be sent and what it does; send nothing")
      ->group(k_group);
  kuva::cli::add_number(app, "--retries", options.settings.delivery.retries, 0, 1000,
                        "More attempts after a temporary error, with the same MSH-10 (3)")
      ->group(k_group);
  kuva::cli::add_duration(app, "--retry-delay", options.settings.delivery.retry_delay,
                          "Before the first of them, then doubled (1s)")
      ->group(k_group);
  kuva::cli::add_choice<bool>(app, "--on-ack-timeout", options.settings.delivery.repeat_unanswered,
                              {{"retry", true}, {"fail", false}},
                              "After no answer: the same message again (default; never a merge), or fail")
      ->group(k_group);
  add_patient_option(app, options, "--id", "id", "ID", "Identifier: a hetu, ID@OID or ID^^^NAMESPACE&OID&ISO");
  add_patient_option(app, options, "--authority", "authority", "OID", "Assigning authority of the identifier");
  add_patient_option(app, options, "--name", "name", "NAME", "family^given^middle^prefix^suffix");
  add_patient_option(app, options, "--birth-date", "birthDate", "DATE", "YYYYMMDD");
  add_patient_option(app, options, "--sex", "sex", "CODE", "F, M, O, U, A or N");
  app.add_option("--set", options.sets, "Any other place, as PID-11.3=Helsinki; \"\" deletes")
      ->type_name("PLACE=VALUE")
      ->group("Patient (update)");
  app.add_option("--listen", options.listen, "receive: where to listen")->type_name("[HOST:]PORT")->group(k_group);
  app.add_option("--directory", options.directory, "receive: keep each message here, before it is acknowledged")
      ->type_name("DIR")
      ->group(k_group);
  kuva::cli::add_number(app, "--count", options.count, 1, 4'000'000'000, "receive: end after so many messages")
      ->group(k_group);
  kuva::cli::add_hl7_options(app, options.target);
}

void update(kuva::cli::Session& session, Options& options) {
  const auto target = kuva::cli::resolve_hl7_target(options.target, session.options().config);
  for (const std::string& text : options.sets) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || !kuva::hl7::Position::parse(text.substr(0, equals))) {
      throw kuva::cli::usage_error("--set: '" + text + "' is not of the form PID-11.3=VALUE");
    }
    options.row[text.substr(0, equals)] = text.substr(equals + 1);
  }
  const auto run = [&](kuva::workflow::RowSource& rows) {
    kuva::workflow::adt_update(rows, session.sink(), session.observer(), session.accounting(), target, options.settings,
                               session.stop_token());
  };
  const auto& paths = options.input.paths;
  if (!options.row.empty() == !paths.empty()) {
    throw kuva::cli::usage_error(paths.empty() ? "name a patient with --id, or files of rows or DICOM"
                                               : "give the patient's data in options or in files, not both");
  }
  if (paths.empty()) {
    kuva::cli::OptionRow row(options.row);
    run(row);
  } else if (std::all_of(paths.begin(), paths.end(), kuva::workflow::holds_dicom)) {
    const auto input = session.open_input(options.input);
    kuva::workflow::DicomRows rows(*input);
    run(rows);
  } else {
    kuva::cli::RowReader rows(paths, session.stop_token());
    run(rows);
  }
}

void receive(kuva::cli::Session& session, const Options& options) {
  kuva::workflow::ReceiveSettings settings;
  const auto endpoint = kuva::cli::parse_endpoint(options.listen, true);
  const auto port = kuva::cli::parse_port(options.listen, true);
  if (!endpoint && !port) {
    throw kuva::cli::usage_error("receive needs --listen PORT or HOST:PORT");
  }
  settings.bind = endpoint ? *endpoint : kuva::net::Endpoint{"127.0.0.1", *port};
  settings.tls = options.target.tls.tls.value_or(true);
  options.target.tls.apply_files(settings.tls_settings);
  settings.directory = options.directory;
  settings.count = options.count;
  kuva::workflow::adt_receive(session.sink(), session.observer(), session.accounting(), settings, options.settings,
                              session.stop_token());
}

std::unique_ptr<kuva::workflow::InputSource> open_messages(kuva::cli::Session& session, const Options& options) {
  const auto& paths = options.input.paths;
  if (paths.empty() || std::find(paths.begin(), paths.end(), "-") != paths.end()) {
    throw kuva::cli::usage_error("name files of HL7 messages");
  }
  return session.open_input(options.input);
}

void run(kuva::cli::Session& session, Options& options) {
  options.settings.show_identifiers = session.options().phi_plain;
  const auto stop = session.stop_token();
  switch (options.command) {
    case Command::none:
      throw kuva::cli::usage_error("say what to do: update, send, show, check or receive");
    case Command::update:
      return update(session, options);
    case Command::receive:
      return receive(session, options);
    case Command::send: {
      const auto input = open_messages(session, options);
      const auto target = kuva::cli::resolve_hl7_target(options.target, session.options().config);
      return kuva::workflow::adt_send(*input, session.sink(), session.observer(), session.accounting(), target,
                                      options.settings, stop);
    }
    case Command::show:
    case Command::check: {
      if (!options.target.target.empty()) {
        options.settings.profile = kuva::cli::resolve_hl7_target(options.target, session.options().config).profile;
      } else if (!options.target.charset.empty()) {
        options.settings.profile.assumed_set = kuva::hl7::CharacterSet::find(options.target.charset);
      }
      const auto input = open_messages(session, options);
      return (options.command == Command::show ? kuva::workflow::adt_show : kuva::workflow::adt_check)(
          *input, session.sink(), session.accounting(), options.settings, stop);
    }
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
