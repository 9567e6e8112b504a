// Who asked for a job, and what that allows, can change while it waits or runs: what was good when
// it was accepted is looked at again before each step until the switch.
#pragma once

#include "rollout/job_context.hpp"
#include "rollout/steps.hpp"

namespace chillbox::rollout {

// denied: the sender or the signer may not any more; busy: the site is held.
Result<void> permit(JobContext& r, const Step& step);

} // namespace chillbox::rollout
