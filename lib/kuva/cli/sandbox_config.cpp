#include <kuva/cli/fault_file.hpp>
#include <kuva/cli/sandbox_config.hpp>
#include <kuva/cli/toml_reader.hpp>
#include <kuva/core/file.hpp>
#include <kuva/sandbox/rejection.hpp>

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <vector>

namespace kuva::cli {

namespace {

namespace fs = std::filesystem;

constexpr std::int64_t k_max_port = 65535;

template <typename T, typename U>
void assign(T& value, const std::optional<U>& read) {
  if (read) {
    value = static_cast<T>(*read);
  }
}

void read_tls(TomlReader& reader, net::TlsSettings& tls) {
  assign(tls.ca_file, reader.path("ca_file"));
  assign(tls.certificate_file, reader.path("certificate_file"));
  assign(tls.key_file, reader.path("key_file"));
  assign(tls.pkcs12_file, reader.path("pkcs12_file"));
  assign(tls.passphrase_file, reader.path("passphrase_file"));
  assign(tls.verify_host, reader.boolean("verify_host"));
  assign(tls.require_client_certificate, reader.boolean("require_client_certificate"));
  if (const auto version = reader.choice("minimum_version", {"1.2", "1.3"})) {
    tls.minimum_version = *version == 0 ? "1.2" : "1.3";
  }
  assign(tls.cipher_suites, reader.text("cipher_suites"));
  reader.finish();
}

void read_timeouts(TomlReader& reader, ul::Timeouts& timeouts) {
  assign(timeouts.associate, reader.duration("associate"));
  assign(timeouts.stall, reader.duration("stall"));
  assign(timeouts.release, reader.duration("release"));
  assign(timeouts.abort, reader.duration("abort"));
  reader.finish();
}

sandbox::KnownAe read_known_ae(TomlReader& reader) {
  sandbox::KnownAe known;
  const auto title = reader.ae_title("ae_title");
  if (!title) {
    reader.fail("ae_title", "is missing");
  }
  known.ae_title = *title;
  const auto host = reader.text("host");
  const auto port = reader.integer("port", 1, k_max_port);
  if (host.has_value() != port.has_value()) {
    reader.fail(host ? "port" : "host", "is missing: reports go to a host and a port");
  }
  if (host) {
    known.endpoint = net::Endpoint{*host, static_cast<std::uint16_t>(*port)};
  }
  known.tls = reader.choice("security", {"plain", "tls"}).value_or(1) == 1;
  assign(known.may_store, reader.boolean("may_store"));
  assign(known.may_commit, reader.boolean("may_commit"));
  assign(known.may_query, reader.boolean("may_query"));
  assign(known.send_ian, reader.boolean("send_ian"));
  if (known.send_ian && !known.endpoint) {
    reader.fail("send_ian", "needs a host and a port to send to");
  }
  known.sees_rejected = reader.texts("sees_rejected");
  for (const std::string& code : known.sees_rejected) {
    if (!sandbox::rejection_of(code)) {
      reader.fail("sees_rejected", "takes 113001, 113037, 113038 and 113039");
    }
  }
  reader.finish();
  return known;
}

std::uint16_t free_port(std::uint16_t wanted, std::vector<std::unique_ptr<net::Listener>>& taken) {
  if (wanted != 0) {
    return wanted;
  }
  // Kept open until all are chosen, so that no port is chosen twice.
  taken.push_back(net::Listener::open({"127.0.0.1", 0}));
  return taken.back()->port();
}

void write_file(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

std::string sandbox_toml(const SandboxPorts& ports) {
  return fmt::format(R"(# A sandbox of kuva; kuva-sandbox(1) says what each key means.
ae_title = "KUVASANDBOX"
bind_host = "127.0.0.1"
plain_port = {}
tls_port = {}
storage = "storage"
transcript = "transcript.ndjson"
# Objects whose Study Description does not begin with one of these codes are refused.
# study_codes = "study-codes.txt"

[tls]
ca_file = "tls/ca.pem"
certificate_file = "tls/server.pem"
key_file = "tls/server.key"

# Calling AE titles that are known, and where reports to them go.
[[known_ae]]
ae_title = "KUVA"
host = "127.0.0.1"
port = {}
security = "tls"

[[known_ae]]
ae_title = "KUVAPLAIN"
host = "127.0.0.1"
port = {}
security = "plain"
)",
                     ports.plain, ports.tls, ports.listen, ports.plain_listen);
}

std::string kuva_toml(const SandboxPorts& ports) {
  return fmt::format(R"(# The targets of this sandbox; kuva.toml(5) says what each key means.
[target.sandbox]
host = "127.0.0.1"
port = {}
called_ae = "KUVASANDBOX"
calling_ae = "KUVA"

[target.sandbox.tls]
ca_file = "tls/ca.pem"
certificate_file = "tls/client.pem"
key_file = "tls/client.key"

[target.sandbox.listener]
host = "127.0.0.1"
port = {}

[target.sandbox-plain]
host = "127.0.0.1"
port = {}
called_ae = "KUVASANDBOX"
calling_ae = "KUVAPLAIN"
security = "plain"

[target.sandbox-plain.listener]
host = "127.0.0.1"
port = {}
)",
                     ports.tls, ports.listen, ports.plain, ports.plain_listen);
}

// Made up for the sandbox's own sample study: a real list is put in its place by those who have one.
constexpr std::string_view k_study_codes =
    R"(# Codes that Study Description may begin with: five characters, then what they mean.
# These are the sandbox's own, for its sample study.
XX0AA Näyteaineisto
)";

}  // namespace

