// The end of what was live before.
#pragma once

#include "rollout/job_context.hpp"

namespace chillbox::rollout {

// Drains and stops the slot that r.release is not in, and a Redis that it does not have. Nothing
// when a job cut the watch short: that job decides what happens to the slot, which is still warm.
void retire_old_slot(JobContext& r);

} // namespace chillbox::rollout
