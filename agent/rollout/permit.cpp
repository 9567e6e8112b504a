// Who asked for a job, and what he may, can change while it waits or runs: what was good when it was accepted is looked at again before each step.
#include "rollout/steps.hpp"

namespace chillbox::rollout {

Result<void> permit(Rollout& r, std::string_view) {
  if (r.signals.switched)
    return {};
  if (r.world.check_sender)
    TRY(r.world.check_sender(r.job));
  if (r.job.actor.starts_with(store::k_webhook_actor))
    TRY(check_hold(r.world, r.job.site));
  return {};
}

} // namespace chillbox::rollout
