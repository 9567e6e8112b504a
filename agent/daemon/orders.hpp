// What a webhook and an operator may order begins here: the same job, with its id, its time and who
// asked for it.
#pragma once

#include "rollout/host_context.hpp"
#include "store/types.hpp"

#include <string>

namespace chillbox::daemon {

store::Job new_job(
    const rollout::HostContext& host, store::JobKind kind, SiteName site, std::string actor);

} // namespace chillbox::daemon
