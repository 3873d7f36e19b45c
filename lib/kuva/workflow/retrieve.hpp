#pragma once

#include <kuva/ledger/ledger.hpp>
#include <kuva/soap/client.hpp>
#include <kuva/workflow/items.hpp>
#include <kuva/workflow/retrieve_landing.hpp>
#include <kuva/workflow/run_limits.hpp>
#include <kuva/workflow/target.hpp>

#include <chrono>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

namespace kuva::workflow {

inline constexpr std::string_view k_retrieve_tool = "kuva-retrieve";
// The outcome of an instance that was there whole before.
inline constexpr std::string_view k_already_there = "already-there";

// How objects come.
enum class RetrieveVia {
  automatic,  // by what the target has and the record says
  rad69,      // Retrieve Imaging Document Set, with the manifest by ITI-43
  cmove,      // C-MOVE to our listener
  wado,       // WADO-RS
};
std::string_view to_string(RetrieveVia via);

struct RetrieveSettings {
  Landing::Settings landing;
  RetrieveVia via = RetrieveVia::automatic;
  // Asked for on the command line; empty: by the input.
  std::vector<std::string> studies;
  std::vector<std::string> instances;  // of the one study
  std::vector<std::string> documents;  // unique ids, of `repository`
  std::string repository;              // of `documents`; and of manifests that are files, where they do not say it
  std::string home;                    // their home community, urn:oid:...
  std::vector<std::string> series;     // of what is asked for, these series alone
  bool key_images = false;             // of each study the key object selections, and what they refer to
  bool documents_only = false;         // documents that are no manifests
  bool kos_only = false;               // manifests, and nothing that they refer to
  bool viewer_url = false;             // the address of the study in the archive's viewer goes into its record
  bool strict = false;                 // a digest that differs from the metadata is an error
  bool list = true;                    // C-MOVE: ask for the instances of a study before (C-FIND)
  unsigned jobs = 0;                   // requests at the same time; 0: what the target says
  unsigned chunk = 0;                  // instances a request; 0: C-MOVE all of a study, RAD-69 what the target says
  unsigned retries = 2;                // more requests for what is missing, after a temporary error
  std::chrono::milliseconds retry_delay{2'000};  // before the first of them, then doubled
  std::chrono::milliseconds stall{300'000};      // without any progress
  std::chrono::milliseconds grace{5'000};        // for objects that come after the last answer
  std::string destination;                       // the AE title that C-MOVE names; empty: our own
  std::filesystem::path save_raw;                // HTTP messages as they went, files of this directory; empty: none
  bool dry_run = false;
  soap::Security security;  // of each request of the XDS side
  // Gets a row of each file that lands, and says what need not be asked for; null: none. Not with dry_run.
  ledger::Ledger* ledger = nullptr;
  bool again = false;       // everything is asked for, whatever the ledger says
  RunLimitSettings limits;  // windows and time: then nothing new is asked for
};

// kuva-retrieve: brings what is asked for, or what the records of the input name, into files. One record of type
// `instance` for each object, `document` for each document, and `retrieval` for each study.
// Errors: local.write, usage.argument, usage.target, tls.config, listen.failed, ledger.*.
void retrieve(InputSource* source, RecordSink& sink, Observer& observer, Accounting& accounting, const Target& target,
              const RetrieveSettings& settings, std::stop_token stop);

}  // namespace kuva::workflow
