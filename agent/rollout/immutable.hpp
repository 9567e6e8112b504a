// SITE/immutable/NAME/HASH links to the files of a release that is on the disk, for all that any of
// them has: pages of an earlier release keep what they name for as long as it is kept.
#pragma once

#include "rollout/host_context.hpp"

#include <set>
#include <string>

namespace chillbox::rollout {

// Releases in `leaving` do not count: they are about to be removed.
Result<void> link_immutable(
    HostContext& host, const SiteName& site, const std::set<std::string>& leaving = {});

} // namespace chillbox::rollout
