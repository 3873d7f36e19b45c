#pragma once

#include <kuva/dimse/messenger.hpp>

namespace kuva::dimse {

// C-ECHO on a context of the Verification SOP class (PS3.4 annex A). Errors: as StoreUser::receive, dimse.* for a
// failure.
void echo(Messenger& messenger, std::chrono::milliseconds response_timeout);

}  // namespace kuva::dimse
