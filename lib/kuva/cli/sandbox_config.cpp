#include <kuva/cli/fault_file.hpp>
#include <kuva/cli/sandbox_config.hpp>
#include <kuva/cli/tls_config.hpp>
#include <kuva/cli/toml_reader.hpp>
#include <kuva/cli/xds_config.hpp>
#include <kuva/core/file.hpp>
#include <kuva/core/time_zone.hpp>
#include <kuva/hl7/escape.hpp>
#include <kuva/sandbox/rejection.hpp>

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <vector>

namespace kuva::cli {

namespace {

namespace fs = std::filesystem;

// OIDs of sandboxes: made from UUIDs of our own, no real community's.
constexpr std::string_view k_home_community = "2.25.323701317211191435552057009546671284519";
constexpr std::string_view k_repository = "2.25.177683864096031500664642603526992195562";
constexpr std::string_view k_imaging_source = "2.25.199530081977299303044363581234197051572";
constexpr std::string_view k_source_id = "2.25.79521642440505611481179814020260446741";
constexpr std::string_view k_accession_authority = "2.25.99596302889509393244717523430655219096";

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
  known.tls = read_security(reader).value_or(true);
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

void read_metadata_code(TomlReader& parent, std::string_view key, xds::Code& value) {
  if (auto reader = parent.table(key)) {
    const auto code = reader->text("code");
    const auto scheme = reader->text("scheme");
    if (!code || !scheme) {
      reader->fail(code ? "scheme" : "code", "is missing");
    }
    value = {*code, *scheme, reader->text("display").value_or(*code)};
    reader->finish();
  }
}

void read_web(TomlReader& reader, sandbox::WebSettings& web) {
  assign(web.port, reader.integer("port", 0, k_max_port));
  web.tls = read_security(reader).value_or(true);
  assign(web.most_request_bytes, reader.integer("most_request_bytes", 1024, std::int64_t{1} << 30U));
  assign(web.token_file, reader.path("token_file"));
  reader.finish();
  if (!web.port) {
    reader.fail("port", "is missing");
  }
}

void read_xds(TomlReader& reader, sandbox::XdsSettings& xds) {
  if (const auto home = read_oid(reader, "home_community")) {
    xds.home_community = "urn:oid:" + *home;
  }
  assign(xds.is_gateway, reader.boolean("gateway"));
  assign(xds.repository, read_oid(reader, "repository"));
  assign(xds.imaging_source, read_oid(reader, "imaging_source"));
  assign(xds.source_id, read_oid(reader, "source_id"));
  assign(xds.most_results, reader.integer("most_results", 0, std::numeric_limits<std::int32_t>::max()));
  assign(xds.documents, reader.path("documents"));
  assign(xds.patient_authority, read_oid(reader, "patient_authority"));
  if (auto issuers = reader.table("issuers")) {
    for (const std::string& issuer : issuers->keys()) {
      xds.issuers[issuer] = *read_oid(*issuers, issuer);
    }
    issuers->finish();
  }
  assign(xds.accession_authority, read_oid(reader, "accession_authority"));
  if (auto modalities = reader.texts("modalities"); !modalities.empty()) {
    xds.modalities = std::move(modalities);
  }
  assign(xds.modality_scheme, reader.text("modality_scheme"));
  assign(xds.body_part_scheme, reader.text("body_part_scheme"));
  assign(xds.study_code_scheme, reader.text("study_code_scheme"));
  read_metadata_code(reader, "class_code", xds.class_code);
  read_metadata_code(reader, "type_code", xds.type_code);
  read_metadata_code(reader, "confidentiality", xds.confidentiality);
  read_metadata_code(reader, "practice_setting", xds.practice_setting);
  read_metadata_code(reader, "facility", xds.facility);
  read_metadata_code(reader, "document_class", xds.document_class);
  read_metadata_code(reader, "document_format", xds.document_format);
  assign(xds.language, reader.text("language"));
  if (const auto zone = reader.text("time_zone")) {
    xds.time_zone = TimeZone::load(*zone).name();
  }
  reader.finish();
  for (const auto& [key, value] :
       {std::pair("home_community", &xds.home_community), std::pair("repository", &xds.repository),
        std::pair("imaging_source", &xds.imaging_source)}) {
    if (value->empty()) {
      reader.fail(key, "is missing");
    }
  }
}

void read_assertion_rules(TomlReader& reader, sandbox::AssertionRules& rules) {
  rules.demanded = reader.boolean("demanded").value_or(true);
  assign(rules.trust.ca_file, reader.path("ca_file"));
  rules.trust.accept_sha1 = reader.boolean("accept_sha1").value_or(false);
  rules.trust.issuers = reader.texts("issuers");
  rules.trust.audiences = reader.texts("audiences");
  rules.trust.required_attributes = reader.texts("required_attributes");
  assign(rules.trust.skew, reader.duration("skew"));
  assign(rules.purpose_attribute, reader.text("purpose_attribute"));
  rules.purposes = reader.texts("purposes");
  assign(rules.patient_attribute, reader.text("patient_attribute"));
  assign(rules.registry_specifier_attribute, reader.text("registry_specifier_attribute"));
  rules.registry_specifiers = reader.texts("registry_specifiers");
  reader.finish();
  if (rules.demanded && rules.trust.ca_file.empty()) {
    reader.fail("ca_file", "is missing: whose signatures are trusted");
  }
}

void read_hl7_receiver(TomlReader& reader, sandbox::Hl7Settings& hl7) {
  assign(hl7.plain_port, reader.integer("plain_port", 0, k_max_port));
  assign(hl7.tls_port, reader.integer("tls_port", 0, k_max_port));
  hl7.receiving = reader.texts("receiving");
  hl7.sending = reader.texts("sending");
  for (const auto& [key, values] : {std::pair("receiving", &hl7.receiving), std::pair("sending", &hl7.sending)}) {
    for (const std::string& value : *values) {
      if (value.find('|') == std::string::npos) {
        reader.fail(key, "takes texts of the form APPLICATION|FACILITY");
      }
    }
  }
  if (auto events = reader.texts("events"); !events.empty()) {
    hl7.events = std::move(events);
  }
  hl7.trusted_authorities = reader.texts("trusted_authorities");
  if (const auto policy = reader.choice("merged_patients", {"reject", "ignore", "ignore-duplicate-merge"})) {
    hl7.merged_patients = static_cast<sandbox::MergedPolicy>(*policy);
  }
  assign(hl7.default_character_set, reader.text("default_character_set"));
  if (!hl7::CharacterSet::find(hl7.default_character_set)) {
    reader.fail("default_character_set", "is no term of HL7 table 0211");
  }
  assign(hl7.most_message_bytes, reader.integer("most_message_bytes", 1024, std::int64_t{1} << 30U));
  reader.finish();
  if (!hl7.plain_port && !hl7.tls_port) {
    reader.fail("plain_port", "is missing, and so is tls_port");
  }
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

# HTTPS: /xds/registry, /xds/repository, /xds/imaging, /xds/gateway for all three; WADO-RS at /dicom-web.
[web]
port = {}

# What the registry says in metadata. The OIDs are the sandbox's own.
[xds]
home_community = "{}"
repository = "{}"
imaging_source = "{}"
source_id = "{}"
accession_authority = "{}"
# Imaging documents (CDA) that are put here are registered.
documents = "documents"

# Patient updates and merges (HL7 v2 over MLLP).
[hl7]
plain_port = {}
tls_port = {}
receiving = ["KUVASANDBOX|KUVA"]

# The assertions of requests: demanded only when this says so, as the archive does.
[xua]
demanded = false
ca_file = "tls/ca.pem"
audiences = ["urn:kuva:sandbox"]

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
                     ports.plain, ports.tls, ports.web, k_home_community, k_repository, k_imaging_source, k_source_id,
                     k_accession_authority, ports.hl7, ports.hl7_tls, ports.listen, ports.plain_listen);
}

// Registry, repository and imaging document source of the sandbox, for a target of this name.
std::string xds_toml(std::string_view target, const SandboxPorts& ports) {
  return fmt::format(R"(
[target.{0}.xds]
query_url = "https://127.0.0.1:{1}/xds/registry"
home_community = "{2}"
[target.{0}.xds.repositories]
"{3}" = "https://127.0.0.1:{1}/xds/repository"
[target.{0}.xds.imaging_sources]
"{4}" = "https://127.0.0.1:{1}/xds/imaging"
[target.{0}.xds.tls]
ca_file = "tls/ca.pem"
certificate_file = "tls/client.pem"
key_file = "tls/client.key"

[target.{0}.wado]
base_url = "https://127.0.0.1:{1}/dicom-web"
[target.{0}.wado.tls]
ca_file = "tls/ca.pem"
certificate_file = "tls/client.pem"
key_file = "tls/client.key"
)",
                     target, ports.web, k_home_community, k_repository, k_imaging_source);
}

