#pragma once

#include <kuva/sandbox/archive.hpp>
#include <kuva/sandbox/faults.hpp>
#include <kuva/sandbox/patients.hpp>
#include <kuva/sandbox/registrar.hpp>
#include <kuva/sandbox/sandbox.hpp>
#include <kuva/sandbox/transcript.hpp>

#include <cstdint>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

namespace kuva::sandbox {

// What is served over HTTP - registry, repository, imaging document source, WADO-RS - and what makes studies appear in
// it. All members may be called from any thread.
class WebServices {
 public:
  // Errors: local.*, usage.config.
  WebServices(const Settings& settings, Archive& archive, Patients& patients, Transcript& transcript,
              FaultPlan& faults);
  ~WebServices();
  // Where WADO-RS is to be found, once the port is known.
  void set_base_url(const std::string& url);

  // The studies of what a storage commitment report calls committed. What fails is a line of the transcript.
  void register_studies(const std::set<std::string>& study_instance_uids) noexcept;
  // A message has changed who these are: what is registered for each is the one's that it is now. What fails is a line
  // of the transcript.
  void patient_changed(const std::vector<hl7::PatientIdentifier>& aliases) noexcept;
  // Something of these studies was rejected or restored, or their patient has changed: what is registered of
  // them follows.
  void update_registered(const std::set<std::string>& study_instance_uids) noexcept;

  // Serves one connection to its end. Errors: what ended it otherwise than in good order.
  void serve(net::Stream& stream, std::uint64_t connection, bool is_tls, const std::stop_token& stop);

 private:
  struct Parts;
  void update(const std::set<std::string>& study_instance_uids, bool only_known) noexcept;

  const Settings& m_settings;
  Archive& m_archive;
  Transcript& m_transcript;
  FaultPlan& m_faults;
  std::set<std::string> m_tokens;
  std::unique_ptr<Parts> m_parts;
};

}  // namespace kuva::sandbox
