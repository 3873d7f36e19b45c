#pragma once

#include <kuva/core/error.hpp>
#include <kuva/net/stream.hpp>
#include <kuva/sandbox/faults.hpp>
#include <kuva/sandbox/hl7_settings.hpp>
#include <kuva/sandbox/xds_settings.hpp>
#include <kuva/ul/association.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kuva::sandbox {

// An AE that the sandbox knows. Others are rejected (A-ASSOCIATE-RJ 1/1/3).
struct KnownAe {
  std::string ae_title;
  // Where storage commitment reports, notifications and what C-MOVE sends go, over associations of our own.
  std::optional<net::Endpoint> endpoint;
  bool tls = false;
  bool may_store = true;                     // false: 0124 "Storage denied."
  bool may_commit = true;                    // false: 0110 "Unknown Calling AET: X" on N-ACTION
  bool may_query = true;                     // false: 0124 on C-FIND, C-MOVE and C-GET
  bool send_ian = false;                     // Instance Availability Notifications
  std::vector<std::string> sees_rejected{};  // codes of rejection (113001, ...) whose instances it finds all the same
};

struct Settings {
  std::string ae_title = "KUVASANDBOX";
  std::string bind_host = "127.0.0.1";
  std::optional<std::uint16_t> plain_port;  // 0 takes a free one
  std::optional<std::uint16_t> tls_port;
  net::TlsSettings tls;  // server side, and client side of reports over TLS
  std::filesystem::path storage;
  std::filesystem::path transcript;  // NDJSON, appended; empty: none
  std::vector<KnownAe> known_aes;
  bool durable = true;  // fsync before the response
  enum class ReportOn { new_association, same_association } report_on = ReportOn::new_association;
  std::chrono::milliseconds report_delay{0};
  unsigned report_retries = 10;
  std::chrono::milliseconds report_retry_delay{30'000};  // doubled, as dcm4chee does
  // How long a study is quiet before its availability is notified; a rejection is notified at once.
  std::chrono::milliseconds ian_delay{60'000};
  // Rejection notes with the title 113039, Data Retention Policy Expired: A775, and A776 before the period has ended.
  bool allow_retention_rejection = true;
  std::optional<std::chrono::milliseconds> retention_period;
  // Study Description: its first five characters are looked up in this list (a text file, the code first in each line,
  // '#' begins a comment) when it is not empty.
  std::filesystem::path study_codes;
  // What an object with another code is answered. The repository's own status is not public: this one is inferred.
  std::uint16_t study_code_status = 0xA900;
  enum class Overwrite { never, same_source, always } overwrite = Overwrite::same_source;
  std::vector<std::string> trusted_issuers;             // of Patient ID; empty: any, and a missing one too
  bool require_patient_id = true;                       // A777
  std::vector<std::string> refused_sop_classes;         // 0122 / context result 3
  std::vector<std::string> accepted_transfer_syntaxes;  // empty: all
  std::uint32_t max_pdu = ul::Association::k_default_receive_limit;
  std::uint16_t async_window = 0;  // what it accepts; 0: does not answer the offer
  unsigned max_associations = 64;  // more: RJ 2/3/2
  std::chrono::milliseconds idle_timeout{300'000};
  ul::Timeouts timeouts;
  FaultSettings faults;
  WebSettings web;
  XdsSettings xds;
  Hl7Settings hl7;
};

// The repository on a laptop: the DICOM services as SCP; registry, repository, imaging document source and WADO-RS over
// HTTP; patient updates and merges over MLLP. Library code: prints nothing.
class Sandbox {
 public:
  // Opens the ports and reads the index of what is stored. Errors: listen.failed, tls.config, local.*.
  static std::unique_ptr<Sandbox> start(const Settings& settings);
  virtual ~Sandbox() = default;  // stops
  virtual std::optional<std::uint16_t> plain_port() const = 0;
  virtual std::optional<std::uint16_t> tls_port() const = 0;
  virtual std::optional<std::uint16_t> web_port() const = 0;
  virtual std::optional<std::uint16_t> hl7_port() const = 0;
  virtual std::optional<std::uint16_t> hl7_tls_port() const = 0;
  // After the transcript's file was moved away: a new one of its name. Thread-safe. Errors: local.write.
  virtual void reopen_transcript() = 0;
  // Takes no more associations, lets messages that are under way finish within `limit`, then aborts the rest. Reports
  // that are not delivered are kept in the storage and tried again at the next start.
  virtual void stop(std::chrono::milliseconds limit) = 0;
};

// Makes CA, server, client and signing certificates under `directory`/tls; existing files are kept.
void make_certificates(const std::filesystem::path& directory);

// Writes a small study of its own: CT, DX, US multi-frame, 12-lead ECG and encapsulated PDF of one patient whose name
// has å, ä and ö, clean by dciodvfy; fresh UIDs each time. Returns the files.
struct SamplePatient {
  std::string id = "010181-900C";  // of the 900 series, which no person has
  std::string authority = "1.2.246.21";
  std::string name = "Åkerblom^Väinämö Öystein";
  std::string birth_date = "19810101";
  std::string sex = "O";
};
std::vector<std::filesystem::path> write_sample_study(const std::filesystem::path& directory,
                                                      const SamplePatient& patient = {});

}  // namespace kuva::sandbox
