#pragma once

namespace kuva {

// What a tool says to its caller. The meaning of each number is fixed (kuva(7), EXIT STATUS).
enum class ExitCode : int {
  done = 0,           // everything asked for was done and confirmed
  internal = 1,       // internal or unclassified failure
  usage = 2,          // usage or configuration
  item_failed = 3,    // finished, but some item failed, was refused or is invalid
  negative = 4,       // nothing matched, or the two sides differ
  temporary = 5,      // unreachable, busy, timed out, outcome still pending
  security = 6,       // TLS, certificate, signature, not authorised
  refused = 7,        // the peer refuses for good, or broke the protocol
  limit = 8,          // stopped at a limit or a time window
  local_io = 9,       // local read or write failed, stdout and ledger included
  interrupted = 130,  // SIGINT, state saved
  terminated = 143,   // SIGTERM, state saved
};

// The one that is reported where both apply: 130/143, 1, 2, 9, 6, 7, 5, 8, 3, 4, 0.
ExitCode worse(ExitCode a, ExitCode b);

}  // namespace kuva
