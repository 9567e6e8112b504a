// A host that is locked opens nothing that is sent to it, so it is unlocked before.
#pragma once

#include "cli/core/verb.hpp"
#include "cli/fleet/inventory.hpp"
#include "control/messages.hpp"

namespace chillbox::cli {

// Asks whether to unlock it, and does it there. Not over a connection that was open before: its
// facts are older. sealed: there is nobody to ask, the answer was no, or it was not unlocked.
Result<void> unlock_before_sending(Call& call, const Host& host, const control::Facts& facts);

} // namespace chillbox::cli
