// From tmpfs to the release's directory.
#pragma once

#include "rollout/job_context.hpp"

namespace chillbox::rollout {

// The mode of directories on the way to what is published: NGINX may pass through, and read nothing
// else.
inline constexpr mode_t k_traverse = 0751;
// Root's, and readable by the user's group.
os::Owner root_and(const os::User& user);

// Moves the tree from the stage, which is empty then, to its place. corrupt: it is not what was
// unpacked and checked.
Result<void> put_tree(JobContext& r);
// The site's own user, made when it does not exist. conflict: it is somebody else's.
Result<os::User> site_user(HostContext& host, const SiteName& site);

} // namespace chillbox::rollout
