// From tmpfs to the release's directory.
#pragma once

#include "rollout/job_context.hpp"

namespace chillbox::rollout {

// Moves the tree from the stage, which is empty then, to its place. corrupt: it is not what was
// unpacked and checked.
Result<void> put_tree(JobContext& r);
// The site's own user, made when it does not exist. conflict: it is somebody else's.
Result<os::User> site_user(HostContext& host, const SiteName& site);

} // namespace chillbox::rollout
