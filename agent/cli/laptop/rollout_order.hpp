// A rollout that the hosts walk by themselves (control/rollout.hpp): the laptop signs one order for
// all of them, once everything is staged, and brings it to any one. From then on it is not needed:
// it follows what the hosts report for as long as it likes.
#pragma once

#include "cli/core/verb.hpp"
#include "cli/laptop/deploy_memory.hpp"
#include "cli/laptop/deploy_plan.hpp"
#include "cli/laptop/rollout_state.hpp"
#include "control/messages.hpp"

#include <vector>

namespace chillbox::cli {

// conflict: this one of the hosts cannot walk with the others.
Result<void> check_walker(
    const RolloutState& state, const std::vector<control::Facts>& facts, size_t i);
// Of hosts that are staged, with the facts of each: state.signed_order. conflict: a host is of
// another fleet, reaches no engine, has no report key, or takes another artifact.
Result<void> sign_order(Call& call, const DeployPlan& plan, RolloutState& state,
    const std::vector<control::Facts>& facts, const DeployMemory::Pending& artifact);
// To any host that answers. conflict: the fleet's engine has a newer one, and whose; unreachable.
Result<void> hand_over(Call& call, const Places& places, RolloutState& state);
// What the hosts report, by any of them. conflict: a newer order took its place.
Result<control::OrderedRollout> reported(const Places& places, RolloutState& state);
// To the end, or until the laptop is closed; as walk_rollout().
Result<void> follow_rollout(Call& call, const Places& places, RolloutState& state);
// Lets no host begin, or lets them go on.
Result<void> halt_rollout(const Places& places, const RolloutState& state, bool undo);

} // namespace chillbox::cli
