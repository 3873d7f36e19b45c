#include <kuva/core/patient_id.hpp>
#include <kuva/kos/read.hpp>
#include <kuva/workflow/ledger_rows.hpp>
#include <kuva/workflow/manifest_query.hpp>
#include <kuva/workflow/query.hpp>
#include <kuva/workflow/registry_client.hpp>

#include <utility>

namespace kuva::workflow {

std::string cx_of_patient_key(const std::string& patient_key, const XdsSettings& xds) {
  const PatientKey key = split_patient_key(patient_key);
  if (!key.issuer.empty() && !oid_defect(key.issuer)) {
    return to_cx({key.patient_id, key.issuer});
  }
  PatientIdRules rules;
  rules.hetu_authority = xds.hetu_authority;
  rules.temporary_authority = xds.temporary_id_authority;
  return to_cx(read_patient_id(key.patient_id, rules));
}

class ManifestQuery::Discard final : public RecordSink {
 public:
  void emit(const Json&) override {}
};

ManifestQuery::ManifestQuery(const Target& target, std::shared_ptr<UserAssertions> assertions,
                             std::filesystem::path directory, Observer& observer, std::stop_token stop)
    : m_target(target),
      m_assertions(std::move(assertions)),
      m_directory(std::move(directory)),
      m_observer(observer),
      m_stop(std::move(stop)),
      m_discard(std::make_unique<Discard>()) {
  xds_of(m_target);
}

ManifestQuery::~ManifestQuery() = default;

std::uint64_t ManifestQuery::list(const std::string& study_instance_uid, const std::string& patient_key,
                                  const ArchiveQuery::Sink& sink) {
  const XdsSettings& xds = xds_of(m_target);
  QuerySettings wanted;
  wanted.patient = cx_of_patient_key(patient_key, xds);
  wanted.documents = false;
  wanted.studies = {study_instance_uid};
  wanted.home = xds.home_community;
  RetrieveSettings settings;
  settings.landing.directory = m_directory;
  settings.landing.sync = Landing::Sync::none;
  if (m_assertions) {
    soap::CallFacts facts;
    facts.patient = wanted.patient;
    facts.home_community = wanted.home;
    settings.security = UserAssertions::provider(m_assertions, std::move(facts));
  }
  RegistryClient registry(m_target, settings.security, {}, m_observer);
  const QueryResult result = query(registry, wanted, m_stop);
  if (result.error) {
    throw Error(*result.error);
  }
  RetrieveRun run(*m_discard, m_observer, m_accounting, m_target, settings, m_stop);
  XdsTransport transport(run);
  std::uint64_t manifests = 0;
  std::optional<std::string> location;
  for (const FoundDocument& found : result.documents) {
    if (!found.entry.is_manifest() || !found.entry.is_approved()) {
      continue;
    }
    DocumentOrder order;
    order.request = {found.entry.home, found.entry.repository_unique_id, found.entry.unique_id};
    order.mime_type = found.entry.mime_type;
    order.hash = found.entry.hash;
    order.size = found.entry.size;
    const XdsTransport::Document document = transport.fetch(order);
    for (const kos::Reference& reference : kos::references(kos::read(document.file.path()))) {
      if (reference.study_instance_uid == study_instance_uid) {
        const std::string& named = reference.retrieve_location_uid;
        location = !location || *location == named ? named : std::string();
        sink({reference.sop_instance_uid,
              reference.sop_class_uid,
              reference.series_instance_uid,
              reference.study_instance_uid,
              {}});
      }
    }
    ++manifests;
  }
  m_location = location.value_or("");
  return manifests;
}

}  // namespace kuva::workflow
