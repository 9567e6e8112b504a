// Everything that can be refused before anything is changed.
#pragma once

#include "rollout/job_context.hpp"

#include <string>
#include <vector>

namespace chillbox::rollout {

// All that speaks against the release that is staged, one a line. Changes nothing but
// r.release.services, their ports, and r.release.row.nginx; a job that has no room prunes its site,
// a plan (no journal) only looks at what that would remove.
std::vector<std::string> preflight_problems(JobContext& r);

} // namespace chillbox::rollout