// Who receives HL7 messages in the sandbox; TLS is that of the target.
std::string hl7_toml(std::string_view target, std::uint16_t port) {
  return fmt::format(R"(
[target.{}.hl7]
host = "127.0.0.1"
port = {}
sending_application = "KUVA"
sending_facility = "HOSPITAL"
receiving_application = "KUVASANDBOX"
receiving_facility = "KUVA"
)",
                     target, port);
}

// The same with assertions, for when the sandbox demands them.
std::string xua_toml(const SandboxPorts& ports) {
  return fmt::format(R"(
# As sandbox, with a signed assertion in each request: with --user user.toml.
[target.sandbox-xua]
host = "127.0.0.1"
port = {}
called_ae = "KUVASANDBOX"
calling_ae = "KUVA"

[target.sandbox-xua.tls]
ca_file = "tls/ca.pem"
certificate_file = "tls/client.pem"
key_file = "tls/client.key"

[target.sandbox-xua.listener]
host = "127.0.0.1"
port = {}
{}
[target.sandbox-xua.xua]
issuer = "urn:kuva:sandbox:user"
audiences = ["urn:kuva:sandbox"]
certificate_file = "tls/signing.pem"
key_file = "tls/signing.key"
)",
                     ports.tls, ports.listen, xds_toml("sandbox-xua", ports));
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
{}{}
[target.sandbox-plain]
host = "127.0.0.1"
port = {}
called_ae = "KUVASANDBOX"
calling_ae = "KUVAPLAIN"
security = "plain"

