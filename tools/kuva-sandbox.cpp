#include <kuva/cli/fault_file.hpp>
#include <kuva/cli/sandbox_config.hpp>
#include <kuva/cli/tool.hpp>
#include <kuva/core/patient_id.hpp>
#include <kuva/core/record.hpp>
#include <kuva/sandbox/sandbox.hpp>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

namespace {

namespace fs = std::filesystem;

constexpr kuva::cli::ToolInfo k_info{
    .name = "kuva-sandbox",
    .usage = "[OPTION]... DIR",
    .description =
        "An archive to rehearse against: the DICOM services and HL7 v2, plain and over TLS; registry, repository,\n"
        "imaging document source and WADO-RS over HTTPS. Serves the sandbox of DIR until it is stopped (SIGTERM, "
        "Ctrl-C).",
    .examples =
        "  kuva-sandbox --init sandbox && kuva-sandbox sandbox &\n"
        "  kuva-sandbox --sample-study study\n"
        "  kuva-send --config sandbox/kuva.toml -t sandbox study\n",
    .serves = true,
};

// Writes inside of messages that are under way may finish for this long.
constexpr std::chrono::milliseconds k_stop_limit{5'000};

struct Options {
  std::string directory;
  std::string init;
  std::string sample_study;
  std::string sample_patient;
  std::string faults;
  unsigned plain_port = 0;
  unsigned tls_port = 0;
  unsigned listen_port = 0;
  unsigned plain_listen_port = 0;
  unsigned web_port = 0;
  unsigned hl7_port = 0;
  unsigned hl7_tls_port = 0;
};

void add_options(CLI::App& app, Options& options) {
  constexpr const char* k_group = "Sandbox";
  const auto port = [&](const char* name, unsigned& value, const char* what) {
    kuva::cli::add_number(app, name, value, 1, 65535, what)->group(k_group);
  };
  app.add_option("DIR", options.directory, "The sandbox to serve")->type_name("")->group(k_group);
  app.add_option("--init", options.init, "Make a sandbox: certificates, sandbox.toml, kuva.toml")
      ->type_name("DIR")
      ->group(k_group);
  app.add_option("--faults", options.faults, "Do what this file says to whoever it says, kuva-faults(5)")
      ->type_name("FILE")
      ->group(k_group);
  app.add_option("--sample-study", options.sample_study, "Write a small study to send")
      ->type_name("DIR")
      ->group(k_group);
  app.add_option("--sample-patient", options.sample_patient, "Its patient is not known: a temporary identifier")
      ->type_name("ID@OID")
      ->group(k_group);
  port("--plain-port", options.plain_port, "With --init, as are those below; without: a free one");
  port("--tls-port", options.tls_port, "Port for TLS");
  port("--listen-port", options.listen_port, "Where kuva-commit awaits reports over TLS");
  port("--plain-listen-port", options.plain_listen_port, "Where kuva-commit awaits reports in plain text");
  port("--web-port", options.web_port, "Port for HTTPS");
  port("--hl7-port", options.hl7_port, "Port for HL7 messages in plain text");
  port("--hl7-tls-port", options.hl7_tls_port, "Port for HL7 messages over TLS");
}

void init(kuva::cli::Session& session, const Options& options) {
  kuva::cli::SandboxPorts ports;
  ports.plain = static_cast<std::uint16_t>(options.plain_port);
  ports.tls = static_cast<std::uint16_t>(options.tls_port);
  ports.listen = static_cast<std::uint16_t>(options.listen_port);
  ports.plain_listen = static_cast<std::uint16_t>(options.plain_listen_port);
  ports.web = static_cast<std::uint16_t>(options.web_port);
  ports.hl7 = static_cast<std::uint16_t>(options.hl7_port);
  ports.hl7_tls = static_cast<std::uint16_t>(options.hl7_tls_port);
  ports = kuva::cli::init_sandbox(options.init, ports);
  kuva::Json record = kuva::make_record("sandbox", k_info.name, "written", true);
  record["path"] = kuva::path_to_json(options.init);
  record["plainPort"] = ports.plain;
  record["tlsPort"] = ports.tls;
  record["listenPort"] = ports.listen;
  record["plainListenPort"] = ports.plain_listen;
  record["webPort"] = ports.web;
  record["hl7Port"] = ports.hl7;
  record["hl7TlsPort"] = ports.hl7_tls;
  session.sink().emit(record);
}

void write_sample_study(kuva::cli::Session& session, const Options& options) {
  kuva::sandbox::SamplePatient patient;
  if (!options.sample_patient.empty()) {
    const auto at = options.sample_patient.find('@');
    if (at == std::string::npos || at == 0 || kuva::oid_defect(options.sample_patient.substr(at + 1))) {
      throw kuva::Error(kuva::kind("usage.argument"), "--sample-patient is not of the form ID@OID");
    }
    patient = {options.sample_patient.substr(0, at), options.sample_patient.substr(at + 1), "Tuntematon^Potilas", "",
               ""};
  }
  for (const fs::path& file : kuva::sandbox::write_sample_study(options.sample_study, patient)) {
    session.accounting().entered();
    kuva::Json record = kuva::make_record("instance", k_info.name, "written", true);
    record["path"] = kuva::path_to_json(file.string());
    record["size"] = fs::file_size(file);
    session.sink().emit(record);
  }
}

void serve(kuva::cli::Session& session, const Options& options) {
  const std::string& config = session.options().config;
  const fs::path file = config.empty() ? fs::path(options.directory) / "sandbox.toml" : fs::path(config);
  kuva::sandbox::Settings settings = kuva::cli::load_sandbox_config(file);
  if (!options.faults.empty()) {
    settings.faults = kuva::cli::load_faults(options.faults);
  }
  const std::shared_ptr<kuva::sandbox::Sandbox> sandbox = kuva::sandbox::Sandbox::start(settings);
  kuva::Json record = kuva::make_record("sandbox", k_info.name, "ready", true);
  record["aeTitle"] = settings.ae_title;
  record["host"] = settings.bind_host;
  if (const auto port = sandbox->plain_port()) {
    record["plainPort"] = *port;
  }
  if (const auto port = sandbox->tls_port()) {
    record["tlsPort"] = *port;
  }
  if (const auto port = sandbox->web_port()) {
    record["webPort"] = *port;
  }
  if (const auto port = sandbox->hl7_port()) {
    record["hl7Port"] = *port;
  }
  if (const auto port = sandbox->hl7_tls_port()) {
    record["hl7TlsPort"] = *port;
  }
  session.on_reopen([sandbox] { sandbox->reopen_transcript(); });
  session.sink().emit(record);
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any stopped;
  const std::stop_token stop = session.stop_token();
  stopped.wait(lock, stop, [&] { return stop.stop_requested(); });
  session.on_reopen({});
  sandbox->stop(k_stop_limit);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  return kuva::cli::run_tool(
      k_info, argc, argv, [&](CLI::App& app) { add_options(app, options); },
      [&](kuva::cli::Session& session) {
        const bool serves = !options.directory.empty() || !session.options().config.empty();
        if (options.init.empty() && options.sample_study.empty() && !serves) {
          throw kuva::Error(kuva::kind("usage.argument"),
                            "name the directory of a sandbox, or make one with --init DIR");
        }
        if (!options.init.empty() && serves) {
          throw kuva::Error(kuva::kind("usage.argument"), "--init makes a sandbox; serve it with a second command");
        }
        if (!options.init.empty()) {
          init(session, options);
        }
        if (!options.sample_study.empty()) {
          write_sample_study(session, options);
        }
        if (serves) {
          serve(session, options);
        }
      });
}
