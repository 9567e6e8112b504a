// The order of a deploy: which artifact the host should take, with the signature of a person's key.
#pragma once

#include "cli/core/verb.hpp"
#include "cli/laptop/deploy_lines.hpp"
#include "cli/laptop/deploy_memory.hpp"
#include "cli/laptop/deploy_plan.hpp"
#include "control/messages.hpp"

#include <string>

namespace chillbox::cli {

// denied: the host does not take this key for this site; nothing has been signed.
Result<control::Arguments> signed_order(Call& call, const DeployPlan& plan,
    const control::Facts& facts, const std::string& host, const std::string& version,
    const DeployMemory::Pending& artifact, DeployLines& lines);

} // namespace chillbox::cli
