#include <kuva/cli/environment.hpp>
#include <kuva/cli/explain.hpp>
#include <kuva/cli/record_reader.hpp>
#include <kuva/cli/tool.hpp>
#include <kuva/core/record.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>

namespace kuva::cli {

namespace {

// A descriptor that the caller closed must not become a file of ours: what is written to it would end up in there.
void occupy_standard_descriptors() {
  for (const auto& [fd, flags] : {std::pair{0, O_WRONLY}, std::pair{1, O_RDONLY}, std::pair{2, O_WRONLY}}) {
    if (::fcntl(fd, F_GETFD) < 0) {
      // The lowest free number is taken, which is this one; reading (writing) it is an error, as it would have been.
      [[maybe_unused]] const int taken = ::open("/dev/null", flags);
    }
  }
}

bool wants_color(StandardOptions::Color color, int fd) {
  if (color != StandardOptions::Color::automatic) {
    return color == StandardOptions::Color::always;
  }
  return ::isatty(fd) != 0 && !environment("NO_COLOR") && environment("TERM").value_or("dumb") != "dumb";
}

// For what is printed instead of working: help, version, explanation.
int print(Messages& messages, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, text.data(), text.size());
    if (count < 0) {
      messages.say(write_error("standard output", errno).message());
      return static_cast<int>(ExitCode::local_io);
    }
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return 0;
}

int usage_failure(Messages& messages, std::string_view tool, std::string_view what) {
  messages.say(what);
  messages.say(fmt::format("Try '{} --help'.", tool));
  return static_cast<int>(ExitCode::usage);
}

int print_explanation(Messages& messages, const ToolInfo& info, const std::string& code) {
  auto text = explain(code);
  if (!text && info.explain != nullptr) {
    text = info.explain(code);
  }
  return text ? print(messages, *text)
              : usage_failure(
                    messages, info.name,
                    fmt::format("'{}' is no error code, status, rejection or abort; kuva-errors(7) lists them", code));
}

// What only a whole run has a use for: the repetition of a single item leaves it out, and the input.
bool is_of_whole_run(std::string_view option) {
  static constexpr std::array<std::string_view, 29> k_left_out{
      "files-from", "null",      "output",        "format",        "dry-run",   "quiet",
      "color",      "resume",    "trace",         "bundle",        "verbose",   "progress",
      "window",     "time-zone", "max-duration",  "max-items",     "max-bytes", "max-failures",
      "tpslimit",   "stats",     "metrics",       "ledger",        "order",     "only",
      "studies",    "patients",  "ready-command", "ready-timeout", "lease"};
  return std::find(k_left_out.begin(), k_left_out.end(), option) != k_left_out.end();
}

// What was given on the command line, without the input. `whole`: also what only a whole run has a use for.
std::string command_line_of(const CLI::App& app, std::string_view tool, bool whole) {
  std::string command(tool);
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() != 0 && option->get_lnames().empty() && option->get_name(true) == k_command_name) {
      command += " " + shell_quoted(option->results().front());
    }
    if (option->count() == 0 || option->get_lnames().empty()) {
      continue;
    }
    const std::string& name = option->get_lnames().front();
    if (!whole && is_of_whole_run(name)) {
      continue;
    }
    command += " --" + name;
    if (option->get_expected_max() != 0) {
      for (const std::string& value : option->results()) {
        command += " " + shell_quoted(value);
      }
    }
  }
  return command;
}

std::string one_line(std::string text) {
  for (char& c : text) {
    c = c == '\n' ? ' ' : c;
  }
  return text;
}

}  // namespace

