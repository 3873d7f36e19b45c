#pragma once

#include <kuva/ledger/ledger.hpp>
#include <kuva/workflow/items.hpp>
#include <kuva/workflow/run_limits.hpp>
#include <kuva/workflow/target.hpp>

#include <chrono>
#include <filesystem>
#include <stop_token>

namespace kuva::workflow {

struct CommitSettings {
  std::chrono::milliseconds wait{60'000};        // for reports, after the last request
  std::chrono::milliseconds grace{5'000};        // the requesting association is kept open for a report this long
  unsigned retries = 3;                          // of a request, after a temporary error; under a fresh Transaction UID
  std::chrono::milliseconds retry_delay{1'000};  // before the first of them, then doubled and jittered
  std::filesystem::path state;                   // directory of this target's transactions
  unsigned chunk = 0;                            // 0: what the target says
  bool resume = false;                           // also take up the unfinished transactions of earlier runs
  bool ian = false;                              // done is what is committed and notified as available (PS3.4 annex R)
  bool dry_run = false;
  // The batch's: what is committed is noted there, and it gives what is stored where there is no input.
  ledger::Ledger* ledger = nullptr;
  RunLimitSettings limits;  // windows and time: then nothing new is asked for
};

// kuva-commit: asks for storage commitment of every instance of the input that is stored (indeterminate ones too: this
// settles them) and listens for the reports. Each instance ends as committed, failed or pending. Errors: local.write,
// usage.target, tls.config, listen.failed.
void commit(InputSource& source, RecordSink& sink, Observer& observer, Accounting& accounting, const Target& target,
            const CommitSettings& settings, std::stop_token stop);

}  // namespace kuva::workflow
