// The order of a deploy: which artifact the host should take, with the signature of a person's key.
#pragma once

#include "artifact/verify.hpp"
#include "cli/core/verb.hpp"
#include "cli/laptop/deploy_lines.hpp"
#include "cli/laptop/deploy_memory.hpp"
#include "cli/laptop/deploy_plan.hpp"
#include "control/messages.hpp"

#include <array>
#include <cstdint>
#include <string>

namespace chillbox::cli {

struct ToSign {
  std::array<uint8_t, 64> blake2b{};
  artifact::Statement statement;
};
// With --expires.
Result<ToSign> what_to_sign(Call& call, const DeployPlan& plan, const std::string& version,
    const DeployMemory::Pending& artifact, uint64_t serial);

// With -k's key, the person's own, or that of ssh where the host takes only that one. denied: the
// host does not take this key for this site; nothing has been signed.
Result<std::string> sign_for(Call& call, const Places& places, const control::Facts& facts,
    const std::string& host, const ToSign& what);
// The same errors.
Result<control::Arguments> signed_order(Call& call, const DeployPlan& plan,
    const control::Facts& facts, const std::string& host, const std::string& version,
    const DeployMemory::Pending& artifact, DeployLines& lines);

} // namespace chillbox::cli