Session::Session(const ToolInfo& info, const StandardOptions& options, Messages& messages, Signals& signals,
                 std::string command_line, std::string repeat)
    : m_info(info),
      m_options(options),
      m_messages(messages),
      m_signals(signals),
      m_command_line(std::move(command_line)),
      m_repeat(std::move(repeat)),
      m_failures(info.name) {
  const bool to_stdout = options.output == "-";
  const bool terminal = to_stdout && ::isatty(STDOUT_FILENO) != 0;
  m_text = options.format == StandardOptions::Format::text ||
           (options.format == StandardOptions::Format::automatic && terminal);
  m_document = options.format == StandardOptions::Format::fhir || options.format == StandardOptions::Format::ehn;
  RecordWriter::Settings settings;
  settings.output = options.output;
  settings.text = m_text;
  settings.color = m_text && (to_stdout ? wants_color(options.color, STDOUT_FILENO)
                                        : options.color == StandardOptions::Color::always);
  settings.flush_each = info.flush_each || terminal;
  settings.before_write = [&messages] { messages.clear(); };
  m_writer = std::make_unique<RecordWriter>(std::move(settings));
  report_progress({});
}

Session::~Session() {
  m_signals.on_status({});
  m_signals.on_reopen({});
}

void Session::on_reopen(std::function<void()> reopen) {
  m_signals.on_reopen(!reopen ? std::function<void()>() : [this, reopen = std::move(reopen)] {
    try {
      reopen();
    } catch (const Error& error) {
      m_messages.message(workflow::Observer::Level::warning, error.message());
    }
  });
}

void Session::report_progress(const ReportOptions& options) {
  m_signals.on_status({});
  m_reporter.emplace(options, std::string(m_info.name), m_accounting, m_messages);
  m_signals.on_status([this] { m_reporter->say_now(); });
}

std::unique_ptr<workflow::InputSource> Session::open_input(const InputOptions& input) {
  RecordReader::Settings settings;
  settings.input = input;
  settings.stop = stop_token();
  settings.on_summary = [this](ExitCode code) { m_accounting.note(code); };
  settings.on_cut = [this](const Error& error) { report(error); };
  return std::make_unique<RecordReader>(std::move(settings));
}

workflow::Target Session::target(const TargetOptions& options, TargetNeeds needs) {
  ResolvedTarget resolved = resolve_target(options, m_options.config, needs);
  const workflow::Target& target = resolved.target;
  m_messages.message(
      workflow::Observer::Level::info,
      fmt::format("target {} from {}: {}@{}:{}, we are {}, {}", target.name, resolved.source, target.called_ae,
                  target.endpoint.host, target.endpoint.port, target.calling_ae, target.tls ? "TLS" : "plain text"));
  if (!options.trace.empty()) {
    resolved.target.trace = std::make_shared<workflow::TraceDirectory>(options.trace, m_options.phi_plain, m_messages);
  }
  if (!options.bundle.empty()) {
    m_bundle.emplace(options.bundle, m_info.name, resolved.target);
  }
  return std::move(resolved.target);
}

void Session::CountedSink::emit(const Json& record) {
  m_session.m_accounting.left(record);
  m_session.m_failures.note(record);
  m_session.emit(record);
}

void Session::CountedSink::emit_all(std::span<const Json> records) {
  for (const Json& record : records) {
    m_session.m_accounting.left(record);
    m_session.m_failures.note(record);
  }
  if (!m_session.m_document) {
    m_session.m_writer->emit_all(records);
  }
  if (m_session.m_bundle) {
    for (const Json& record : records) {
      m_session.m_bundle->note(record);
    }
  }
}

void Session::write_document(const Json& document) { m_writer->write(to_line(document) + "\n"); }

void Session::emit(const Json& record) {
  if (!m_document) {
    m_writer->emit(record);
  }
  if (m_bundle) {
    m_bundle->note(record);
  }
}

void Session::say(const Error& error) {
  m_messages.message(workflow::Observer::Level::error, fmt::format("{} ({})", error.message(), error.kind().code));
  m_messages.message(workflow::Observer::Level::error, error.kind().hint);
}

void Session::report(const Error& error) {
  if (m_writer->failed()) {
    return;  // the writer's own error, or one that follows from it; finish() says it once
  }
  m_accounting.note(error);
  say(error);
  if (!m_text) {  // as text, the record would say on the terminal what the message has said
    Json record = make_record("error", m_info.name, outcome::failed, false);
    set_error(record, error);
    emit(record);
  }
}

