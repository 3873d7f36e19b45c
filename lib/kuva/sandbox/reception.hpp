#pragma once

#include <kuva/dimse/provider.hpp>
#include <kuva/sandbox/archive.hpp>
#include <kuva/sandbox/sandbox.hpp>

#include <cstdint>
#include <functional>
#include <memory>
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
};
std::unique_ptr<dimse::StoreReception> receive_object(const StoreRules& rules, const KnownAe& source,
                                                      const dimse::Command& request, const ul::AcceptedContext& context,
                                                      StoreNote& note);

}  // namespace kuva::sandbox
