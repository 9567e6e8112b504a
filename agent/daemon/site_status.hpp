// What runs of each site, and what its visitors get.
#pragma once

#include "base/error.hpp"
#include "control/messages.hpp"
#include "rollout/host_context.hpp"

#include <vector>

namespace chillbox::daemon {

// Asks NGINX and the services of each live site, of all sites at once: as slow as the slowest.
Result<std::vector<control::SiteStatus>> all_sites(rollout::HostContext& host);

} // namespace chillbox::daemon
