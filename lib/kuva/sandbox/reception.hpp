#pragma once

#include <kuva/dicom/inspection.hpp>
#include <kuva/dimse/provider.hpp>
#include <kuva/sandbox/archive.hpp>
#include <kuva/sandbox/rejection_rules.hpp>
#include <kuva/sandbox/sandbox.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

namespace kuva::sandbox {

// The first five characters of each line of the code list that is neither empty nor a comment. Errors: local.read.
std::set<std::string> read_study_codes(const std::filesystem::path& path);

// What became of an object, for the transcript.
struct StoreNote {
  std::uint64_t bytes = 0;  // of the data set
  std::string disposition;  // "stored", "replaced", "ignored", "refused"
};

// Receives one object by the rules of the repository as it is publicly known, and of dcm4chee-arc where that is silent.
struct StoreRules {
  const Settings& settings;
  Archive& archive;
  const std::set<std::string>& study_codes;
  StudyChanged study_changed;
  // Asked once the object is known and nothing speaks against it: a response that is given instead of storing it.
  std::function<std::optional<dimse::Command>(const dicom::InstanceAttributes&, const dimse::Command& response)> veto;
};
// Drops the object and gives this response, whatever it is.
std::unique_ptr<dimse::StoreReception> refuse_object(dimse::Command response, StoreNote& note);
std::unique_ptr<dimse::StoreReception> receive_object(const StoreRules& rules, const KnownAe& source,
                                                      const dimse::Command& request, const ul::AcceptedContext& context,
                                                      StoreNote& note);

}  // namespace kuva::sandbox
