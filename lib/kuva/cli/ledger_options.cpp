#include <kuva/cli/csv.hpp>
#include <kuva/cli/ledger_options.hpp>
#include <kuva/cli/record_reader.hpp>
#include <kuva/core/file.hpp>
#include <kuva/core/version.hpp>
#include <kuva/workflow/configuration_digest.hpp>

#include <fmt/format.h>

#include <fcntl.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <string_view>
#include <unordered_set>

namespace kuva::cli {

namespace {

constexpr const char* k_ledger_group = "Ledger";

void of_ledger(CLI::App& app, CLI::Option* option) { option->group(k_ledger_group)->needs(app.get_option("--ledger")); }

// "Study Instance UID", "study_instance_uid" and "StudyInstanceUID" are one.
std::string bare_name(std::string_view name) {
  std::string bare;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      bare += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  return bare;
}

// One column of a list: one value a line, or a CSV file whose first line names the column.
std::vector<std::string> read_list(const std::string& file, const std::vector<std::string_view>& names,
                                   const std::stop_token& stop) {
  FileDescriptor fd(file == "-" ? ::dup(0) : ::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    throw read_error(file, errno);
  }
  LineReader reader(std::move(fd), file, '\n', stop);
  const auto next_line = [&reader] {
    std::optional<std::string> line = reader.next();
    if (line && line->ends_with('\r')) {
      line->pop_back();
    }
    if (line && reader.line_number() == 1 && line->starts_with("\xEF\xBB\xBF")) {
      line->erase(0, 3);
    }
    return line;
  };
  std::vector<std::string> values;
  std::size_t column = 0;
  char separator = ',';
  for (bool first = true; std::optional<std::string> line = next_line(); first = false) {
    if (first) {
      separator = csv_separator(*line);
    }
    std::optional<std::vector<std::string>> fields = csv_fields(*std::move(line), separator, next_line);
    if (!fields) {
      throw usage_error(fmt::format("{}: line {} ends inside of quotation marks", file, reader.line_number()));
    }
    if (first) {
      const auto found = std::find_if(fields->begin(), fields->end(), [&names](const std::string& head) {
        return std::find(names.begin(), names.end(), bare_name(head)) != names.end();
      });
      if (found != fields->end()) {
        column = static_cast<std::size_t>(found - fields->begin());
        continue;
      }
      if (fields->size() > 1) {
        throw usage_error(fmt::format("{}: its first line has no column {}", file, names.front()));
      }
    }
    if (column < fields->size() && !(*fields)[column].empty() && (*fields)[column].front() != '#') {
      values.push_back(std::move((*fields)[column]));
    }
  }
  if (values.empty()) {
    throw usage_error(fmt::format("{}: there is nothing in it", file));
  }
  return values;
}

const std::vector<std::string_view> k_study_columns{"studyinstanceuid", "studyuid", "study"};
const std::vector<std::string_view> k_patient_columns{"patientid", "patient", "pid"};

}  // namespace

void add_ledger_option(CLI::App& app, LedgerOptions& options) {
  CLI::Option* const ledger =
      app.add_option(
             "--ledger", options.where,
             "Keep the state of the batch in a file, or in postgresql://HOST/DATABASE; the same command resumes")
          ->type_name("WHERE")
          ->group(k_ledger_group);
  // A plan would have to write the ledger.
  if (CLI::Option* const dry_run = app.get_option_no_throw("--dry-run")) {
    ledger->excludes(dry_run);
  }
}

void add_digest_option(CLI::App& app, LedgerOptions& options) {
  of_ledger(app, app.add_flag("--digest", options.digest,
                              "Read new files whole, and keep the SHA-256 of their data sets in the ledger"));
}

void add_again_option(CLI::App& app, bool& again) {
  of_ledger(app, app.add_flag("--again", again, "Ask for everything, also for what the ledger has as retrieved"));
}

void add_target_ledger_options(CLI::App& app, LedgerOptions& options) {
  add_ledger_option(app, options);
  of_ledger(app, app.add_flag("--accept-target", options.accept_target,
                              "The archive only moved: go on though the address is another"));
}

void add_batch_options(CLI::App& app, LedgerOptions& options) {
  add_target_ledger_options(app, options);
  add_digest_option(app, options);
  const auto text = [&app](const char* name, std::string& value, const char* type, const char* description) {
    of_ledger(app, app.add_option(name, value, description)->type_name(type));
  };
  text("--order", options.order, "ORDER", "Of studies: as-given (default), newest, oldest, or a file that lists them");
  text("--only", options.only, "failed[:CODE]", "Send again what failed: all of it, or with these codes (comma)");
  text("--studies", options.studies, "FILE", "Only the studies of a list, or of a CSV file with StudyInstanceUID");
  text("--patients", options.patients, "FILE", "Only patients of a list: PatientID, or PatientID^^^ISSUER");
  text("--ready-command", options.ready_command, "CMD",
       "Ask before each study: run with its Study Instance UID, exit status 0 is yes");
  of_ledger(app, add_duration(app, "--ready-timeout", options.ready_timeout, "As long as that may take (60s)"));
  of_ledger(app, add_duration(app, "--lease", options.lease,
                              "PostgreSQL: without a sign of life for this long, others take over (2m)"));
}

std::vector<std::string> read_studies(const std::string& file, const std::stop_token& stop) {
  return read_list(file, k_study_columns, stop);
}

LedgerRun::LedgerRun(const LedgerOptions& options, Role role, Session& session, const workflow::Target* target,
                     Peer peer)
    : m_ledger(ledger::Ledger::open(options.where, role)) {
  ledger::RunFacts facts;
  facts.tool = session.tool();
  facts.version = version();
  facts.command_line = session.command_line();
  if (target != nullptr) {
    facts.target = target->name;
    facts.configuration_digest = workflow::configuration_digest(*target);
  }
  if (target != nullptr && peer == Peer::destination) {
    facts.target_identity = fmt::format("{}@{}:{}, from {}", target->called_ae, target->endpoint.host,
                                        target->endpoint.port, target->calling_ae);
  }
  m_ledger->begin_run(facts, options.accept_target);
  session.at_end([&session, ledger = m_ledger] {
    try {
      ledger->end_run(static_cast<int>(session.accounting().exit_code()), session.summary_so_far());
    } catch (const std::exception& error) {
      // A run that has no end in the ledger was cut; what failed before it has been told.
      session.observer().message(workflow::Observer::Level::info, error.what());
    }
  });
}

workflow::SendSettings::Batch batch_of(const LedgerOptions& options, std::stop_token stop) {
  using Order = ledger::Selection::Order;
  workflow::SendSettings::Batch batch;
  batch.with_digests = options.digest;
  batch.shared = ledger::Ledger::is_shared(options.where);
  batch.ready_command = options.ready_command;
  batch.ready_timeout = options.ready_timeout;
  batch.lease = std::max(std::chrono::seconds(1), std::chrono::ceil<std::chrono::seconds>(options.lease));
  ledger::Selection& selection = batch.selection;
  if (!options.only.empty()) {
    const std::string_view only = options.only;
    if (only != "failed" && !only.starts_with("failed:")) {
      throw usage_error(fmt::format("--only: '{}' is not failed or failed:CODE", only));
    }
    selection.only_failed = true;
    if (only.size() > 7) {
      selection.error_codes = CLI::detail::split(std::string(only.substr(7)), ',');
    }
  }
  if (!options.studies.empty()) {
    selection.studies = read_list(options.studies, k_study_columns, stop);
  }
  if (!options.patients.empty()) {
    selection.patients = read_list(options.patients, k_patient_columns, stop);
  }
  if (options.order == "newest") {
    selection.order = Order::newest;
  } else if (options.order == "oldest") {
    selection.order = Order::oldest;
  } else if (!options.order.empty() && options.order != "as-given") {
    selection.order = Order::listed;
    const std::unordered_set<std::string> chosen(selection.studies.begin(), selection.studies.end());
    selection.studies = read_list(options.order, k_study_columns, stop);
    if (!chosen.empty()) {
      std::erase_if(selection.studies, [&chosen](const std::string& study) { return !chosen.contains(study); });
    }
  }
  return batch;
}

}  // namespace kuva::cli
