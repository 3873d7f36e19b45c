#include <kuva/ledger/state.hpp>

#include <algorithm>

namespace kuva::ledger {

std::string_view to_string(State state) {
  switch (state) {
    case State::seen:
      return "seen";
    case State::valid:
      return "valid";
    case State::sending:
      return "sending";
    case State::stored:
      return "stored";
    case State::stored_with_warning:
      return "stored-with-warning";
    case State::indeterminate:
      return "indeterminate";
    case State::committed:
      return "committed";
    case State::registered:
      return "registered";
    case State::failed_temporary:
      return "failed-temporary";
    case State::failed_permanent:
      return "failed-permanent";
    case State::skipped:
      return "skipped";
    case State::superseded:
      return "superseded";
  }
  return {};
}

std::optional<State> parse_state(std::string_view text) {
  const auto* const found =
      std::find_if(k_states.begin(), k_states.end(), [&](State state) { return to_string(state) == text; });
  return found == k_states.end() ? std::nullopt : std::optional(*found);
}

bool is_done_for_sending(State state) {
  switch (state) {
    case State::stored:
    case State::stored_with_warning:
    case State::committed:
    case State::registered:
    case State::failed_permanent:
    case State::skipped:
    case State::superseded:
      return true;
    case State::seen:
    case State::valid:
    case State::sending:
    case State::indeterminate:
    case State::failed_temporary:
      return false;
  }
  return false;
}

}  // namespace kuva::ledger
