#pragma once

#include <kuva/workflow/archive_query.hpp>
#include <kuva/workflow/retrieve_study.hpp>
#include <kuva/workflow/retrieve_xds.hpp>
#include <kuva/workflow/user_assertions.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace kuva::workflow {

// What the registry of a target says of a study: its entry by ITI-18 or ITI-38, and what its manifest refers to by
// ITI-43 or ITI-39. For one thread.
class ManifestQuery {
 public:
  // `directory` is there, for documents while they are read; `assertions` may be null. Errors: usage.target where the
  // target has no registry, tls.config.
  ManifestQuery(const Target& target, std::shared_ptr<UserAssertions> assertions, std::filesystem::path directory,
                Observer& observer, std::stop_token stop);
  ~ManifestQuery();

  // The instances of this study that its manifests refer to, and how many manifests it has: 0, it is not registered.
  // `patient_key`: as the ledger has it, "ID" or "ID^^^ISSUER". Errors: usage.patient-id; those of query() and
  // XdsTransport::fetch, kos.*.
  std::uint64_t list(const std::string& study_instance_uid, const std::string& patient_key,
                     const ArchiveQuery::Sink& sink);
  // The imaging source that the manifests of the last list() name, a Retrieve Location UID (0040,E011); empty where
  // they name none or several.
  const std::string& location() const { return m_location; }

 private:
  class Discard;
  const Target& m_target;
  std::shared_ptr<UserAssertions> m_assertions;
  std::filesystem::path m_directory;
  Observer& m_observer;
  std::stop_token m_stop;
  std::unique_ptr<Discard> m_discard;
  std::string m_location;
  Accounting m_accounting;  // of what is retrieved on the way: nobody's items
};

// The patient of a ledger's key for a query, as CX. Errors: usage.patient-id.
std::string cx_of_patient_key(const std::string& patient_key, const XdsSettings& xds);

}  // namespace kuva::workflow
