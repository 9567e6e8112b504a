// From an installed tree to a frozen release.
#pragma once

#include "rollout/job_context.hpp"

#include <optional>
#include <string>

namespace chillbox::rollout {

// Builds the services of r.release and freezes its tree. denied: a link leaves it; failure: a build
// failed; corrupt: a layer was changed.
Result<void> build_tree(JobContext& r);
// Until that tree is on the disk, before anything depends on it.
Result<void> wait_for_sync(JobContext& r);
// What speaks against publishing this folder: a link out of it.
std::optional<std::string> published_problem(HostContext& host, const std::string& dir);
// Runs the service's release_command, if it has one. failure: it failed.
Result<void> migrate(JobContext& r, const PlannedService& p);

} // namespace chillbox::rollout
