// A rollout over several hosts from this laptop: everything is brought to all of them and looked at
// there before the first one switches; then the canary, and batch after batch, each with its bake.
// At the first host that fails no other one begins, and those that have it keep it, or go back,
// each to the release that was live there. deploy_roll.hpp is the same without a memory and in one
// go.
#pragma once

#include "cli/core/verb.hpp"
#include "cli/laptop/deploy_plan.hpp"
#include "cli/laptop/rollout_state.hpp"

namespace chillbox::cli {

// Brings it to all hosts. Nothing is live anywhere when it fails: preflight, sealed, unreachable...
Result<void> stage_rollout(Call& call, DeployPlan& plan, RolloutState& state);
// From wherever it is to its end. unhealthy: the first ones failed, and all hosts have what they
// had; rolled_back: so have they again; partial: they do not all have the same.
Result<void> walk_rollout(Call& call, const Places& places, RolloutState& state);

} // namespace chillbox::cli
