// What a deploy by a bucket and a rollout do before there is a job on a host.
#pragma once

#include "cli/laptop/deploy_lines.hpp"
#include "cli/laptop/deploy_plan.hpp"
#include "cli/laptop/host_session.hpp"

#include <string>

namespace chillbox::cli {

// One artifact for all of plan.targets, if what is packed for one is what the others need. Each is
// asked before anything is changed on the first.
Result<void> share_artifact(DeployPlan& plan);
// Puts it into the bucket, once, and has the host fetch and plan it. preflight: what the deploy
// would refuse.
Result<void> put_and_fetch(DeployPlan& plan, HostSession& session, const control::Arguments& order,
    const DeployMemory::Pending& file, const std::string& host, DeployLines& lines);
// preflight: the first problem of the plan.
Result<void> check_plan(const control::Plan& plan, const std::string& host);

} // namespace chillbox::cli
