// A deploy of a project to one host: asks it what it is, collects what it needs, packs, signs,
// sends by ssh, and follows the job.
#pragma once

#include "cli/core/verb.hpp"
#include "cli/laptop/deploy_plan.hpp"

namespace chillbox::cli {

// `target` gets the name under which a new host is remembered.
Result<void> deploy_to_host(Call& call, DeployPlan& plan, Target& target);

} // namespace chillbox::cli
