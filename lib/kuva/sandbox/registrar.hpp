#pragma once

#include <kuva/core/time_zone.hpp>
#include <kuva/sandbox/archive.hpp>
#include <kuva/sandbox/document_store.hpp>
#include <kuva/sandbox/registry.hpp>
#include <kuva/sandbox/xds_settings.hpp>

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace kuva::sandbox {

// Registers studies as an archive does (RAD TF-2 4.68): a manifest of what can be seen of the study goes to the
// document store, its metadata to the registry.
class Registrar {
 public:
  // `retrieve_ae_title`: of the archive. Errors: usage.config for the time zone.
  Registrar(const XdsSettings& settings, Archive& archive, Registry& registry, DocumentStore& documents,
            std::string retrieve_ae_title);
  // Where WADO-RS is, for the Retrieve URL of manifests; empty: nothing is said of it.
  void set_base_url(std::string url) { m_base_url = std::move(url); }

  enum class Outcome {
    registered,  // for the first time, or anew
    replaced,    // the earlier manifest is deprecated
    withdrawn,   // nothing of the study can be seen any more: its manifest is deprecated
    unchanged,
    not_registered  // none of its modalities is one that is registered, or it is not to be
  };
  struct Result {
    Outcome outcome = Outcome::not_registered;
    std::string document_unique_id;
    std::uint64_t instances = 0;
  };
  // Brings what is registered of a study up to date with what is stored and not rejected. With `only_known`, a study
  // that was never registered is left alone. Errors: local.*, file.* where an object cannot be read any more.
  Result update(const std::string& study_instance_uid, bool only_known);

  const TimeZone& time_zone() const { return m_time_zone; }

 private:
  struct Survey;
  Survey survey(const std::string& study_instance_uid);
  bool is_rejection_note(const IndexedInstance& instance) const;
  bool lists(const xds::DocumentEntry& manifest, const Survey& survey) const;
  xds::DocumentEntry make_entry(const Survey& survey) const;
  std::string patient_of(const IndexedStudy& study) const;
  std::vector<std::string> patient_info_of(const IndexedStudy& study) const;
  void withdraw(const xds::DocumentEntry& manifest);

  const XdsSettings& m_settings;
  Archive& m_archive;
  Registry& m_registry;
  DocumentStore& m_documents;
  std::string m_retrieve_ae_title;
  std::string m_base_url;
  TimeZone m_time_zone;
  std::mutex m_mutex;
};
std::string_view to_string(Registrar::Outcome outcome);

// The OID of the authority that an Issuer of Patient ID names, which may be an OID itself; empty names the default.
std::string authority_of(const XdsSettings& settings, const std::string& issuer);

// A submission of one document: submission set, membership, and the replacement of an earlier one where there is any.
xds::RegistryObjects make_submission(const XdsSettings& settings, const xds::DocumentEntry& document,
                                     const std::optional<xds::DocumentEntry>& replaced);

// Date (DA) and time (TM) of a DICOM object as DTM in UTC; a date alone stays one. `offset`: Timezone Offset From UTC
// (0008,0201), or empty: by the zone. Empty where there is no date.
std::string to_utc_dtm(std::string_view date, std::string_view time, std::string_view offset, const TimeZone& zone);

}  // namespace kuva::sandbox
