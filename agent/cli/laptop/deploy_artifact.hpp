// The artifact of a deploy: packed into the cache for one host, once for each state of the folder,
// and signed for the moment. What was packed and did not get there is taken again, so that the host
// can go on with the bytes that it has.
#pragma once

#include "artifact/verify.hpp"
#include "cli/core/verb.hpp"
#include "cli/laptop/deploy_lines.hpp"
#include "cli/laptop/deploy_memory.hpp"
#include "cli/laptop/deploy_plan.hpp"
#include "control/messages.hpp"

#include <string>
#include <vector>

namespace chillbox::cli {

struct DeployVersion {
  std::string text;
  bool automatic = false; // made of a count: says nothing of what is in it
};
// What --version says, else the site file, `make inspect.VERSION`, VERSION, git, else one more than
// the host has.
Result<DeployVersion> deploy_version(Call& call, const DeployPlan& plan,
    const control::SiteFacts& there, const DeployMemory& memory);

// Packs, or takes what is pending, or what was packed for another of these hosts. `memory.pending`
// is what it is afterwards, written down.
Result<void> pack_for(Call& call, DeployPlan& plan, const Target& target,
    const control::Facts& facts, const DeployVersion& version, DeployMemory& memory,
    DeployLines& lines);

// minutes since 1970, or one more than the host's newest.
uint64_t serial_for(uint64_t newest, int64_t now);

} // namespace chillbox::cli
