// What would change: of an artifact that is not deployed, compared with what is live; or of a live
// site that is restarted, compared with what the store says it should be. Nothing is changed: an
// artifact goes through the same verify, stager and preflight as in a deploy, into tmpfs, and is
// wiped when the plan is made.
//
// The result is {"site","from","to","change",
// "services":[{"name","lang","change","why":[],"environment":[{"name","change","before","after"}]}],
// "hosts":{"added","removed"}, "cron":{"added","removed"}, "nginx":{"diff","reload"},
// "disk":{"needed","free","inodes_needed","inodes_free"}, "memory":{"needed","available"},
// "gap":{"expected","last_ms","reason"}, "drift":[], "problems":[]}; of an artifact also "sha256",
// "serial", "installed_serial" and "signer". A "change" is added, removed, changed or none;
// "change" of the whole is a boolean. Of values there is a digest that only this host can make.
#pragma once

#include "base/error.hpp"
#include "control/json.hpp"
#include "rollout/host_context.hpp"

#include <string>

namespace chillbox::rollout {

// fd: the whole artifact, a file of which nobody else has a descriptor. denied, corrupt, sealed,
// invalid as in a deploy; what a deploy would refuse before it changes anything is in "problems"
// instead.
Result<control::Json> plan_artifact(HostContext& host, int fd, const std::string& signature);
// not_found: no such site, or nothing of it is live.
Result<control::Json> plan_site(HostContext& host, const SiteName& site);
// The NGINX text that is in force. not_found: none.
Result<std::string> nginx_in_force(HostContext& host, const SiteName& site);

} // namespace chillbox::rollout
