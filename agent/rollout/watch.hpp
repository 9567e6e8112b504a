// How long the job's release is watched after the switch.
#pragma once

#include "rollout/job_context.hpp"

namespace chillbox::rollout {

os::Millis watch_of(const JobContext& r); // 0: it is not

} // namespace chillbox::rollout