Json Session::summary_so_far() const {
  const auto elapsed =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - m_started);
  return m_accounting.summary(m_info.name, elapsed, m_signals.received() != 0 && !m_info.serves);
}

int Session::finish() {
  const int number = m_signals.received();
  const bool interrupted = number != 0 && !m_info.serves;
  if (interrupted) {
    m_accounting.note(number == SIGINT ? ExitCode::interrupted : ExitCode::terminated);
  }
  if (const std::function<void()> end = std::exchange(m_at_end, {})) {
    end();
  }
  m_signals.on_status({});
  m_reporter->finish(m_accounting.exit_code());
  try {
    emit(summary_so_far());
    m_writer->close();
  } catch (const Error& error) {
    // What the records would have said is lost; nothing else that went wrong matters more.
    say(error);
    return static_cast<int>(ExitCode::local_io);
  }
  const std::vector<std::string> failures = m_failures.lines(m_repeat);
  for (const std::string& line : failures) {
    m_messages.message(workflow::Observer::Level::warning, line);
  }
  if (m_bundle) {
    try {
      m_bundle->write(failures);
    } catch (const Error& error) {
      say(error);
      return static_cast<int>(ExitCode::local_io);
    }
  }
  return static_cast<int>(m_accounting.exit_code());
}

int run_tool(const ToolInfo& info, int argc, char** argv, const std::function<void(CLI::App&)>& add_options,
             const std::function<void(Session&)>& work) {
  occupy_standard_descriptors();
  StandardOptions options;
  CLI::App app{std::string(info.description), std::string(info.name)};
  app.set_help_flag();  // comes with the standard options, after the tool's own
  set_help_format(app, info.usage, info.examples);
  add_options(app);
  add_standard_options(app, options, info.name, info.documents);
  add_environment(app);
  if (info.serves) {
    app.get_option("--config")->envname("");  // KUVA_CONFIG is the kuva.toml of those who call the server
  }

  Messages::Settings plain;
  plain.tool = info.name;
  Messages early(plain);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return print(early, app.help());
  } catch (const CLI::CallForVersion& version) {
    return print(early, std::string(version.what()) + "\n");
  } catch (const CLI::ParseError& error) {
    return usage_failure(early, info.name, one_line(error.what()));
  }
  if (!options.explain.empty()) {
    return print_explanation(early, info, options.explain);
  }

  Messages::Settings settings;
  settings.tool = info.name;
  settings.verbosity = options.quiet ? -1 : std::min(options.verbose, 2);
  settings.progress = options.progress && !options.quiet && ::isatty(STDERR_FILENO) != 0 &&
                      environment("TERM").value_or("dumb") != "dumb";
  Messages messages(settings);
  const bool serves = info.serves;
  Signals signals([&messages, serves](int number) {
    if (!serves) {
      messages.message(workflow::Observer::Level::warning,
                       fmt::format("signal {}: finishing what is under way; once more ends at once", number));
    }
  });

  std::optional<Session> session;
  try {
    session.emplace(info, options, messages, signals, command_line_of(app, info.name, true),
                    command_line_of(app, info.name, false) + " -vv");
    work(*session);
  } catch (const Error& error) {
    if (error.kind().code == kind("usage.argument").code) {
      return usage_failure(messages, info.name, error.message());
    }
    if (!session) {
      messages.say(error.message());
      return static_cast<int>(error.kind().exit_code);
    }
    try {
      session->report(error);
    } catch (const Error&) {
      // The sink has failed too; finish() says so.
    }
  } catch (const std::exception& error) {
    if (!session) {
      messages.say(error.what());
      return static_cast<int>(ExitCode::internal);
    }
    try {
      session->report(Error(kind("internal"), error.what()));
    } catch (const Error&) {
      // As above.
    }
  }
  return session->finish();
}

}  // namespace kuva::cli
