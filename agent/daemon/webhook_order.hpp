// What the body of a signed webhook asks for.
#pragma once

#include "base/error.hpp"
#include "daemon/senders.hpp"
#include "rollout/host_context.hpp"
#include "store/types.hpp"

#include <string_view>

namespace chillbox::daemon {

// The job that it announces, which is not in the store yet. invalid: the text of the answer;
// denied: the sender may not ask for this, which looks like a wrong signature (faults 16).
Result<store::Job> read_order(std::string_view body, std::string_view content_type,
    const LoadedSender& sender, rollout::HostContext& host);

} // namespace chillbox::daemon
