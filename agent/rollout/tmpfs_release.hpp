// Releases that are in memory only (site.json, "store": "tmpfs"): each is a tmpfs of its own,
// mounted at the place that a release on the disk has, so that every path is the same. A boot
// leaves the empty place. Once the vault is open the release is rebuilt from its artifact.
#pragma once

#include "rollout/job_context.hpp"

#include <string>

namespace chillbox::rollout {

// Mounts the place of a release in memory, empty; does nothing for one on the disk.
Result<void> mount_release(JobContext& r);
Result<void> unmount_release(HostContext& host, const SiteName& site, const std::string& id);
Result<void> remove_release(HostContext& host, const SiteName& site, const std::string& id);
// It was in memory and the host was started since: its place is empty. One whose place does not
// exist either was removed by somebody.
bool needs_rebuild(HostContext& host, const store::Release& release);
// Makes r.release again from its artifact if it needs that. sealed: the vault is closed; not_found,
// corrupt: its artifact does not exist any more.
Result<void> rebuild_release(JobContext& r);

} // namespace chillbox::rollout
