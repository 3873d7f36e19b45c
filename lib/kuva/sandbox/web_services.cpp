#include <kuva/core/file.hpp>
#include <kuva/sandbox/connection_faults.hpp>
#include <kuva/sandbox/document_directory.hpp>
#include <kuva/sandbox/document_store.hpp>
#include <kuva/sandbox/registry.hpp>
#include <kuva/sandbox/wado_service.hpp>
#include <kuva/sandbox/web_faults.hpp>
#include <kuva/sandbox/web_server.hpp>
#include <kuva/sandbox/web_services.hpp>
#include <kuva/sandbox/xds_service.hpp>
#include <kuva/xds/data_types.hpp>

#include <sstream>

namespace kuva::sandbox {

namespace {

constexpr std::uint64_t k_largest_token_file = 1U << 20U;
constexpr const char* k_registry = ".registry";
constexpr const char* k_documents = ".documents";

std::set<std::string> read_tokens(const std::filesystem::path& path) {
  std::set<std::string> tokens;
  if (path.empty()) {
    return tokens;
  }
  std::istringstream lines(read_small_file(path, k_largest_token_file));
  for (std::string line; std::getline(lines, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) {
      line.pop_back();
    }
    if (!line.empty()) {
      tokens.insert(line);
    }
  }
  if (tokens.empty()) {
    throw Error(kind("usage.config"), path.string() + " has no token: nobody could get in");
  }
  return tokens;
}

// An authority that has no OID, or none that is known, stays what it was.
std::string to_cx(const XdsSettings& settings, const hl7::PatientIdentifier& identifier) {
  const hl7::AssigningAuthority& authority = identifier.authority;
  return xds::make_cx(identifier.id, authority.universal_id.empty() ? authority_of(settings, authority.namespace_id)
                                                                    : authority.universal_id);
}

std::string patient_now(const XdsSettings& settings, Patients& patients, const std::string& patient) {
  const auto identifier = hl7::PatientIdentifier::parse(patient);
  const auto record = identifier ? patients.current(*identifier) : std::nullopt;
  return record ? to_cx(settings, record->identifier) : patient;
}

}  // namespace

struct WebServices::Parts {
  Parts(const Settings& settings, Archive& archive, Patients& patients, Transcript& transcript)
      : registry(settings.storage / k_registry, settings.durable,
                 [&](const std::string& patient) { return patient_now(settings.xds, patients, patient); }),
        documents(settings.storage / k_documents, settings.durable),
        registrar(settings.xds, archive, registry, documents, settings.ae_title),
        directory(settings.xds, registry, documents, registrar.time_zone(), transcript),
        xds(settings.xds, settings.web.assertions, archive, registry, documents, directory) {}

  Registry registry;
  DocumentStore documents;
  Registrar registrar;
  DocumentDirectory directory;
  XdsService xds;
};

WebServices::WebServices(const Settings& settings, Archive& archive, Patients& patients, Transcript& transcript,
                         FaultPlan& faults)
    : m_settings(settings),
      m_archive(archive),
      m_transcript(transcript),
      m_faults(faults),
      m_tokens(read_tokens(settings.web.token_file)),
      m_parts(std::make_unique<Parts>(settings, archive, patients, transcript)) {
  // What a message changed before the last stop, should the registry not have heard of it any more.
  for (auto patient = patients.next(0); patient; patient = patients.next(patient->key)) {
    patient_changed({patient->identifier});
  }
  m_parts->directory.scan();
}

WebServices::~WebServices() = default;

void WebServices::set_base_url(const std::string& url) { m_parts->registrar.set_base_url(url); }

void WebServices::register_studies(const std::set<std::string>& studies) noexcept { update(studies, false); }

void WebServices::update_registered(const std::set<std::string>& studies) noexcept { update(studies, true); }

void WebServices::patient_changed(const std::vector<hl7::PatientIdentifier>& aliases) noexcept {
  try {
    for (const hl7::PatientIdentifier& alias : aliases) {
      m_parts->registry.look([&](RegistryIndex& index) { index.move_patient(to_cx(m_settings.xds, alias)); });
    }
  } catch (const Error& error) {
    m_transcript.write("registration-failed", 0, Json{{"error", error.to_json()}});
  } catch (const std::exception& error) {
    m_transcript.write("registration-failed", 0, Json{{"error", Error(kind("internal"), error.what()).to_json()}});
  }
}

void WebServices::update(const std::set<std::string>& studies, bool only_known) noexcept {
  for (const std::string& study : studies) {
    Json facts{{"StudyInstanceUID", study}};
    try {
      const Registrar::Result result = m_parts->registrar.update(study, only_known);
      if (result.outcome == Registrar::Outcome::unchanged || (only_known && result.document_unique_id.empty())) {
        continue;
      }
      facts["disposition"] = to_string(result.outcome);
      if (!result.document_unique_id.empty()) {
        facts["documentUniqueId"] = result.document_unique_id;
      }
      facts["instances"] = result.instances;
      m_transcript.write("study-registered", 0, facts);
    } catch (const Error& error) {
      facts["error"] = error.to_json();
      m_transcript.write("registration-failed", 0, facts);
    } catch (const std::exception& error) {
      facts["error"] = Error(kind("internal"), error.what()).to_json();
      m_transcript.write("registration-failed", 0, facts);
    }
  }
}

void WebServices::serve(net::Stream& stream, std::uint64_t connection, bool is_tls, const std::stop_token& stop) {
  FaultScope scope;
  scope.of_all = connection;
  const auto fire = [&](FaultPoint point) {
    auto fired = m_faults.is_empty() ? std::vector<FaultRule>() : m_faults.fire(point, scope, {{}, is_tls, {}, {}});
    for (const FaultRule& rule : fired) {
      write_fault(m_transcript, connection, rule);
    }
    return fired;
  };
  const WebHandler handler = [&](const WebRequest& request) {
    Json facts;
    facts["peer"] = stream.peer().to_json();
    facts["method"] = request.method;
    WebResponse response;
    if (XdsService::serves(request.path)) {
      facts["path"] = request.path;
      response = m_parts->xds.respond(request, fire, facts);
    } else if (request.path.starts_with(std::string(k_wado_path) + "/")) {
      facts["path"] = k_wado_path;
      facts["transaction"] = "WADO-RS";
      const std::vector<FaultRule> faults = fire(FaultPoint::wado);
      auto instead = instead_of_serving(faults);
      response = instead ? std::move(*instead) : serve_wado(m_archive, m_tokens, request, faults, facts);
      apply_faults(faults, response);
    } else {
      response.status = 404;
      response.content_type = "text/plain; charset=utf-8";
      response.body = "There is nothing here.\n";
    }
    facts["httpStatus"] = response.status;
    m_transcript.write("exchange", connection, facts);
    return response;
  };
  WebLimits limits;
  limits.body = m_settings.web.most_request_bytes;
  limits.idle = m_settings.idle_timeout;
  limits.stall = m_settings.timeouts.stall;
  serve_http(stream, handler, limits, stop);
}

}  // namespace kuva::sandbox
