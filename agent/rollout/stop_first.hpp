// Services that must not run twice (`strategy: stop-first`): their old copy has stopped before the
// new one starts. All others of the release are up and were checked by then, and NGINX accepts the
// new text, so that the downtime is as short as the two copies allow. It is measured and kept with
// the job.
#pragma once

#include "rollout/job_context.hpp"

namespace chillbox::rollout {

// Is this a service that must not run twice, and does its old copy run?
bool must_stop_first(const JobContext& r, const PlannedService& p);
// What stopped first is back: the job records for how long it was away.
void end_downtime(JobContext& r);
// The new copies stop, the old ones start again. Those that run already are left alone.
Result<void> undo_stop_first(JobContext& r);
// Before the live release is brought up: stops what a crash in this step left in the other slot.
Result<void> stop_second_copies(HostContext& host, const LoadedRelease& release);

} // namespace chillbox::rollout
