#pragma once

#include <kuva/dimse/messenger.hpp>

#include <chrono>
#include <functional>

namespace kuva::dimse {

// Takes a request that the peer sends while its response is awaited, reading its data set.
using OnRequest = std::function<void(const Messenger::Message&)>;

// Asked every k_look_interval while nothing comes; false: no more patience.
using OnQuiet = std::function<bool()>;
inline constexpr std::chrono::milliseconds k_look_interval{100};

// The next response to a request that was sent, its data set not yet read: for operations with several responses.
// Requests that come meanwhile go to `on_request`; without it they are not expected.
// With `on_quiet`, that decides how long to wait, and not `patience`.
// Errors: connection.timeout when nothing comes for `patience`, association.released, dimse.unexpected-response
// (another message, another message id, no status); the association is then gone.
Messenger::Message await_response(Messenger& messenger, const Command& request, std::chrono::milliseconds patience,
                                  const OnRequest& on_request = {}, const OnQuiet& on_quiet = {});

// C-CANCEL of a request that was sent (PS3.7 9.3.2.3).
Command make_cancel(const Command& request);

}  // namespace kuva::dimse