sandbox::Settings load_sandbox_config(const fs::path& file) {
  using Settings = sandbox::Settings;
  constexpr std::int64_t k_int_max = std::numeric_limits<std::int32_t>::max();
  const toml::table table = TomlReader::parse_file(file);
  TomlReader reader(table, file, "");
  Settings settings;
  assign(settings.ae_title, reader.ae_title("ae_title"));
  assign(settings.bind_host, reader.text("bind_host"));
  assign(settings.plain_port, reader.integer("plain_port", 0, k_max_port));
  assign(settings.tls_port, reader.integer("tls_port", 0, k_max_port));
  settings.storage = reader.path("storage").value_or((file.parent_path() / "storage").string());
  assign(settings.transcript, reader.path("transcript"));
  assign(settings.durable, reader.boolean("durable"));
  if (const auto way = reader.choice("report_on", {"new-association", "same-association"})) {
    settings.report_on = *way == 0 ? Settings::ReportOn::new_association : Settings::ReportOn::same_association;
  }
  assign(settings.report_delay, reader.duration("report_delay"));
  assign(settings.report_retries, reader.integer("report_retries", 0, 1000));
  assign(settings.report_retry_delay, reader.duration("report_retry_delay"));
  assign(settings.ian_delay, reader.duration("ian_delay"));
  assign(settings.allow_retention_rejection, reader.boolean("allow_retention_rejection"));
  assign(settings.retention_period, reader.duration("retention_period"));
  assign(settings.study_codes, reader.path("study_codes"));
  if (const auto status = reader.text("study_code_status")) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(status->data(), status->data() + status->size(), value, 16);
    if (error != std::errc() || end != status->data() + status->size() || status->size() != 4) {
      reader.fail("study_code_status", "must be a status in hexadecimal, e.g. \"A900\"");
    }
    settings.study_code_status = static_cast<std::uint16_t>(value);
  }
  if (const auto way = reader.choice("overwrite", {"never", "same-source", "always"})) {
    settings.overwrite = static_cast<Settings::Overwrite>(*way);
  }
  settings.trusted_issuers = reader.texts("trusted_issuers");
  assign(settings.require_patient_id, reader.boolean("require_patient_id"));
  settings.refused_sop_classes = reader.texts("refused_sop_classes");
  settings.accepted_transfer_syntaxes = reader.texts("accepted_transfer_syntaxes");
  assign(settings.max_pdu, reader.integer("max_pdu", 0, k_int_max));
  assign(settings.async_window, reader.integer("async_window", 0, 65535));
  assign(settings.max_associations, reader.integer("max_associations", 1, 10'000));
  assign(settings.idle_timeout, reader.duration("idle_timeout"));
  if (const auto faults = reader.path("faults")) {
    settings.faults = load_faults(*faults);
  }
  if (auto tls = reader.table("tls")) {
    read_tls(*tls, settings.tls);
  }
  if (auto timeouts = reader.table("timeouts")) {
    read_timeouts(*timeouts, settings.timeouts);
  }
  for (TomlReader& known : reader.tables("known_ae")) {
    settings.known_aes.push_back(read_known_ae(known));
  }
  reader.finish();
  if (!settings.plain_port && !settings.tls_port) {
    reader.fail("plain_port", "is missing, and so is tls_port");
  }
  return settings;
}

SandboxPorts init_sandbox(const fs::path& directory, SandboxPorts ports) {
  for (const char* name : {"sandbox.toml", "kuva.toml"}) {
    std::error_code ignored;
    if (fs::exists(directory / name, ignored)) {
      throw Error(kind("usage.config"),
                  fmt::format("{} is there already and is kept; remove it to begin anew", (directory / name).string()));
    }
  }
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) {
    throw write_error(directory, error.value());
  }
  {
    std::vector<std::unique_ptr<net::Listener>> taken;
    for (std::uint16_t* port : {&ports.plain, &ports.tls, &ports.listen, &ports.plain_listen}) {
      *port = free_port(*port, taken);
    }
  }
  sandbox::make_certificates(directory);
  write_file(directory / "study-codes.txt", k_study_codes);
  write_file(directory / "kuva.toml", kuva_toml(ports));
  write_file(directory / "sandbox.toml", sandbox_toml(ports));
  return ports;
}

}  // namespace kuva::cli
