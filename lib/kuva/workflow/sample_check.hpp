#pragma once

#include <kuva/dicom/comparison.hpp>
#include <kuva/ledger/ledger.hpp>
#include <kuva/workflow/retrieve.hpp>

#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::workflow {

// Whether a study is in a sample of so many in a hundred. The same studies are, for the same seed, however often and in
// whatever order it is asked.
bool is_in_sample(std::string_view study_instance_uid, double percent, std::string_view seed);

// Retrieves instances from an archive, a few at a time, and holds them against the files that they were sent from. What
// comes lies in a directory of its own (mode 0700) until it has been looked at. Thread-safe: one retrieval at a time,
// since a listener has one port.
class SampleCheck {
 public:
  struct Settings {
    RetrieveVia via = RetrieveVia::automatic;
    std::string destination;          // the AE title that C-MOVE names; empty: our own
    std::filesystem::path directory;  // below which the files lie
    soap::Security security;          // of each request of the XDS side
    dicom::ComparisonSettings comparison;
  };
  static constexpr std::size_t k_most_at_once = 50;

  // Errors: local.write.
  SampleCheck(const Target& target, Settings settings, Observer& observer, std::stop_token stop);
  ~SampleCheck();
  SampleCheck(const SampleCheck&) = delete;
  SampleCheck& operator=(const SampleCheck&) = delete;

  // Of an instance: how it differs, or why that is not known.
  struct Verdict {
    std::optional<dicom::Comparison> comparison;
    std::optional<Error> error;  // retrieve.*, local.read, file.changed: the file is no longer the one that was sent
  };
  // `instances`, at most k_most_at_once, are of this study. `location`: the Retrieve Location UID of its manifest, or
  // empty. Errors: usage.target, listen.failed, tls.config: nothing
  // can be retrieved from this target.
  void compare(const std::string& study_instance_uid, const std::string& location,
               const std::vector<ledger::Instance>& instances,
               const std::function<void(const ledger::Instance&, const Verdict&)>& sink);
  // Retrieves one instance and gives its file, which is gone when this returns. Errors: as compare; retrieve.*.
  void look_at(const std::string& study_instance_uid, const std::string& series_instance_uid,
               const std::string& sop_class_uid, const std::string& sop_instance_uid,
               const std::function<void(const std::filesystem::path&)>& look);

 private:
  struct Arrived {
    std::filesystem::path path;
    std::optional<Error> error;
  };
  class Collector;
  class Wanted;
  class QuietObserver;
  std::map<std::string, Arrived> retrieve_all(std::vector<Json> records);
  Verdict compare_one(const ledger::Instance& instance, const Arrived& arrived) const;

  const Target& m_target;
  Settings m_settings;
  Observer& m_observer;
  std::stop_token m_stop;
  std::filesystem::path m_directory;  // our own
  std::mutex m_mutex;
};

}  // namespace kuva::workflow
