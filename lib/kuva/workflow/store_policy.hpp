#pragma once

#include <kuva/core/error.hpp>

#include <cstdint>

namespace kuva::workflow {

// What is done about a C-STORE that did not simply succeed. One place, so that it can be read, tested and argued about
// row by row; kuva-send(1) has the same as a table.
struct StorePolicy {
  enum class Action {
    stored,               // 0000
    stored_with_warning,  // Bxxx, 0001, 0107, 0116 (PS3.7 annex C, PS3.4 B.2.3)
    retry,                // a matter of time: later, `retries` times at most
    retry_elsewhere,      // the same, on a new association
    fail,                 // trying again would not help
    settle,               // it may be stored: ask before anything is sent again
  };
  Action action = Action::fail;
  unsigned retries = 0;            // at most; the user's own limit may be lower
  bool is_overload = false;        // the peer has too much to do: go easier
  unsigned stops_class_after = 0;  // refusals of a SOP class, none of it ever taken, that stop it; 0: never

  friend bool operator==(const StorePolicy&, const StorePolicy&) = default;
};

// By the status of a C-STORE-RSP. `class_worked`: this peer has stored an object of the SOP class in this run, so that
// a Cxxx may be one of the sporadic ones.
StorePolicy policy_of_status(std::uint16_t status, bool class_worked);

// By an error of the association or of this machine. `sent_whole`: the last byte was out, so that the object may be
// stored.
StorePolicy policy_of_error(const Error& error, bool sent_whole);

}  // namespace kuva::workflow
