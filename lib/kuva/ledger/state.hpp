#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace kuva::ledger {

// What became of an instance so far. The words are those of the tables and of records.
enum class State {
  seen,                 // its header was read
  valid,                // kuva-validate had nothing against it
  sending,              // handed to the network; nothing is known yet
  stored,               // the archive answered success
  stored_with_warning,  // the archive answered with a warning
  indeterminate,        // it may have been sent whole; nobody has answered for it
  committed,            // the archive has taken responsibility for it
  registered,           // committed, and announced as available
  failed_temporary,     // the next run tries again
  failed_permanent,     // tried again when it is asked for by name
  skipped,              // nothing to send: no DICOM object, or a copy of another file
  superseded,           // the file has changed since, or is gone: another row speaks for the path, or none
};

inline constexpr std::array<State, 12> k_states{
    State::seen,      State::valid,      State::sending,       State::stored,           State::stored_with_warning,
    State::committed, State::registered, State::indeterminate, State::failed_temporary, State::failed_permanent,
    State::skipped,   State::superseded,
};

std::string_view to_string(State state);
std::optional<State> parse_state(std::string_view text);

// A sending run leaves it alone, unless it is asked for: stored and what follows, failed for good, skipped, superseded.
bool is_done_for_sending(State state);

}  // namespace kuva::ledger
