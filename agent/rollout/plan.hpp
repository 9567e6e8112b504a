// What would change: of an artifact that is not deployed, compared with what is live; or of a live
// site that is restarted, compared with what the store says it should be. Nothing is changed: an
// artifact goes through the same verify, stager and preflight as in a deploy, into tmpfs, and is
// wiped when the plan is made.
#pragma once

#include "base/error.hpp"
#include "control/messages.hpp"
#include "rollout/host_context.hpp"

#include <string>

namespace chillbox::rollout {

// fd: the whole artifact, a file of which nobody else has a descriptor. denied, corrupt, sealed,
// invalid as in a deploy; what a deploy would refuse before it changes anything is in "problems"
// instead.
Result<control::Plan> plan_artifact(HostContext& host, int fd, const std::string& signature);
// not_found: no such site, or nothing of it is live.
Result<control::Plan> plan_site(HostContext& host, const SiteName& site);
// The NGINX text that is in force. not_found: none.
Result<std::string> nginx_in_force(HostContext& host, const SiteName& site);

} // namespace chillbox::rollout