[target.sandbox-plain.listener]
host = "127.0.0.1"
port = {}
{}{})",
                     ports.tls, ports.listen, xds_toml("sandbox", ports), hl7_toml("sandbox", ports.hl7_tls),
                     ports.plain, ports.plain_listen, xds_toml("sandbox-plain", ports),
                     hl7_toml("sandbox-plain", ports.hl7)) +
         xua_toml(ports);
}

// Who asks, for targets with assertions.
constexpr std::string_view k_user = R"(# A user of the sandbox, for --user; kuva.toml(5), USER FILES.
id = "kuva-sandbox-user"
name = "Testaaja Tiina"
organization = "Hiekkalaatikko"
organization_id = "2.25.79521642440505611481179814020260446741"
purpose = "treatment"

[[role]]
code = "physician"
code_system = "2.25.79521642440505611481179814020260446741"
)";

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
  if (auto web = reader.table("web")) {
    read_web(*web, settings.web);
  }
  if (auto xds = reader.table("xds")) {
    read_xds(*xds, settings.xds);
  } else if (settings.web.port) {
    reader.fail("xds", "is missing: [web] serves a registry");
  }
  if (auto xua = reader.table("xua")) {
    read_assertion_rules(*xua, settings.web.assertions);
  }
  if (auto hl7 = reader.table("hl7")) {
    read_hl7_receiver(*hl7, settings.hl7);
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
    for (std::uint16_t* port :
         {&ports.plain, &ports.tls, &ports.listen, &ports.plain_listen, &ports.web, &ports.hl7, &ports.hl7_tls}) {
      *port = free_port(*port, taken);
    }
  }
  sandbox::make_certificates(directory);
  fs::create_directory(directory / "documents", error);
  if (error) {
    throw write_error(directory / "documents", error.value());
  }
  write_file(directory / "study-codes.txt", k_study_codes);
  write_file(directory / "user.toml", k_user);
  write_file(directory / "kuva.toml", kuva_toml(ports));
  write_file(directory / "sandbox.toml", sandbox_toml(ports));
  return ports;
}

}  // namespace kuva::cli
