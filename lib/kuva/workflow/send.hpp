#pragma once

#include <kuva/ledger/ledger.hpp>
#include <kuva/workflow/items.hpp>
#include <kuva/workflow/run_limits.hpp>
#include <kuva/workflow/target.hpp>

#include <chrono>
#include <stop_token>

namespace kuva::workflow {

struct SendSettings {
  // The ledger of the batch, and what of it is sent.
  struct Batch {
    ledger::Ledger* ledger = nullptr;  // none: the input alone says what is sent
    bool with_digests = false;         // of the data sets of new files
    bool shared = false;               // other processes send from it too: studies are leased
    std::chrono::seconds lease{120};
    ledger::Selection selection;
    std::string ready_command;  // run for each study before it is sent; empty: none
    std::chrono::milliseconds ready_timeout{60'000};
  };

  unsigned associations = 0;                    // 0: what the target says
  unsigned retries = 3;                         // more attempts an instance after the first, for temporary errors
  std::chrono::milliseconds retry_delay{1000};  // doubled each time, jittered, up to retry_delay_limit
  std::chrono::milliseconds retry_delay_limit{60'000};
  RunLimitSettings limits;
  Batch batch;
  bool dry_run = false;
  bool fail_fast = false;  // stop at the first instance that fails
};

// kuva-send: each instance of the input is stored once. Records leave as instances finish; instances of one study go
// over one association in the order of the input. At a limit of the run nothing new is begun: what is under way is
// finished, and the rest of the input leaves as unsent, unread.
// With a ledger the input is taken into it first, then what the ledger has to be sent is sent, study by study; what was
// stored before is not touched, and what is in doubt is settled before it is sent again. Errors: ledger.* too;
// local.write, usage.target, tls.config.
void send(InputSource& source, RecordSink& sink, Observer& observer, Accounting& accounting, const Target& target,
          const SendSettings& settings, std::stop_token stop);

}  // namespace kuva::workflow
