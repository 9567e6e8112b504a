// What runs of each site, and what its visitors get.
#pragma once

#include "base/error.hpp"
#include "control/messages.hpp"
#include "rollout/host_context.hpp"
#include "rollout/known_releases.hpp"

#include <vector>

namespace chillbox::daemon {

// Asks NGINX and the services of each live site, of many sites at once (os::probe_all).
Result<std::vector<control::SiteStatus>> all_sites(
    rollout::HostContext& host, rollout::KnownReleases& known);

} // namespace chillbox::daemon
