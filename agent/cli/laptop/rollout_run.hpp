// A rollout over several hosts from this laptop: everything is brought to all of them and looked at
// there before the first one switches; then the canary, and batch after batch, each with its bake.
// At the first host that fails no other one begins, and those that have it keep it, or go back,
// each to the release that was live there. deploy_roll.hpp is the same without a memory and in one
// go.
#pragma once

#include "cli/core/verb.hpp"
#include "cli/laptop/deploy_plan.hpp"
#include "cli/laptop/rollout_state.hpp"

#include <chrono>

namespace chillbox::cli {

// Brings it to all hosts. Nothing is live anywhere when it fails: preflight, sealed, unreachable...
Result<void> stage_rollout(Call& call, DeployPlan& plan, RolloutState& state);
struct WalkTimes {
  std::chrono::milliseconds host = std::chrono::minutes(30);  // for a job that may run on a host
  std::chrono::milliseconds reach = std::chrono::seconds(20); // for a host that does not answer
  std::chrono::milliseconds pause = std::chrono::seconds(2);  // before it is asked again
};
// From wherever it is to its end. unhealthy: the first ones failed, and all hosts have what they
// had; rolled_back: so have they again; partial: they do not all have the same. unreachable,
// timed_out: what one has is not known, so that it has not ended.
Result<void> walk_rollout(
    Call& call, const Places& places, RolloutState& state, const WalkTimes& times = {});

} // namespace chillbox::cli
